"""One process of several that learn together, as `torchrun` starts them; or the only one."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import distributed

from rltk.errors import ArgumentError


class Processes:
    """`rank` of `count`. Joins the group at the first use; gloo on CPUs, NCCL on GPUs.

    Raises ArgumentError where a batch can't be shared evenly.
    """

    def __init__(self, device: torch.device, batch_size: int) -> None:
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = device
        if batch_size % self.count:
            raise ArgumentError(
                f"batch_size {batch_size} can't be shared evenly by {self.count} processes; give a multiple of it"
            )
        if self.count > 1 and not distributed.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")

    def share(self, rows: np.ndarray) -> np.ndarray:
        """This process's rows of a batch that all have drawn alike."""
        return rows[self.rank :: self.count]

    def shared(self, module: torch.nn.Module) -> Any:
        """`module`, its gradients averaged over all processes."""
        if self.count == 1:
            return module
        from torch.nn.parallel import DistributedDataParallel

        # An objective may leave a head, or what the trunk does not read, without a gradient.
        return DistributedDataParallel(module, find_unused_parameters=True)

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """Each number's mean over all processes, which give equally many."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        means: list[float] = (sums / self.count).tolist()
        return means

    def differ(self, number: int) -> bool:
        """Whether the processes have different numbers."""
        return self.any(False) if self.count == 1 else self._largest(number) != -self._largest(-number)

    def any(self, said: bool) -> bool:
        """Whether any process says so."""
        if self.count == 1:
            return said
        return bool(self._largest(int(said)))

    def _largest(self, number: int) -> int:
        word = torch.tensor([number], device=self.device)
        distributed.all_reduce(word, distributed.ReduceOp.MAX)
        return int(word.item())
