"""Grid worlds: maps that a person types, the textbooks' classics, mazes and the taxi."""

from rltk.envs.gridworld.compile import compile_map
from rltk.envs.gridworld.env import GridWorldEnv, GridWorldVectorEnv
from rltk.envs.gridworld.loading import load_map, shipped_maps
from rltk.envs.gridworld.map import GridMap
from rltk.envs.gridworld.maze import MazeEnv, MazeVectorEnv, maze_map
from rltk.envs.gridworld.parse import parse_map
from rltk.envs.gridworld.taxi import TaxiEnv, TaxiVectorEnv

__all__ = [
    "GridMap",
    "GridWorldEnv",
    "GridWorldVectorEnv",
    "MazeEnv",
    "MazeVectorEnv",
    "TaxiEnv",
    "TaxiVectorEnv",
    "compile_map",
    "load_map",
    "maze_map",
    "parse_map",
    "shipped_maps",
]
