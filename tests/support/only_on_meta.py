"""Whether every tensor is where it should be, proved without a GPU."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class OnlyOnMeta(TorchDispatchMode):
    """Fails where an operation makes a tensor on any other device than "meta"."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            assert not isinstance(tensor, torch.Tensor) or tensor.device.type == "meta", func
        return made
