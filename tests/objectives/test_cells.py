"""Every space, with every trunk and every objective: it trains, or is refused at construction with the reason."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rltk.encoders import TRUNKS, Encoder
from rltk.errors import SpaceError
from rltk.objectives import OBJECTIVES, Batch, objectives_of

ACTIONS, COUNT = 3, 4


def board(*shape):
    return spaces.Box(0, 4, shape, np.uint8)


SPACES = {
    "index": spaces.Discrete(7, start=2),
    "indices": spaces.MultiDiscrete([3, 4, 5], start=[1, 0, 0]),
    "bits": spaces.MultiBinary(5),
    "row": spaces.Box(-1, 1, (4,), np.float32),
    "sequence": spaces.Box(-1, 1, (3, 2), np.float32),
    "square board": board(4, 4, 2),
    "oblong board": board(4, 5, 2),
    "picture": spaces.Box(0, 255, (36, 36, 3), np.uint8),
    "dict": spaces.Dict({"image": board(4, 4, 1), "direction": spaces.Discrete(4), "speed": spaces.Box(-1, 1, (2,))}),
}
BOARDS = {"square board", "oblong board", "picture", "dict"}
SEVERAL_PLACES = BOARDS | {"indices", "sequence"}

# What a space has to have, by rule; what is not named here takes any.
NEEDS = {
    "masked": SEVERAL_PLACES,
    "simclr": SEVERAL_PLACES | {"row"},
    "curl": SEVERAL_PLACES | {"row"},
    "rotation": {"square board", "picture", "dict"},
    "jigsaw": BOARDS,
    "inpainting": BOARDS,
    "colourisation": {"picture"},
}
TRUNK_NEEDS = {"": set(SPACES), "layout": BOARDS, "sequence": SEVERAL_PLACES}

SMALL = {
    "mlp": {"hidden": (16,)},
    "linear": {"outputs": 16},
}


def sampled(space, count, seed):
    """`count` samples of a plain space, as a batch of tensors."""
    space.seed(seed)
    if space is SPACES["picture"]:  # of nine by nine blocks: of mere noise all windows look alike
        coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
        return torch.from_numpy(coarse.repeat(9, 1).repeat(9, 2))
    samples = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in space}
    return torch.from_numpy(np.stack(samples))


def a_batch(space, count=COUNT):
    q = torch.linspace(-1, 1, count * ACTIONS).reshape(count, ACTIONS).clone()
    q[:, 2] = -torch.inf
    distance = torch.linspace(0, 1, count)
    return Batch(
        sampled(space, count, 0),
        sampled(space, count, 1),
        torch.arange(count) % ACTIONS,
        targets={"value": q[:, 0], "q": q, "distance": (distance - distance[:, None]).abs()},
    )


def falls(encoder, objective, batch):
    """Whether a step down the gradient takes off a third or more of what its slope foretells, the random numbers being
    the same. It is a tenth of the loss long at first, and quartered while it fails (Armijo's rule)."""
    weights = [weight for weight in [*encoder.parameters(), *objective.parameters()] if weight.requires_grad]

    def loss():
        torch.manual_seed(1)
        return objective.loss(encoder, batch).total

    before = loss()
    slopes = torch.autograd.grad(before, weights, allow_unused=True, materialize_grads=True)
    steepness = sum(slope.square().sum() for slope in slopes)
    length = 0.1 * before / steepness
    with torch.no_grad():
        torch._foreach_sub_(weights, [length * slope for slope in slopes])
        for _ in range(12):
            if loss() < before - length * steepness / 3:
                return True
            length = length / 4
            torch._foreach_add_(weights, [3 * length * slope for slope in slopes])
    return False


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("name", SPACES)
def test_every_cell_trains_or_is_refused(name, trunk):
    space, refused = SPACES[name], set()
    batch = a_batch(space)
    if name not in TRUNK_NEEDS[TRUNKS[trunk].needs]:
        with pytest.raises(SpaceError):
            Encoder(space, trunk)
        return
    for objective in OBJECTIVES:
        torch.manual_seed(0)
        encoder = Encoder(space, trunk, features_dim=16, token_width=8, **SMALL.get(trunk, {}))
        try:
            made = objectives_of(objective, encoder, actions=ACTIONS)
        except SpaceError:
            refused.add(objective)
            continue
        assert falls(encoder.double(), made.double().eval(), batch), objective  # in training CURL's keys move too

    assert refused == {objective for objective, spaces in NEEDS.items() if name not in spaces}
