"""What an observation consists of: places, what they hold, what is hidden or exchanged there, how likely it is."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rltk.encoders import STEMS, Encoder, Likelihood, Plain, exchanged, parts_of
from rltk.errors import ArgumentError, SpaceError, UnknownNameError

BOARD = spaces.Box(
    np.zeros((4, 5, 3), np.uint8),
    np.broadcast_to(np.array([3, 1, 200], np.uint8), (4, 5, 3)),
    dtype=np.uint8,
)
SPACES = {
    "index": spaces.Discrete(5, start=-2),
    "indices": spaces.MultiDiscrete([3, 4], start=[1, 0]),
    "bits": spaces.MultiBinary(3),
    "numbers": spaces.Box(-9, 9, (6,), np.float32),
    "sequence": spaces.Box(-9, 9, (4, 2), np.float32),
    "board": BOARD,
    "first": spaces.Box(0, 4, (2, 5, 5), np.uint8),
    "stack": spaces.Box(0, 4, (3, 5, 5, 2), np.uint8),
    "picture": spaces.Box(0, 255, (40, 48, 3), np.uint8),
    "dict": spaces.Dict({"board": BOARD, "index": spaces.Discrete(4), "numbers": spaces.Box(-1, 1, (2,), np.float32)}),
}
PLACES = {"index": 1, "indices": 2, "bits": 1, "numbers": 1, "sequence": 4, "board": 20, "first": 25, "stack": 25}
PLACES |= {"picture": 30, "dict": 22}


def sampled(space, count, seed=0):
    space.seed(seed)
    ones = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {name: torch.from_numpy(np.stack([one[name] for one in ones])) for name in space}
    return torch.from_numpy(np.stack(ones))


def entries(x):
    """An observation's tensors."""
    return list(x.values()) if isinstance(x, dict) else [x]


@pytest.mark.parametrize("name", SPACES)
def test_places(name):
    """How many there are, that each entry belongs to one, and that all are used."""
    parts = parts_of(SPACES[name])

    assert sum(part.places for part in parts) == PLACES[name]
    for part, x in zip(parts, entries(sampled(SPACES[name], 1)), strict=True):
        assert part.place.shape == x.shape[1:]
        assert set(part.place.flatten().tolist()) == set(range(part.places))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("stem", STEMS)
def test_what_is_hidden_shows_nowhere(name, stem):
    """With a place hidden, other contents of it change nothing; with another one hidden, they change something."""
    torch.manual_seed(0)
    encoder, x, other = Encoder(SPACES[name], stem=stem), sampled(SPACES[name], 6), sampled(SPACES[name], 6, seed=1)
    for place in {0, encoder.places // 2, encoder.places - 1}:
        here = torch.zeros(6, encoder.places, dtype=torch.bool)
        here[:, place] = True
        changed = exchanged(encoder.parts, x, other, here)
        assert torch.equal(encoder(x, here), encoder(changed, here))
        assert torch.equal(encoder.tokens(x, here), encoder.tokens(changed, here))
        assert not torch.equal(encoder(x), encoder(changed))
        assert not torch.equal(encoder(x), encoder(x, here))


@pytest.mark.parametrize("name", SPACES)
def test_exchanging_is_place_by_place(name):
    """All places give the other observation, none gives its own; what differs lies in the exchanged places alone."""
    parts, x, other = parts_of(SPACES[name]), sampled(SPACES[name], 5), sampled(SPACES[name], 5, seed=1)
    places = sum(part.places for part in parts)
    everywhere = torch.ones(5, places, dtype=torch.bool)
    for found, expected in ((everywhere, other), (~everywhere, x)):
        for one, peer in zip(entries(exchanged(parts, x, other, found)), entries(expected), strict=True):
            assert torch.equal(one, peer)

    torch.manual_seed(0)
    where = torch.rand(5, places) < 0.5
    mixed, before = entries(exchanged(parts, x, other, where)), 0
    for part, one, own, foreign in zip(parts, mixed, entries(x), entries(other), strict=True):
        for b in range(5):
            for at in np.ndindex(tuple(one.shape[1:])):
                taken = where[b, before + part.place[at]]
                assert one[b][at] == (foreign if taken else own)[b][at]
        before += part.places


def test_a_board_s_places_are_its_cells_row_by_row():
    """Of a cell: the id of each channel of symbols, and the numbers of the others, scaled."""
    (part,), x = parts_of(BOARD), sampled(BOARD, 3)

    ids, numbers = part.ids(x), part.scaled(x)

    assert part.values == (4, 2)
    assert part.layout == (4, 5)
    for b, i, j in np.ndindex(3, 4, 5):
        assert ids[b, 5 * i + j].tolist() == x[b, i, j, :2].tolist()
        assert numbers[b, 5 * i + j].item() == pytest.approx(x[b, i, j, 2].item() / 200)


def test_a_picture_s_places_are_patches():
    """Each holds p x p pixels of every channel; 40 x 48 has patches of 8 x 8."""
    (part,), x = parts_of(SPACES["picture"]), sampled(SPACES["picture"], 2)

    numbers = part.scaled(x).unflatten(2, (3, 8, 8))

    assert (part.patch, part.layout, part.numbers) == (8, (5, 6), 192)
    for i, j in np.ndindex(5, 6):
        patch = x[:, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8].permute(0, 3, 1, 2) / 255
        assert torch.allclose(numbers[:, 6 * i + j], patch)


@pytest.mark.parametrize("channels", ["last", "first"])
def test_patches_reach_beyond_a_picture_that_they_do_not_divide(channels):
    """41 x 47 by patches of 6: a row and a column of zeros beyond, which cost nothing whatever is said of them."""
    shape = (41, 47, 3) if channels == "last" else (3, 41, 47)
    (part,), x = parts_of(spaces.Box(0, 255, shape, np.uint8)), torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    assert (part.patch, part.layout, part.beyond) == (6, (7, 8), (1, 1))
    place = part.place.movedim(-1, 0) if channels == "last" else part.place
    rows, columns = torch.arange(41)[:, None] // 6, torch.arange(47) // 6
    assert torch.equal(place, (8 * rows + columns).expand(3, 41, 47))
    planes = x.permute(0, 3, 1, 2) if channels == "last" else x
    whole = torch.zeros(2, 3, 42, 48)
    whole[:, :, :41, :47] = planes / 255
    numbers = part.scaled(x).unflatten(2, (3, 6, 6))
    for i, j in np.ndindex(7, 8):
        assert torch.allclose(numbers[:, 8 * i + j], whole[:, :, 6 * i : 6 * i + 6, 6 * j : 6 * j + 6])
    assert part.inside.sum() == 3 * 41 * 47

    likelihood = Likelihood([part], 4)
    decoded = torch.randn(2, 56, 4)
    mu = likelihood.heads[0](decoded)  # (2, 56, 108)
    by_hand = 0.5 * (part.scaled(x) - mu).square() + 0.5 * np.log(2 * np.pi)
    nll = likelihood.nll(decoded, x)
    assert torch.allclose(nll, (by_hand * part.inside).sum(-1), rtol=1e-5)
    assert nll[:, 55].allclose(by_hand.unflatten(2, (3, 6, 6))[:, 55, :, :5, :5].flatten(1).sum(-1), rtol=1e-5)


@pytest.mark.parametrize("trunk", ["transformer", "vit", "mlp"])
def test_hidden_patches_beyond_an_edge_hide_their_pixels(trunk):
    encoder = Encoder(spaces.Box(0, 255, (41, 47, 3), np.uint8), trunk).eval()
    (part,) = encoder.parts
    x = torch.randint(0, 256, (2, 41, 47, 3), dtype=torch.uint8)
    hidden = torch.zeros(2, 56, dtype=torch.bool)
    hidden[:, 55] = True
    changed = x.clone()
    changed[:, 36:, 42:] = 255 - changed[:, 36:, 42:]
    assert torch.equal(encoder(x, hidden), encoder(changed, hidden))
    assert not torch.equal(encoder(x), encoder(changed))
    assert torch.equal(part.exchanged(x, changed, hidden), changed)


def test_large_boards_of_numbers_have_patches_and_boards_of_symbols_have_none():
    floats = spaces.Box(0, 1, (84, 84, 3), np.float32)
    (pixels,), (symbols,) = parts_of(floats), parts_of(spaces.Box(0, 4, (40, 40, 2), np.uint8))
    assert (pixels.patch, pixels.places) == (7, 144)
    assert (symbols.patch, symbols.places) == (1, 1600)
    assert Encoder(floats, "cnn").features_dim == 512


def test_two_long_axes_are_a_picture_unless_they_are_said_not_to_be():
    """(50, 40): patches of a picture, or 50 rows, which an LSTM reads one after the other."""
    space = spaces.Box(-1, 1, (50, 40), np.float32)
    (picture,), (rows,) = parts_of(space), parts_of(space, pictures=False)
    assert (picture.layout, rows.layout, rows.places, rows.numbers) == ((7, 5), None, 50, 40)
    encoder = Encoder(space, "lstm", pictures=False)
    assert encoder.places == 50
    assert encoder(torch.zeros(2, 50, 40)).shape == (2, encoder.features_dim)
    with pytest.raises(SpaceError, match="2-D layout"):
        Encoder(space, "cnn", pictures=False)


def test_symbols_beyond_the_bounds_count_as_the_nearest():
    (part,) = parts_of(spaces.Box(2, 4, (2, 2, 1), np.uint8))
    x = torch.tensor([[[[0], [2]], [[4], [9]]]], dtype=torch.uint8)
    assert part.ids(x).flatten().tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize("name", ["index", "indices", "dict"])
@pytest.mark.parametrize("stem", STEMS)
def test_one_hots_are_read_as_the_indices_that_they_stand_for(name, stem):
    """Stable-Baselines3 hands indices to an extractor one-hot, as floats."""
    space = SPACES[name]
    encoder, x = Encoder(space, stem=stem), sampled(space, 5)

    def hot(space, x):
        if isinstance(space, spaces.Discrete):
            return torch.nn.functional.one_hot(x - int(space.start), int(space.n)).float()
        if isinstance(space, spaces.MultiDiscrete):
            columns = (x - torch.as_tensor(space.start)).T
            return torch.cat(
                [torch.nn.functional.one_hot(c, int(n)) for c, n in zip(columns, space.nvec, strict=True)], 1
            ).float()
        return x.float()

    shown = {key: hot(space[key], x[key]) for key in x} if isinstance(x, dict) else hot(space, x)
    assert torch.equal(encoder(shown), encoder(x))


@pytest.mark.parametrize("name", SPACES)
def test_the_likelihood_is_its_equation(name):
    """Equal to a loop over parts, places, ids and numbers, in nats; its guess is what is most likely."""
    torch.manual_seed(0)
    parts, x = parts_of(SPACES[name]), sampled(SPACES[name], 2)
    likelihood = Likelihood(parts, 7, sigma=0.5).double()
    decoded = torch.randn(2, PLACES[name], 7, dtype=torch.float64)

    found, guesses = likelihood.nll(decoded, x), likelihood.guess(decoded)

    place = 0
    for part, head, own, (ids, numbers) in zip(parts, likelihood.heads, entries(x), guesses, strict=True):
        for i in range(part.places):
            for b in range(2):
                said, cost, at = head(decoded[b, place]).tolist(), 0.0, 0
                for channel, count in enumerate(part.values):
                    scores, true = said[at : at + count], part.ids(own)[b, i, channel]
                    cost += math.log(sum(map(math.exp, scores))) - scores[true]
                    assert ids[b, i, channel] == np.argmax(scores)
                    at += count
                for k in range(part.numbers):
                    error = part.double().scaled(own)[b, i, k].item() - said[at + k]
                    cost += error**2 / (2 * 0.25) + math.log(0.5 * math.sqrt(2 * math.pi))
                    assert numbers[b, i, k].item() == pytest.approx(said[at + k])
                assert found[b, place].item() == pytest.approx(cost, rel=1e-9)
            place += 1


def test_a_board_without_bounds_is_refused():
    """Numbers up to 2^63 would all be scaled to nothing."""
    with pytest.raises(SpaceError, match="how large they are"):
        Encoder(spaces.Box(-(2**62), 2**62, (4, 4, 1), np.int64), "cnn")


@pytest.mark.parametrize("shape", [(5, 6, 4), (5, 5, 5)])
def test_where_the_channels_are_is_heeded_by_every_stem(shape):
    """Channels first, a place is a cell of all channels: hidden in the flat row as in the planes."""
    space = spaces.Box(0, 10, shape, np.uint8)
    encoder = Encoder(space, "mlp", hidden=(), channels="first")
    x = torch.ones(1, *shape, dtype=torch.uint8)
    here = torch.zeros(1, encoder.places, dtype=torch.bool)
    here[0, 0] = True
    row = encoder(x, here).unflatten(1, shape)[0]
    assert not row[:, 0, 0].any()
    assert row.sum() == math.prod(shape) - shape[0]


def test_parts_without_numbers_are_left_out():
    """A Dict may have an empty part; where all are empty there is nothing to learn from."""
    empty = spaces.Box(0, 1, (0,), np.float32)
    space = spaces.Dict({"a": empty, "b": spaces.Discrete(3)})
    assert [part.name for part in parts_of(space)] == ["b"]
    assert Encoder(space, "mlp")(sampled(Plain(space).space, 2)).shape == (2, 64)
    with pytest.raises(SpaceError, match="nothing to learn"):
        parts_of(empty)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stem": "words"}, UnknownNameError, "flat, planes, tokens"),
        ({"readout": "sum"}, ArgumentError, "flatten"),
        ({"trunk": "cnn", "readout": "none"}, ArgumentError, "single place"),
        ({"token_width": 0}, ArgumentError, "token_width"),
        ({"trunk": "resnet"}, UnknownNameError, "mlp"),
        ({"trunk": 7}, ArgumentError, "torch module"),
        ({"trunk": torch.nn.Linear(3, 4)}, ArgumentError, "failed with"),
        ({"trunk": torch.nn.Identity(), "hidden": (3,)}, ArgumentError, "no options"),
        ({"trunk": torch.nn.Unflatten(1, (11, 2))}, ArgumentError, "was expected"),
        ({"trunk": torch.nn.Linear(1, 1), "stem": "planes"}, ArgumentError, "one width"),
    ],
)
def test_what_an_encoder_refuses(options, error, message):
    with pytest.raises(error, match=message):
        Encoder(SPACES["dict"], **options)


def test_any_module_is_a_trunk():
    """One that keeps the places, one that gives a row; their weights are the encoder's."""
    for module, shape, keeps in (
        (torch.nn.Linear(16, 8), (3, 22, 8), True),
        (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(22 * 16, 9)), (3, 1, 9), False),
    ):
        encoder = Encoder(SPACES["dict"], module, token_width=16, features_dim=5)
        assert encoder.tokens(sampled(SPACES["dict"], 3)).shape == shape
        assert encoder.trunk.keeps_places == keeps
        assert encoder(sampled(SPACES["dict"], 3)).shape == (3, 5)
        assert {id(p) for p in module.parameters()} <= {id(p) for p in encoder.parameters()}


@pytest.mark.parametrize("readout", ["flatten", "mean", "class", "last"])
def test_readouts_are_their_equations(readout):
    torch.manual_seed(0)
    encoder, x = (
        Encoder(SPACES["dict"], "cnn", stem="tokens", readout=readout, features_dim=5),
        sampled(SPACES["dict"], 3),
    )
    tokens = encoder.tokens(x)  # (3, 22, 16)
    layer = encoder.readout.layers[0]
    board = tokens[:, :20].mT.flatten(1)  # as maps lie: channels first
    row = {
        "flatten": torch.cat([board, tokens[:, 20:].flatten(1)], 1),
        "mean": tokens.mean(1),
        "class": tokens[:, 0],
        "last": tokens[:, -1],
    }[readout]
    expected = layer(row).relu() if readout == "flatten" else layer(row)
    assert torch.allclose(encoder(x), expected, atol=1e-5)
