"""Helpers on the path (importlib's import mode finds nothing else), and one thread for torch: on small networks more of
them wait for each other, and beside other tests for the cores."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
