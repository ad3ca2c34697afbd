"""The textbooks' classics that are no grids with walls: each is its exact MDP, built from the book's rules."""

from rltk.envs.classics.bandit import BanditEnv, BanditVectorEnv
from rltk.envs.classics.blackjack import BlackjackEnv, BlackjackVectorEnv
from rltk.envs.classics.car_rental import JacksCarRentalEnv, JacksCarRentalVectorEnv
from rltk.envs.classics.gambler import GamblersProblemEnv, GamblersProblemVectorEnv
from rltk.envs.classics.maximization_bias import MaximizationBiasEnv, MaximizationBiasVectorEnv
from rltk.envs.classics.random_walk import RandomWalkEnv, RandomWalkVectorEnv

__all__ = [
    "BanditEnv",
    "BanditVectorEnv",
    "BlackjackEnv",
    "BlackjackVectorEnv",
    "GamblersProblemEnv",
    "GamblersProblemVectorEnv",
    "JacksCarRentalEnv",
    "JacksCarRentalVectorEnv",
    "MaximizationBiasEnv",
    "MaximizationBiasVectorEnv",
    "RandomWalkEnv",
    "RandomWalkVectorEnv",
]
