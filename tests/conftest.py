"""How the suite is shared out among pytest-xdist's workers: a folder to a worker, the long ones first.

The tests of a folder need the same compiled kernels, which the first of them makes and leaves on disk. Shared out file
by file, two workers would compile most kernels side by side, each for itself.

Compiling makes millions of small objects. That the collector of cycles looks through all that lives each time some of
them are new takes it a sixth of the time, so it looks seldom, and never at what was there before the first test.
"""

import gc
from pathlib import PurePosixPath

import pytest

# By what they took from a cold cache, 400 to 20 s: the short ones fill up what the long ones leave.
LONG = ("agents/tabular", "agents/deep", "envs/minigrid", "agents/planning", "scripts", "mdp", "contracts")
LONG += ("agents/search", "envs", "evaluation", "objectives", "encoders", "runs", "replay", "experiments")


def folder_of(nodeid):
    """Of tests/agents/deep/test_dqn.py::test_it, agents/deep."""
    return str(PurePosixPath(nodeid.split("::")[0]).parent).removeprefix("tests/")


def pytest_collection_modifyitems(items):
    order = {folder: place for place, folder in enumerate(LONG)}
    items.sort(key=lambda item: order.get(folder_of(item.nodeid), len(order)))  # else as they came: sort is stable


def pytest_collection_finish():
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """What `--dist loadscope` asks for, with folders in place of files. It would else begin with the most tests."""
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return folder_of(nodeid)

    config.option.loadscopereorder = False
    return ByFolder(config, log)
