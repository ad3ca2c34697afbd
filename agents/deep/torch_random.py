"""torch's default random numbers, owned by one learner while it learns.

Dropout, noisy layers and whatever else a network draws come from torch's default generators, which all of a program
shares. `TorchRandom` puts the learner's own state there for the time being and takes it away again, so that nobody
else's draws change what is learnt, and a checkpoint can hold it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from rltk.errors import CheckpointError


class TorchRandom:
    """The state of torch's generators of the CPU and of `device`, begun from `seed`."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._device = device
        self._depth = 0
        self._states: list[torch.Tensor] = []
        outside = self._read()
        torch.manual_seed(seed)
        self._states = self._read()
        self._write(outside)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Inside, torch draws the learner's numbers."""
        if self._depth:
            yield
            return
        outside = self._read()
        self._write(self._states)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._states = self._read()
            self._write(outside)

    def state(self) -> dict[str, Any]:
        """The generators' states: arrays of bytes."""
        names = ("cpu", "gpu")
        return {name: state.numpy().copy() for name, state in zip(names, self._states, strict=False)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave; a GPU's generator goes on as it is where there was none."""
        if state["cpu"].shape != tuple(self._states[0].shape):
            raise CheckpointError("torch's random state has another length: it was saved by another version of torch")
        saved = [state[name] for name in ("cpu", "gpu") if name in state]
        for i, bytes_ in enumerate(saved[: len(self._states)]):
            self._states[i] = torch.from_numpy(np.array(bytes_))

    def _read(self) -> list[torch.Tensor]:
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state(self._device)] if self._on_gpu else [])]

    def _write(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self._on_gpu:
            torch.cuda.set_rng_state(states[1], self._device)
