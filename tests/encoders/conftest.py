"""One thread for torch: on small networks more of them wait for each other, and beside other tests for the cores."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class OnlyOnMeta(TorchDispatchMode):
    """Fails where an operation makes a tensor on any other device than "meta"."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            assert not isinstance(tensor, torch.Tensor) or tensor.device.type == "meta", func
        return made


@pytest.fixture
def only_on_meta():
    return OnlyOnMeta()
