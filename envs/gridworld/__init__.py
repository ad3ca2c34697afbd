"""Grid worlds: maps that a person types, the textbooks' classics, mazes and the taxi."""

from rltk.envs.gridworld.changing_maze import ChangingMazeEnv, ChangingMazeVectorEnv
from rltk.envs.gridworld.compile import compile_map
from rltk.envs.gridworld.env import GridWorldEnv, GridWorldVectorEnv
from rltk.envs.gridworld.loading import load_map, shipped_maps
from rltk.envs.gridworld.map import GridMap
from rltk.envs.gridworld.maze import MazeEnv, MazeVectorEnv, maze_map
from rltk.envs.gridworld.parse import parse_map
from rltk.envs.gridworld.racetrack import RacetrackEnv, RacetrackVectorEnv
from rltk.envs.gridworld.taxi import TaxiEnv, TaxiVectorEnv
from rltk.envs.gridworld.windy import WindyGridworldEnv, WindyGridworldVectorEnv

__all__ = [
    "ChangingMazeEnv",
    "ChangingMazeVectorEnv",
    "GridMap",
    "GridWorldEnv",
    "GridWorldVectorEnv",
    "MazeEnv",
    "MazeVectorEnv",
    "RacetrackEnv",
    "RacetrackVectorEnv",
    "TaxiEnv",
    "TaxiVectorEnv",
    "WindyGridworldEnv",
    "WindyGridworldVectorEnv",
    "compile_map",
    "load_map",
    "maze_map",
    "parse_map",
    "shipped_maps",
]
