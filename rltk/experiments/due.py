"""When a callback is due: as soon as a multiple of `every` timesteps is reached or passed.

    due(t)   iff   floor(t / every) > floor(t' / every)       t': the timestep before

A learner calls it at the multiples of its `every`; a batched one may step over them. It is served at the first
timestep that is told after one, once.
"""

from typing import Any, Self

import gymnasium as gym

from rltk.errors import ArgumentError, CheckpointError
from rltk.runs import Progress, Run
from rltk.runs.checks import whole


class Due:
    """A callback's clock. Subclasses say in `fire` what is done; `state` and `restore` let a resumed run keep the beat.

    every: timesteps. start: the timestep that learning goes on from, 0 for a new learner.
    """

    def __init__(self, every: int, *, start: int = 0) -> None:
        self.every = whole("every", every, 1)
        self.timestep = whole("start", start)

    def __call__(self, progress: Progress) -> bool | None:
        """Fire if that is due; what `fire` returns is the answer, and False stops the learner."""
        before, self.timestep = self.timestep, progress.timestep
        if progress.timestep // self.every <= before // self.every:
            return None
        return self.fire(progress)

    def fire(self, progress: Progress) -> bool | None:
        """Do what is due; False stops the learner."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What the future depends on, as plain JSON."""
        return {"every": self.every, "timestep": self.timestep}

    def restore(self, state: dict[str, Any]) -> Self:
        """Go on where `state` was taken. CheckpointError where that was another clock's."""
        if state.get("every") != self.every:
            raise CheckpointError(
                f"{type(self).__name__}: the state was taken with every={state.get('every')!r}, this one has "
                f"every={self.every}: make it with the same"
            )
        self.timestep = int(state["timestep"])
        return self


def start_of(run: Any) -> int:
    """The timestep that a run was resumed at; 0 for anything else."""
    return run.timestep if isinstance(run, Run) else 0


def single(name: str, env: Any) -> Any:
    """`env`, if it is a single Gymnasium environment; ArgumentError otherwise."""
    if not isinstance(env, gym.Env):
        raise ArgumentError(
            f"{name}: env is a {type(env).__name__}; a single Gymnasium environment was expected, one of its own "
            "(gym.make), however many the learner steps in"
        )
    return env


def apart(name: str, env: Any, agent: Any) -> None:
    """ArgumentError where `env` is the environment that `agent` learns in: to reset it would break its episode."""
    learning = getattr(agent, "env", None)
    if learning is not None and getattr(learning, "unwrapped", learning) is env.unwrapped:
        raise ArgumentError(
            f"{name}: env is the one that {type(agent).__name__} learns in, whose episode would be broken off; make "
            "another one like it"
        )
