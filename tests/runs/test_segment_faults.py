"""Segments under fire: flipped, cut, removed, made up; killed while saving, no room on the disk."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rltk.errors import CheckpointError
from rltk.runs import latest_checkpoint, read_checkpoint, write_checkpoint
from rltk.runs.checkpoint import MANIFEST, RINGS, _rendered, generations
from rltk.runs.disk import SEGMENTS


def content(ring):
    return {name: array.tobytes() for name, array in ring.arrays.items()}


def segments(folder):
    return sorted(path.name for path in (Path(folder) / SEGMENTS).iterdir())


def test_no_flipped_byte_of_a_segment_goes_unnoticed(two):
    first, second, shared, own, _ = two
    for path, damaged, whole in ((own, [second], [first]), (shared, [first, second], [])):
        original = path.read_bytes()
        for position in range(len(original)):
            flipped = bytearray(original)
            flipped[position] ^= 0x20
            path.write_bytes(flipped)
            for generation in damaged:
                with pytest.raises(CheckpointError, match=f"{path.name} is damaged.*delete the generations that need"):
                    read_checkpoint(generation)
        for generation in whole:
            assert read_checkpoint(generation)["n"] == 6
        path.write_bytes(original)
        assert read_checkpoint(second)["n"] == 9


@pytest.mark.parametrize("what", ["flip", "cut", "empty", "remove", "folder", "link"])
def test_a_damaged_segment_is_a_damaged_generation(two, what):
    """The older generation, which does not need it, is used instead, with a warning that names the file."""
    first, second, _, own, _ = two
    original = own.read_bytes()
    own.unlink()
    if what == "folder":
        own.mkdir()
    elif what == "link":
        own.with_name("elsewhere").write_bytes(original)
        own.symlink_to(own.with_name("elsewhere"))
    elif what != "remove":
        own.write_bytes({"flip": original[:-1] + b"\xff", "cut": original[:-1], "empty": b""}[what])
    with pytest.raises(CheckpointError, match=own.name):
        read_checkpoint(second)
    with pytest.warns(UserWarning, match=f"going on from .*{first.name}.*{own.name}"):
        found = latest_checkpoint(first.parent)

    assert found is not None
    assert found.step == 6


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_the_next_checkpoint_mends_a_damaged_segment(two, damage):
    """Its rows are still in memory, so they are written anew, under the same name: older generations are whole too."""
    first, second, shared, _, buffer = two
    original = shared.read_bytes()
    shared.write_bytes(original[:-1] + b"\xff" if damage is None else damage)
    third = write_checkpoint(first.parent, buffer.add(1).state, step=10, keep=3)

    for generation in (first, second, third):
        read_checkpoint(generation)
    assert content(read_checkpoint(third)["agent"]["ring"]) == buffer.expected()


def test_a_proof_of_an_older_generation_reads_its_segments_too(buffers, tmp_path):
    """An old generation goes only when there is proof of a newer one: here the newer one's own segment is damaged."""
    buffer = buffers(4).add(4)
    write_checkpoint(tmp_path, buffer.state, step=4)
    known = set(segments(tmp_path))
    write_checkpoint(tmp_path, buffer.add(4).state, step=8)
    (own,) = set(segments(tmp_path)) - known
    (tmp_path / SEGMENTS / own).write_bytes(b"")
    write_checkpoint(tmp_path, buffer.add(4).state, step=12)

    assert [path.name[-2:] for path in generations(tmp_path)] == ["12", "-8", "-4"]


@pytest.mark.parametrize(
    "change",
    [
        lambda ring: ring.update(written=-1),
        lambda ring: ring.update(written=10**9),
        lambda ring: ring.update(arrays={}),
        lambda ring: ring["arrays"].update(x=["O", [20, 3]]),
        lambda ring: ring["arrays"].update(x=["float32", []]),
        lambda ring: ring.update(segments=[]),
        lambda ring: ring["segments"].pop(0),
        lambda ring: ring["segments"][0].update(sha256="../../../etc/passwd"),
        lambda ring: ring["segments"][0].update(first=0.5),
        lambda ring: ring["segments"][0].update(rows=5),
        lambda ring: ring["segments"][0].update(more=5),
        lambda ring: ring.pop("written"),
    ],
)
def test_a_made_up_description_is_damage(two, change):
    """Whoever can write a manifest can write any rings.json: it is checked, and no path is taken from it."""
    _, second, _, _, _ = two
    rings = json.loads((second / RINGS).read_bytes())
    change(rings["/agent/ring"])
    text = json.dumps(rings).encode()
    (second / RINGS).write_bytes(text)
    fields = json.loads((second / MANIFEST).read_bytes())
    del fields["sha256"]
    fields["files"][RINGS] = {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    (second / MANIFEST).write_bytes(_rendered(fields))

    with pytest.raises(CheckpointError, match=r"(rings\.json|safetensors).*put the file back"):
        read_checkpoint(second)


@pytest.mark.parametrize("call", ["fsync", "rename", "replace", "mkdir", "write"])
def test_a_disk_that_refuses_at_any_call_leaves_the_old_generations(buffers, tmp_path, monkeypatch, call):
    """Cut at every single call; what was begun is cleaned away, and the next save is whole."""
    owner = Path if call in ("mkdir", "write") else os
    name = {"write": "write_bytes"}.get(call, call)
    for when in range(12):
        folder, buffer = tmp_path / str(when), buffers(10)
        for step in (1, 2):
            write_checkpoint(folder, buffer.add(4).state, step=step)
        before, real, calls = content(buffer.ring), getattr(owner, name), 0
        before = {key: bytes(value) for key, value in before.items()}

        def failing(*args, _real=real, _when=when, **kwargs):
            nonlocal calls
            calls += 1
            if calls - 1 == _when:
                raise OSError(errno.ENOSPC, "No space left on device")
            return _real(*args, **kwargs)

        buffer.add(4)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            try:
                write_checkpoint(folder, buffer.state, step=3)
                refused = False
            except CheckpointError as error:
                refused = True
                assert "No space left" in str(error)  # noqa: PT017
        found = latest_checkpoint(folder)
        assert found is not None
        after_rename = found.step == 3
        assert content(found.state["agent"]["ring"]) == (buffer.expected() if after_rename else before)
        assert refused or after_rename
        assert not [path for path in folder.rglob("*") if path.name.startswith(".saving")]
        if not after_rename:
            assert len(segments(folder)) == 2, "a save that failed keeps no room"
        write_checkpoint(folder, buffer.state, step=4)
        found = latest_checkpoint(folder)
        assert found is not None
        assert content(found.state["agent"]["ring"]) == buffer.expected()
        if calls <= when:
            break
    assert when > 0, "the call was never made, so nothing was tested"


def test_segments_are_on_the_disk_before_the_generation_has_its_name(two, monkeypatch):
    """And what is not needed any more goes after."""
    first, _, shared, _, buffer = two
    if not Path("/proc/self/fd").exists():
        pytest.skip("names of open files are read from /proc")
    events: list[str] = []

    def noted(real, label):
        def call(*args):
            events.append(label(*args))
            return real(*args)

        return call

    def of_handle(handle):
        return Path(os.readlink(f"/proc/self/fd/{handle}")).name[:12]

    monkeypatch.setattr(os, "fsync", noted(os.fsync, of_handle))
    monkeypatch.setattr(os, "rename", noted(os.rename, lambda source, _: f"rename {Path(source).name[:9]}"))
    monkeypatch.setattr(os, "replace", noted(os.replace, lambda source, _: f"replace {Path(source).name[:8]}"))
    monkeypatch.setattr(Path, "unlink", noted(Path.unlink, lambda path: f"unlink {path.name}"))
    write_checkpoint(first.parent, buffer.add(20).state, step=29, keep=1)

    saving = next(event for event in events if event.startswith(".saving-"))
    assert events[:3] == [saving, "replace .saving-", SEGMENTS]
    assert events.index("rename .saving-0") > events.index(SEGMENTS)
    assert events.index(f"unlink {shared.name}") > events.index("rename .saving-0")


# Each child saves without end and says each step it was told is safe; it is killed in the middle of that.
KILLER = textwrap.dedent(
    """
    import os, random, signal, sys, time, warnings
    import numpy as np
    from rltk.runs import Ring, latest_checkpoint, write_checkpoint
    import safetensors.numpy

    warnings.simplefilter("error")
    folder, kills, capacity = sys.argv[1], int(sys.argv[2]), 5000
    chance, rows, written, salt = random.Random(0), np.zeros((capacity, 2), np.int64), 0, 0
    leftovers = 0
    for kill in range(kills):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            while True:
                new = np.arange(written, written + 700)
                rows[new % capacity] = np.stack([new, np.full(700, kill)], axis=1)
                written += 700
                write_checkpoint(folder, {"r": Ring({"x": rows}, written), "sum": int(rows.sum())}, step=written)
                os.write(writer, written.to_bytes(8, "big"))
        os.close(writer)
        os.read(reader, 8)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = b""
        while piece := os.read(reader, 65536):
            told += piece
        os.close(reader)
        leftovers += any(name.startswith(".") for name in [*os.listdir(folder), *os.listdir(folder + "/segments")])
        found = latest_checkpoint(folder)
        assert found is not None
        ring = found.state["r"]
        assert found.step >= (int.from_bytes(told[-8:], "big") if told else written + 700)
        assert ring.written == found.step
        assert int(ring.arrays["x"].sum()) == found.state["sum"]
        written, rows = ring.written, ring.arrays["x"]
    write_checkpoint(folder, {"r": Ring({"x": rows}, written)}, step=written)
    print(leftovers, *os.listdir(folder), *os.listdir(folder + "/segments"))
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_the_last_saved_ring_loads(tmp_path):
    """Each life writes other rows under numbers that a killed one may have written: none may come back."""
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), "60"], capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stderr
    leftovers, *names = done.stdout.split()
    assert int(leftovers) > 3, "no kill hit a save, so nothing was tested"
    assert not any(name.startswith(".") for name in names)
    assert len(names) < 3 + 2 * 9, "what killed saves left is gone after the next one"
