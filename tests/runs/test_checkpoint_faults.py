"""Checkpoints under fire: every byte flipped, every file cut or deleted, killed while saving, no room on the disk."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from rltk.errors import CheckpointError
from rltk.runs import latest_checkpoint, read_checkpoint, write_checkpoint
from rltk.runs.checkpoint import ARRAYS, MANIFEST, STATE, generations

STATE_OF_A_RUN = {"q": np.arange(6.0).reshape(2, 3), "stream": np.arange(6, dtype=np.uint64), "epsilon": 0.1, "n": 3}
FILES = (ARRAYS, STATE, MANIFEST)


@pytest.fixture
def generation(tmp_path) -> Path:
    return write_checkpoint(tmp_path / "checkpoints", STATE_OF_A_RUN, step=7)


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_byte_goes_unnoticed(generation, name):
    """safetensors itself has no checksum: without the manifest, a flipped weight would load silently."""
    path = generation / name
    content = path.read_bytes()
    for position in range(len(content)):
        for flip in (0x01, 0x20, 0xFF):  # 0x20 turns upper into lower case, and hexadecimal digits stay such.
            damaged = bytearray(content)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=f"({name}|checkpoint).*(put the file back|newer)"):
                read_checkpoint(generation)
    path.write_bytes(content)
    assert read_checkpoint(generation)["n"] == 3


@pytest.mark.parametrize("name", FILES)
def test_no_cut_or_added_byte_goes_unnoticed(generation, name):
    path = generation / name
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=f"{name}.*put the file back"):
            read_checkpoint(generation)
    for more in (b"\0", b" ", b"\n", bytes(100_000)):
        path.write_bytes(content + more)
        with pytest.raises(CheckpointError, match=f"{name}.*put the file back"):
            read_checkpoint(generation)


@pytest.mark.parametrize("name", FILES)
def test_a_deleted_file_is_named(generation, name):
    (generation / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing.*generation before it"):
        read_checkpoint(generation)


@pytest.mark.parametrize("name", [ARRAYS, STATE])
def test_a_file_of_another_checkpoint_is_noticed(generation, tmp_path, name):
    other = write_checkpoint(tmp_path / "other", {**STATE_OF_A_RUN, "q": np.ones((2, 3)), "n": 4}, step=7)
    (generation / name).write_bytes((other / name).read_bytes())
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(generation)


# Each child saves without end and says each step it was told is safe; it is killed in the middle of that. What loads
# afterwards must be what was saved, and no older than what was said to be safe.
KILLER = textwrap.dedent(
    """
    import os, random, signal, sys, time, warnings
    import numpy as np
    from rltk.runs.checkpoint import latest_checkpoint, write_checkpoint
    import safetensors.numpy

    warnings.simplefilter("error")
    folder, kills = sys.argv[1], int(sys.argv[2])
    chance, step, leftovers = random.Random(0), 0, 0
    for kill in range(kills):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            while True:
                step += 1
                write_checkpoint(folder, {"step": step, "weights": np.full(20_000, step)}, step=step)
                os.write(writer, step.to_bytes(8, "big"))
        os.close(writer)
        os.read(reader, 8)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = b""
        while piece := os.read(reader, 65536):
            told += piece
        os.close(reader)
        leftovers += any(name.startswith(".") for name in os.listdir(folder))
        found = latest_checkpoint(folder)
        assert found is not None
        told_step = int.from_bytes(told[-8:], "big") if told else step + 1
        assert found.step >= told_step, (found.step, told_step)
        assert found.state["step"] == found.step
        assert (found.state["weights"] == found.step).all() and found.state["weights"].shape == (20_000,)
        step = found.step
    write_checkpoint(folder, {}, step=step)
    print(leftovers, *os.listdir(folder))
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_the_last_saved_generation_loads(tmp_path):
    """SIGKILL during saving: Stable-Baselines3 loses 96 of 100 checkpoints; here none may be lost."""
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), "150"], capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stderr
    leftovers, *names = done.stdout.split()
    assert int(leftovers) > 5, "no kill hit a save, so nothing was tested"
    assert len(names) == 2, "the leftovers of killed saves are gone after the next one"
    assert not any(name.startswith(".") for name in names)


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir", "write", "arrays"])
@pytest.mark.parametrize("when", range(6))
def test_a_disk_that_refuses_leaves_the_old_generations(tmp_path, monkeypatch, call, when):
    import safetensors.numpy

    for step in (1, 2):
        write_checkpoint(tmp_path, {"x": np.full(9, step)}, step=step)
    calls = 0

    def failing(real):
        def wrapper(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls - 1 == when:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        return wrapper

    targets = {
        "fsync": (os, "fsync"),
        "rename": (os, "rename"),
        "mkdir": (Path, "mkdir"),
        "write": (Path, "write_bytes"),
        "arrays": (safetensors.numpy, "save_file"),
    }
    owner, name = targets[call]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing(getattr(owner, name)))
        try:
            write_checkpoint(tmp_path, {"x": np.full(9, 3)}, step=3)
            refused = False
        except CheckpointError as error:
            refused = True
            assert "No space left" in str(error)  # noqa: PT017
            assert "make room" in str(error)  # noqa: PT017

    assert refused or calls <= when or call == "rename"  # A rename of old ones may fail: they just stay.
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.step in ((2, 3) if refused else (3,))
    assert (found.state["x"] == found.step).all()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".saving")]
    if refused:
        assert [path.name for path in generations(tmp_path)][-2:] == ["00000002-step-2", "00000001-step-1"]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on file sizes")
def test_a_file_that_really_can_not_be_written_leaves_the_old_generation(tmp_path):
    """The operating system itself refuses to write more than 8 KiB into a file."""
    script = textwrap.dedent(
        """
        import resource, sys
        import numpy as np
        from rltk.errors import CheckpointError
        from rltk.runs import latest_checkpoint, write_checkpoint

        write_checkpoint(sys.argv[1], {"x": np.zeros(10)}, step=1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        for state in ({"x": np.zeros(10_000)}, {"x": list(range(10_000))}):
            try:
                write_checkpoint(sys.argv[1], state, step=2)
            except CheckpointError as error:
                print("refused", error)
        print(latest_checkpoint(sys.argv[1]).step)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["refused", "refused", "1"]
    assert [path.name for path in tmp_path.iterdir()] == ["00000001-step-1"]


def test_an_interrupted_save_leaves_no_temporary_folder(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    tmp_path.joinpath("c").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path / "c", {"x": 1}, step=1)

    assert list(tmp_path.joinpath("c").iterdir()) == []


def test_everything_is_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    """A rename may reach the disk before the data does, so each file and the folder are synced first."""
    events: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(handle):
        events.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        real_fsync(handle)

    def rename(source, target):
        events.append(f"rename {Path(source).name}")
        real_rename(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("names of open files are read from /proc")
    write_checkpoint(tmp_path, {"x": 1}, step=1)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    write_checkpoint(tmp_path, {"x": 1}, step=2, keep=1)

    # Then the parent, which holds the new name; and only then may an old generation go.
    assert events[:6] == [ARRAYS, STATE, MANIFEST, ".saving-00000002", "rename .saving-00000002", tmp_path.name]
    assert events[6:] == ["rename 00000001-step-1"]
