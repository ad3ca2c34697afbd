"""An MDP with its repetitions found: in a grid most states behave alike, up to where they lead.

A state's *pattern* is everything about it but its successors: for each action the weights of its successors, of itself,
and the mean reward. T and R become a small table of patterns, and for each state a pattern and a short list of
successors:

    q(s, a) = reward[p, a] + gamma ( own[p, a] v(s) + sum_d weight[p, a, d] v(successor[s, d]) )       p = pattern[s]

Equality is exact, so nothing is lost; where states do not repeat, each has a pattern of its own.
"""

from dataclasses import dataclass

import numpy as np

from rltk.mdp import MDP, jit
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows

MOST_PATTERNS = 4096
MOST_SUCCESSORS = 8


@dataclass(frozen=True, eq=False)
class Patterns:
    """Arrays over S states, P patterns, A actions and D successors; a state with fewer successors is padded by itself
    with weight 0. An action that is not available has reward -inf.
    """

    successors: np.ndarray  # (S, D) int32, none of them the state itself but for padding
    pattern: np.ndarray  # (S,) int32
    weight: np.ndarray  # (P, A, D) float64: of outcomes that go on
    own: np.ndarray  # (P, A) float64: of staying
    reward: np.ndarray  # (P, A) float64: the mean reward
    ends: np.ndarray  # (P,) bool: some outcome ends the episode

    def without_loops(self, gamma: float) -> tuple[np.ndarray, np.ndarray]:
        """(weight (P, A, D), reward (P, A)) with gamma taken in and staying divided out: q = reward + weight . v.

        A state's value under one action solves v = r + gamma (own v + ...); staying for ever is summed at once.
        """
        share = 1.0 / (1.0 - gamma * self.own)
        return gamma * self.weight * share[:, :, None], self.reward * share


def find_patterns(mdp: MDP) -> Patterns | None:
    """The patterns of `mdp`; None where a state has more than MOST_SUCCESSORS different successors."""
    form = mdp.form
    width = _width(form)
    if width is None:
        return None
    for capacity in (MOST_PATTERNS, mdp.n_states):
        n_actions = mdp.n_actions
        successors = np.empty((mdp.n_states, width), dtype=np.int32)
        pattern = np.empty(mdp.n_states, dtype=np.int32)
        weight = np.zeros((capacity, n_actions, width))
        own, reward = np.zeros((capacity, n_actions)), np.zeros((capacity, n_actions))
        ends = np.zeros(capacity, dtype=bool)
        table = (successors, pattern, weight, own, reward, ends)
        single = capacity == mdp.n_states
        if isinstance(form, Moves):
            count = _from_moves(form.moves, form.noise, *form.flat, *table, single)
        else:
            arrays = (form.row_start, form.next_state, form.probability, form.reward, form.terminated)
            count = _from_rows(*arrays, *table, single)
        if count >= 0:
            return Patterns(successors, pattern, weight[:count], own[:count], reward[:count], ends[:count])
    raise AssertionError("each state has a pattern of its own at most")


def is_narrow(mdp: MDP) -> bool:
    """Whether every state has at most MOST_SUCCESSORS different successors, itself not counted."""
    return _width(mdp.form) is not None


def _width(form: Rows | Moves) -> int | None:
    if isinstance(form, Moves):
        width = form.moves.shape[1]
    else:
        width = _most_successors(form.row_start, form.next_state, form.terminated, form.n_actions, MOST_SUCCESSORS + 1)
    return max(width, 1) if width <= MOST_SUCCESSORS else None


@jit
def _most_successors(row_start, next_state, terminated, n_actions, enough):
    most = 0
    seen = np.empty(enough, dtype=np.int32)
    for s in range((row_start.size - 1) // n_actions):
        count = 0
        for i in range(row_start[s * n_actions], row_start[(s + 1) * n_actions]):
            if terminated[i] or next_state[i] == s or _position(seen, count, next_state[i]) < count:
                continue
            seen[count] = next_state[i]
            count += 1
            if count == enough:
                return enough
        most = max(most, count)
    return most


@jit
def _position(seen, count, state):
    j = 0
    while j < count and seen[j] != state:
        j += 1
    return j


@jit
def _from_rows(
    row_start, next_state, probability, reward, terminated, successors, pattern, weight, own, mean, ends, single
):
    """Fill the arrays from general rows; returns the number of patterns, or -1 where they do not fit."""
    n_states, width = successors.shape
    n_actions = own.shape[1]
    slots = _empty_slots(0 if single else weight.shape[0])
    columns, stay, pay = np.empty((n_actions, width)), np.empty(n_actions), np.empty(n_actions)
    count = 0
    for s in range(n_states):
        _clear(columns, stay, pay)
        found, end = 0, False
        for a in range(n_actions):
            begin, stop = row_start[s * n_actions + a], row_start[s * n_actions + a + 1]
            if begin == stop:
                pay[a] = -np.inf
            for i in range(begin, stop):
                pay[a] += probability[i] * reward[i]
                if terminated[i]:
                    end = True
                elif next_state[i] == s:
                    stay[a] += probability[i]
                else:
                    d = _position(successors[s], found, next_state[i])
                    if d == found:
                        successors[s, d] = next_state[i]
                        found += 1
                    columns[a, d] += probability[i]
        count = _file(s, found, end, columns, stay, pay, successors, pattern, weight, own, mean, ends, slots, count)
        if count < 0:
            return -1
    return count


@jit
def _from_moves(
    moves, noise, reward, reward_by_move, terminated, by_move, successors, pattern, weight, own, mean, ends, single
):
    """The same from the compact form."""
    n_states, n_moves = moves.shape
    n_actions = noise.shape[0]
    slots = _empty_slots(0 if single else weight.shape[0])
    columns, stay, pay = np.empty((n_actions, n_moves)), np.empty(n_actions), np.empty(n_actions)
    count = 0
    for s in range(n_states):
        _clear(columns, stay, pay)
        found, end = 0, False
        if not by_move and terminated[s]:
            end = True
        else:
            for m in range(n_moves):
                t = moves[s, m]
                paid = reward[s * n_moves + m] if reward_by_move else reward[t]
                over = terminated[s * n_moves + m] if by_move else terminated[t]
                d = -1
                if not over and t != s:
                    d = _position(successors[s], found, t)
                    if d == found:
                        successors[s, d] = t
                        found += 1
                end = end or over
                for a in range(n_actions):
                    pay[a] += noise[a, m] * paid
                    if d >= 0:
                        columns[a, d] += noise[a, m]
                    elif not over:
                        stay[a] += noise[a, m]
        count = _file(s, found, end, columns, stay, pay, successors, pattern, weight, own, mean, ends, slots, count)
        if count < 0:
            return -1
    return count


@jit
def _clear(columns, stay, pay):
    for a in range(stay.size):
        stay[a], pay[a] = 0.0, 0.0
        for d in range(columns.shape[1]):
            columns[a, d] = 0.0


@jit
def _empty_slots(capacity):
    size = 1
    while size < 4 * capacity:
        size *= 2
    return np.full(size if capacity > 0 else 0, -1, dtype=np.int32)


@jit
def _file(s, found, end, columns, stay, pay, successors, pattern, weight, own, mean, ends, slots, count):
    """Give state `s` the number of its pattern, a new one where it is the first; -1 where there is no room for it."""
    for d in range(found, columns.shape[1]):
        successors[s, d] = s
    _sort_columns(successors[s], columns, found)
    if slots.size == 0:
        return _store(s, s, end, columns, stay, pay, pattern, weight, own, mean, ends) + 1
    at = _hash(columns, stay, pay, end) & (slots.size - 1)
    while slots[at] >= 0:
        p = slots[at]
        if _equal(p, end, columns, stay, pay, weight, own, mean, ends):
            pattern[s] = p
            return count
        at = (at + 1) & (slots.size - 1)
    if count == weight.shape[0]:
        return -1
    slots[at] = count
    return _store(s, count, end, columns, stay, pay, pattern, weight, own, mean, ends) + 1


@jit
def _store(s, p, end, columns, stay, pay, pattern, weight, own, mean, ends):
    pattern[s] = p
    for a in range(stay.size):
        own[p, a], mean[p, a] = stay[a], pay[a]
        for d in range(columns.shape[1]):
            weight[p, a, d] = columns[a, d]
    ends[p] = end
    return p


@jit
def _sort_columns(successors, columns, found):
    """Order successors by their weights, so that states that differ only in numbering have the same pattern."""
    for i in range(1, found):
        for j in range(i, 0, -1):
            if not _column_less(columns, j, j - 1):
                break
            successors[j], successors[j - 1] = successors[j - 1], successors[j]
            for a in range(columns.shape[0]):
                columns[a, j], columns[a, j - 1] = columns[a, j - 1], columns[a, j]


@jit
def _column_less(columns, i, j):
    for a in range(columns.shape[0]):
        if columns[a, i] != columns[a, j]:
            return columns[a, i] < columns[a, j]
    return False


@jit
def _equal(p, end, columns, stay, pay, weight, own, mean, ends):
    if ends[p] != end:
        return False
    for a in range(columns.shape[0]):
        if own[p, a] != stay[a] or mean[p, a] != pay[a]:
            return False
        for d in range(columns.shape[1]):
            if weight[p, a, d] != columns[a, d]:
                return False
    return True


@jit
def _hash(columns, stay, pay, end):
    mixed = np.uint64(1 if end else 0)
    for a in range(columns.shape[0]):
        mixed = _mix(_mix(mixed, stay[a]), pay[a])
        for d in range(columns.shape[1]):
            mixed = _mix(mixed, columns[a, d])
    return np.int64(mixed >> np.uint64(8))


@jit
def _mix(mixed, number):
    # A float's own bits, multiplied and folded (Knuth's multiplicative hashing).
    bits = np.float64(number).view(np.uint64) if number != 0.0 else np.uint64(0)
    mixed = (mixed ^ bits) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))
