"""Checkpoints: what goes in comes out bit for bit, what can't go in is refused, and the newest whole one is found."""

import json
import math
import struct
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rltk.errors import ArgumentError, CheckpointError
from rltk.runs import latest_checkpoint, read_checkpoint, write_checkpoint
from rltk.runs.checkpoint import ARRAYS, MANIFEST, STATE, NewerFormatError, _rendered, generations
from rltk.runs.trees import DTYPES, join, split


def equal(a, b) -> bool:
    """The same types, the same order of keys and the same bits (so NaN equals NaN, and 0.0 is not -0.0)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return a == b


arrays = hnp.arrays(
    st.sampled_from([np.dtype(name) for name in DTYPES]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["$array", "$", "$$int", "a/b", "~1", "", "__metadata__", "ü/字", "\0"]
)
leaves = arrays | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.dictionaries(
    keys,
    st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)),
    max_size=4,
)


@given(trees)
@example({"a/b": np.zeros(1), "a": {"b": np.ones(1)}})
@example({"": {"": np.zeros(())}, "x": [np.zeros((0, 2)), {"0": np.zeros(1)}]})
@example({"$array": "/x", "y": {"$float": "00"}, "z": {"$int": 1}})
@example({"nan": float("nan"), "quiet": struct.unpack("d", struct.pack("Q", 0xFFF8000000000123))[0], "zero": -0.0})
@example({"long": [10**5000, -(10**5000), 2**4096, -(2**64)], "text": "\ud800"})
@settings(max_examples=300, deadline=None)
def test_a_tree_comes_back_bit_for_bit(tree):
    plain, named = split(tree)
    text = json.dumps(plain, allow_nan=False)

    assert equal(join(json.loads(text), named), tree)


@given(trees)
@settings(max_examples=40, deadline=None)
def test_a_checkpoint_comes_back_bit_for_bit(tmp_path_factory, tree):
    path = write_checkpoint(tmp_path_factory.mktemp("c"), tree, step=3)

    assert equal(read_checkpoint(path), tree)


def test_odd_arrays_come_back_with_their_values(tmp_path):
    big = np.arange(12.0).reshape(3, 4)
    state = {
        "columns": big[:, ::2],
        "reversed": big[::-1],
        "fortran": np.asfortranarray(big),
        "big_endian": big.astype(">f8"),
        "none": np.zeros((0, 5), np.uint8),
        "single": np.array(7, np.int16),
        "broadcast": np.broadcast_to(np.float32(2), (3, 2)),
    }

    found = read_checkpoint(write_checkpoint(tmp_path, state, step=0))

    for name, array in state.items():
        assert found[name].dtype == array.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable, name


def test_numpy_scalars_come_back_as_python_numbers(tmp_path):
    state = {"a": np.float64(0.1), "b": np.int8(3), "c": np.bool_(True), "d": np.float32(0.1)}

    found = read_checkpoint(write_checkpoint(tmp_path, state, step=0))

    assert equal(found, {"a": 0.1, "b": 3, "c": True, "d": float(np.float32(0.1))})


def cyclic() -> dict:
    state: dict = {}
    state["again"] = state
    return state


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": {"b": (1, 2)}}, "/a/b"),
        ({"a": [0, object()]}, "/a/1"),
        ({"a": np.array([None])}, "dtype object"),
        ({"a": np.array(["x"])}, "dtype <U1"),
        ({"a": np.zeros(2, complex)}, "complex128"),
        ({"a": np.ma.masked_array([1.0], [True])}, "MaskedArray"),
        ({"a": {1: 2}}, "key 1"),
        ({"\ud800": 2}, "Unicode"),
        ({"a": {1, 2}}, "set"),
        ({"a": b"x"}, "bytes"),
        ({"a": 1j}, "complex"),
        ({"a": np.longdouble(1)}, "longdouble"),
        (cyclic(), "contain itself"),
        ([1], "dict was expected"),
    ],
)
def test_what_a_checkpoint_can_not_hold_is_refused_and_nothing_is_written(tmp_path, state, where):
    with pytest.raises(ArgumentError, match=where):
        write_checkpoint(tmp_path / "new", state, step=0)

    assert not (tmp_path / "new").exists()


def test_a_tensor_is_refused_with_the_mend(tmp_path):
    class Tensor:
        pass

    Tensor.__module__ = "torch"
    with pytest.raises(ArgumentError, match="numpy"):
        write_checkpoint(tmp_path, {"weights": Tensor()}, step=0)


@pytest.mark.parametrize("bad", [{"step": -1}, {"step": 1.5}, {"step": True}, {"step": 1, "keep": 0}])
def test_bad_arguments_are_refused(tmp_path, bad):
    with pytest.raises(ArgumentError, match="was expected"):
        write_checkpoint(tmp_path, {}, **bad)


def test_two_generations_stay_and_the_newest_is_found(tmp_path):
    for step in (10, 20, 5, 5):
        write_checkpoint(tmp_path, {"step": step}, step=step)

    assert [path.name for path in generations(tmp_path)] == ["00000004-step-5", "00000003-step-5"]
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.state) == (5, {"step": 5})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000003-step-5", "00000004-step-5"]


def test_no_checkpoint_yet_is_no_error(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "missing") is None


def test_a_damaged_newest_falls_back_with_a_warning_that_names_both(tmp_path):
    old, new = (write_checkpoint(tmp_path, {"x": x}, step=x) for x in (1, 2))
    (new / STATE).write_bytes(b"{}")

    with pytest.warns(UserWarning, match=f"{old.name}.*{new.name}.*{STATE}"):
        found = latest_checkpoint(tmp_path)

    assert found is not None
    assert (found.path, found.state) == (old, {"x": 1})


def test_the_last_whole_generation_is_not_removed_for_a_damaged_one(tmp_path):
    whole, damaged = (write_checkpoint(tmp_path, {"x": x}, step=x) for x in (1, 2))
    content = bytearray((damaged / STATE).read_bytes())
    content[-2] ^= 1
    (damaged / STATE).write_bytes(content)

    write_checkpoint(tmp_path, {"x": 3}, step=3)
    assert whole.exists()

    write_checkpoint(tmp_path, {"x": 4}, step=4)
    assert [path.name[-1] for path in generations(tmp_path)] == ["4", "3"]


def test_all_damaged_is_an_error_that_names_them(tmp_path):
    paths = [write_checkpoint(tmp_path, {"x": x}, step=x) for x in (1, 2)]
    for path in paths:
        (path / ARRAYS).unlink()

    with pytest.raises(CheckpointError, match=f"{paths[1].name}.*{paths[0].name}"):
        latest_checkpoint(tmp_path)


def test_a_newer_format_is_never_passed_over(tmp_path):
    write_checkpoint(tmp_path, {"x": 1}, step=1)
    path = write_checkpoint(tmp_path, {"x": 2}, step=2)
    reseal(path, lambda fields: {**fields, "format_version": 99, "rltk": "9.9"})

    with pytest.raises(NewerFormatError, match=r"99.*9\.9.*install a newer rltk"):
        latest_checkpoint(tmp_path)


def reseal(path, change) -> None:
    """Change a manifest and give it the right sha256 again: an enemy, not an accident."""
    fields = json.loads((path / MANIFEST).read_bytes())
    fields.pop("sha256")
    (path / MANIFEST).write_bytes(_rendered(change(fields)))


def reseal_files(path) -> None:
    import hashlib

    def measure(fields):
        contents = {name: (path / name).read_bytes() for name in (ARRAYS, STATE)}
        files = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in contents.items()}
        return {**fields, "files": files}

    reseal(path, measure)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: {**fields, "files": {**fields["files"], "../../secret": {"bytes": 1, "sha256": "0"}}},
        lambda fields: {**fields, "files": {"../" + ARRAYS: fields["files"][ARRAYS], STATE: fields["files"][STATE]}},
        lambda fields: {**fields, "files": {**fields["files"], ARRAYS: {"bytes": 10**18, "sha256": "0"}}},
        lambda fields: {**fields, "files": {**fields["files"], ARRAYS: {"bytes": -1, "sha256": "0"}}},
        lambda fields: {**fields, "files": {**fields["files"], ARRAYS: {"bytes": 1.5, "sha256": "0"}}},
        lambda fields: {**fields, "files": {**fields["files"], ARRAYS: None}},
        lambda fields: {**fields, "files": []},
        lambda fields: {**fields, "step": "2"},
        lambda fields: {**fields, "step": -2},
        lambda fields: {**fields, "format_version": 0},
        lambda fields: {**fields, "format_version": "1"},
        lambda fields: {},
    ],
)
def test_a_manifest_made_by_an_enemy_is_refused(tmp_path, change):
    path = write_checkpoint(tmp_path, {"x": np.zeros(3)}, step=2)
    reseal(path, change)

    with pytest.raises(CheckpointError, match=rf"({MANIFEST}|{ARRAYS}).*delete this folder"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"3",
        b"{",
        b'{"x": NaN}',
        b"[" * 100_000,
        b'{"x":' * 500 + b"1" + b"}" * 500,
        b'{"x": {"$array": "/y"}}',
        b'{"x": {"$array": "/x"}, "y": {"$array": "/x"}}',
        b'{"x": {"$array": ["/x"]}}',
        b'{"x": {"$float": "7ff8"}}',
        b'{"x": {"$pickle": "gASV"}}',
        b'{"x": {"$array": "/x", "y": 1}}',
        b'{"y": 1}',
        b'{"x": {"$int": "q"}}',
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_state_made_by_an_enemy_is_refused(tmp_path, content):
    path = write_checkpoint(tmp_path, {"x": np.zeros(3)}, step=2)
    (path / STATE).write_bytes(content)
    reseal_files(path)

    with pytest.raises(CheckpointError, match=f"{STATE}.*delete this folder"):
        read_checkpoint(path)


def safetensors_bytes(header: bytes, data: bytes = b"", declared: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if declared is None else declared) + header + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04.",
        safetensors_bytes(b"{}", declared=2**60),
        safetensors_bytes(b'{"/x":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8]}}', bytes(8)),
        safetensors_bytes(b'{"/x":{"dtype":"F64","shape":[3],"data_offsets":[0,8000000000000]}}', bytes(24)),
        safetensors_bytes(b'{"/x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}', bytes(2)),
        safetensors_bytes(b'{"/x":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}', bytes(8)),
        safetensors_bytes(b'{"/x":{"dtype":"object","shape":[1],"data_offsets":[0,8]}}', bytes(8)),
    ],
)
def test_arrays_made_by_an_enemy_are_refused(tmp_path, content):
    path = write_checkpoint(tmp_path, {"x": np.zeros(3)}, step=2)
    (path / ARRAYS).write_bytes(content)
    reseal_files(path)

    with pytest.raises(CheckpointError, match=f"{ARRAYS}.*delete this folder"):
        read_checkpoint(path)


def test_links_and_folders_in_place_of_files_are_refused(tmp_path):
    path = write_checkpoint(tmp_path, {"x": np.zeros(3)}, step=2)
    elsewhere = tmp_path / "elsewhere"
    (path / ARRAYS).rename(elsewhere)
    (path / ARRAYS).symlink_to(elsewhere)
    with pytest.raises(CheckpointError, match=f"{ARRAYS} is no regular file"):
        read_checkpoint(path)

    (path / ARRAYS).unlink()
    (path / ARRAYS).mkdir()
    with pytest.raises(CheckpointError, match=f"{ARRAYS} is no regular file"):
        read_checkpoint(path)


def test_what_is_no_checkpoint_is_refused_by_name(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read_checkpoint(tmp_path / "missing")
    with pytest.raises(CheckpointError, match=MANIFEST):
        read_checkpoint(tmp_path)


def test_infinities_and_signs_survive(tmp_path):
    state = {"a": [math.inf, -math.inf, -0.0, math.nan], "b": np.array([math.inf, -0.0, math.nan])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert equal(read_checkpoint(write_checkpoint(tmp_path, state, step=0)), state)
