"""What several programs need: environments by id, agents by name, trained agents from a run's folder."""

import ast
import json
from pathlib import Path
from typing import Any

import gymnasium as gym

from rltk.agents.tabular import CONTROL
from rltk.envs.gridworld import shipped_maps
from rltk.errors import ArgumentError, CheckpointError, UnknownNameError
from rltk.runs import latest_checkpoint

_MAP = "world.map"
DEEP = "dqn"


def make_env(env: str, env_kwargs: dict[str, str] | None = None, render_mode: str | None = None) -> Any:
    """The environment `env` (an id, or a map's path, which makes a grid world of it).

    env_kwargs: options as typed on a command line (`parsed_options`).
    Raises UnknownNameError for an unknown id, ArgumentError for an option that the environment does not take.
    """
    options = parsed_options(env_kwargs or {})
    if is_map(env):
        env, options = "rltk/GridWorld-v0", {"map": env, **options}
    try:
        return gym.make(env, render_mode=render_mode, **options)
    except (gym.error.UnregisteredEnv, ModuleNotFoundError) as error:
        raise UnknownNameError(f"{error} rltk's own ids: {', '.join(own_ids())}") from None
    except gym.error.Error as error:
        raise ArgumentError(f"{env} can't be made: {error}") from error
    except TypeError as error:
        raise ArgumentError(f"{env} does not take these options, {options}: {error}") from error


def one_level(env: Any, level: int) -> Any:
    """`env`; where it makes a new level at each reset, as MiniGrid does, an environment of the level of the seed
    `level` alone, at its first reset."""
    if hasattr(env.unwrapped, "shortest_plan"):
        from rltk.envs.minigrid import Layout

        env.reset(seed=level)
        layout = Layout.from_env(env)
        env = gym.make("rltk/MiniGrid-v0", layout=layout, render_mode=env.render_mode)
        env.reset(seed=0)
    return env


def parsed_options(typed: dict[str, str]) -> dict[str, Any]:
    """Options as typed on a command line; "0.2", "true" and "[1, 2]" become what they look like."""
    return {name: _parsed(text) for name, text in typed.items()}


def is_map(env: str) -> bool:
    """Whether `env` names a map file rather than an id."""
    return env.endswith(".map") or (env not in gym.registry and Path(env).is_file())


def keep_map(env: str, env_kwargs: dict[str, str], folder: Path) -> None:
    """Where `env`, or its option "map", is a map file, keep a copy in the run's folder: the run outlives the file."""
    source = str(_parsed(env_kwargs.get("map", env if is_map(env) else "")))  # the option wins, as in `make_env`
    if "\n" not in source and source not in shipped_maps() and Path(source).is_file():
        (folder / _MAP).write_bytes(Path(source).read_bytes())


def env_of_run(folder: Path, env: str, env_kwargs: dict[str, str]) -> tuple[str, dict[str, str]]:
    """What to make for the run in `folder` that was started with these: its own copy of a map takes the map's place."""
    copy = str(folder / _MAP)
    if not Path(copy).exists():
        return env, env_kwargs
    if "map" in env_kwargs and not env.endswith(".map"):
        return env, {**env_kwargs, "map": copy}
    return copy, {name: text for name, text in env_kwargs.items() if name != "map"}


def own_ids() -> list[str]:
    """The ids that rltk registers."""
    return sorted(name for name in gym.registry if name.startswith("rltk/"))


def learner_class(name: str) -> Any:
    """The learner called `name`, or an UnknownNameError that lists them."""
    if name == DEEP:
        from rltk.agents.deep import DQN  # torch takes seconds to load

        return DQN
    if name not in CONTROL:
        raise UnknownNameError(f"no learner is called {name!r}; there are {', '.join((*CONTROL, DEEP))}")
    return CONTROL[name]


def load_trained(folder: str, render_mode: str | None = None) -> tuple[Any, Any, dict[str, Any]]:
    """(agent, environment, configuration) of the run in `folder`, at its newest checkpoint.

    Raises CheckpointError where `folder` is no run or holds no checkpoint.
    """
    path = Path(folder)
    try:
        settings = json.loads((path / "config.json").read_text())
        config, algorithm = settings["config"], settings["algorithm"]
        env_id, options = env_of_run(path, config["env"], config["env_kwargs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder} is no run of `rltk train` ({type(error).__name__}: {error}); name a folder such as runs/..., "
            "which holds config.json and checkpoints/"
        ) from None
    checkpoint = latest_checkpoint(path / "checkpoints")
    if checkpoint is None:
        raise CheckpointError(f"{folder} holds no checkpoint yet; train it for longer than save_freq steps")
    env = make_env(env_id, options, render_mode)
    saved = checkpoint.state["agent"]  # beside it stand the run's own streams
    return learner_class(algorithm).from_config(saved["config"], env).restore(saved["agent"]), env, config


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        words = {"true": "True", "false": "False", "none": "None", "inf": "1e999"}
        return ast.literal_eval(words.get(text.lower(), text))
    except (ValueError, SyntaxError):
        return text
