"""Grading agents: exactly where T and R are known, by sampling elsewhere."""

from rltk.evaluation.grading import evaluate
from rltk.evaluation.result import Evaluation

__all__ = ["Evaluation", "evaluate"]
