"""Rings in checkpoints: rows are written once, shared by generations, and never mistaken for other rows."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError
from rltk.runs import Ring, Run, latest_checkpoint, read_checkpoint, write_checkpoint
from rltk.runs.checkpoint import MANIFEST, RINGS, generations
from rltk.runs.disk import SEGMENTS


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
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_ring_comes_back_from_every_generation(buffers, tmp_path_factory, capacity, adds, largest, keep):
    """Bit for bit, NaN included, however often it went around, in segments of one row or of all."""
    folder, buffer = tmp_path_factory.mktemp("c"), buffers(capacity)
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


def test_a_checkpoint_writes_the_new_rows_only(buffers, tmp_path):
    """A replay of a hundred thousand rows of which a hundred are new: their bytes, and little else, also once it is
    full and each new row takes an old one's place."""
    buffer = buffers(100_000).add(90_000)
    write_checkpoint(tmp_path, buffer.state, step=0)
    for step, new in enumerate((100, 9_900, 100, 100), 1):
        before = sizes(tmp_path)
        write_checkpoint(tmp_path, buffer.add(new).state, step=step)
        written = sum(size for path, size in sizes(tmp_path).items() if path not in before)
        assert new * 13 < written < new * 13 + 2500

    assert content(read_checkpoint(generations(tmp_path)[0])["agent"]["ring"]) == buffer.expected()


def test_nothing_new_writes_no_segment(buffers, tmp_path):
    buffer = buffers(10).add(4)
    write_checkpoint(tmp_path, buffer.state, step=0)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / SEGMENTS).iterdir()}
    write_checkpoint(tmp_path, buffer.state, step=1)

    assert {path: path.stat().st_mtime_ns for path in (tmp_path / SEGMENTS).iterdir()} == before
    assert len(before) == 1


def test_segments_that_no_generation_needs_are_removed(buffers, tmp_path):
    """Once all of its rows were overwritten, and the last generation that needs it has gone."""
    buffer = buffers(10)
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


def test_leftovers_of_a_kill_are_cleaned(buffers, tmp_path):
    buffer = buffers(10).add(5)
    write_checkpoint(tmp_path, buffer.state, step=0)
    for name in (f".saving-{'0' * 64}", f"{'1' * 64}.safetensors", "notes.txt"):
        (tmp_path / SEGMENTS / name).write_bytes(b"half")
    write_checkpoint(tmp_path, buffer.state, step=1)

    assert len(segments(tmp_path)) == 1


def test_where_a_generation_can_not_say_what_it_needs_no_segment_is_removed(buffers, tmp_path):
    """Its manifest may be put back from a copy."""
    first = write_checkpoint(tmp_path, buffers(10).add(5).state, step=0)
    manifest = (first / MANIFEST).read_bytes()
    (first / MANIFEST).write_bytes(b"{}")
    write_checkpoint(tmp_path, buffers(10, salt=9).add(5).state, step=1)
    assert len(segments(tmp_path)) == 2
    (first / MANIFEST).write_bytes(manifest)

    assert read_checkpoint(first)["n"] == 5


@pytest.mark.parametrize("how", ["manifest", "own"])
def test_rows_that_were_written_differently_are_not_taken_from_stale_segments(buffers, two, how):
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
    again = buffers(20, salt=1000).take_up(found.state["agent"]["ring"]).add(3)
    third = write_checkpoint(first.parent, again.state, step=9)

    assert content(read_checkpoint(third)["agent"]["ring"]) == again.expected()
    described = json.loads((third / RINGS).read_bytes())["/agent/ring"]["segments"]
    assert [part["sha256"] == shared.name[:64] for part in described] == [True, False]


def test_a_ring_that_went_back_takes_what_is_still_its_own(buffers, two):
    """Rows that a segment holds beyond the ring's last one do no harm, and are not handed out."""
    first, second, _, _, _ = two
    buffer = buffers(20).add(8)
    third = write_checkpoint(first.parent, buffer.state, step=10)

    ring = read_checkpoint(third)["agent"]["ring"]
    assert (ring.written, content(ring)) == (8, buffer.expected())
    assert len(segments(first.parent)) == 2


def test_two_rings_and_other_shapes_are_kept_apart(buffers, tmp_path):
    """Segments are looked for among those of the same ring; one that changed its form is written anew."""
    small, large = buffers(10).add(4), buffers(20).add(15)
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


def test_without_rings_the_format_is_the_old_one(buffers, tmp_path):
    """An older rltk reads what needs no segments, and says of the rest that it is newer."""
    plain = write_checkpoint(tmp_path, {"x": np.ones(3)}, step=0)
    ringed = write_checkpoint(tmp_path, buffers(3).state, step=1)

    assert [json.loads((path / MANIFEST).read_bytes())["format_version"] for path in (plain, ringed)] == [1, 2]
    assert sorted(path.name for path in plain.iterdir()) == ["arrays.safetensors", MANIFEST, "state.json"]


def test_an_agent_may_hand_out_its_state_without_copies(buffers, tmp_path):
    """`state_to_write` is asked where there is one, and saved at once."""

    class Agent:
        def state(self):
            raise AssertionError("a copy was made")

        def state_to_write(self):
            return {"r": buffers(5).add(7).ring}

    with Run.start(tmp_path, env="e", algorithm="a", seed=0, name="run", tensorboard=False) as run:
        run.checkpoint(Agent(), 7)
    with Run.resume(tmp_path / "run") as run:
        assert run.state is not None
        assert content(run.state["r"]) == buffers(5).add(7).expected()
