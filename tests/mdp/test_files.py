"""An MDP on disk: bit for bit, whole or not at all, never unpickled, never more memory than the file holds."""

import io
import os
import zipfile

import mdp_reference as slow
import numpy as np
import pytest
from hypothesis import given, settings

from rltk.errors import MDPError
from rltk.mdp import MDP
from rltk.mdp.rows import Rows


def rows_mdp():
    rows = Rows(
        2, 2, np.array([0, 2, 2, 3, 4]), np.array([0, 1, 0, 1], dtype=np.int32), np.array([1 / 3, 2 / 3, 1, 1]),
        np.array([0.1, -0.2, 1e-300, -0.0]), np.array([False, True, False, True]),
        np.array([False, True, False, False]), np.array([0.0, 0.5, 0.0, 0.0]),
    )  # fmt: skip
    return MDP(rows, [0.1, 0.9], state_labels=(1, 2), action_labels=(2,))


def moves_mdp():
    ends = np.array([False, True, False])
    return MDP.from_moves([[1, 0], [2, 2], [0, 1]], [[0.9, 0.1], [1 / 3, 2 / 3]], [1.0, 2.5, -0.1], ends, success=ends)


FORMS = pytest.mark.parametrize("mdp", [rows_mdp(), moves_mdp()], ids=["rows", "moves"])


def same(one, two):
    """The same form, the same bits, the same labels."""
    fields = {**vars(one.form), "start": one.start}
    others = {**vars(two.form), "start": two.start}
    names = [name for name in fields if name not in ("available", "expected_reward")]
    return (
        type(one.form) is type(two.form)
        and all(bits(fields[name]) == bits(others[name]) for name in names)
        and all(getattr(one, name) == getattr(two, name) for name in ("state_labels", "action_labels"))
    )


def bits(value):
    return (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


@FORMS
def test_round_trip_is_bit_for_bit(mdp, tmp_path):
    """Arrays, dtypes, labels that are shapes, signed zeros and tiny numbers come back; no other file is left."""
    path = mdp.save(tmp_path / "a.model")

    assert path.name == "a.model.npz"
    assert os.listdir(tmp_path) == ["a.model.npz"]
    assert same(MDP.load(path), mdp)
    assert same(MDP.load(str(MDP.load(path).save(tmp_path / "b.npz"))), mdp)
    assert not MDP.load(path).start.flags.writeable


@settings(deadline=None, max_examples=25)
@given(mdp=slow.mdps())
def test_round_trip_of_any_mdp(mdp, tmp_path_factory):
    """Random tables."""
    path = tmp_path_factory.mktemp("mdp") / "m.npz"
    model = MDP.from_table(slow.as_table(mdp[0]))

    assert same(MDP.load(model.save(path)), model)


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, **changes):
    """The same file with arrays (or raw bytes) replaced, or left out where None."""
    content = members(path)
    for name, value in changes.items():
        if isinstance(value, np.ndarray | np.generic):
            buffer = io.BytesIO()
            np.save(buffer, value)
            value = buffer.getvalue()
        content[f"{name}.npy"] = value
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in content.items():
            if value is not None:
                archive.writestr(name, value)


CHANGES = {
    "format_version is 2; this rltk reads 1": {"format_version": np.int64(2)},
    "lacks the array 'format_version'": {"format_version": None},
    "lacks the array 'start'": {"start": None},
    "lacks the array 'probability'": {"probability": None},
    "lacks the array 'success'": {"success": None},
    "lacks the array 'holds'": {"holds": None},
    "form is 'table'; expected 'rows' or 'moves'": {"form": np.array("table")},
    "reward has dtype float32; expected float64": {"reward": np.zeros(4, dtype=np.float32)},
    "next_state has dtype float64; expected int32": {"next_state": np.zeros(4)},
    r"reward has shape \(3,\); expected one entry": {"reward": np.zeros(3)},
    r"s=0, a=0\): outcome to state 5": {"next_state": np.array([5, 1, 0, 1], dtype=np.int32)},
    r"s=1, a=0\): .*sum to 0\.99": {"probability": np.array([1 / 3, 2 / 3, 0.99, 1])},
    "the reward is nan": {"reward": np.array([0, 0, np.nan, 0])},
    "row_start has shape": {"sizes": np.array([3, 2])},
    "at least one state": {"sizes": np.array([-2, -2])},
    "too many values to unpack": {"sizes": np.array([2, 2, 2])},
    "start sums to": {"start": np.array([0.5, 0.4])},
    "state_labels": {"state_labels": np.array([3, 3])},
    "unexpected keyword argument 'moves'": {"moves": np.zeros((2, 2), dtype=np.int32)},
}


@pytest.mark.parametrize(("message", "change"), CHANGES.items(), ids=range(len(CHANGES)))
def test_files_with_other_content_are_refused(message, change, tmp_path):
    """Another version, a missing array, another dtype or shape, and arrays that are no MDP."""
    path = rows_mdp().save(tmp_path / "m.npz")
    rewrite(path, **change)

    with pytest.raises(MDPError, match=message) as caught:
        MDP.load(path)
    assert "m.npz" in str(caught.value)


def test_pickles_are_not_read(tmp_path):
    """An object array would run code on loading; it is refused and nothing runs."""
    path = rows_mdp().save(tmp_path / "m.npz")
    hit = tmp_path / "hit"

    class Bomb:
        def __reduce__(self):
            return (open, (str(hit), "w"))

    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    for name in ("start", "probability", "state_labels", "form"):
        rewrite(path, **{name: buffer.getvalue()})
        with pytest.raises(MDPError, match="damaged"):
            MDP.load(path)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(MDPError, match=r"m\.npz"):
        MDP.load(path)
    assert not hit.exists()


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(10**13,), (10**9,), (2**40, 2**40), (10**12, 0, 5)])
def test_a_header_that_promises_more_than_the_file_holds(shape, tmp_path, monkeypatch):
    """Memory is taken for what is there, not for what the header says: reading the array is not even begun."""
    path = rows_mdp().save(tmp_path / "m.npz")
    rewrite(path, reward=header(shape) + b"\0" * 64)
    if 0 not in shape:
        read = np.lib.format.read_array
        monkeypatch.setattr(np.lib.format, "read_array", lambda file, **rest: smaller(read(file, **rest)))

    with pytest.raises(MDPError, match="declares shape" if 0 not in shape else "reward"):
        MDP.load(path)


def smaller(array):
    assert array.nbytes < 10_000
    return array


def test_a_file_that_unpacks_to_more_than_the_limit(tmp_path, monkeypatch):
    """Zeros shrink a thousandfold in a zip file: its unpacked size is held against the limit before it is read."""
    path = rows_mdp().save(tmp_path / "m.npz")
    rewrite(path, reward=np.zeros(1_000_000))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr("rltk.mdp.validation.MEMORY_LIMIT", 1_000_000)

    with pytest.raises(MDPError, match=r"would take 0\.0 GiB; the limit is"):
        MDP.load(path)


def equal_or_own_error(path, data, mdp):
    path.write_bytes(data)
    try:
        found = MDP.load(path)
    except MDPError:
        return False
    assert same(found, mdp)
    return True


def test_an_array_under_another_name_is_not_passed_over(tmp_path):
    """A damaged name must not turn into an MDP that has lost its successes."""
    path = rows_mdp().save(tmp_path / "m.npz")
    rewrite(path, success=None, succesr=np.zeros(4, dtype=bool))

    with pytest.raises(MDPError, match=r"it holds 'succesr\.npy'"):
        MDP.load(path)


@FORMS
def test_truncated_files(mdp, tmp_path):
    """Cut off anywhere, a file is refused: the directory of a zip file stands at its end."""
    data = mdp.save(tmp_path / "m.npz").read_bytes()

    for size in [*range(0, len(data), 41), len(data) - 1]:
        assert not equal_or_own_error(tmp_path / "cut.npz", data[:size], mdp)


@FORMS
def test_flipped_bits(mdp, tmp_path):
    """A bit flipped anywhere is either refused or was in a place without meaning, such as a date: never another MDP."""
    data = bytearray(mdp.save(tmp_path / "m.npz").read_bytes())
    random = np.random.default_rng(0)
    refused = 0

    for place in random.permutation(len(data))[:600]:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(random.integers(8))
        refused += not equal_or_own_error(tmp_path / "flip.npz", bytes(flipped), mdp)
    assert refused > 300


def test_what_is_no_file_or_no_zip(tmp_path):
    """A missing file, a folder, an empty file, text: each an MDPError with the path."""
    with pytest.raises(MDPError, match="there is no such file"):
        MDP.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").touch()
    for name in ("text.npz", "empty.npz", ""):
        with pytest.raises(MDPError, match="is no MDP file"):
            MDP.load(tmp_path / name)


class Full(io.FileIO):
    """A disk that is full after 200 bytes."""

    def write(self, data):
        if self.tell() > 200:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("fault", ["write", "fsync", "replace", "other"])
def test_a_failure_while_writing_keeps_the_old_file(fault, tmp_path, monkeypatch):
    """A full disk at any point leaves the old file, and nothing else, behind."""
    path = moves_mdp().save(tmp_path / "m.npz")
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device") if fault != "other" else RuntimeError("interrupted")

    if fault == "write":
        monkeypatch.setattr("builtins.open", lambda name, mode="r", **_: Full(name, mode.replace("b", "")))
    elif fault == "other":
        monkeypatch.setattr("numpy.savez_compressed", fail)
    else:
        monkeypatch.setattr(f"os.{fault}", fail)
    with pytest.raises(RuntimeError if fault == "other" else MDPError, match=r"interrupted|No space left"):
        rows_mdp().save(path)
    monkeypatch.undo()

    assert os.listdir(tmp_path) == ["m.npz"]
    assert path.read_bytes() == before


def test_places_that_can_not_be_written(tmp_path):
    """A folder that is missing, a file in the place of a folder, a folder in the place of the file."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.npz").mkdir()
    for place in ("missing/m.npz", "file/m.npz", "folder.npz"):
        with pytest.raises(MDPError, match="can't be written"):
            rows_mdp().save(tmp_path / place)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.npz"]
