"""Every space, with every trunk and every objective: it trains, or is refused at construction with the reason."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rltk.encoders import TRUNKS, Encoder
from rltk.errors import SpaceError
from rltk.objectives import OBJECTIVES, Batch, objectives_of

ACTIONS, COUNT, STEPS = 3, 4, 2


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


def loss_before_and_after(encoder, objective, batch):
    """The losses around STEPS of 0.0005 down the gradient's sign, with the same random numbers each time."""
    weights = [weight for weight in [*encoder.parameters(), *objective.parameters()] if weight.requires_grad]
    losses = []
    for _ in range(STEPS + 1):
        torch.manual_seed(1)
        loss = objective.loss(encoder, batch).total
        losses.append(loss.item())
        slopes = torch.autograd.grad(loss, weights, allow_unused=True)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                if slope is not None:
                    weight -= 0.0005 * slope.sign()
    return losses[0], losses[-1]


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
        encoder = Encoder(space, trunk, features_dim=16, token_width=16, **SMALL.get(trunk, {}))
        try:
            made = objectives_of(objective, encoder, actions=ACTIONS)
        except SpaceError as error:
            assert "use" in str(error)
            refused.add(objective)
            continue
        before, after = loss_before_and_after(encoder, made, batch)
        assert after < before - 1e-3 * abs(before), (objective, before, after)

    assert refused == {objective for objective, spaces in NEEDS.items() if name not in spaces}
