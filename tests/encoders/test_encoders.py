"""Encoders: the stems' rows and planes, the networks' shapes, the choice among them, configs, devices, refusals."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from only_on_meta import OnlyOnMeta
from torch import nn

import rltk
from rltk.encoders import Encoder, Flat, Plain, Planes, config_of, encoder_from, encoder_of, is_picture
from rltk.errors import ArgumentError, SpaceError, UnknownNameError


def to_torch(observations):
    if isinstance(observations, dict):
        return {name: torch.from_numpy(part) for name, part in observations.items()}
    return torch.from_numpy(observations)


def sampled(space, count, seed=0):
    """`count` samples of a plain space, as a batch of tensors."""
    space.seed(seed)
    samples = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in space}
    return torch.from_numpy(np.stack(samples))


# Flat


def test_flat_rows_by_hand():
    """A Dict's parts side by side: numbers as they are, each index a one-hot counted from its start."""
    space = spaces.Dict(
        {
            "box": spaces.Box(-9, 9, (2, 1), np.float32),
            "one": spaces.Discrete(3, start=-1),
            "several": spaces.MultiDiscrete([2, 3], start=[5, 0]),
            "zeros": spaces.MultiBinary(2),
        }
    )
    flat = Flat(space)

    row = flat(
        {
            "box": torch.tensor([[[3.5], [-1.0]]]),
            "one": torch.tensor([1]),
            "several": torch.tensor([[5, 2]]),
            "zeros": torch.tensor([[0, 1]], dtype=torch.int8),
        }
    )

    assert flat.kind == "mixed"
    assert flat.width == 12
    assert row.tolist() == [[3.5, -1.0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1]]


def test_flat_says_how_a_kernel_can_read_it():
    """kind, scale, offsets and width are what the compiled path needs: the row follows from them."""
    several = spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[7, -1], [0, 2]])
    flat, x = Flat(several), sampled(several, 9)
    row = torch.zeros(9, flat.width)
    for j, column in enumerate(flat.offsets.tolist()):
        row[torch.arange(9), column + x.reshape(9, 4)[:, j]] = 1
    assert flat.kind == "indices"
    assert torch.equal(flat(x), row)

    numbers = Flat(spaces.Box(0, 255, (36, 36, 3), np.uint8))
    assert (numbers.kind, numbers.scale, numbers.width, len(numbers.offsets)) == ("numbers", 1 / 255, 36 * 36 * 3, 0)
    assert not list(numbers.state_dict())


def test_small_numbers_declared_as_bytes_are_no_pixels():
    """MiniGrid declares 0..255 for a board of 7x7 small numbers; dividing these by 255 would hide them."""
    board, picture = spaces.Box(0, 255, (7, 7, 3), np.uint8), spaces.Box(0, 255, (36, 40, 3), np.uint8)
    assert not is_picture(board)
    assert is_picture(picture)
    assert not is_picture(spaces.Box(0, 10, (36, 40, 3), np.uint8))
    assert not is_picture(spaces.Box(0, 255, (1000,), np.uint8))
    assert is_picture(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    assert is_picture(spaces.Box(0, 255, (4, 84, 84, 3), np.uint8))
    assert not is_picture(spaces.Box(0, 255, (84, 84, 3), np.float32))

    x = torch.full((1, 7, 7, 3), 10, dtype=torch.uint8)
    assert Flat(board)(x).max() == 10
    assert Flat(board, pictures=True)(x).max() == pytest.approx(10 / 255)
    assert Flat(picture, pictures=False).scale == 1
    assert torch.equal(Planes(board)(x), torch.ones(1, 3, 7, 7))


def test_encoders_compute_in_the_type_of_their_weights():
    """A double network reads double rows, so that comparisons to 1e-9 can be made."""
    space = spaces.Dict({"board": spaces.Box(0, 9, (4, 4, 2), np.uint8), "n": spaces.Discrete(3)})
    for encoder in (Encoder(space).double(), Encoder(space, "cnn").double()):
        assert encoder(sampled(space, 2)).dtype == torch.float64


# Planes


def test_symbols_get_a_plane_each():
    """Equal to a loop over cells, channels and symbols; a channel of two symbols needs one plane."""
    high = np.broadcast_to(np.array([3, 1, 200], np.uint8), (4, 5, 3))
    space = spaces.Box(np.zeros_like(high), high, dtype=np.uint8)
    planes, x = Planes(space), sampled(space, 6)

    found = planes(x)

    expected = torch.zeros(6, 6, 4, 5)
    for b, i, j in np.ndindex(6, 4, 5):
        for symbol in range(4):
            expected[b, symbol, i, j] = float(x[b, i, j, 0] == symbol)
        expected[b, 4, i, j] = float(x[b, i, j, 1])
        expected[b, 5, i, j] = x[b, i, j, 2] / 200
    assert torch.allclose(found, expected)
    assert (planes.channels, planes.height, planes.width) == (6, 4, 5)


def test_symbols_below_zero_and_a_channel_that_never_changes():
    space = spaces.Box(np.array([[[-2, 3]]]), np.array([[[0, 3]]]), dtype=np.int64)
    x = torch.tensor([[[[-1, 3]]]])
    assert Planes(space)(x).flatten().tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("shape", "channels", "found"),
    [
        ((7, 7, 3), None, (3, 7, 7)),
        ((7, 7, 20), None, (20, 7, 7)),
        ((20, 7, 7), None, (20, 7, 7)),
        ((4, 84, 84), None, (4, 84, 84)),
        ((210, 160, 3), None, (3, 210, 160)),
        ((3, 210, 160), None, (3, 210, 160)),
        ((5, 5, 5), None, (5, 5, 5)),
        ((5, 5, 5), "first", (5, 5, 5)),
        ((3, 5, 7), "last", (7, 3, 5)),
        ((4, 13, 13, 2), None, (8, 13, 13)),
        ((4, 2, 13, 13), None, (8, 13, 13)),
        ((40, 50), None, (1, 40, 50)),
    ],
)
def test_axes(shape, channels, found):
    """Where the channels are, is seen by the shape unless it is said; a stack's frames lie behind each other."""
    planes = Planes(spaces.Box(-np.inf, np.inf, shape, np.float32), channels=channels)
    x = torch.arange(2 * np.prod(shape)).reshape(2, *shape).float()

    assert (planes.channels, planes.height, planes.width) == found
    assert planes(x).shape == (2, *found)
    if len(shape) == 4 and found[0] == 8 and shape[-1] == 2:
        assert torch.equal(planes(x)[1, 5], x[1, 2, :, :, 1])
    if shape == (5, 5, 5):
        assert torch.equal(planes(x)[0, 2], x[0, 2] if channels == "first" else x[0, :, :, 2])


def test_pixels():
    picture = spaces.Box(0, 255, (40, 40, 3), np.uint8)
    x = sampled(picture, 2)
    assert torch.allclose(Planes(picture)(x), x.permute(0, 3, 1, 2) / 255)
    assert torch.equal(Planes(picture, pictures=False)(x), x.permute(0, 3, 1, 2).float() * 0.1)
    floats = spaces.Box(0, 255, (40, 40, 3), np.float32)
    with pytest.raises(SpaceError, match="pictures=True"):
        Planes(floats)
    with pytest.raises(SpaceError, match="floats from 0 to 255"):
        Encoder(floats)
    assert Planes(floats, pictures=True)(torch.full((1, 40, 40, 3), 255.0)).max() == pytest.approx(1)
    assert Planes(floats, pictures=False)(torch.full((1, 40, 40, 3), 255.0)).max() == 255
    unit = spaces.Box(0, 1, (40, 40, 3), np.float32)
    assert Planes(unit, pictures=True)(torch.ones(1, 40, 40, 3)).max() == 1


# Networks


def test_an_mlp_is_its_flat_row_and_its_layers():
    """Written out for one hidden layer; without hidden layers the features are the row."""
    space = spaces.MultiDiscrete([3, 4])
    mlp, x = Encoder(space, hidden=(5,), activation="tanh"), sampled(space, 7)
    row = torch.cat([nn.functional.one_hot(x[:, 0], 3), nn.functional.one_hot(x[:, 1], 4)], 1).float()

    assert torch.allclose(mlp(x), torch.tanh(row @ mlp.trunk.layers[0].weight.T + mlp.trunk.layers[0].bias))
    assert torch.equal(Encoder(space, hidden=())(x), row)
    assert Encoder(space, hidden=()).features_dim == 7
    assert [type(layer).__name__ for layer in Encoder(space).trunk.layers] == ["Linear", "ReLU", "Linear", "ReLU"]


def test_the_picture_network_is_that_of_mnih_and_others():
    """Mnih et al. (2015), Methods: 84x84x4 gives 32 of 20x20, 64 of 9x9, 64 of 7x7, then 512 units."""
    cnn = Encoder(spaces.Box(0, 255, (4, 84, 84), np.uint8), "cnn")

    shapes = [tuple(part.shape) for name, part in cnn.named_parameters() if "weight" in name]
    assert shapes == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 64 * 7 * 7)]
    assert cnn.features_dim == 512


def test_a_cnn_takes_the_other_parts_of_a_dict_along():
    """The direction of a MiniGrid agent and its mission reach the features, as does each of two boards."""
    board = spaces.Box(0, 255, (5, 5, 3), np.uint8)
    space = spaces.Dict({"a": board, "b": board, "direction": spaces.Discrete(4), "note": spaces.Text(9)})
    cnn = Encoder(space, "cnn")
    x = sampled(cnn.observation_space, 2)
    with torch.no_grad():
        before = cnn(x)
        for name in x:
            changed = {**x, name: x[name].roll(1, 0)}
            assert not torch.equal(changed[name], x[name])
            assert not torch.equal(cnn(changed), before), name


@pytest.mark.parametrize("mode", ["index", "onehot", "coords", "symbolic", "egocentric", "rgb"])
def test_every_mode_of_a_gridworld_has_an_encoder(mode):
    env = gym.make("rltk/FourRooms-v0", observation=mode)
    encoder = encoder_of(None, env.observation_space)
    observation, _ = env.reset(seed=0)

    assert encoder.config()["encoder"] == ("cnn" if mode in ("symbolic", "egocentric", "rgb") else "mlp")
    assert encoder(torch.from_numpy(Plain(env.observation_space).one(observation)[None])).shape == (
        1,
        {"rgb": 512, "symbolic": 128, "egocentric": 128}.get(mode, 64),
    )


def test_a_small_cnn_fits_the_optimum_of_a_board():
    """From the board of symbols, 300 steps of Adam bring Q* of FrozenLake within 5% of its variance."""
    env = gym.make("rltk/FrozenLake-v0", observation="symbolic")
    q = torch.as_tensor(rltk.solve(env, gamma=0.99).q, dtype=torch.float32)
    observations = torch.from_numpy(env.unwrapped.observations(np.arange(len(q))))
    torch.manual_seed(0)
    network = nn.Sequential(Encoder(env.observation_space, "cnn"), nn.Linear(128, q.shape[1]))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(300):
        loss = nn.functional.mse_loss(network(observations), q)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05 * q.var().item()


# Any space

boxes = st.builds(
    lambda shape, bounds, dtype: spaces.Box(*bounds, shape, dtype),
    st.sampled_from([(), (1,), (3,), (2, 3), (4, 4, 3), (2, 5, 5), (2, 4, 4, 2)]),
    st.sampled_from([(0, 1), (0, 100), (2, 9)]),
    st.sampled_from([np.float32, np.float64, np.uint8, np.int32, np.int64, np.uint16]),
)
simple = st.one_of(
    boxes,
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 6), st.integers(-3, 3)),
    st.lists(st.integers(1, 5), min_size=1, max_size=3).map(lambda n: spaces.MultiDiscrete(n, start=[2] * len(n))),
    st.sampled_from([spaces.MultiBinary(3), spaces.MultiBinary((2, 2)), spaces.Text(8)]),
)
any_space = st.recursive(
    simple,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(spaces.Tuple),
        st.dictionaries(st.sampled_from(["a", "b", "c d.e"]), parts, min_size=1, max_size=3).map(spaces.Dict),
    ),
    max_leaves=5,
)


@given(any_space)
@settings(deadline=None, max_examples=60)
def test_every_encoder_takes_any_space(space):
    """Samples of any space, made plain, give finite features (B, features_dim); a config gives the same form again."""
    plain = Plain(space)
    space.seed(0)
    ones = [plain.one(space.sample()) for _ in range(3)]
    batch = {name: np.stack([one[name] for one in ones]) for name in ones[0]} if isinstance(ones[0], dict) else ones
    x = to_torch(batch) if isinstance(batch, dict) else torch.from_numpy(np.stack(batch))

    for name in ("mlp", "cnn"):
        try:
            encoder = encoder_of(name, space)
        except SpaceError:
            assert name == "cnn"
            continue
        features = encoder(x)
        assert features.shape == (3, encoder.features_dim)
        assert features.isfinite().all()
        twin = encoder_from(config_of(encoder), space)
        twin.load_state_dict(encoder.state_dict())
        assert torch.equal(twin(x), features)
    assert encoder_of(None, space).config()["encoder"] in ("mlp", "cnn")


@given(any_space)
@settings(deadline=None, max_examples=30)
def test_every_tensor_is_on_the_device_of_the_encoder(space):
    """Without a GPU: on the device "meta", nothing that forward makes is anywhere else."""
    plain = Plain(space).space
    x = sampled(plain, 2)
    x = {name: part.to("meta") for name, part in x.items()} if isinstance(x, dict) else x.to("meta")
    encoder = encoder_of(None, space).to("meta")
    with OnlyOnMeta():
        assert encoder(x).shape == (2, encoder.features_dim)


# The choice


class Own(nn.Module):
    """A user's module for (3,) floats, which draws random numbers as it runs."""

    def __init__(self, space, width=8):
        super().__init__()
        self.features_dim = width
        self.layer, self.drop = nn.Linear(3, width), nn.Dropout().eval()

    def forward(self, x):
        return self.layer(x) + 0 * torch.rand(())


ROW = spaces.Box(-1, 1, (3,), np.float32)


def test_modules_and_functions_of_ones_own():
    own = Own(ROW)
    state = torch.get_rng_state()
    assert encoder_of(own, ROW) is own
    assert torch.equal(torch.get_rng_state(), state)
    assert own.training  # the trial leaves each part in the mode it was in
    assert not own.drop.training
    assert encoder_of(Own, ROW, {"width": 5}).features_dim == 5
    assert encoder_of(Encoder, ROW, {"hidden": [7]}).features_dim == 7
    assert encoder_of(Encoder(spaces.Box(0, 1, (3,), np.float64)), ROW).features_dim == 64  # bounds may differ
    with pytest.raises(ArgumentError, match="your own"):
        encoder_from(config_of(own), ROW)


@pytest.mark.parametrize(
    ("encoder", "options", "error", "message"),
    [
        ("resnet", {}, UnknownNameError, "mlp, cnn"),
        ("mlp", {"hiden": [3]}, ArgumentError, "hiden"),
        ("mlp", {"hidden": [0]}, ArgumentError, "hidden"),
        ("mlp", {"hidden": 64}, ArgumentError, "hidden"),
        ("mlp", {"activation": "step"}, ArgumentError, "relu"),
        ("cnn", {}, SpaceError, "2-D layout"),
        (Own(ROW), {"width": 3}, ArgumentError, "no options"),
        (nn.Linear(3, 4), {}, ArgumentError, "features_dim = 64"),
        (Own, {"width": "wide"}, TypeError, r"wide|str|Tuple|tuple"),
        (lambda space: None, {}, ArgumentError, "NoneType"),
        (3, {}, ArgumentError, "callable"),
        (Encoder(spaces.Discrete(3)), {}, SpaceError, "made for"),
    ],
)
def test_encoders_that_do_not_fit(encoder, options, error, message):
    with pytest.raises(error, match=message):
        encoder_of(encoder, ROW, options)


def test_a_module_that_gives_something_else_is_found_out():
    with pytest.raises(ArgumentError, match="plain observations"):
        encoder_of(Own(ROW), spaces.Box(-1, 1, (4,), np.float32))
    wrong = Own(ROW)
    wrong.features_dim = 9
    with pytest.raises(ArgumentError, match=r"\(2, 9\)"):
        encoder_of(wrong, ROW)


def test_what_an_encoder_cannot_be_made_of():
    with pytest.raises(SpaceError, match="nothing to learn"):
        Encoder(spaces.Box(0, 1, (0,), np.float32))
    for wrong in (0, 1.5, "wide"):
        with pytest.raises(ArgumentError, match="features_dim"):
            Encoder(spaces.Box(0, 1, (4, 4, 1), np.float32), "cnn", features_dim=wrong)
    with pytest.raises(ArgumentError, match="channels"):
        Encoder(spaces.Box(0, 1, (4, 4, 1), np.float32), "cnn", channels="middle")
    with pytest.raises(SpaceError, match="plain"):
        Flat(spaces.Text(3))


def test_the_room_hands_out_its_names_without_torch():
    """`import rltk.encoders` and Plain read no torch."""
    import subprocess
    import sys

    code = "import sys, rltk; rltk.encoders.Plain; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in rltk.encoders.__all__:
        assert getattr(rltk.encoders, name) is not None
    with pytest.raises(AttributeError, match="encoder_of"):
        rltk.encoders.nothing  # noqa: B018
