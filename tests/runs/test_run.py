"""The run folder: safe names, one process a folder, and a resumed run that ends like an uninterrupted one."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import tokenize
from pathlib import Path

import numpy as np
import pytest

import rltk.runs
from rltk.errors import ArgumentError, CheckpointError
from rltk.runs import Run, run_name, safe_name


def start(root, **changes) -> Run:
    settings = {"env": "rltk/FourRooms-v0", "algorithm": "QLearning", "seed": 0, "tensorboard": False} | changes
    return Run.start(root, **settings)


def test_the_folder_says_what_ran(tmp_path):
    with start(tmp_path / "runs", config={"gamma": 0.99, "hidden": (64, 64), "limit": float("inf")}) as run:
        assert re.fullmatch(r"rltk-FourRooms-v0__QLearning__0__\d{8}-\d{6}", run.folder.name)
        assert run.folder.parent == tmp_path / "runs"
        written = json.loads((run.folder / "config.json").read_text(), parse_constant=pytest.fail)

    assert written["env"] == "rltk/FourRooms-v0"
    assert set(written["versions"]) == {"python", "numpy", "rltk"}
    assert str(tmp_path) not in json.dumps(written)
    again = Run.resume(run.folder)
    assert (again.env, again.algorithm, again.seed) == ("rltk/FourRooms-v0", "QLearning", 0)
    assert again.config == {"gamma": 0.99, "hidden": [64, 64], "limit": float("inf")}
    assert (again.timestep, again.state) == (0, None)
    again.finish()
    again.finish()


ESCAPES = ["../../x", "/etc/x", "..", ".", "", "a/../b", "a//b", "..\\x", "C:\\x", "~/../x", "a/.."]


@pytest.mark.parametrize(
    "name", [*ESCAPES, "a/b", ".hidden", "-rf", "x" * 121, "CON", "nul.txt", "a.", "a b", "a\0b", "ü", None, 3]
)
def test_an_unsafe_name_is_refused(tmp_path, name):
    with pytest.raises(ArgumentError, match="name"):
        safe_name(name)
    if name is not None:
        with pytest.raises(ArgumentError, match="name"):
            start(tmp_path / "root" / "runs", name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["env", "algorithm"])
@pytest.mark.parametrize("name", [*ESCAPES, "x" * 200, None])
def test_an_id_that_would_escape_is_refused(tmp_path, part, name):
    with pytest.raises(ArgumentError, match=part):
        start(tmp_path / "root" / "runs", **{part: name})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["../x", "/etc/passwd", "..", "", "a/b"])
def test_an_artefact_can_not_leave_the_folder(tmp_path, part):
    with start(tmp_path) as run:
        assert run.path("plots", "values.png") == run.folder / "plots" / "values.png"
        assert (run.folder / "plots").is_dir()
        with pytest.raises(ArgumentError, match="artefact"):
            run.path("plots", part)


def test_ids_become_safe_names():
    assert run_name("rltk:rltk/Grid World-v0", "DQN", 3, 0.0).startswith("rltk-rltk-Grid-World-v0__DQN__3__19")
    assert run_name("CartPole-v1", "PPO+", 3, 0.0).startswith("CartPole-v1__PPO+__3__")


def test_runs_of_the_same_second_share_no_folder(tmp_path, monkeypatch):
    now = time.localtime()
    monkeypatch.setattr(time, "localtime", lambda *_: now)
    runs = [start(tmp_path) for _ in range(5)]

    assert len({run.folder for run in runs}) == 5
    assert sorted(run.folder.name for run in runs)[1].endswith("-2")
    for run in runs:
        run.finish()
    named = [start(tmp_path, name="best") for _ in range(2)]
    assert [run.folder.name for run in named] == ["best", "best-2"]
    for run in named:
        run.finish()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 0.5},
        {"config": {"a": object()}},
        {"config": {"a": np.zeros(2)}},
        {"config": {1: 2}},
        {"config": [1]},
    ],
)
def test_bad_settings_leave_nothing_behind(tmp_path, changes):
    with pytest.raises(ArgumentError):
        start(tmp_path / "runs", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_a_file_is_a_typed_error(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(CheckpointError, match="choose another root"):
        start(tmp_path / "runs")


class Walker:
    """A learner in miniature: its state is where it stands, and its draws come from the run's stream."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.timestep = run.timestep
        self.position = np.zeros(3)
        if run.state is not None:
            self.position = run.state["position"]

    def state(self):
        return {"position": self.position}

    def learn(self, total, stop_at=None):
        generator = self.run.streams.generator("walk")
        while self.timestep < total:
            self.timestep += 1
            self.position = self.position + generator.normal(size=3)
            if self.timestep % 5 == 0:
                self.run.log(self.timestep, ep_rew_mean=self.position[0])
            if self.timestep % 20 == 0:
                self.run.checkpoint(self, self.timestep)
            if self.timestep == stop_at:
                return


def without_time(run) -> list[dict]:
    return [{name: value for name, value in record.items() if name != "time"} for record in run.metrics()]


@pytest.mark.parametrize("stop_at", [3, 19, 20, 21, 57, 99])
def test_a_run_that_was_cut_off_ends_like_one_that_was_not(tmp_path, stop_at):
    whole = start(tmp_path, name="whole", seed=4)
    unbroken = Walker(whole)
    unbroken.learn(100)
    cut = start(tmp_path, name="cut", seed=4)
    Walker(cut).learn(100, stop_at=stop_at)
    cut.finish()

    resumed = Run.resume(cut.folder)
    walker = Walker(resumed)
    assert walker.timestep == stop_at // 20 * 20
    walker.learn(100)

    assert walker.position.tobytes() == unbroken.position.tobytes()
    assert without_time(resumed) == without_time(whole)
    assert [record["timestep"] for record in resumed.metrics()] == list(range(5, 101, 5))
    whole.finish()
    resumed.finish()


def test_resuming_from_the_generation_before_cuts_the_log_there(tmp_path):
    run = start(tmp_path)
    Walker(run).learn(40)
    newest = run.checkpoint({"position": np.ones(3)}, 41)
    run.finish()
    (newest / "arrays.safetensors").write_bytes(b"")

    with pytest.warns(UserWarning, match="step-40.*step-41"):
        resumed = Run.resume(run.folder)
    assert resumed.timestep == 40
    assert [record["timestep"] for record in resumed.metrics()][-1] == 40
    resumed.finish()


def test_tensorboard_is_written_beside_the_lines(tmp_path):
    with start(tmp_path, tensorboard=True) as run:
        run.log(1, ep_rew_mean=0.5, **{"eval/return": 1.0})
    assert [path.name[:20] for path in (run.folder / "tensorboard").iterdir()] == ["events.out.tfevents."]
    with start(tmp_path) as run:
        run.log(1, ep_rew_mean=0.5)
    assert not (run.folder / "tensorboard").exists()


def test_a_folder_that_is_no_run_is_refused_with_what_was_expected(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match=r"is no run.*config\.json.*log\.jsonl.*checkpoints"):
            Run.resume(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format_version": 1}',
        '{"format_version": 2}',
        "[" * 100_000,
        '{"x": {"$array": "/x"}}',
        "\xff",
    ],
)
def test_a_damaged_config_is_a_typed_error(tmp_path, content):
    with start(tmp_path) as run:
        pass
    (run.folder / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config\.json.*(put it back from a copy|newer rltk)"):
        Run.resume(run.folder)


def test_a_checkpoint_that_is_not_a_runs_is_refused(tmp_path):
    with start(tmp_path) as run:
        pass
    rltk.runs.write_checkpoint(run.folder / "checkpoints", {"q": np.zeros(2)}, step=1)
    with pytest.raises(CheckpointError, match="agent and streams"):
        Run.resume(run.folder)
    # The refusal has let go of the folder.
    rltk.runs.FolderLock(run.folder).release()


def test_a_finished_run_takes_no_more(tmp_path):
    run = start(tmp_path)
    run.finish()
    for use in (lambda: run.log(1, x=1.0), lambda: run.checkpoint({}, 1)):
        with pytest.raises(CheckpointError, match="resume that run"):
            use()
    assert not (run.folder / "checkpoints").exists()


def test_a_lock_that_nobody_released_goes_with_its_owner(tmp_path):
    lock = rltk.runs.FolderLock(tmp_path)
    with pytest.raises(CheckpointError, match="in use"):
        rltk.runs.FolderLock(tmp_path)
    del lock
    rltk.runs.FolderLock(tmp_path).release()


def test_a_folder_is_held_once_in_a_process(tmp_path):
    run = start(tmp_path)
    with pytest.raises(CheckpointError, match=f"in use by another run .process {os.getpid()}"):
        Run.resume(run.folder)
    run.finish()
    Run.resume(run.folder).finish()


HOLDER = textwrap.dedent(
    """
    import sys, time
    from rltk.runs import Run

    run = Run.resume(sys.argv[1])
    if len(sys.argv) > 2:  # A worker that outlives its parent, as a data loader's may.
        import os
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(1)
            os.write(writer, b"x")
            time.sleep(30)
            os._exit(0)
        os.read(reader, 1)
    print("held", flush=True)
    time.sleep(30)
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
@pytest.mark.parametrize("more", [[], ["fork"]])
def test_a_folder_is_held_across_processes_and_freed_by_a_kill(tmp_path, more):
    run = start(tmp_path)
    run.finish()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.folder), *more],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(CheckpointError, match=f"process {holder.pid}"):
                Run.resume(run.folder)
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            Run.resume(run.folder).finish()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(holder.pid, signal.SIGKILL)


def test_names_are_loaded_only_when_used():
    """Reading a log must not load rich, tensorboard or safetensors, and nothing here loads torch or numba."""
    script = textwrap.dedent(
        """
        import sys
        import rltk.runs
        heavy = ("rich", "tensorboard", "safetensors", "numba", "torch")
        rltk.runs.Run, rltk.runs.read_log, rltk.runs.ProgressBar, rltk.runs.values
        assert not [name for name in heavy if name in sys.modules], sys.modules.keys() & set(heavy)
        """
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_public_name_is_there():
    for name in rltk.runs.__all__:
        assert getattr(rltk.runs, name) is not None
    assert set(rltk.runs.__all__) == set(rltk.runs._HOMES)
    with pytest.raises(AttributeError, match="it has"):
        rltk.runs.nothing  # noqa: B018


def test_no_file_of_this_room_unpickles_or_evaluates():
    forbidden = {"pickle", "eval", "exec", "marshal", "shelve", "yaml", "allow_pickle", "__import__"}
    for path in Path(rltk.runs.__file__).parent.glob("*.py"):
        with path.open("rb") as file:
            words = {token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.NAME}
        assert not words & forbidden, path.name
