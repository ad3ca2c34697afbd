"""One training run on disk: `runs/<env>__<algorithm>__<seed>__<time>/`.

    config.json       what was asked for, and the versions it ran on
    log.jsonl         what was measured, one JSON object a line
    tensorboard/      the same for TensorBoard
    checkpoints/      generations (see `rltk.runs.checkpoint`)
    run.lock          held while a process works here

A run that was killed is taken up again with `Run.resume(folder)`: it holds the newest whole checkpoint's state, and its
log is cut there, so that no step appears twice.
"""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from rltk import __version__
from rltk.errors import ArgumentError, CheckpointError
from rltk.files import sync
from rltk.runs.checkpoint import latest_checkpoint, write_checkpoint
from rltk.runs.checks import whole
from rltk.runs.folder import FolderLock, new_folder, run_name, safe_name
from rltk.runs.log import MetricLog, TensorBoardLog, plain_metrics, read_log, truncate_log
from rltk.runs.streams import Streams
from rltk.runs.trees import Arrays, join, split

CONFIG, LOG, TENSORBOARD, CHECKPOINTS = "config.json", "log.jsonl", "tensorboard", "checkpoints"
_FORMAT_VERSION = 1
_FIELDS = {"env": str, "algorithm": str, "seed": int, "tensorboard": bool, "config": dict}


class Run:
    """A run's folder, opened by `Run.start` or `Run.resume` and held until `finish`.

    folder: where it lives. env, algorithm, seed, config: what it was started with. streams: its random streams, saved
    and restored with every checkpoint. timestep, state: of the checkpoint it was resumed from; 0 and None if none.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], lock: FolderLock) -> None:
        self.folder = folder
        self.env: str = settings["env"]
        self.algorithm: str = settings["algorithm"]
        self.seed: int = settings["seed"]
        self.config: dict[str, Any] = settings["config"]
        self.streams = Streams(self.seed)
        self.timestep = 0
        self.state: dict[str, Any] | None = None
        self._lock = lock
        resumed = self._take_up()
        self._log = MetricLog(folder / LOG)
        self._scalars = (
            TensorBoardLog(folder / TENSORBOARD, self.timestep + 1 if resumed else None)
            if settings["tensorboard"]
            else None
        )

    @classmethod
    def start(
        cls,
        root: str | Path = "runs",
        *,
        env: str,
        algorithm: str,
        seed: int,
        config: Mapping[str, Any] | None = None,
        name: str | None = None,
        tensorboard: bool = True,
    ) -> Self:
        """Make a new folder in `root` and hold it.

        config: plain JSON (tuples become lists). name: the folder's name instead of the one made of the rest; where it
        is taken, a number is added. Raises ArgumentError, with nothing written, at an unsafe name or a config that is
        not plain; CheckpointError if the folder can't be made.
        """
        seed = whole("seed", seed)
        folder_name = run_name(env, algorithm, seed) if name is None else safe_name(name)
        if config is not None and not isinstance(config, Mapping):
            raise ArgumentError(f"config is a {type(config).__name__}, but a dict was expected")
        settings = {
            "format_version": _FORMAT_VERSION,
            "env": env,
            "algorithm": algorithm,
            "seed": seed,
            "tensorboard": bool(tensorboard),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "config": _listed(config or {}),
            "versions": {"python": platform.python_version(), "numpy": np.__version__, "rltk": __version__},
        }
        plain, arrays = split(settings, "the run's settings")
        if names := sorted([*arrays.single, *arrays.rings]):
            raise ArgumentError(f"config holds arrays at {names}; make them lists with .tolist()")
        folder = new_folder(Path(root), folder_name)
        lock = FolderLock(folder)
        try:
            _write_settings(folder / CONFIG, plain)
            return cls(folder, settings, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def resume(cls, folder: str | Path) -> Self:
        """Take up the run in `folder` where its newest whole checkpoint stands, or at timestep 0 if it has none.

        A damaged newest checkpoint is passed over with a warning. Raises CheckpointError if the folder is no run, is
        held by another process, or if all its checkpoints are damaged.
        """
        folder = Path(folder)
        settings = _read_settings(folder)
        lock = FolderLock(folder)
        try:
            return cls(folder, settings, lock)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, timestep={self.timestep})"

    def path(self, *parts: str) -> Path:
        """Where an artefact of this name belongs, in the run's folder; its folder is made.

        Raises ArgumentError at a part that is not one safe name.
        """
        path = self.folder.joinpath(*(safe_name(part, "a part of the artefact's path") for part in parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, timestep: int, /, **metrics: float) -> None:
        """Log numbers at `timestep`, which may not go back; a name with a slash goes in as `**{"rollout/x": 1.0}`.

        ep_rew_mean, ep_len_mean and fps get Stable-Baselines3's tags (see `rltk.runs.log.TAGS`).
        """
        plain = plain_metrics(metrics)
        self._log.write(timestep, plain)
        if self._scalars is not None:
            self._scalars.write(timestep, plain)

    def metrics(self) -> list[dict[str, float]]:
        """All that was logged, oldest first: one dict a line."""
        return read_log(self.folder / LOG)

    def checkpoint(self, agent: Any, timestep: int) -> Path:
        """Save an agent (anything with `state()`) or a state, and the run's streams; returns the generation's folder.

        An agent that has `state_to_write()` is asked for that: its state without copies, to be saved at once.
        Raises CheckpointError if the disk refuses: the older generations are untouched, and learning may go on.
        """
        ask = getattr(agent, "state_to_write", None) or getattr(agent, "state", None)
        state = ask() if callable(ask) else agent
        self._log.sync()
        whole_state = {"agent": state, "streams": self.streams.state()}
        return write_checkpoint(self.folder / CHECKPOINTS, whole_state, step=timestep)

    def finish(self) -> None:
        """Close the logs and let go of the folder; twice does no harm."""
        self._log.close()
        if self._scalars is not None:
            self._scalars.close()
        self._lock.release()

    def _take_up(self) -> bool:
        """Restore the newest checkpoint, if there is one, and cut the log there; says if this is no new run."""
        resumed = (self.folder / LOG).exists()
        found = latest_checkpoint(self.folder / CHECKPOINTS)
        if found is not None:
            if set(found.state) != {"agent", "streams"}:
                raise CheckpointError(f"{found.path} holds {sorted(found.state)}, but a run's holds agent and streams")
            self.streams.restore(found.state["streams"])
            self.timestep, self.state = found.step, found.state["agent"]
        if resumed:
            truncate_log(self.folder / LOG, self.timestep if found is not None else -1)
        return resumed


def _listed(value: Any) -> Any:
    """`value` with tuples as lists: a dataclass of settings has them, JSON has not."""
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def _write_settings(path: Path, plain: dict[str, Any]) -> None:
    saving = path.with_name(f"{path.name}.saving")
    try:
        saving.write_text(json.dumps(plain, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        sync(saving)
        os.replace(saving, path)
        sync(path.parent)
        sync(path.parent.parent)
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be written: {error}; make room or mend the folder's permissions"
        ) from error


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is no run: {CONFIG} is missing; expected is a folder that Run.start made, which holds {CONFIG}, "
            f"{LOG}, {CHECKPOINTS} and {TENSORBOARD}"
        )
    try:
        settings = join(json.loads(path.read_bytes()), Arrays({}, {}))
        version = settings.get("format_version")
        if type(version) is not int or version < 1:
            raise ValueError(f"format_version is {version!r}")
        if version > _FORMAT_VERSION:
            raise CheckpointError(f"{path} has format_version {version}; install a newer rltk than {__version__}")
        for name, kind in _FIELDS.items():
            if type(settings.get(name)) is not kind:
                raise ValueError(f"{name} is {settings.get(name)!r}, but a {kind.__name__} was expected")
        whole("seed", settings["seed"])
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; put it back from a copy, or start a new run") from error
    return settings
