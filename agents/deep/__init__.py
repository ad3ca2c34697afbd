"""Learners with networks: DQN, its variants and its parts."""

from rltk.agents.deep.dqn import DQN
from rltk.agents.deep.learner import DeepLearner
from rltk.agents.deep.settings import Settings

__all__ = ["DQN", "DeepLearner", "Settings"]
