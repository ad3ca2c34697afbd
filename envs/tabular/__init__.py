"""Any MDP as a Gymnasium environment, one at a time or batched, and what its states look like."""

from rltk.envs.tabular.changing import ChangingEnv, ChangingVectorEnv
from rltk.envs.tabular.env import TabularEnv
from rltk.envs.tabular.layout import Layout
from rltk.envs.tabular.observations import MODES, Observations
from rltk.envs.tabular.vector_env import TabularVectorEnv

__all__ = [
    "MODES",
    "ChangingEnv",
    "ChangingVectorEnv",
    "Layout",
    "Observations",
    "TabularEnv",
    "TabularVectorEnv",
]
