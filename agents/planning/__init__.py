"""Planners: from an MDP to its optimum between certified bounds. One file each, its theory first."""

from rltk.agents.planning.average_reward import AverageSolution, RelativeValueIteration
from rltk.agents.planning.finite_horizon import BackwardInduction, FiniteHorizonSolution
from rltk.agents.planning.gauss_seidel import GaussSeidel
from rltk.agents.planning.inexact_policy_iteration import InexactPolicyIteration
from rltk.agents.planning.linear_programming import LinearProgramming, ProgrammedSolution
from rltk.agents.planning.modified_policy_iteration import ModifiedPolicyIteration
from rltk.agents.planning.planner import Planner
from rltk.agents.planning.policy_iteration import PolicyIteration
from rltk.agents.planning.prioritised_sweeping import PrioritisedSweeping
from rltk.agents.planning.soft import SoftSolution, SoftValueIteration
from rltk.agents.planning.solution import Solution
from rltk.agents.planning.solving import PLANNERS, solve
from rltk.agents.planning.topological import TopologicalValueIteration
from rltk.agents.planning.value_iteration import ValueIteration

__all__ = [
    "PLANNERS",
    "AverageSolution",
    "BackwardInduction",
    "FiniteHorizonSolution",
    "GaussSeidel",
    "InexactPolicyIteration",
    "LinearProgramming",
    "ModifiedPolicyIteration",
    "Planner",
    "PolicyIteration",
    "PrioritisedSweeping",
    "ProgrammedSolution",
    "RelativeValueIteration",
    "SoftSolution",
    "SoftValueIteration",
    "Solution",
    "TopologicalValueIteration",
    "ValueIteration",
    "solve",
]
