"""Learners that keep one value for each state, or each state and action. One file each, its equation first."""

from rltk.agents.tabular.learner import TabularLearner
from rltk.agents.tabular.q_learning import QLearning

LEARNERS: dict[str, type[TabularLearner]] = {QLearning.name: QLearning}

__all__ = ["LEARNERS", "QLearning", "TabularLearner"]
