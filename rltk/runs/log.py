"""What a run measured: JSON lines for programs and people, TensorBoard scalars under Stable-Baselines3's tags.

One line is one object: {"timestep": 1000, "time": 1735689600.123, "rollout/ep_rew_mean": 0.93}. `time` is Unix
seconds. Strict JSON has no NaN and no infinities: they are the strings "nan", "inf" and "-inf" in the file, and
floats again when read. Timesteps never go back, so that a resumed run can cut its log at the checkpoint's timestep.
"""

import contextlib
import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rltk.errors import ArgumentError, CheckpointError
from rltk.runs.checks import whole

# Short names for what most learners log. Any other name is its own tag.
TAGS = {
    "ep_rew_mean": "rollout/ep_rew_mean",
    "ep_len_mean": "rollout/ep_len_mean",
    "fps": "time/fps",
}
_NOT_FINITE: dict[Any, float] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """`metrics` under their tags, as Python's bool, int and float.

    Raises ArgumentError at a value that is no single number and at the reserved names timestep and time.
    """
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        if name in ("timestep", "time") or not isinstance(name, str):
            raise ArgumentError(f"a metric is called {name!r}, which every line of the log has already; rename it")
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value[()]
        number = value.item() if isinstance(value, np.generic) else value
        if not isinstance(number, bool | int | float):
            raise ArgumentError(f"the metric {name!r} is {value!r}, but a single number was expected")
        plain[TAGS.get(name, name)] = number
    return plain


class MetricLog:
    """Appends lines to the file `path`. A line that an earlier process left half-written is dropped first.

    Raises CheckpointError if the file can't be opened or written, or is damaged in its middle.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with _refusal(self.path):
            self._last = truncate_log(self.path) if self.path.exists() else -1
            self._file = self.path.open("ab", buffering=0)

    def write(self, timestep: int, metrics: Mapping[str, Any]) -> None:
        """Append one line; it is handed to the operating system before this returns, so a kill can't take it."""
        timestep = whole("timestep", timestep)
        if timestep < self._last:
            raise ArgumentError(f"timestep {timestep} follows timestep {self._last} in {self.path}: it may not go back")
        record: dict[str, Any] = {"timestep": timestep, "time": round(time.time(), 3)}
        record.update({name: _json_number(value) for name, value in plain_metrics(metrics).items()})
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        self._check_open()
        with _refusal(self.path):
            before = os.fstat(self._file.fileno()).st_size
            try:
                while line:
                    line = line[self._file.write(line) :]
            except OSError:
                self._file.truncate(before)
                raise
        self._last = timestep

    def sync(self) -> None:
        """Have the disk hold what was written, so that a checkpoint is never ahead of its log."""
        self._check_open()
        with _refusal(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; nothing can be written after it."""
        self._file.close()

    def _check_open(self) -> None:
        if self._file.closed:
            raise CheckpointError(f"the log {self.path} is closed, because its run has finished; resume that run first")


def read_log(path: str | Path) -> list[dict[str, float]]:
    """All lines of a log, oldest first; a half-written last one is dropped.

    Raises CheckpointError, naming the line, if one in the middle is no object with a timestep.
    """
    return [record for record, _ in _records(Path(path))]


def truncate_log(path: str | Path, timestep: int | None = None) -> int:
    """Cut a log after the last line up to `timestep` (None: the last whole line); returns the timestep it now ends at.

    -1 says that no line is left. Raises CheckpointError if the file is missing or damaged before the cut.
    """
    path, end, last = Path(path), 0, -1
    for record, position in _records(path):
        if timestep is not None and record["timestep"] > timestep:
            break
        end, last = position, int(record["timestep"])
    with _refusal(path):
        if end < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(end)
                os.fsync(file.fileno())
    return last


class TensorBoardLog:
    """Scalars for TensorBoard in `folder`, whose event file is opened at the first one.

    purge_step: scalars of earlier processes from this timestep on are hidden by TensorBoard; None hides none.
    A disk that refuses ends this log with a warning: learning goes on, and the JSON lines are the record.
    """

    def __init__(self, folder: str | Path, purge_step: int | None = None) -> None:
        self.folder = Path(folder)
        self._purge_step = purge_step
        self._writer: Any = None
        self._off = False

    def write(self, timestep: int, metrics: Mapping[str, Any]) -> None:
        """Add one scalar for every metric, under its tag."""
        scalars = plain_metrics(metrics)
        if self._off or not scalars:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=_single(value)) for tag, value in scalars.items()]
        try:
            if self._writer is None:
                self._writer = self._open()
            self._add(Event(wall_time=time.time(), step=timestep, summary=Summary(value=values)))
            self._writer.flush()
        except OSError as error:
            self._off = True
            warnings.warn(f"no more TensorBoard scalars are written to {self.folder}: {error}", stacklevel=2)

    def close(self) -> None:
        """Close the event file, if one was opened."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self._writer, self._off = None, True

    def _open(self) -> Any:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        now = time.time_ns()
        # TensorBoard reads the files in the order of their names.
        name = f"events.out.tfevents.{now // 10**9:010d}.{now % 10**9:09d}.{os.getpid()}"
        # tensorboard's own EventFileWriter would add a thread, and the name of this machine to the file's.
        self._writer = RecordWriter((self.folder / name).open("xb"))
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if self._purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._add(Event(wall_time=time.time(), step=self._purge_step, session_log=start))
        return self._writer

    def _add(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())


def _json_number(value: float) -> float | str:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> Any:
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _single(value: float) -> float:
    """`value` within the range of a 32-bit float, which is what TensorBoard keeps."""
    with np.errstate(over="ignore"):
        try:
            return float(np.float32(value))
        except OverflowError:
            return math.inf if value > 0 else -math.inf


def _records(path: Path) -> Iterator[tuple[dict[str, float], int]]:
    """Every whole line as an object, with the position in the file after it."""
    position = 0
    damage: str | None = None
    with _refusal(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if damage is not None:
                raise CheckpointError(f"{path} is damaged in {damage}; delete that line, or put back a copy")
            record = _parsed(line)
            if record is None:
                damage = f"line {number}: {line[:60]!r} is no object with a timestep"
                continue
            position += len(line)
            yield record, position


def _parsed(line: bytes) -> dict[str, float] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("timestep")) is not int:
        return None
    return {name: _number(value) for name, value in record.items()}


@contextlib.contextmanager
def _refusal(path: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"the log {path} can't be read or written: {error}; make room or mend the path"
        ) from error
