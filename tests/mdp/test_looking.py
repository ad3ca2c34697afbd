"""One look ahead, the survey of T and R, labels carried from one MDP to another, and arrays that are kept."""

from fractions import Fraction

import mdp_reference as slow
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.mdp import MDP
from rltk.mdp.labels import Cells, carried_over

quick = settings(deadline=None, max_examples=60)


def still(n_states, labels=None):
    """An MDP whose states stay where they are."""
    return MDP.from_moves(np.arange(n_states)[:, None], [[1.0]], 0.0, False, state_labels=labels)


@st.composite
def forms(draw):
    """(outcomes, MDP): a small random MDP in either storage form, and the reference's outcomes."""
    if draw(st.booleans()):
        outcomes, _ = draw(slow.mdps())
        return outcomes, MDP.from_table(slow.as_table(outcomes))
    n_states, n_moves = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    pick = st.lists(st.integers(0, n_states - 1), min_size=n_states * n_moves, max_size=n_states * n_moves)
    moves = np.array(draw(pick)).reshape(n_states, n_moves)
    noise = np.array([[float(p) for p in draw(slow.distributions(n_moves))] for _ in range(2)])
    fields = []
    for element in (slow.dyadic.map(float), st.booleans()):
        shape = draw(st.sampled_from([(n_states, n_moves), (n_states,)]))
        count = int(np.prod(shape))
        fields.append(np.array(draw(st.lists(element, min_size=count, max_size=count))).reshape(shape))
    mdp = MDP.from_moves(moves, noise, *fields)
    reward, terminated = (mdp.form.per_move(array) for array in (mdp.form.reward, mdp.form.terminated))
    outcomes = []
    for s in range(n_states):
        over = bool(mdp.form.absorbing[s])
        listed = [(int(moves[s, m]), Fraction(reward[s, m]), over or bool(terminated[s, m])) for m in range(n_moves)]
        outcomes.append({a: [(Fraction(p), *to) for p, to in zip(noise[a], listed, strict=True)] for a in range(2)})
    return outcomes, mdp


@quick
@given(drawn=forms(), data=st.data())
def test_a_look_finds_the_backup_the_policy_and_the_extremes(drawn, data):
    """Against the reference in fractions, with ties broken by the first within a margin of a half."""
    outcomes, mdp = drawn
    value = data.draw(st.lists(slow.dyadic, min_size=mdp.n_states, max_size=mdp.n_states))
    gamma, tie = Fraction(1, 2), data.draw(st.sampled_from([Fraction(0), Fraction(1, 2)]))
    look = mdp.form.look(np.array([float(v) for v in value]), float(gamma), float(tie))

    q = slow.q(outcomes, value, gamma)
    best = [max(row.values()) for row in q]
    margin = [tie * max(abs(top), 1) for top in best]
    policy = [min(a for a, x in row.items() if x >= best[s] - margin[s]) for s, row in enumerate(q)]
    chosen = [row[a] for row, a in zip(q, policy, strict=True)]
    change = [top - v for top, v in zip(best, value, strict=True)]
    assert look.best.tolist() == [float(top) for top in best]
    assert look.policy.tolist() == policy
    assert (look.least_change, look.most_change) == (float(min(change)), float(max(change)))
    assert look.least_of_policy == float(min(x - v for x, v in zip(chosen, value, strict=True)))
    assert look.largest_tie == float(max(top - x for top, x in zip(best, chosen, strict=True)))


@quick
@given(drawn=forms())
def test_a_survey_says_what_the_outcomes_hold(drawn):
    """Masses, rewards and resting states of the reference's outcomes. What bounds a size may be too large: the compact
    form counts moves that never happen. What is said to rest must rest."""
    outcomes, mdp = drawn
    survey = mdp.form.survey
    rows = [[outcome for outcome in row if outcome[0] > 0] for actions in outcomes for row in actions.values()]
    masses = [float(sum(p for p, _, _, done in row if not done)) for row in rows]
    assert (survey.low_mass, survey.high_mass) == (min(masses), max(masses))
    assert survey.longest_row >= max(len({(t, r, done) for _, t, r, done in row}) for row in rows)
    assert survey.largest_reward >= max(abs(float(r)) for row in rows for _, _, r, _ in row)
    for actions, said in zip(outcomes, survey.resting, strict=True):
        rests = all(done and r == 0 for row in actions.values() for p, _, r, done in row if p > 0)
        assert rests or not said


def test_a_state_rests_when_all_of_it_ends_and_pays_nothing():
    """The first of these states does; the others pay, go on, or pay at random."""
    table = {
        0: {0: [(1.0, 0, 0.0, True)]},
        1: {0: [(1.0, 1, 2.0, True)]},
        2: {0: [(0.5, 2, 0.0, False), (0.5, 2, 0.0, True)]},
    }
    assert MDP.from_table(table).form.survey.resting.tolist() == [True, False, False]
    moves = np.array([[0], [0], [2]])
    entered = MDP.from_moves(moves, [[1.0]], [5.0, 0.0, 0.0], [True, False, False])
    assert entered.form.survey.resting.tolist() == [True, False, False]


def test_labels_of_cells_are_rows_and_columns():
    assert [Cells(np.array([1, 5, 6]), (2, 4))(s) for s in range(3)] == [(0, 1), (1, 1), (1, 2)]


@pytest.mark.parametrize("named", [False, True], ids=["cells", "names"])
def test_values_are_carried_over_by_label(named):
    """State by state where both know what they mean; a state that is new gets the value from elsewhere."""

    def world(cells):
        labels = (lambda s: f"cell {cells[s]}") if named else Cells(np.array(cells), (2, 3))
        return still(len(cells), labels)

    known, changed = world([0, 2, 3, 5]), world([1, 2, 3, 4, 5])
    value = np.array([10.0, 20.0, 30.0, 50.0])
    assert carried_over(value, known, changed, elsewhere=-1.0).tolist() == [-1.0, 20.0, 30.0, -1.0, 50.0]


def test_a_grid_without_walls_is_all_cells():
    """A shape as labels means every cell of it."""
    known = still(4, (2, 2))
    changed = still(3, Cells(np.array([0, 1, 3]), (2, 2)))
    assert carried_over(np.arange(4.0), known, changed, elsewhere=9.0).tolist() == [0.0, 1.0, 3.0]
    assert carried_over(np.array([5.0, 6.0, 7.0]), changed, known, elsewhere=9.0).tolist() == [5.0, 6.0, 9.0, 7.0]


def test_read_only_arrays_are_kept_and_others_are_copied():
    """What nobody can change need not be copied; a view of what its owner can change must be."""
    moves, noise = np.zeros((3, 2), dtype=np.int32), np.array([[0.5, 0.5]])
    base = np.zeros((3, 2), dtype=np.int32)
    view = base[:]
    for array in (moves, view):
        array.flags.writeable = False
    assert MDP.from_moves(moves, noise, 0.0, False).form.moves is moves
    copied = MDP.from_moves(view, noise, 0.0, False).form
    base[0, 0] = 2
    assert copied.moves[0, 0] == 0
    noise[0] = [1.0, 0.0]
    assert copied.noise.tolist() == [[0.5, 0.5]]


def test_an_mdp_without_a_start_starts_anywhere():
    """The uniform distribution is made when it is asked for; means over it don't need it."""
    mdp = still(4)
    assert mdp.over_start(np.array([1.0, 2.0, 3.0, 6.0])) == 3.0
    assert "start" not in vars(mdp)
    assert mdp.start.tolist() == [0.25] * 4
    assert not mdp.start.flags.writeable


@pytest.mark.parametrize("reward_by_move", [False, True])
@pytest.mark.parametrize("ends_by_move", [False, True])
def test_every_kernel_of_the_compact_form_knows_where_ends_belong(reward_by_move, ends_by_move):
    """q, backup, look and survey over 40 random states with two kinds of rewards and of ends, against the definition.
    Ends by state: the first of them is entered by many, and its own moves count for nothing."""
    draw = np.random.default_rng(1)
    moves, noise = draw.integers(0, 40, (40, 3)), np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]])
    reward = draw.integers(1, 9, (40, 3) if reward_by_move else 40) / 4
    ends = draw.random((40, 3) if ends_by_move else 40) < 0.3
    value = draw.integers(1, 99, 40) / 4
    mdp = MDP.from_moves(moves, noise, reward, ends)

    pay, over = (array if array.ndim == 2 else array[moves] for array in (reward, ends))
    q = (pay + np.where(over, 0.0, 0.5 * value[moves])) @ noise.T
    goes_on = ~over @ noise.T
    if not ends_by_move:
        q[ends], goes_on[ends] = 0.0, 0.0
    assert np.array_equal(mdp.q(value, 0.5), q)
    assert np.array_equal(mdp.backup(value, 0.5), q.max(axis=1))
    look = mdp.form.look(value, 0.5, 0.0)
    assert np.array_equal(look.best, q.max(axis=1))
    assert np.array_equal(look.policy, q.argmax(axis=1))
    assert (mdp.form.survey.low_mass, mdp.form.survey.high_mass) == (goes_on.min(), goes_on.max())


def test_the_least_mass_is_that_of_an_end():
    """From a state that ends when it is entered nothing goes on, though no move leads to it."""
    mdp = MDP.from_moves([[0], [0]], [[1.0]], 1.0, [False, True])
    assert mdp.form.survey.low_mass == 0.0
