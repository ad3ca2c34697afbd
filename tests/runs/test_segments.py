"""Rings in checkpoints: rows are written once, shared by generations, and never mistaken for other rows."""

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError, CheckpointError
from rltk.runs import Ring, Run, latest_checkpoint, read_checkpoint, write_checkpoint
from rltk.runs.checkpoint import MANIFEST, RINGS, _rendered, generations
from rltk.runs.disk import SEGMENTS


class Buffer:
    """A ring that is written to: two arrays, rows that differ from run to run by `salt`."""

    def __init__(self, capacity, salt=0):
        self.arrays = {"x": np.zeros((capacity, 3), np.float32), "flag": np.zeros(capacity, bool)}
        self.written, self.salt = 0, salt

    def add(self, count):
        for _ in range(count):
            at = self.written % len(self.arrays["x"])
            self.arrays["x"][at] = self.written + self.salt, -self.written, np.nan
            self.arrays["flag"][at] = self.written % 3 == 0
            self.written += 1
        return self

    def take_up(self, ring):
        for name, array in self.arrays.items():
            array[...] = ring.arrays[name]
        self.written = ring.written
        return self

    @property
    def ring(self):
        return Ring(self.arrays, self.written)

    @property
    def state(self):
        return {"agent": {"ring": self.ring, "w": np.ones(2)}, "n": self.written}

    def expected(self):
        """What comes back: rows that were never written are zero here as there."""
        return {name: array.tobytes() for name, array in self.arrays.items()}


def content(ring):
    return {name: array.tobytes() for name, array in ring.arrays.items()}


def segments(folder):
    return sorted(path.name for path in (Path(folder) / SEGMENTS).iterdir())


def sizes(folder):
    return {path: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}


@given(
    capacity=st.integers(1, 30),
    adds=st.lists(st.integers(0, 25), min_size=1, max_size=8),
    largest=st.sampled_from([1, 60, 10**6]),
    keep=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_a_ring_comes_back_from_every_generation(tmp_path_factory, capacity, adds, largest, keep):
    """Bit for bit, NaN included, however often it went around, in segments of one row or of all."""
    folder, buffer = tmp_path_factory.mktemp("c"), Buffer(capacity)
    saved = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rltk.runs.segments.LARGEST", largest)
        for step, count in enumerate(adds):
            path = write_checkpoint(folder, buffer.add(count).state, step=step, keep=keep)
            saved[path] = buffer.written, buffer.expected()
            for older in generations(folder):
                ring = read_checkpoint(older)["agent"]["ring"]
                assert (ring.written, content(ring)) == saved[older]
    assert len(generations(folder)) == min(keep, len(adds))


def test_a_checkpoint_writes_the_new_rows_only(tmp_path):
    """A replay of a hundred thousand rows of which a hundred are new: their bytes, and little else, also once it is
    full and each new row takes an old one's place."""
    buffer = Buffer(100_000).add(90_000)
    write_checkpoint(tmp_path, buffer.state, step=0)
    for step, new in enumerate((100, 9_900, 100, 100), 1):
        before = sizes(tmp_path)
        write_checkpoint(tmp_path, buffer.add(new).state, step=step)
        written = sum(size for path, size in sizes(tmp_path).items() if path not in before)
        assert new * 13 < written < new * 13 + 2500

    assert content(read_checkpoint(generations(tmp_path)[0])["agent"]["ring"]) == buffer.expected()


def test_nothing_new_writes_no_segment(tmp_path):
    buffer = Buffer(10).add(4)
    write_checkpoint(tmp_path, buffer.state, step=0)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / SEGMENTS).iterdir()}
    write_checkpoint(tmp_path, buffer.state, step=1)

    assert {path: path.stat().st_mtime_ns for path in (tmp_path / SEGMENTS).iterdir()} == before
    assert len(before) == 1


def test_segments_that_no_generation_needs_are_removed(tmp_path):
    """Once all of its rows were overwritten, and the last generation that needs it has gone."""
    buffer = Buffer(10)
    for step in range(6):
        write_checkpoint(tmp_path, buffer.add(5).state, step=step)
        needed = {
            f"{part['sha256']}.safetensors"
            for path in generations(tmp_path)
            for ring in json.loads((path / RINGS).read_bytes()).values()
            for part in ring["segments"]
        }
        assert segments(tmp_path) == sorted(needed)
    assert len(needed) == 3
    write_checkpoint(tmp_path, {}, step=7, keep=1)
    assert not (tmp_path / SEGMENTS).exists()


def test_leftovers_of_a_kill_are_cleaned(tmp_path):
    buffer = Buffer(10).add(5)
    write_checkpoint(tmp_path, buffer.state, step=0)
    for name in (f".saving-{'0' * 64}", f"{'1' * 64}.safetensors", "notes.txt"):
        (tmp_path / SEGMENTS / name).write_bytes(b"half")
    write_checkpoint(tmp_path, buffer.state, step=1)

    assert len(segments(tmp_path)) == 1


def test_where_a_generation_can_not_say_what_it_needs_no_segment_is_removed(tmp_path):
    """Its manifest may be put back from a copy."""
    first = write_checkpoint(tmp_path, Buffer(10).add(5).state, step=0)
    manifest = (first / MANIFEST).read_bytes()
    (first / MANIFEST).write_bytes(b"{}")
    write_checkpoint(tmp_path, Buffer(10, salt=9).add(5).state, step=1)
    assert len(segments(tmp_path)) == 2
    (first / MANIFEST).write_bytes(manifest)

    assert read_checkpoint(first)["n"] == 5


@pytest.fixture
def two(tmp_path):
    """Two generations: the second shares the first's segment and has one of its own."""
    buffer = Buffer(20).add(6)
    first = write_checkpoint(tmp_path, buffer.state, step=6)
    shared = tmp_path / SEGMENTS / segments(tmp_path)[0]
    second = write_checkpoint(tmp_path, buffer.add(3).state, step=9)
    (own,) = [path for path in (tmp_path / SEGMENTS).iterdir() if path != shared]
    return first, second, shared, own, buffer


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


def test_a_proof_of_an_older_generation_reads_its_segments_too(tmp_path):
    """An old generation goes only when there is proof of a newer one: here the newer one's own segment is damaged."""
    buffer = Buffer(4).add(4)
    write_checkpoint(tmp_path, buffer.state, step=4)
    known = set(segments(tmp_path))
    write_checkpoint(tmp_path, buffer.add(4).state, step=8)
    (own,) = set(segments(tmp_path)) - known
    (tmp_path / SEGMENTS / own).write_bytes(b"")
    write_checkpoint(tmp_path, buffer.add(4).state, step=12)

    assert [path.name[-2:] for path in generations(tmp_path)] == ["12", "-8", "-4"]


@pytest.mark.parametrize("how", ["manifest", "own"])
def test_rows_that_were_written_differently_are_not_taken_from_stale_segments(two, how):
    """The newest generation is damaged, the run goes on from the one before and learns other rows under the same
    numbers: the segments that still lie there are not theirs."""
    first, second, shared, own, _ = two
    if how == "manifest":
        (second / MANIFEST).write_bytes(b"{}")
    else:
        shutil.move(own, own.with_name("gone"))
    with pytest.warns(UserWarning, match="going on from"):
        found = latest_checkpoint(first.parent)
    if how == "own":
        shutil.move(own.with_name("gone"), own)  # Somebody puts the file back.
    assert found is not None
    again = Buffer(20, salt=1000).take_up(found.state["agent"]["ring"]).add(3)
    third = write_checkpoint(first.parent, again.state, step=9)

    assert content(read_checkpoint(third)["agent"]["ring"]) == again.expected()
    described = json.loads((third / RINGS).read_bytes())["/agent/ring"]["segments"]
    assert [part["sha256"] == shared.name[:64] for part in described] == [True, False]


def test_a_ring_that_went_back_takes_what_is_still_its_own(two):
    """Rows that a segment holds beyond the ring's last one do no harm, and are not handed out."""
    first, second, _, _, _ = two
    buffer = Buffer(20).add(8)
    third = write_checkpoint(first.parent, buffer.state, step=10)

    ring = read_checkpoint(third)["agent"]["ring"]
    assert (ring.written, content(ring)) == (8, buffer.expected())
    assert len(segments(first.parent)) == 2


def test_two_rings_and_other_shapes_are_kept_apart(tmp_path):
    """Segments are looked for among those of the same ring; one that changed its form is written anew."""
    small, large = Buffer(10).add(4), Buffer(20).add(15)
    write_checkpoint(tmp_path, {"a": small.ring, "b": [large.ring]}, step=0)
    second = write_checkpoint(tmp_path, {"a": large.ring, "b": [small.ring]}, step=1)
    state = read_checkpoint(second)
    assert (content(state["a"]), content(state["b"][0])) == (large.expected(), small.expected())

    other = Ring({"x": np.ones((10, 2)), "flag": np.ones(10, np.int8)}, 4)
    found = read_checkpoint(write_checkpoint(tmp_path, {"a": other}, step=2))["a"]
    assert found.arrays["x"].tolist() == [[1, 1]] * 4 + [[0, 0]] * 6
    assert found.arrays["flag"].dtype == np.int8


def test_odd_rings(tmp_path):
    """Nothing written yet, rows without bytes, names that a file format gives a meaning, other byte orders."""
    arrays = {"__metadata__": np.zeros((4, 0)), "": np.arange(4), "a/b": np.arange(8.0).astype(">f8").reshape(4, 2)}
    for written in (0, 3, 4, 9):
        ring = read_checkpoint(write_checkpoint(tmp_path, {"r": Ring(arrays, written)}, step=written))["r"]
        alive = np.isin(np.arange(4), np.arange(max(0, written - 4), written) % 4)
        assert ring.written == written
        np.testing.assert_array_equal(ring.arrays[""], np.where(alive, np.arange(4), 0))
        np.testing.assert_array_equal(ring.arrays["a/b"], np.where(alive[:, None], arrays["a/b"], 0))
        assert ring.arrays["__metadata__"].shape == (4, 0)


def test_what_is_no_ring_is_refused(tmp_path):
    for arrays, written in (({}, 0), ({"a": np.zeros(3), "b": np.zeros(4)}, 0), ({"a": np.zeros(())}, 0)):
        with pytest.raises(ArgumentError, match="same first axis"):
            Ring(arrays, written)
    for written in (-1, 1.0, True):
        with pytest.raises(ArgumentError, match="an int of at least 0"):
            Ring({"a": np.zeros(3)}, written)
    with pytest.raises(ArgumentError, match="dtype"):
        write_checkpoint(tmp_path, {"r": Ring({"a": np.zeros(3, "U4")}, 1)}, step=0)
    assert list(tmp_path.iterdir()) == []


def test_without_rings_the_format_is_the_old_one(tmp_path):
    """An older rltk reads what needs no segments, and says of the rest that it is newer."""
    plain = write_checkpoint(tmp_path, {"x": np.ones(3)}, step=0)
    ringed = write_checkpoint(tmp_path, Buffer(3).state, step=1)

    assert [json.loads((path / MANIFEST).read_bytes())["format_version"] for path in (plain, ringed)] == [1, 2]
    assert sorted(path.name for path in plain.iterdir()) == ["arrays.safetensors", MANIFEST, "state.json"]


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
    import hashlib

    fields["files"][RINGS] = {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    (second / MANIFEST).write_bytes(_rendered(fields))

    with pytest.raises(CheckpointError, match=r"(rings\.json|safetensors).*put the file back"):
        read_checkpoint(second)


@pytest.mark.parametrize("call", ["fsync", "rename", "replace", "mkdir", "write"])
def test_a_disk_that_refuses_at_any_call_leaves_the_old_generations(tmp_path, monkeypatch, call):
    """Cut at every single call; what was begun is cleaned away, and the next save is whole."""
    owner = Path if call in ("mkdir", "write") else os
    name = {"write": "write_bytes"}.get(call, call)
    for when in range(12):
        folder, buffer = tmp_path / str(when), Buffer(10)
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


def test_an_agent_may_hand_out_its_state_without_copies(tmp_path):
    """`state_to_write` is asked where there is one, and saved at once."""

    class Agent:
        def state(self):
            raise AssertionError("a copy was made")

        def state_to_write(self):
            return {"r": Buffer(5).add(7).ring}

    with Run.start(tmp_path, env="e", algorithm="a", seed=0, name="run", tensorboard=False) as run:
        run.checkpoint(Agent(), 7)
    with Run.resume(tmp_path / "run") as run:
        assert run.state is not None
        assert content(run.state["r"]) == Buffer(5).add(7).expected()
