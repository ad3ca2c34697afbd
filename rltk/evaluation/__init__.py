"""Grading agents: exactly where T and R are known, by sampling elsewhere; where they lose; many levels; statistics."""

from rltk.evaluation import statistics
from rltk.evaluation.answers import AnswerKey, answer_key
from rltk.evaluation.curves import regret_curves, suboptimality_curves
from rltk.evaluation.evaluating import evaluate
from rltk.evaluation.explaining import explain
from rltk.evaluation.explanation import Explanation
from rltk.evaluation.levels_result import LevelsEvaluation
from rltk.evaluation.memoryless import Memoryless, best_memoryless
from rltk.evaluation.result import Evaluation

__all__ = [
    "AnswerKey",
    "Evaluation",
    "Explanation",
    "LevelsEvaluation",
    "Memoryless",
    "answer_key",
    "best_memoryless",
    "evaluate",
    "explain",
    "regret_curves",
    "statistics",
    "suboptimality_curves",
]
