"""Objectives: what a batch has to be, how they combine, what views are, and what constant observations give."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from only_on_meta import OnlyOnMeta
from torch import nn

import rltk
from rltk.encoders import Encoder
from rltk.errors import ArgumentError, SpaceError, UnknownNameError
from rltk.objectives import OBJECTIVES, Batch, Objective, objectives_of
from rltk.objectives.colourisation import Colourisation
from rltk.objectives.views import Views, shifted

PICTURE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
ROW = spaces.Box(-1, 1, (3,), np.float32)
DICT = spaces.Dict({"board": spaces.Box(0, 4, (4, 4, 1), np.uint8), "heading": spaces.Discrete(4), "speed": ROW})


def small(space):
    return Encoder(space, "mlp", hidden=(8,))


def rows(count=4):
    return torch.linspace(-1, 1, 3 * count).reshape(count, 3)


def transitions(count=4):
    value = torch.arange(float(count))
    targets = {
        "value": value,
        "q": value[:, None] + torch.tensor([0.0, -torch.inf]),
        "distance": torch.rand(count, count),
    }
    return Batch(rows(count), rows(count).flip(0), torch.arange(count) % 2, targets=targets)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_missing_is_named(name):
    """Without the pairs of an episode of one frame, actions or targets, the message says what to give."""
    objective = objectives_of(name, small(PICTURE), actions=2)
    if objective.needs:
        with pytest.raises(ArgumentError, match=f"needs {objective.needs[0]}.*give "):
            objective.loss(small(PICTURE), Batch(torch.zeros(3, 36, 36, 3, dtype=torch.uint8)))
    with pytest.raises(ArgumentError, match="0 observations"):
        objective.loss(small(PICTURE), Batch(torch.zeros(0, 36, 36, 3, dtype=torch.uint8)))


def test_numbers_that_are_none_are_found():
    """A NaN in a float picture or a row, an infinity in V*; Q* of an unavailable action is -inf and passes."""
    batch = transitions()
    batch.observations[2, 1] = torch.nan
    with pytest.raises(ArgumentError, match="observations holds a NaN or an infinity, first in row 2"):
        objectives_of("vae", small(ROW)).loss(small(ROW), batch)
    supervised = objectives_of("supervised", small(ROW), actions=2)
    assert supervised.loss(small(ROW), transitions()).total.isfinite()
    for name, wrong in [("q", torch.nan), ("q", torch.inf), ("value", -torch.inf)]:
        batch = transitions()
        batch.targets[name][3] = wrong
        with pytest.raises(ArgumentError, match=f"{name} holds a NaN"):
            supervised.loss(small(ROW), batch)


@pytest.mark.parametrize(
    ("name", "batch", "message"),
    [
        ("inverse", Batch(rows(), rows(), torch.tensor([0, 1, 2, 0])), "actions go from 0 to 2, but 0 to 1"),
        ("inverse", Batch(rows(), rows(), torch.tensor([0.0, 1, 0, 0])), "integers"),
        ("inverse", Batch(rows(), rows(3), torch.zeros(4, dtype=torch.int64)), "4 rows"),
        ("temporal", Batch(rows(1), rows(1)), "needs 2 or more"),
        ("simclr", Batch(rows(1)), "needs 2 or more"),
        ("supervised", Batch(rows(), targets={"value": torch.zeros(4), "q": torch.zeros(4, 3)}), r"\(4, 2\)"),
        ("supervised", Batch(rows(), targets={"value": torch.zeros(4, 1), "q": torch.zeros(4, 2)}), r"\(4,\)"),
        ("bisimulation", Batch(rows(), targets={"distance": torch.zeros(4)}), r"\(4, 4\)"),
        ("bisimulation", Batch(rows(), targets={"distance": -torch.ones(4, 4)}), "0 or more"),
    ],
)
def test_batches_that_do_not_fit(name, batch, message):
    encoder = small(ROW)
    with pytest.raises(ArgumentError, match=message):
        objectives_of(name, encoder, actions=2).loss(encoder, batch)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("vea", UnknownNameError, "autoencoder, vae"),
        ({}, ArgumentError, "names with weights"),
        (3, ArgumentError, "names with weights"),
        ({"vae": 0}, ArgumentError, "weight of vae is 0"),
        ({"vae": math.nan}, ArgumentError, "weight"),
        ({"vae": True}, ArgumentError, "weight"),
        ({"vae": {"bta": 1}}, ArgumentError, "it takes"),
        ({"vae": {"beta": -1}}, ArgumentError, "beta"),
        ({"vae": {"latent": 0}}, ArgumentError, "latent"),
        ({"masked": {"share": 2}}, ArgumentError, "share"),
        ({"curl": {"momentum": 1.5}}, ArgumentError, "momentum"),
        ("inverse", ArgumentError, "actions="),
        ("rotation", SpaceError, "square board"),
        ("colourisation", SpaceError, "red, green and blue"),
        ("inpainting", SpaceError, "two by two"),
        ("masked", SpaceError, "one place alone"),
    ],
)
def test_objectives_that_do_not_fit(given, error, message):
    with pytest.raises(error, match=message):
        objectives_of(given, small(ROW))


def test_an_objective_teaches_an_encoder_of_rltk():
    with pytest.raises(ArgumentError, match=r"Encoder\(space, module\)"):
        objectives_of("vae", nn.Linear(3, 4))


def test_the_weighted_sum():
    """Its total is the sum of the weighted losses, its terms name all of them, its config makes it again."""
    encoder, batch = small(ROW), transitions()
    wanted = {"autoencoder": {"weight": 2.0, "width": 8}, "inverse": 0.5, "forward": 1.0}
    combined = objectives_of(wanted, encoder, actions=2)
    assert combined.needs == ("next_observations", "actions")
    total, terms = combined.loss(encoder, batch)
    assert total.item() == pytest.approx((2 * terms["autoencoder"] + terms["inverse"] / 2 + terms["forward"]).item())
    assert not any(term.requires_grad for term in terms.values())
    again = objectives_of(combined.config(), encoder)
    again.load_state_dict(combined.state_dict())
    assert again.config() == combined.config()
    assert again.loss(encoder, batch).total == total
    for one in OBJECTIVES:
        config = objectives_of(one, small(PICTURE), actions=2).config()
        assert objectives_of(config, small(PICTURE)).config() == config


def test_the_encoder_is_no_part_of_an_objective():
    """Its weights would else be saved, and trained, twice; CURL's slow copy is one of its own."""
    encoder = small(PICTURE)
    own = {id(weight) for weight in encoder.parameters()}
    for name in OBJECTIVES:
        objective = objectives_of(name, encoder, actions=2)
        assert not own & {id(weight) for weight in objective.parameters()}


def test_the_same_seed_gives_the_same_bits():
    encoder = small(DICT)
    x = {name: torch.from_numpy(np.stack([DICT[name].sample() for _ in range(5)])) for name in DICT}
    for name in ("vae", "adversarial", "masked", "simclr", "curl", "jigsaw", "inpainting"):
        objective = objectives_of(name, encoder).eval()
        found = []
        for seed in (3, 3, 4):
            torch.manual_seed(seed)
            found.append(objective.loss(encoder, Batch(x)).total)
        assert found[0] == found[1] != found[2], name


# Views


def test_a_view_changes_what_it_may_and_nothing_else():
    """Boards keep their type and their symbols, numbers stay within a fifth, indices are hidden and not changed."""
    torch.manual_seed(0)
    x = {name: torch.from_numpy(np.stack([DICT[name].sample() for _ in range(200)])) for name in DICT}
    view, hidden = Views(small(DICT).parts)(x)
    assert view["board"].dtype == torch.uint8
    assert not torch.equal(view["board"], x["board"])
    assert ((view["speed"] / x["speed"] - 1).abs() < 0.2001).all()
    assert torch.equal(view["heading"], x["heading"])
    assert not hidden[:, :16].any()
    assert hidden[:, 16:].float().mean() == pytest.approx(0.15, abs=0.05)
    with pytest.raises(SpaceError, match="temporal"):
        Views(small(spaces.Discrete(5)).parts)


def test_shifts_repeat_the_edges():
    """Each row and column of a view is one of the board's, in turn, those at the edge more than once."""
    torch.manual_seed(0)
    x = torch.arange(20).reshape(1, 1, 4, 5).expand(30, 1, 4, 5)
    for board in shifted(x)[:, 0]:
        first, down = board[0, 0].item() % 5, board[0, 0].item() // 5
        rows, columns = board[:, 0] // 5, board[0] % 5
        assert first in (0, 1)
        assert down in (0, 1)
        assert (rows.diff() <= 1).all()
        assert (columns.diff() <= 1).all()
        assert torch.equal(board, rows[:, None] * 5 + columns)
    assert len({tuple(board.flatten().tolist()) for board in shifted(x)}) > 4


def test_views_of_pictures_are_pictures():
    """Bytes in 0..255 of the same mean, more or less; with colour=False a constant picture stays what it is."""
    torch.manual_seed(0)
    x = torch.full((20, 36, 36, 3), 100, dtype=torch.uint8)
    parts = small(PICTURE).parts
    view, hidden = Views(parts)(x)
    assert hidden is None
    assert view.dtype == torch.uint8
    assert view.float().mean().item() == pytest.approx(100, abs=20)
    assert len(view.unique()) > 10
    assert torch.equal(Views(parts, colour=False)(x)[0], x)


def test_grey_is_that_of_bt_601_and_a_stack_keeps_its_frames():
    """(frames, height, width, 3), each frame by itself."""
    stack = spaces.Box(0, 255, (2, 36, 36, 3), np.uint8)
    x = torch.randint(0, 256, (2, 2, 36, 36, 3), dtype=torch.uint8)
    grey = Colourisation(small(stack)).greyed(x)
    expected = (x.float() @ torch.tensor([0.299, 0.587, 0.114])).round().to(torch.uint8)
    assert grey.dtype == torch.uint8
    assert ((grey.int() - expected[..., None].int()).abs() <= 1).all()  # one where a half is rounded
    assert (grey == expected[..., None]).float().mean() > 0.99
    view, _ = Views(small(stack).parts)(x)
    assert view.shape == x.shape


def test_constant_pictures_give_finite_losses_and_gradients():
    """All cosines are 1 there, so NT-Xent is ln(2 B - 1); nothing else divides by what does not vary."""
    x = torch.full((3, 36, 36, 3), 7, dtype=torch.uint8)
    targets = {"value": torch.zeros(3), "q": torch.zeros(3, 2), "distance": torch.zeros(3, 3)}
    batch = Batch(x, x, torch.zeros(3, dtype=torch.int64), targets=targets)
    for name in OBJECTIVES:
        encoder = small(PICTURE)
        loss = objectives_of(name, encoder, actions=2).loss(encoder, batch).total
        loss.backward()
        assert loss.isfinite()
        assert all(weight.grad is None or weight.grad.isfinite().all() for weight in encoder.parameters()), name
    encoder = small(ROW)
    simclr = objectives_of("simclr", encoder)
    assert simclr.loss(encoder, Batch(torch.zeros(3, 3))).total.item() == pytest.approx(math.log(5))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_tensor_is_on_the_device_of_the_batch(name):
    """Without a GPU: on the device "meta", nothing that a loss makes is anywhere else, nor waits for a number."""
    encoder = small(PICTURE)
    objective = objectives_of(name, encoder, actions=2).to("meta")
    encoder = encoder.to("meta")
    x = torch.zeros(3, 36, 36, 3, dtype=torch.uint8)
    targets = {"value": torch.zeros(3), "q": torch.zeros(3, 2), "distance": torch.zeros(3, 3)}
    batch = Batch(x, x, torch.zeros(3, dtype=torch.int64), targets=targets).to("meta")
    with OnlyOnMeta():
        assert objective(encoder, batch).total.shape == ()


def test_the_room_hands_out_its_names():
    for name in rltk.objectives.__all__:
        assert getattr(rltk.objectives, name) is not None
    with pytest.raises(AttributeError, match="objectives_of"):
        rltk.objectives.nothing  # noqa: B018
    assert all(issubclass(one, Objective) for one in OBJECTIVES.values())
