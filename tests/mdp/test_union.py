"""Several MDPs side by side: values stay what they were, and each is begun in equally often."""

import numpy as np
import pytest

from rltk.errors import ArgumentError
from rltk.mdp import MDP
from rltk.mdp.unions import union


def world(n_states, seed, n_actions=2):
    stream = np.random.default_rng(seed)
    T = stream.dirichlet(np.ones(n_states), size=(n_states, n_actions))
    terminated = np.arange(n_states) == 0
    start = stream.dirichlet(np.ones(n_states))
    return MDP.from_arrays(T, stream.normal(size=(n_states, n_actions)), terminated=terminated, start=start)


def test_each_keeps_its_values_and_its_start():
    """A look ahead in the union is one in each; the start is the mean of theirs."""
    worlds = [world(3, 0), world(5, 1), world(2, 2)]
    together, of = union(worlds)
    value = np.arange(10.0)

    assert of.tolist() == [0] * 3 + [1] * 5 + [2] * 2
    for number, one in enumerate(worlds):
        assert (together.q(value, 0.9)[of == number] == one.q(value[of == number], 0.9)).all()
        assert together.start[of == number] == pytest.approx(one.start / 3)


def test_what_can_t_stand_side_by_side_is_named():
    """Other numbers of actions; nothing at all."""
    with pytest.raises(ArgumentError, match=r"these have \[2, 3\]"):
        union([world(3, 0), world(3, 0, n_actions=3)])
    with pytest.raises(ArgumentError, match="a list of MDPs"):
        union([])
