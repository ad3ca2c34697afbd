"""Which networks, targets and optimisers the compiled update takes; each other is told in one line why not."""

import fused_reference as reference
import pytest
import torch
from torch import nn

from rltk.agents.deep.backends.fused import Fused, why_not
from rltk.errors import ArgumentError


def _parts(sizes=(4, 64, 64), n_actions=3):
    return reference.learner(reference.Network(list(sizes), n_actions))


def _with(change):
    parts = list(_parts((4, 8), 2))
    return change(parts) or parts


def _adamw(parts):
    parts[2] = torch.optim.AdamW(parts[0].parameters())


def _decay(parts):
    parts[2] = torch.optim.Adam(parts[0].parameters(), weight_decay=0.1)


def _other_parameters(parts):
    parts[2] = torch.optim.Adam(parts[1].parameters())


def _tanh(parts):
    parts[0].encoder.trunk.layers[1] = nn.Tanh()


def _no_biases(parts):
    parts[0].encoder.trunk.layers[0] = nn.Linear(4, 8, bias=False)


def _wide(parts):
    parts[:] = _parts((4, 2000), 2)


def _more(parts):
    parts[0].extra = nn.Linear(2, 2)


def _no_layers(parts):
    parts[:] = _parts((4,), 2)


def _mixed(parts):
    parts[0].encoder.stem.kind = "mixed"


def _heads(parts):
    parts[0].head.heads = 2


def _half(parts):
    parts[:2] = [part.half() for part in parts[:2]]


def _frozen(parts):
    parts[0].head.out.bias.requires_grad_(False)


def _smaller_target(parts):
    parts[1] = _parts((4, 7), 2)[1]


def _other_network(parts):
    parts[0] = nn.Linear(4, 2)


REASONS = {
    _adamw: "AdamW",
    _decay: "weight_decay",
    _other_parameters: "exactly the network's",
    _tanh: "Tanh",
    _no_biases: "biases",
    _wide: "wider",
    _more: "besides",
    _no_layers: "one at least",
    _mixed: "mixed",
    _heads: "more than one number",
    _half: "float16",
    _frozen: "frozen",
    _smaller_target: "shapes",
    _other_network: "not an MLP",
}


@pytest.mark.parametrize("change", REASONS, ids=lambda change: change.__name__)
def test_what_does_not_fit_is_told_in_one_line(change):
    """why_not gives the reason, and building it anyway an error that names the way out."""
    parts = _with(change)

    assert REASONS[change] in why_not(*parts)
    assert "\n" not in why_not(*parts)
    with pytest.raises(ArgumentError, match='backend="torch"'):
        Fused(*parts)


def test_what_fits_has_no_reason_against_it():
    assert why_not(*_parts()) == ""
