"""A module's weights as plain arrays, for checkpoints."""

from collections.abc import Mapping

import numpy as np
import torch

from rltk.errors import CheckpointError


def arrays_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Copies of its parameters and buffers, by name."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def restore_arrays(module: torch.nn.Module, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Put them back. CheckpointError, calling the module `what`, at the first name or shape that does not fit."""
    own = module.state_dict()
    wrong = sorted(set(own) ^ set(arrays)) or [name for name in own if tuple(own[name].shape) != arrays[name].shape]
    if wrong:
        raise CheckpointError(f"the saved {what} does not fit this one at {wrong[0]}: make it with the same encoder")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))
