"""What a training run needs besides learning: random streams, schedules, checkpoints, logs, callbacks, its folder.

Names are loaded when they are first used, so `import rltk.runs` reads none of rich, tensorboard and safetensors.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

if TYPE_CHECKING:
    from rltk.runs.bar import ProgressBar
    from rltk.runs.checkpoint import Checkpoint, latest_checkpoint, read_checkpoint, write_checkpoint
    from rltk.runs.folder import FolderLock, run_name, safe_name
    from rltk.runs.log import MetricLog, TensorBoardLog, read_log, truncate_log
    from rltk.runs.progress import Callback, CallbackList, Progress, call_all
    from rltk.runs.run import Run
    from rltk.runs.schedules import (
        Exponential,
        Linear,
        Schedule,
        config_of,
        exponential,
        from_config,
        linear,
        values,
    )
    from rltk.runs.streams import Streams
    from rltk.runs.trees import Ring

_HOMES = {
    "Callback": "progress",
    "CallbackList": "progress",
    "Checkpoint": "checkpoint",
    "Exponential": "schedules",
    "FolderLock": "folder",
    "Linear": "schedules",
    "MetricLog": "log",
    "Progress": "progress",
    "ProgressBar": "bar",
    "Ring": "trees",
    "Run": "run",
    "Schedule": "schedules",
    "Streams": "streams",
    "TensorBoardLog": "log",
    "call_all": "progress",
    "config_of": "schedules",
    "exponential": "schedules",
    "from_config": "schedules",
    "latest_checkpoint": "checkpoint",
    "linear": "schedules",
    "read_checkpoint": "checkpoint",
    "read_log": "log",
    "run_name": "folder",
    "safe_name": "folder",
    "truncate_log": "log",
    "values": "schedules",
    "write_checkpoint": "checkpoint",
}

__all__ = [
    "Callback",
    "CallbackList",
    "Checkpoint",
    "Exponential",
    "FolderLock",
    "Linear",
    "MetricLog",
    "Progress",
    "ProgressBar",
    "Ring",
    "Run",
    "Schedule",
    "Streams",
    "TensorBoardLog",
    "call_all",
    "config_of",
    "exponential",
    "from_config",
    "latest_checkpoint",
    "linear",
    "read_checkpoint",
    "read_log",
    "run_name",
    "safe_name",
    "truncate_log",
    "values",
    "write_checkpoint",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
