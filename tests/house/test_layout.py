"""Guards on the house itself: what DESIGN's layout promises, read from the tree and from the wheel."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from rltk.errors import UnknownAttributeError

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("envs", "agents", "scripts")
SOURCES = sorted(path for top in ("rltk", *LINKED) for path in (ROOT / top).rglob("*.py") if path.is_file())
# rglob does not walk into links, so each module appears once.
HEAVY = ("torch", "numba", "scipy", "pygame", "matplotlib", "stable_baselines3")


def loaded_by(statement: str) -> set[str]:
    """The names of the modules that a fresh interpreter holds after `statement`."""
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_rltk_is_light():
    """`import rltk` registers the ids and loads none of the heavy packages."""
    loaded = loaded_by("import rltk, gymnasium; assert 'rltk/FourRooms-v0' in gymnasium.registry")
    assert not loaded & set(HEAVY)


def test_names_are_handed_out_when_used():
    """Every name of `rltk` exists, and an unknown one is refused with the list of those there are."""
    import rltk

    for name in rltk.__all__:
        assert getattr(rltk, name) is not None
    with pytest.raises(AttributeError, match="MDP"):
        rltk.nothing_of_this_name  # noqa: B018


LAZY = ("agents", "drawing", "encoders", "envs", "envs.minigrid", "experiments", "replay", "runs", "viewing")


@pytest.mark.parametrize("room", LAZY)
def test_rooms_hand_out_their_names_when_used(room):
    """All that they promise, to `dir` as well, the same object each time; others are refused with what there is."""
    module = import_module(f"rltk.{room}")

    assert set(dir(module)) == set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is vars(module)[name]
    with pytest.raises(UnknownAttributeError, match=module.__all__[0]):
        module.nothing_of_this_name  # noqa: B018


@pytest.mark.parametrize("name", LINKED)
def test_folders_at_the_top_are_linked_into_the_package(name):
    """rltk/envs, rltk/agents and rltk/scripts are committed links, so that there is one import root."""
    link = ROOT / "rltk" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name


def test_nothing_imports_the_folders_by_their_bare_name():
    """`import envs` would pick up whatever distribution is called so; only `rltk.envs` is ours."""
    offenders = []
    for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            offenders += [f"{path}: {name}" for name in names if name.split(".")[0] in LINKED]
    assert not offenders


def test_no_module_runs_what_a_file_says():
    """No pickle, eval, exec or unsafe loader in the tree (SECURITY.md)."""
    barred = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
    offenders = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names} | {
                    (getattr(node, "module", "") or "").split(".")[0]
                }
                offenders += [f"{path}:{node.lineno}" for name in names & barred]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
                offenders.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                offenders += [] if ast.unparse(node.value) == "False" else [f"{path}:{node.lineno}"]
    assert not offenders


def test_no_program_is_named_like_a_module_of_the_standard_library():
    """A script `random.py` would hide the module for whatever runs beside it."""
    assert not {path.stem for path in (ROOT / "scripts").glob("*.py")} & set(sys.stdlib_module_names)


def test_every_kernel_goes_through_the_one_decorator():
    """numba's own `njit` keys its cache by one file only, so an edited callee would go on giving old results."""
    for path in SOURCES:
        if path.name != "jit.py":
            text = path.read_text()
            assert "njit" not in text, path
            assert "numba.jit" not in text, path


def test_the_wheel_holds_what_the_tree_holds(tmp_path):
    """A module or map missing from the wheel would only be missed by those who install it."""
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q", "-w"]
    copy = tmp_path / "tree"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    command[4] = str(copy)
    subprocess.run([*command, str(tmp_path)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("rltk/")}

    tracked = subprocess.run(["git", "ls-files"], cwd=copy, check=True, capture_output=True, text=True).stdout.split()
    code = {
        name
        for name in tracked
        if name.endswith((".py", ".map", "py.typed")) and name.split("/")[0] in ("rltk", *LINKED)
    }
    expected = {name if name.startswith("rltk/") else f"rltk/{name}" for name in code}
    assert packed == expected


def test_constraints_pin_every_package():
    """Each dependency is pinned to one version, so that two installs are the same."""
    lines = (ROOT / "constraints.txt").read_text().split()
    assert lines
    assert all(line.count("==") == 1 for line in lines)
    assert "torch==2.13.0" in lines
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {name.split(">")[0].split("<")[0].split("=")[0].split("[")[0].strip().lower() for name in wanted} <= pinned
