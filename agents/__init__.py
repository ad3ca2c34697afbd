"""Everything that yields a policy. Names are loaded when they are first used."""

from importlib import import_module
from typing import Any

from rltk.errors import UnknownAttributeError

_HOMES = {
    "BackwardInduction": "rltk.agents.planning",
    "GaussSeidel": "rltk.agents.planning",
    "InexactPolicyIteration": "rltk.agents.planning",
    "LinearProgramming": "rltk.agents.planning",
    "ModifiedPolicyIteration": "rltk.agents.planning",
    "PolicyIteration": "rltk.agents.planning",
    "PrioritisedSweeping": "rltk.agents.planning",
    "RelativeValueIteration": "rltk.agents.planning",
    "SoftValueIteration": "rltk.agents.planning",
    "Solution": "rltk.agents.planning",
    "TopologicalValueIteration": "rltk.agents.planning",
    "ValueIteration": "rltk.agents.planning",
    "LSTD": "rltk.agents.tabular",
    "REINFORCE": "rltk.agents.tabular",
    "SARSA": "rltk.agents.tabular",
    "TD": "rltk.agents.tabular",
    "UCB": "rltk.agents.tabular",
    "ActorCritic": "rltk.agents.tabular",
    "BatchMonteCarlo": "rltk.agents.tabular",
    "BatchTD": "rltk.agents.tabular",
    "DoubleQLearning": "rltk.agents.tabular",
    "DynaQ": "rltk.agents.tabular",
    "DynaQPlus": "rltk.agents.tabular",
    "EpsilonGreedy": "rltk.agents.tabular",
    "ExpectedSARSA": "rltk.agents.tabular",
    "FixedPolicy": "rltk.agents.tabular",
    "LambdaReturn": "rltk.agents.tabular",
    "LSPI": "rltk.agents.tabular",
    "LinearQLearning": "rltk.agents.tabular",
    "LinearSARSA": "rltk.agents.tabular",
    "ManyEpisodes": "rltk.agents.tabular",
    "ManySeeds": "rltk.agents.tabular",
    "MonteCarlo": "rltk.agents.tabular",
    "MonteCarloControl": "rltk.agents.tabular",
    "MonteCarloExploringStarts": "rltk.agents.tabular",
    "NStepSARSA": "rltk.agents.tabular",
    "NStepTD": "rltk.agents.tabular",
    "OffPolicyMonteCarlo": "rltk.agents.tabular",
    "OffPolicyMonteCarloControl": "rltk.agents.tabular",
    "PrioritisedDynaQ": "rltk.agents.tabular",
    "QLambda": "rltk.agents.tabular",
    "QLearning": "rltk.agents.tabular",
    "SARSALambda": "rltk.agents.tabular",
    "Softmax": "rltk.agents.tabular",
    "TDLambda": "rltk.agents.tabular",
    "TreeBackup": "rltk.agents.tabular",
    "TrueOnlineTDLambda": "rltk.agents.tabular",
    "learn_episodes": "rltk.agents.tabular",
    "learn_many": "rltk.agents.tabular",
    "DQN": "rltk.agents.deep",
    "LAOStar": "rltk.agents.search",
    "LRTDP": "rltk.agents.search",
    "MCTS": "rltk.agents.search",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise UnknownAttributeError(f"rltk.agents has no agent {name!r}; it has {', '.join(sorted(_HOMES))}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
