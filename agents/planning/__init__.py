"""Planners: from an MDP to its optimum between certified bounds. One file each, its theory first."""

from rltk.agents.planning.gauss_seidel import GaussSeidel
from rltk.agents.planning.planner import Planner
from rltk.agents.planning.policy_iteration import PolicyIteration
from rltk.agents.planning.solution import Solution
from rltk.agents.planning.solving import PLANNERS, solve
from rltk.agents.planning.value_iteration import ValueIteration

__all__ = ["PLANNERS", "GaussSeidel", "Planner", "PolicyIteration", "Solution", "ValueIteration", "solve"]
