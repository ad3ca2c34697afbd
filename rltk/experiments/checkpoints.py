"""Checkpoints while learning: the agent every so many timesteps, in a folder of its own or in a run's."""

from pathlib import Path
from typing import Any

from rltk.errors import ArgumentError
from rltk.experiments.due import Due, start_of
from rltk.runs import Progress, Run


class Checkpoints(Due):
    """Save the agent every so many timesteps; `agent.last_checkpoint` is the path written, for whoever tells of it.

    where: a folder, from which the learner's `load` takes the newest; or a `Run`, which keeps its streams beside it and
    is taken up by `Run.resume`. `path` is the newest one's, None before the first.
    """

    def __init__(self, where: str | Path | Run, every: int) -> None:
        super().__init__(every, start=start_of(where))
        if not isinstance(where, str | Path | Run):
            raise ArgumentError(f"where is a {type(where).__name__}; a folder or a Run was expected")
        self.where = Path(where) if isinstance(where, str) else where
        self.path: Path | None = None

    def fire(self, progress: Progress) -> None:
        """Save now, whatever is due."""
        agent = progress.agent
        if isinstance(self.where, Run):
            self.path = self.where.checkpoint(_whole(agent), progress.timestep)
        else:
            self.path = Path(agent.save(self.where))
        agent.last_checkpoint = self.path


def _whole(agent: Any) -> dict[str, Any]:
    """What a run saves of an agent: how to make one, and how to go on with it."""
    if not callable(getattr(agent, "state", None)):
        raise ArgumentError(f"{type(agent).__name__} has no state(); Checkpoints in a Run take agents that have one")
    config = {"config": agent.config()} if callable(getattr(agent, "config", None)) else {}
    return {**config, "agent": agent.state()}
