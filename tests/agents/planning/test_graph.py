"""What surely ends: against the definition, on small graphs, and on a corridor that is long."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.agents.planning.structure.graph import attract
from rltk.mdp import MDP


@st.composite
def tables(draw):
    """A small MDP's table: up to six states, one or two actions, one or two outcomes each, some of which end."""
    n = draw(st.integers(1, 6))
    outcome = st.tuples(st.integers(0, n - 1), st.booleans())
    rows = st.lists(st.lists(outcome, min_size=1, max_size=2, unique=True), min_size=1, max_size=2)
    return {
        s: {a: [(1 / len(row), t, 0.0, over) for t, over in row] for a, row in enumerate(draw(rows))} for s in range(n)
    }


def surely_ends(table, targets):
    """The greatest set from which some policy surely ends or comes to a target: the nested fixed point, literally."""
    inside = set(table)
    while True:
        joined, before = {s for s in inside if s in targets}, None
        while before != joined:
            before = set(joined)
            for s in inside:
                for row in table[s].values():
                    stays = all(over or t in inside for _, t, _, over in row)
                    if stays and any(over or t in before for _, t, _, over in row):
                        joined.add(s)
        if joined == inside:
            return inside
        inside = joined


@settings(deadline=None, max_examples=200)
@given(table=tables(), data=st.data())
def test_what_surely_ends_is_the_nested_fixed_point(table, data):
    """The same set as by the definition; and the policy, followed, leaves no state of it going round for ever."""
    targets = data.draw(st.sets(st.sampled_from(sorted(table)), max_size=2))
    mdp = MDP.from_table(table)
    wanted = np.isin(np.arange(mdp.n_states), list(targets))
    joined, action = attract(mdp.rows, mdp.available.reshape(-1), wanted)
    assert set(np.flatnonzero(joined)) == surely_ends(table, targets)
    left = {s: table[s][int(action[s])] for s in np.flatnonzero(joined) if s not in targets}
    near = set(np.flatnonzero(wanted & joined))
    for _ in table:  # each round at least one more comes nearer
        near |= {s for s, row in left.items() if any(over or t in near for _, t, _, over in row)}
    assert near == set(np.flatnonzero(joined))
    assert all(over or joined[t] for row in left.values() for _, t, _, over in row)


def test_a_corridor_takes_one_pass_however_it_is_numbered():
    """100,000 cells in a row, numbered at random: passes over all states would take billions of steps."""
    n = 100_000
    order = np.random.default_rng(0).permutation(n)
    moves = np.empty((n, 1), dtype=np.int64)
    moves[order[:-1], 0], moves[order[-1], 0] = order[1:], order[-1]
    mdp = MDP.from_moves(moves, [[1.0]], 0.0, np.arange(n) == order[-1])
    everything, nothing = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    attract(MDP.from_moves([[0]], [[1.0]], 0.0, [True]).rows, everything[:1], nothing[:1])  # compiles
    begin = time.process_time()
    joined, _ = attract(mdp.rows, everything, nothing)
    assert joined.all()
    assert time.process_time() - begin < 5
