"""Every trunk on every kind of space: refused with a typed error, or it computes, hides, trains and is made again."""

import inspect
import json

import numpy as np
import pytest
import torch
from gymnasium import spaces
from only_on_meta import OnlyOnMeta
from torch import nn

from rltk.encoders import TRUNKS, Encoder, Flat, Plain, config_of, encoder_from, exchanged, is_picture
from rltk.errors import SpaceError

Box = spaces.Box
BOARD = Box(0, 3, (5, 4, 2), np.uint8)
SPACES = {
    "discrete": spaces.Discrete(5, start=-1),
    "several indices": spaces.MultiDiscrete([3, 4, 2]),
    "bits": spaces.MultiBinary(6),
    "vector": Box(-1, 1, (6,), np.float32),
    "sequence": Box(-1, 1, (4, 3), np.float64),
    "board": BOARD,
    "board, channels first": Box(-1, 1, (2, 5, 6), np.float32),
    "stack of boards": Box(0, 3, (3, 4, 4, 1), np.uint8),
    "picture": Box(0, 255, (36, 36, 3), np.uint8),
    "boards and others": spaces.Dict(
        {"a": BOARD, "b": Box(0, 1, (3, 3, 1), np.float32), "c": spaces.Discrete(4), "d": Box(-1, 1, (2,), np.float32)}
    ),
    "no board": spaces.Tuple([spaces.Discrete(4), spaces.Text(5), Box(-1, 1, (2, 2), np.float32)]),
}
# Small forms, by the names that trunks give their options; a new trunk is built by its defaults or by these.
SMALL = {
    "blocks": 3,
    "convolutions": 1,
    "filters": (16, 16, 16),
    "growth": 4,
    "heads": 2,
    "hidden": (16,),
    "layers": 1,
    "outputs": 8,
    "queries": 3,
    "width": 8,
}


def made(trunk, space):
    """A small encoder, or None where the trunk's declared needs are not met: then, and only then, it is refused."""
    options = {name: value for name, value in SMALL.items() if name in inspect.signature(TRUNKS[trunk]).parameters}
    parts = Encoder(space, "mlp").parts
    needs = TRUNKS[trunk].needs
    met = not needs or (
        any(part.layout for part in parts) if needs == "layout" else sum(part.places for part in parts) > 1
    )
    torch.manual_seed(0)
    if met:
        return Encoder(space, trunk, token_width=8, features_dim=16, **options)
    with pytest.raises(SpaceError, match="needs a"):
        Encoder(space, trunk, token_width=8, features_dim=16, **options)
    return None


def sampled(space, count, seed):
    """`count` plain observations of any space; pictures, else all the same grey noise, of rising brightness."""
    plain = Plain(space)
    space.seed(seed)
    ones = [plain.one(space.sample()) for _ in range(count)]
    if is_picture(space):
        ones = [(one * ((number + 1) / count)).astype(np.uint8) for number, one in enumerate(ones)]
    if isinstance(ones[0], dict):
        return {name: torch.from_numpy(np.stack([one[name] for one in ones])) for name in ones[0]}
    return torch.from_numpy(np.stack(ones))


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_trunk_on_every_space(trunk, kind):
    space = SPACES[kind]
    encoder = made(trunk, space)
    if encoder is None:
        return
    x, others = sampled(space, 3, seed=0), sampled(space, 3, seed=1)

    computes(encoder, x)
    hides(encoder, x, others)
    is_made_again(encoder, space, x)
    trains(encoder, x)
    double = encoder.double()
    assert double(x).dtype == double.tokens(x).dtype == torch.float64
    encoder.to("meta")
    x = {name: part.to("meta") for name, part in x.items()} if isinstance(x, dict) else x.to("meta")
    with OnlyOnMeta():
        assert encoder(x).shape == (3, 16)


def computes(encoder, x):
    """Finite features, tokens of one width, tensors of the shapes that the trunk declares, and places kept if it says
    so."""
    features, tokens = encoder(x), encoder.tokens(x)
    assert features.shape == (3, encoder.features_dim) == (3, 16)
    assert features.isfinite().all()
    shapes = encoder.trunk.shapes
    assert tokens.shape == (3, sum(shape.places for shape in shapes), shapes[0].width)
    assert not encoder.trunk.keeps_places or tokens.shape[1] == encoder.places
    for tensor, shape in zip(encoder.trunk(encoder.stem(x)), shapes, strict=True):
        declared = (shape.width, *shape.layout) if shape.layout else (shape.places, shape.width)
        assert tensor.shape == (3, *declared)


def hides(encoder, x, others):
    """What stands at a hidden place changes nothing; at a shown one it does."""
    hidden = torch.zeros(3, encoder.places, dtype=torch.bool)
    hidden[:, :: 2 if encoder.places > 1 else 1] = True
    changed = exchanged(encoder.parts, x, others, hidden)
    with torch.no_grad():
        assert torch.equal(encoder.tokens(changed, hidden), encoder.tokens(x, hidden))
        assert torch.equal(encoder(changed, hidden), encoder(x, hidden))
        assert not torch.equal(encoder(changed), encoder(x))


def is_made_again(encoder, space, x):
    """Its config, through JSON, makes an encoder of the same form."""
    config = config_of(encoder)
    twin = encoder_from(json.loads(json.dumps(config)), space)
    assert config_of(twin) == config
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(twin(x), encoder(x))


def trains(encoder, x):
    """Sixty steps of Adam, or fewer, halve the error on three observations; each weight has got a gradient."""
    _, kinds = Flat(encoder.observation_space)(x).unique(dim=0, return_inverse=True)
    head, target = nn.Linear(16, 1), 1.5 * kinds[:, None] - 1
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], 5e-3)
    reached, first = set(), None
    for _ in range(60):
        loss = (head(encoder(x)) - target).square().mean()
        first = loss.item() if first is None else first
        if loss.item() < 0.5 * first:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        reached |= {name for name, weight in encoder.named_parameters() if weight.grad is not None}
    assert loss.item() < 0.5 * first
    assert reached == {name for name, _ in encoder.named_parameters()}
