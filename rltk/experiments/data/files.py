"""Data in folders: transitions as they were written, and pictures.

Transitions are written as a checkpoint is: arrays in safetensors, the rest in JSON, with a sha256 of each file.
"""

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from rltk.encoders.described import described, space_of
from rltk.errors import ArgumentError, CheckpointError
from rltk.experiments.data.transitions import Transitions
from rltk.runs import latest_checkpoint, write_checkpoint

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_FORM = 1
_ARRAYS = ("level", "origin", "action", "reward", "next", "terminated", "weight")


def save_transitions(data: Transitions, folder: str | Path) -> Path:
    """Write `data` into a folder, which is made; returns it. What an earlier call wrote there is replaced once the new
    one is whole."""
    lone = not isinstance(data.observations, dict)
    state = {
        "form": _FORM,
        "observation_space": described(data.observation_space),
        "n_actions": data.n_actions,
        "lone": lone,
        "observations": {"observation": data.observations} if lone else dict(data.observations),
        "targets": dict(data.targets),
        "distance": data.distance,
        "arrays": {name: getattr(data, name) for name in _ARRAYS},
    }
    write_checkpoint(folder, state, step=0, keep=1)
    return Path(folder)


def load_transitions(folder: str | Path) -> Transitions:
    """What `save_transitions` wrote. Raises CheckpointError where nothing whole is there, or of a newer form."""
    found = latest_checkpoint(folder)
    if found is None:
        raise CheckpointError(f"{folder}: no data in it; write some with save_transitions(data, folder)")
    state: dict[str, Any] = found.state
    if state.get("form") != _FORM:
        raise CheckpointError(
            f"{folder}: data of the form {state.get('form')!r}, and this rltk reads {_FORM}: update it"
        )
    observations = state["observations"]
    return Transitions(
        observation_space=space_of(state["observation_space"]),
        observations=observations["observation"] if state["lone"] else observations,
        n_actions=int(state["n_actions"]),
        targets=state["targets"],
        distance=state["distance"],
        **state["arrays"],
    )


def pictures_of(folder: str | Path) -> Transitions:
    """All pictures below `folder`, as (H, W, 3) bytes in the order of their names; a level is the folder that they lie
    in. There are no transitions among them. Raises ArgumentError for no pictures, sizes that differ, and what is none.
    """
    from PIL import Image, UnidentifiedImageError

    root = Path(folder)
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURES)
    if not paths:
        raise ArgumentError(f"{folder}: no pictures below it; expected are files that end in {', '.join(PICTURES)}")
    pictures = []
    for path in paths:
        try:
            with Image.open(path) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ArgumentError(f"{path}: not a picture that can be read ({error}); mend or remove it") from error
        if pictures[-1].shape != pictures[0].shape:
            (height, width, _), (first, wide, _) = pictures[-1].shape, pictures[0].shape
            raise ArgumentError(
                f"{path}: {width} x {height} pixels, but {paths[0].name} has {wide} x {first}; bring them to one size"
            )
    none = np.zeros(0, np.int64)
    return Transitions(
        observation_space=spaces.Box(0, 255, pictures[0].shape, np.uint8),
        observations=np.stack(pictures),
        level=np.unique([str(path.parent) for path in paths], return_inverse=True)[1].astype(np.int64),
        origin=none,
        action=none,
        reward=np.zeros(0, np.float32),
        next=none,
        terminated=np.zeros(0, bool),
        n_actions=0,
    )
