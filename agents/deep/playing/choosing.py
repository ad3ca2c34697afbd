"""Which players an environment makes."""

from typing import Any

import gymnasium as gym

from rltk.agents.deep.playing.batch import BatchPlayers
from rltk.agents.deep.playing.players import Players
from rltk.agents.deep.playing.single import SinglePlayer
from rltk.errors import SpaceError
from rltk.runs import Streams


def players_of(env: Any, streams: Streams) -> Players:
    """The players of `env`, a Gymnasium Env or VectorEnv. SpaceError for anything else."""
    if isinstance(env, gym.vector.VectorEnv):
        return BatchPlayers(env, streams)
    if isinstance(env, gym.Env):
        return SinglePlayer(env, streams)
    raise SpaceError(
        f"DQN takes a Gymnasium Env or VectorEnv, not {type(env).__name__}; make one with gym.make or gym.make_vec"
    )
