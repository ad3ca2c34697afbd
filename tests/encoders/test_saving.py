"""Encoders as files: the same bits, the same spaces, and every way in which a file can be wrong."""

import hashlib
import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import rltk.files
from rltk.encoders import Encoder, load_encoder, save_encoder
from rltk.encoders.described import described, space_of
from rltk.errors import ArgumentError, CheckpointError, SpaceError

BOARD = spaces.Box(np.zeros((5, 4, 2), np.uint8), np.broadcast_to(np.uint8([3, 9]), (5, 4, 2)).copy(), dtype=np.uint8)
PICTURE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
SPACES = {
    "discrete": spaces.Discrete(5, start=-2),
    "indices": spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[7, -1], [0, 2]]),
    "bits": spaces.MultiBinary(6),
    "more bits": spaces.MultiBinary([2, 3]),
    "vector": spaces.Box(np.float32([-1, -np.inf, 0.1]), np.float32([np.inf, 2.5, 0.3])),
    "wide integers": spaces.Box(-(2**62) - 1, 2**62 + 1, (2,), np.int64),
    "board": BOARD,
    "picture": PICTURE,
    "unsorted": spaces.Dict(OrderedDict(z=spaces.Discrete(2), a=PICTURE, m=spaces.Box(-1, 1, (2, 3)))),
}


def one_of(space, seed=0):
    """Three observations as tensors."""
    space.seed(seed)
    samples = [space.sample() for _ in range(3)]
    if isinstance(space, spaces.Dict):
        return {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in space}
    return torch.from_numpy(np.stack(samples))


def header_of(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def rewrite(path, change):
    """Change the header of a file and mend its sha256, as somebody with bad intent would."""
    header, rest = header_of(path)
    change(header)
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + rest
    path.write_bytes(content)
    path.with_name(path.name + ".sha256").write_text(hashlib.sha256(content).hexdigest())


@pytest.fixture
def saved(tmp_path):
    return save_encoder(Encoder(BOARD, "cnn", features_dim=8), tmp_path / "encoder.safetensors")


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_space_goes_through_json_and_back(space):
    """Bounds, starts and the order of a Dict's parts are as they were."""
    back = space_of(json.loads(json.dumps(described(space), allow_nan=False)))
    assert back == space
    if isinstance(space, spaces.Dict):
        assert list(back.spaces) == list(space.spaces)


def test_equal_bounds_are_written_once():
    """A picture's bounds are two numbers, those of a board with a bound for each channel as many as channels."""
    assert described(PICTURE)["high"] == [[[255]]]
    assert described(BOARD)["high"] == [[[3, 9]]]


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {"space": "Graph"},
        {"space": "Discrete", "n": 0, "start": 0},
        {"space": "Discrete", "n": "__import__('os')", "start": 0},
        {"space": "Box", "shape": [10**9, 10**9], "dtype": "uint8", "low": 0, "high": 1},
        {"space": "Box", "shape": [2], "dtype": "object", "low": 0, "high": 1},
        {"space": "Box", "shape": [2], "dtype": "float32", "low": [0, 0, 0], "high": 1},
        {"space": "Box", "shape": [-1], "dtype": "float32", "low": 0, "high": 1},
        {"space": "Box", "shape": [2], "dtype": "float32", "low": None, "high": 1},
        {"space": "Dict", "parts": [["a"]]},
    ],
)
def test_what_is_no_space_is_refused(plain):
    """A file may say anything."""
    with pytest.raises(ValueError, match="no space"):
        space_of(plain)


@pytest.mark.parametrize("name", ["discrete", "indices", "vector", "board", "picture", "unsorted"])
def test_an_encoder_comes_back_with_the_same_bits(name, tmp_path):
    """Weights, configuration and features are equal to the last bit, and nobody's random numbers were spent."""
    space = SPACES[name]
    encoder = Encoder(space, features_dim=7, hidden=(16,)).eval()
    path = save_encoder(encoder, tmp_path / "some.safetensors")
    before = torch.get_rng_state()

    loaded = load_encoder(path, space)

    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.config() == encoder.config()
    assert loaded.observation_space == encoder.observation_space
    assert not loaded.training
    assert torch.equal(loaded(one_of(space)), encoder(one_of(space)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_float_types_stay(dtype, tmp_path):
    """Weights of double or half precision come back as they are."""
    encoder = Encoder(BOARD, "cnn").to(dtype).eval()
    loaded = load_encoder(save_encoder(encoder, tmp_path / "e.safetensors"))
    assert loaded(one_of(BOARD)).dtype == dtype
    assert torch.equal(loaded(one_of(BOARD)), encoder(one_of(BOARD)))


def test_the_proof_is_sha256sums(saved):
    """`sha256sum -c` understands the file beside it."""
    digest, name = saved.with_name("encoder.safetensors.sha256").read_text().split("  ")
    assert digest == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert name == "encoder.safetensors\n"
    assert sorted(path.name for path in saved.parent.iterdir()) == [saved.name, f"{saved.name}.sha256"]


def test_a_module_of_ones_own_is_filled(tmp_path):
    """Its file holds weights and a name; without the module there is nothing to build."""

    class Mine(nn.Module):
        features_dim = 3

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3)

    path = save_encoder(mine := Mine(), tmp_path / "mine.safetensors")
    with pytest.raises(CheckpointError, match=r"Mine'.*encoder=module"):
        load_encoder(path)
    assert torch.equal(load_encoder(path, encoder=Mine()).layer.weight, mine.layer.weight)


def test_an_own_trunk_is_filled(tmp_path):
    """An Encoder around a module of one's own needs one like it."""

    def made():
        return Encoder(spaces.Box(-1, 1, (4,)), nn.Sequential(nn.Linear(64, 5), nn.Tanh()))

    path = save_encoder(encoder := made(), tmp_path / "mine.safetensors")
    with pytest.raises(CheckpointError, match="encoder=module"):
        load_encoder(path)
    x = one_of(encoder.observation_space)
    assert torch.equal(load_encoder(path, encoder=made())(x), encoder.eval()(x))


def test_tied_weights_are_saved(tmp_path):
    """Two names for one weight are written twice and come back equal."""
    encoder = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    encoder[1].weight = encoder[0].weight
    path = save_encoder(encoder, tmp_path / "tied.safetensors")
    twin = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    load_encoder(path, encoder=twin)
    assert torch.equal(twin[0].weight, encoder[0].weight)
    assert torch.equal(twin[1].weight, encoder[0].weight)


# Bad files


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1])
def test_a_file_cut_short(saved, kept):
    """The sha256 finds it; and where that is not asked for, the reader does."""
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"damaged.*sha256"):
        load_encoder(saved)
    with pytest.raises(CheckpointError, match="damaged"):
        load_encoder(saved, verify=False)


def test_a_flipped_bit(saved):
    """One bit of one weight is enough."""
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match="put it back from a copy"):
        load_encoder(saved)


def test_no_file_no_proof_no_file(saved, tmp_path):
    """Each says what is missing; without the proof one goes on only on purpose."""
    with pytest.raises(CheckpointError, match=r"nothing.safetensors is missing"):
        load_encoder(tmp_path / "nothing.safetensors")
    with pytest.raises(CheckpointError, match="can't be read"):
        load_encoder(tmp_path)
    saved.with_name("encoder.safetensors.sha256").unlink()
    with pytest.raises(CheckpointError, match=r"encoder.safetensors.sha256 is missing.*verify=False"):
        load_encoder(saved)
    assert load_encoder(saved, verify=False).features_dim == 8


def test_a_newer_format(saved):
    """What a newer rltk wrote is not guessed at."""
    rewrite(saved, lambda header: header["__metadata__"].update(format_version="2", rltk="9.9"))
    with pytest.raises(CheckpointError, match=r"format_version 2, made by rltk 9.9.*newer rltk"):
        load_encoder(saved)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("format_version", "one"),
        ("config", "[1]"),
        ("config", "{"),
        ("config", '{"encoder": "os.system"}'),
        ("config", '{"encoder": ["cnn"]}'),
        ("config", '{"encoder": "cnn", "made_up": 1}'),
        ("config", '{"encoder": "cnn", "features_dim": "__import__"}'),
        ("space", '{"space": "Graph"}'),
        ("space", "[" * 100_000),
    ],
)
def test_metadata_that_says_something_else(saved, name, text):
    """Nothing of it is run; each is a typed error."""
    rewrite(saved, lambda header: header["__metadata__"].update({name: text}))
    with pytest.raises(CheckpointError):
        load_encoder(saved)


def test_another_safetensors_file(tmp_path):
    """Weights of something else have no metadata of ours, and a pickle no header at all."""
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no encoder of rltk"):
        load_encoder(tmp_path / "other.safetensors", verify=False)
    torch.save({"w": torch.zeros(2)}, tmp_path / "pickled.pt")
    with pytest.raises(CheckpointError, match="no safetensors file"):
        load_encoder(tmp_path / "pickled.pt", verify=False)


def test_weights_that_do_not_fit_are_named(saved):
    """By name, and by shape where the name is there."""
    wider = Encoder(BOARD, "cnn", features_dim=9)
    before = {name: tensor.clone() for name, tensor in wider.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"'readout.layers.0.*\(8"):
        load_encoder(saved, encoder=wider)
    assert all(torch.equal(tensor, before[name]) for name, tensor in wider.state_dict().items())
    with pytest.raises(CheckpointError, match=r"is in the file and not in the encoder|is missing in the file"):
        load_encoder(saved, encoder=Encoder(BOARD, "mlp", features_dim=8))


def test_another_space(saved):
    """A board of another size is refused; other bounds are the file's matter."""
    with pytest.raises(SpaceError, match="was made for"):
        load_encoder(saved, spaces.Box(0, 9, (5, 5, 2), np.uint8))
    assert load_encoder(saved, spaces.Box(0, 255, (5, 4, 2), np.uint8)).observation_space == BOARD


def test_what_can_not_be_saved(tmp_path):
    """No module, no folder."""
    with pytest.raises(ArgumentError, match="torch module"):
        save_encoder("cnn", tmp_path / "e")
    with pytest.raises(CheckpointError, match="can't be written"):
        save_encoder(nn.Linear(1, 1), tmp_path / "nowhere" / "e")


def test_a_full_disk_leaves_the_old_file(saved, monkeypatch):
    """Whoever saves again and fails still has what was there."""
    before = saved.read_bytes()

    def full(path):
        raise OSError("No space left on device")

    monkeypatch.setattr(rltk.files, "sync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_encoder(Encoder(BOARD, "mlp"), saved)
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 2
    load_encoder(saved)
