"""The Bellman operators of both storage forms against a slow reference in exact fractions."""

from fractions import Fraction
from math import inf

import mdp_reference as slow
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError, SizeError
from rltk.mdp import MDP, first_best

quick = settings(deadline=None, max_examples=60)
gammas = st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(7, 8), Fraction(1)])


def exact(table, n_actions):
    """A list of dicts of fractions as (S, A) floats, -inf where there is no action."""
    return np.array([[float(row.get(a, -inf)) for a in range(n_actions)] for row in table])


def dyadic_values(data, n_states):
    return data.draw(st.lists(slow.dyadic, min_size=n_states, max_size=n_states))


@quick
@given(mdp=slow.mdps(), gamma=gammas, data=st.data())
def test_operators_equal_the_exact_reference(mdp, gamma, data):
    """q, backup, greedy and the expected reward, with missing actions, ends, zero probabilities and repeated next
    states. All numbers are dyadic, so that floats hold every intermediate result: equality, not closeness.
    """
    outcomes, n_actions = mdp
    value = dyadic_values(data, len(outcomes))
    model = MDP.from_table(slow.as_table(outcomes))
    n_actions = model.n_actions  # the table knows no action that no state has
    floats = [float(v) for v in value]

    assert np.array_equal(model.q(floats, float(gamma)), exact(slow.q(outcomes, value, gamma), n_actions))
    assert model.backup(floats, float(gamma)).tolist() == [float(v) for v in slow.backup(outcomes, value, gamma)]
    assert model.greedy(floats, float(gamma)).tolist() == slow.greedy(outcomes, value, gamma)
    pay = exact(slow.q(outcomes, [Fraction(0)] * len(outcomes), Fraction(0)), n_actions)
    assert np.array_equal(model.expected_reward(), np.where(np.isinf(pay), 0, pay))


def spelled_out(moves, noise, reward, terminated):
    """The reference's outcomes of the compact form, from its definition in words."""
    outcomes = []
    for s in range(len(moves)):
        actions = {}
        for a, row in enumerate(noise):
            actions[a] = []
            for m, p in enumerate(row):
                t = int(moves[s, m])
                pay = reward[s, m] if reward.ndim == 2 else reward[t]
                done = bool(terminated[s, m] if terminated.ndim == 2 else terminated[t])
                if terminated.ndim == 1 and terminated[s]:  # entered and ended: it keeps its place and pays nothing
                    t, pay, done = s, 0.0, True
                actions[a].append((Fraction(p), t, Fraction(pay), done))
        outcomes.append(actions)
    return outcomes


@quick
@given(arrays=slow.compact(), gamma=gammas, data=st.data())
def test_compact_form_equals_its_rows_and_the_exact_reference(arrays, gamma, data):
    """The compact form, the general form made from its rows, and the definition in fractions all agree exactly."""
    moves, noise, reward, terminated, success = arrays
    model = MDP.from_moves(moves, noise, reward, terminated, success=success)
    general = MDP(model.rows)
    outcomes = spelled_out(moves, noise, reward, terminated)
    value = dyadic_values(data, len(moves))
    floats, g = [float(v) for v in value], float(gamma)

    expected = exact(slow.q(outcomes, value, gamma), model.n_actions)
    for form in (model, general):
        assert np.array_equal(form.q(floats, g), expected)
        assert np.array_equal(form.backup(floats, g), expected.max(axis=1))
        assert form.greedy(floats, g).tolist() == slow.greedy(outcomes, value, gamma)
    assert np.array_equal(model.expected_reward(), general.expected_reward())
    assert model.available.all()

    policy = slow.as_policy(data.draw(slow.policies(outcomes)), model.n_actions)
    one, two = model.chain(policy), general.chain(policy)
    assert np.array_equal(one.P.toarray(), two.P.toarray())
    assert np.array_equal(one.reward, two.reward)
    assert np.array_equal(one.ending, two.ending)
    assert (one.success is None) == (two.success is None)
    assert one.success is None or np.array_equal(one.success, two.success)


@quick
@given(mdp=slow.mdps())
def test_the_uniform_policy_is_uniform_over_what_is_available(mdp):
    """1 / n for each of the n actions of a state, 0 for the others."""
    outcomes, _ = mdp
    model = MDP.from_table(slow.as_table(outcomes))
    expected = [[1 / len(actions) if a in actions else 0.0 for a in range(model.n_actions)] for actions in outcomes]

    assert model.uniform_policy().tolist() == expected
    assert np.array_equal(model.policy_probabilities(expected), expected)


def test_ties_go_to_the_first_action_within_tolerance():
    """Values that differ by rounding only are ties; those that differ by more are not, and infinities compare."""
    assert first_best(
        np.array([[1.0, 1.0 + 1e-12], [1.0, 1.0 + 1e-6], [-np.inf, -5.0], [1e9, 1e9 + 0.1]])
    ).tolist() == [0, 1, 1, 0]
    assert first_best(np.array([[1e300, np.inf], [-np.inf, -np.inf]])).tolist() == [1, 0]
    assert first_best(np.array([[0.9, 1.0]]), tie=0.2).tolist() == [0]


BAD_POLICIES = {
    "takes action 1 in state 1": [0, 1],
    "takes action 1 in state 1, where": [[1, 0], [0.5, 0.5]],
    "policy of state 0": [[0.5, 0.4], [1, 0]],
    "policy of state 1": [[1, 0], [np.nan, 1]],
    "holds actions 0 to 1": [0, 2],
    "holds actions 0 to 1 as": [0.0, 1.0],
    "its shape is": [0, 0, 0],
    "dtype": [["a", "b"], ["c", "d"]],
    "is an array": [[1, 0], [1]],
}


@pytest.mark.parametrize(("message", "policy"), BAD_POLICIES.items())
def test_a_policy_that_can_not_be_followed_is_refused(message, policy):
    """An action that is not available, probabilities that don't sum to 1, NaNs, shapes: state and finding are named."""
    mdp = MDP.from_table({0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 0, 0.0, True)]}, 1: {0: [(1.0, 0, 0.0, False)]}})

    with pytest.raises(ArgumentError, match=message):
        mdp.chain(policy)
    with pytest.raises(ArgumentError):
        mdp.chain([[np.inf, -np.inf], [1, 0]])


@pytest.mark.parametrize("value", [[1.0], [[1.0, 2.0]], "ab", ["a", "b"], [1j, 2j], [[1], [2, 3]], None])
def test_a_value_of_another_kind_or_size_is_refused(value):
    """One number a state, or an error that says so."""
    mdp = MDP.from_arrays(np.full((2, 1, 2), 0.5), [[0.0], [1.0]])

    for operator in (mdp.q, mdp.backup, mdp.greedy):
        with pytest.raises(ArgumentError, match="value"):
            operator(value, 0.5)
    with pytest.raises(ArgumentError, match="gamma"):
        mdp.q([1.0, 2.0], 1.5)


def test_rows_of_a_huge_compact_mdp_are_refused_by_number(monkeypatch):
    """The compact form answers the operators; its row arrays would be ten times larger and are refused before any
    memory is taken, with the number in the message."""
    mdp = MDP.from_moves(np.zeros((1000, 4), dtype=int), np.full((4, 4), 0.25), 0.0)
    monkeypatch.setattr("rltk.mdp.validation.MEMORY_LIMIT", 1000)

    with pytest.raises(SizeError, match=r"1,000 states and 4 actions would take .* GiB"):
        _ = mdp.rows
    assert mdp.q(np.zeros(1000), 0.9).shape == (1000, 4)


def test_the_report_of_a_maze_with_a_trap():
    """Facts, not errors: states that are reached, states that never end, and an end that pays."""
    mdp = MDP.from_arrays(
        np.array([[[0, 0.5, 0.5, 0]], [[0, 1, 0, 0]], [[0, 0, 1, 0]], [[0, 0, 0, 1.0]]]),
        [[-1.0], [0.0], [2.0], [0.0]],
        terminated=np.array([False, False, True, False]),
        start=[1, 0, 0, 0],
        success=np.array([False, False, True, False]),
    )
    facts = mdp.report()

    assert (facts.n_states, facts.reachable, facts.starts, facts.n_stranded) == (4, 3, 1, 1)
    assert facts.stranded == (1,)
    assert facts.ends
    assert not facts.deterministic
    assert facts.success == "reachable"
    assert facts.reward_range == (-1.0, 2.0)
    assert max(map(len, str(facts).splitlines())) <= 80
