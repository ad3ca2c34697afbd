"""A slow MDP in pure Python and exact fractions: what the kernels are held against.

An MDP here is a list over states of a dict from available actions to lists of outcomes
(probability, next_state, reward, terminated) with `Fraction`s. Probabilities and rewards are dyadic, so that floats
hold them exactly and a kernel that adds and multiplies them exactly agrees to the last bit, or nearly.
"""

from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
from hypothesis import strategies as st

NEVER = -inf


def q(outcomes, value, gamma):
    """(S, A) exact action values as a list of dicts."""
    return [
        {
            a: sum((p * (r + (0 if done else gamma * value[t])) for p, t, r, done in row), Fraction(0))
            for a, row in actions.items()
        }
        for actions in outcomes
    ]


def backup(outcomes, value, gamma):
    return [max(row.values()) for row in q(outcomes, value, gamma)]


def greedy(outcomes, value, gamma):
    """The first best action of each state, ties exact."""
    return [min(a for a in row if row[a] == max(row.values())) for row in q(outcomes, value, gamma)]


def chain(outcomes, policy):
    """(P, reward, ending): P a list of dicts, `policy` a list of dicts from actions to probabilities."""
    P, reward, ending = [], [], []
    for s, actions in enumerate(outcomes):
        row, pay, end = {}, Fraction(0), Fraction(0)
        for a, weight in policy[s].items():
            for p, t, r, done in actions[a]:
                pay += weight * p * r
                if done:
                    end += weight * p
                elif weight * p > 0:
                    row[t] = row.get(t, Fraction(0)) + weight * p
        P.append(row)
        reward.append(pay)
        ending.append(end)
    return P, reward, ending


def solve(matrix, right):
    """Gaussian elimination with fractions: x with matrix x = right."""
    n = len(right)
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for i in range(n):
        pivot = next(j for j in range(i, n) if rows[j][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(n):
            if j != i and rows[j][i] != 0:
                rows[j] = [x - rows[j][i] * y for x, y in zip(rows[j], rows[i], strict=True)]
    return [row[n] for row in rows]


def fixed_point(P, right, gamma, states=None):
    """x = right + gamma P x on `states` (all if None), 0 elsewhere."""
    states = list(range(len(P))) if states is None else sorted(states)
    matrix = [[Fraction(int(s == t)) - gamma * P[s].get(t, Fraction(0)) for t in states] for s in states]
    x = dict(zip(states, solve(matrix, [right[s] for s in states]), strict=True))
    return [x.get(s, Fraction(0)) for s in range(len(P))]


def transposed(P):
    out = [{} for _ in P]
    for s, row in enumerate(P):
        for t, p in row.items():
            out[t][s] = p
    return out


def reach(P, sources):
    """Breadth first along the edges of P, sources included."""
    found, queue = set(sources), list(sources)
    for s in queue:
        for t in P[s]:
            if t not in found:
                found.add(t)
                queue.append(t)
    return found


def closed_classes(P, ending):
    """The sets of states that can't be left and don't end."""
    classes = []
    for s in range(len(P)):
        members = reach(P, [s])
        closed = all(s in reach(P, [t]) for t in members) and not any(ending[t] > 0 for t in members)
        if closed and members not in classes:
            classes.append(members)
    return classes


def total_value(P, reward, ending):
    """The undiscounted value: a Fraction, inf, -inf or None where the total does not exist."""
    back = transposed(P)
    up, down, none, recurrent = set(), set(), set(), set()
    for members in closed_classes(P, ending):
        recurrent |= members
        order = sorted(members)
        if all(reward[s] == 0 for s in order):
            continue
        # Stationary distribution: the balance equations with the last replaced by "sums to one".
        matrix = [[P[s].get(t, Fraction(0)) - (s == t) for s in order] for t in order]
        matrix[-1] = [Fraction(1)] * len(order)
        weights = solve(matrix, [Fraction(0)] * (len(order) - 1) + [Fraction(1)])
        gain = sum(w * reward[s] for w, s in zip(weights, order, strict=True))
        (up if gain > 0 else down if gain < 0 else none).update(reach(back, order))
    none |= up & down
    finite = [s for s in range(len(P)) if s not in up | down | none | recurrent]
    value = fixed_point(P, reward, Fraction(1), finite)
    return [None if s in none else inf if s in up else -inf if s in down else value[s] for s in range(len(P))]


# Hypothesis strategies


@st.composite
def distributions(draw, size, denominator=8):
    """`size` fractions that sum to 1, in steps of 1 / denominator; zeros are common."""
    cuts = sorted(draw(st.lists(st.integers(0, denominator), min_size=size - 1, max_size=size - 1)))
    edges = [0, *cuts, denominator]
    return [Fraction(b - a, denominator) for a, b in pairwise(edges)]


dyadic = st.integers(-16, 16).map(lambda n: Fraction(n, 4))


@st.composite
def mdps(draw, max_states=5, max_actions=3, missing=True, rewards=dyadic):
    """A small MDP: missing actions, ends, outcomes of probability zero, the same next state twice."""
    n_states, n_actions = draw(st.integers(1, max_states)), draw(st.integers(1, max_actions))
    outcomes = []
    for _ in range(n_states):
        present = list(range(n_actions))
        if missing:
            present = sorted(draw(st.sets(st.sampled_from(present), min_size=1)))
        actions = {}
        for a in present:
            weights = draw(distributions(draw(st.integers(1, 4))))
            actions[a] = [
                (p, draw(st.integers(0, n_states - 1)), draw(rewards), draw(st.integers(0, 3)) == 0) for p in weights
            ]
        outcomes.append(actions)
    return outcomes, n_actions


@st.composite
def policies(draw, outcomes):
    """For each state a dict from available actions to probabilities."""
    policy = []
    for actions in outcomes:
        weights = draw(distributions(len(actions), 4))
        policy.append({a: w for a, w in zip(actions, weights, strict=True) if w > 0})
    return policy


# To rltk's inputs


def as_table(outcomes):
    """Gymnasium's P: floats."""
    return {
        s: {a: [(float(p), t, float(r), done) for p, t, r, done in row] for a, row in actions.items()}
        for s, actions in enumerate(outcomes)
    }


def as_policy(policy, n_actions):
    """(S, A) floats as nested lists."""
    return [[float(row.get(a, 0)) for a in range(n_actions)] for row in policy]


@st.composite
def compact(draw):
    """The arguments of `from_moves`: rewards, ends and successes by move or by the state entered."""
    n_states, n_moves, n_actions = (draw(st.integers(1, n)) for n in (5, 4, 3))
    moves = np.array(
        draw(st.lists(st.integers(0, n_states - 1), min_size=n_states * n_moves, max_size=n_states * n_moves))
    )
    noise = [[float(p) for p in draw(distributions(n_moves))] for _ in range(n_actions)]

    def field(element):
        size = draw(st.sampled_from([(n_states, n_moves), (n_states,)]))
        count = int(np.prod(size))
        return np.array(draw(st.lists(element, min_size=count, max_size=count))).reshape(size)

    success = field(st.booleans()) if draw(st.booleans()) else None
    reward, terminated = field(dyadic.map(float)), field(st.booleans())
    return moves.reshape(n_states, n_moves), np.array(noise), reward, terminated, success
