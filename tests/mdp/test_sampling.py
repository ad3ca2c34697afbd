"""The draw law: one word a step, cumulative left to right, the last outcome takes what rounding leaves."""

from fractions import Fraction

import mdp_reference as slow
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from rltk.errors import ArgumentError
from rltk.mdp import MDP, stream_of
from rltk.mdp.rows import Rows
from rltk.mdp.sampling import draw, draw_start, step

MULTIPLIER = 47026247687942121848144207491837523525


def stream_that_gives(word):
    """A stream whose next word is `word`: PCG64 run backwards, with an increment of 1."""
    # The output is high xor low, turned by the top six bits of high: high = 0 turns nothing, so low is the word.
    state = (word - 1) * pow(MULTIPLIER, -1, 2**128) % 2**128
    low = 2**64 - 1
    return np.array([state >> 64, state & low, 0, 1, 0, 0], dtype=np.uint64)


def word_of(u):
    """The word whose float is `u`."""
    return int(u * 2**53) << 11


def chosen(probabilities, u):
    """The law in plain Python: the first outcome at which the sum exceeds u; the last possible one otherwise."""
    total = 0.0
    for i, p in enumerate(probabilities):
        total += p
        if u < total:
            return i
    return max(i for i, p in enumerate(probabilities) if p > 0)


@settings(deadline=None, max_examples=100)
@given(
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    n=st.integers(0, 2**53 - 1),
    edge=st.integers(0, 6),
    nudge=st.sampled_from([-1, 0, 1]),
)
def test_the_outcome_is_the_first_whose_sum_exceeds_the_word(weights, n, edge, nudge):
    """Both forms, for random words and for words just below, at and just above each cumulative sum."""
    probabilities = [w / sum(weights) for w in weights]
    size = len(weights)
    cumulative = list(np.cumsum(probabilities))
    grid = [n, *(min(max(int(c * 2**53) + nudge, 0), 2**53 - 1) for c in cumulative[edge : edge + 1])]
    rows = MDP.from_table({s: {0: [(p, t, float(t), False) for t, p in enumerate(probabilities)]} for s in range(size)})
    moves = MDP.from_moves(np.tile(np.arange(size), (size, 1)), [probabilities], np.arange(size) * 1.0)

    for k in grid:
        expected = chosen(probabilities, k / 2**53)
        for mdp in (rows, moves):
            assert step(mdp.tables, 0, 0, stream_that_gives(k << 11)) == (expected, float(expected), False, False)


LEFTOVER = [0.1] * 10  # sums to 1 - 2^-53 left to right


def test_the_last_outcome_that_can_happen_takes_what_rounding_leaves():
    """Ten times 0.1 sums to less than the largest word's float; it goes to the last outcome, or to the last move with
    a positive probability where noise of 0 follows."""
    rows = MDP.from_table({s: {0: [(0.1, t, 0.0, False) for t in range(10)]} for s in range(11)})
    targets = np.tile(np.arange(12) % 11, (11, 1))
    moves = MDP.from_moves(targets, [[0.0, *LEFTOVER, 0.0]], 0.0)
    last = stream_that_gives(2**64 - 1)

    assert sum(LEFTOVER) <= (2**53 - 1) / 2**53
    assert step(rows.tables, 0, 0, last.copy())[0] == 9
    assert step(moves.tables, 0, 0, last.copy())[0] == 10
    assert step(moves.tables, 0, 0, stream_that_gives(0))[0] == 1  # a first move of probability 0 is passed over


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), mdp=slow.mdps())
def test_every_step_spends_one_word(seed, mdp):
    """Deterministic or not, ending or not: the stream moves on by one word a step."""
    outcomes, _ = mdp
    model = MDP.from_table(slow.as_table(outcomes))
    states, actions = np.nonzero(model.available)
    generator = np.random.default_rng(seed)
    stream = stream_of(generator)

    found = model.sample(states, actions, stream)

    generator.bit_generator.random_raw(states.size)
    assert np.array_equal(stream, stream_of(generator))
    uniform = np.random.default_rng(seed).random(states.size)
    for s, a, u, t, r, done in zip(states, actions, uniform, *found, strict=True):
        span = slice(*model.row_start[s * model.n_actions + a :][:2])
        i = span.start + chosen(model.probability[span], u)
        assert (t, r, done) == (model.next_state[i], model.reward[i], model.terminated[i])


def test_a_compact_end_is_absorbing_in_the_simulator_too():
    """From a state that ends the episode: stay, 0, terminated; entering it pays its reward. One word each."""
    mdp = MDP.from_moves(
        [[1], [0]], [[1.0]], np.array([3.0, 7.0]), np.array([False, True]), success=np.array([False, True])
    )
    generator = np.random.default_rng(0)
    stream = stream_of(generator)

    assert step(mdp.tables, 0, 0, stream) == (1, 7.0, True, True)
    assert step(mdp.tables, 1, 0, stream) == (1, 0.0, True, False)
    generator.random(2)
    assert np.array_equal(stream, stream_of(generator))


@pytest.mark.parametrize("by_move", [False, True])
def test_rewards_ends_and_successes_by_move_or_by_state(by_move):
    """The compact simulator looks each up where it belongs."""
    moves = np.array([[1, 2], [0, 0], [0, 1]])
    per_state = np.array([10.0, 20.0, 30.0])
    reward = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) if by_move else per_state
    ends = np.array([[False, True], [False, False], [True, False]])
    mdp = MDP.from_moves(moves, np.eye(2), reward, ends, success=ends if by_move else per_state == 30)
    states, actions = np.repeat(np.arange(3), 2), np.tile([0, 1], 3)
    t, r, done = mdp.sample(states, actions, stream_of(np.random.default_rng(0)))

    assert t.tolist() == moves.reshape(-1).tolist()
    assert r.tolist() == (reward if by_move else per_state[moves]).reshape(-1).tolist()
    assert done.tolist() == ends.reshape(-1).tolist()
    succeeded = [
        step(mdp.tables, s, a, stream_of(np.random.default_rng(0)))[3] for s, a in zip(states, actions, strict=True)
    ]
    assert succeeded == (ends if by_move else moves == 2).reshape(-1).tolist()


def test_frequencies_are_the_probabilities():
    """40,000 steps of one pair against T by chi-square, both forms; the seed is fixed."""
    weights = [0.05, 0.5, 0.15, 0.3]
    rows = MDP.from_table({s: {0: [(p, t, 0.0, False) for t, p in enumerate(weights)]} for s in range(4)})
    moves = MDP.from_moves(np.tile(np.arange(4), (4, 1)), [weights], 0.0)

    for mdp in (rows, moves):
        stream = stream_of(np.random.default_rng(7))
        found, _, _ = mdp.sample(np.zeros(40_000, dtype=int), 0, stream)
        assert chisquare(np.bincount(found, minlength=4), np.array(weights) * 40_000).pvalue > 0.01


def test_reward_noise_is_gaussian_and_spends_one_more_word():
    """Sutton and Barto's Figure 6.5 needs rewards with mean -0.1 and standard deviation 1."""
    one = np.array([0, 1], dtype=np.int64)
    rows = Rows(1, 1, one, np.zeros(1, np.int32), np.ones(1), np.array([-0.1]), np.array([False]), None, np.ones(1))
    mdp = MDP(rows)
    generator = np.random.default_rng(1)
    stream = stream_of(generator)
    _, rewards, _ = mdp.sample(np.zeros(20_000, dtype=int), 0, stream)
    generator.random(40_000)

    assert np.array_equal(stream, stream_of(generator))
    assert abs(rewards.mean() + 0.1) < 4 / np.sqrt(20_000)
    assert abs(rewards.std() - 1) < 0.03


@settings(deadline=None, max_examples=60)
@given(start=slow.distributions(6), n=st.integers(0, 2**53 - 1))
def test_a_start_spends_one_word_and_follows_the_same_law(start, n):
    """States of probability 0 are never drawn."""
    mdp = MDP.from_moves(np.zeros((6, 1), dtype=int), [[1.0]], 0.0, False, [float(p) for p in start])
    stream = stream_that_gives(n << 11)

    total, u = Fraction(0), Fraction(n, 2**53)
    expected = next(s for s in range(6) if u < (total := total + start[s]))
    assert draw_start(mdp.tables, stream) == expected
    assert start[expected] > 0


def test_the_last_start_takes_what_rounding_leaves():
    """As for outcomes; the states after it have probability 0."""
    mdp = MDP.from_moves(np.zeros((11, 1), dtype=int), [[1.0]], 0.0, False, [*LEFTOVER, 0.0])

    assert draw_start(mdp.tables, stream_that_gives(2**64 - 1)) == 9


BAD_SAMPLES = [
    ([3], 0),
    ([-1], 0),
    ([0], 2),
    ([0], -1),
    ([1], 1),
    ([0.5], 0),
    ([0], 0.0),
    ([[0]], 0),
    ([0, 1], [0, 0, 0]),
    ("a", 0),
]


@pytest.mark.parametrize(("states", "actions"), BAD_SAMPLES)
def test_only_pairs_that_exist_are_sampled(states, actions):
    """Kernels don't check bounds, so `sample` does; the stream stays where it was."""
    mdp = MDP.from_table({0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 0, 0.0, True)]}, 1: {0: [(1.0, 0, 0.0, False)]}})
    stream = stream_of(np.random.default_rng(0))

    with pytest.raises(ArgumentError, match="sample"):
        mdp.sample(states, actions, stream)
    assert np.array_equal(stream, stream_of(np.random.default_rng(0)))


def test_draw_says_that_it_belongs_into_kernels():
    """From Python it is `step`."""
    with pytest.raises(NotImplementedError, match=r"sampling\.step"):
        draw(None, 0, 0, None)
