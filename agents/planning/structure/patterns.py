"""An MDP with its repetitions found: in a grid most states behave alike, up to where they lead.

A state's *pattern* is everything about it but its successors: for each action the weights of its successors, of itself,
and the mean reward. T and R become a small table of patterns, and for each state a pattern and a short list of
successors:

    q(s, a) = reward[p, a] + gamma ( own[p, a] v(s) + sum_d weight[p, a, d] v(successor[s, d]) )       p = pattern[s]

Equality is exact, so nothing is lost; where states do not repeat, each has a pattern of its own.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rltk.mdp import MDP, jit
from rltk.mdp.moves import Moves
from rltk.mdp.survey import Survey

MOST_PATTERNS = 4096
MOST_SUCCESSORS = 8


class Table(NamedTuple):
    """What patterns say, over P patterns, A actions and D successors."""

    weight: np.ndarray  # (P, A, D) float64: of outcomes that go on; 0 where a state has fewer successors
    own: np.ndarray  # (P, A) float64: of staying
    reward: np.ndarray  # (P, A) float64: the mean reward; -inf where the action is not available
    ends: np.ndarray  # (P,) bool: some outcome ends the episode
    rests: np.ndarray  # (P,) bool: every outcome ends and pays nothing


@dataclass(frozen=True, eq=False)
class Patterns:
    """T and R as patterns: a table, and for each of S states a pattern and D successors."""

    successors: np.ndarray  # (S, D) int32
    pattern: np.ndarray  # (S,) uint16, or int32 where each state has its own: then it is the state
    table: Table
    longest_row: int  # the largest number of outcomes that were summed
    largest_reward: float  # in size, of any outcome

    @property
    def repeat(self) -> bool:
        """Whether states share patterns."""
        return self.pattern.dtype == np.uint16

    @property
    def resting(self) -> np.ndarray:
        """(S,) bool: the states worth exactly 0."""
        return self.table.rests[self.pattern]

    def survey(self) -> Survey:
        """What bounds need to know. A row's roundings are those of T and of the sums made here."""
        mass = (self.table.own + self.table.weight.sum(axis=2))[np.isfinite(self.table.reward)]
        roundings = 2 * self.longest_row + self.table.weight.shape[2]
        return Survey(float(mass.min()), float(mass.max()), roundings, self.largest_reward, self.resting)

    def without_loops(self, gamma: float, of: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(weight (P, A, D), reward (P, A)) with gamma taken in and staying divided out: q = reward + weight . v.

        A state's value under one action solves v = r + gamma (own v + ...); staying for ever is summed at once.
        of: (n,) the patterns to do so for, all if not given.
        """
        of = np.arange(self.table.ends.size, dtype=np.int32) if of is None else of
        weight = np.empty((of.size, *self.table.weight.shape[1:]))
        reward = np.empty((of.size, self.table.own.shape[1]))
        _without_loops(self.table, gamma, of, weight, reward)
        return weight, reward


@jit
def _without_loops(table, gamma, of, weight, reward):
    for i in range(of.size):
        p = of[i]
        for a in range(reward.shape[1]):
            share = 1.0 / (1.0 - gamma * table.own[p, a])
            reward[i, a] = table.reward[p, a] * share
            for d in range(weight.shape[2]):
                weight[i, a, d] = gamma * table.weight[p, a, d] * share


def find_patterns(mdp: MDP) -> Patterns | None:
    """The patterns of `mdp`; None where a state has more than MOST_SUCCESSORS different successors."""
    width, shared = likely_successors(mdp), True
    while width <= MOST_SUCCESSORS:
        found = _found(mdp, width, shared)
        if isinstance(found, Patterns):
            return found
        if found == _TOO_MANY_PATTERNS:
            shared = False
        else:
            width = MOST_SUCCESSORS + (width == MOST_SUCCESSORS)
    return None


def _found(mdp: MDP, width: int, shared: bool) -> Patterns | int:
    """The patterns, with at most `width` successors; one of the kernels' refusals where they do not fit."""
    form, n_states, n_actions = mdp.form, mdp.n_states, mdp.n_actions
    count = min(MOST_PATTERNS, n_states) if shared else n_states
    pattern = np.empty(n_states, dtype=np.uint16 if shared else np.int32)
    weight, flat = np.zeros((count, n_actions, width)), (count, n_actions)
    table = Table(weight, np.zeros(flat), np.zeros(flat), *(np.zeros(count, dtype=bool) for _ in range(2)))
    if isinstance(form, Moves):
        successors, longest = form.moves, width
        largest = max(float(form.reward.max()), -float(form.reward.min()), 0.0)
        by_state = form.reward.ndim == form.terminated.ndim == 1
        special = _special(form.reward, form.terminated) if by_state else np.zeros(0, dtype=bool)
        by_mask = np.full(2**width if shared and by_state else 0, -1, dtype=np.int32)
        slots = _empty_slots(count if shared else 0)
        count = _from_moves(form.moves, form.noise, *form.flat, special, by_mask, slots, pattern, table, shared)
    else:
        successors = np.empty((n_states, width), dtype=np.int32)
        arrays = (form.row_start, form.next_state, form.probability, form.reward, form.terminated)
        slots = _empty_slots(count if shared else 0)
        count, longest, largest = _from_rows(*arrays, slots, successors, pattern, table, shared)
    if count < 0:
        return count
    return Patterns(successors, pattern, Table(*(array[:count] for array in table)), longest, largest)


def likely_successors(mdp: MDP, looked_at: int = 1024) -> int:
    """The most successors of a state, itself not counted, among a sample of states: at least 1, and counted up to
    MOST_SUCCESSORS + 1."""
    form: Any = mdp.form
    if isinstance(form, Moves):
        return form.moves.shape[1]
    return max(1, _most_successors(form.row_start, form.next_state, form.n_actions, max(1, form.n_states // looked_at)))


@jit
def _most_successors(row_start, next_state, n_actions, step):
    most, found = 0, np.empty(MOST_SUCCESSORS + 1, dtype=np.int32)
    for s in range(0, (row_start.size - 1) // n_actions, step):
        count = 0
        for i in range(row_start[s * n_actions], row_start[(s + 1) * n_actions]):
            if count == found.size:
                return count
            known = next_state[i] == s
            for j in range(count):
                known |= found[j] == next_state[i]
            if not known:
                found[count] = next_state[i]
                count += 1
        most = max(most, count)
    return most


_TOO_MANY_PATTERNS, _TOO_MANY_SUCCESSORS = -1, -2

# From the compact form: a state's pattern is which of its moves stay, which end, and what each pays.

_GOES, _STAYS, _ENDS = 0, 1, 2


@jit
def _from_moves(
    moves, noise, reward, reward_by_move, terminated, by_move, special, by_mask, slots, pattern, table, shared
):
    """Fill `pattern` and `table` from the compact form; returns the number of patterns, or why they do not fit."""
    n_states, n_moves = moves.shape
    capacity = table.ends.size if shared else 0
    kinds, kind = np.empty((capacity, n_moves), dtype=np.int8), np.empty(n_moves, dtype=np.int8)
    pays, pay = np.empty((capacity, n_moves)), np.empty(n_moves)
    # Most moves are not special; then which of them stay is all there is to know. One byte a state says so, which even
    # in a random numbering stays in the processor's cache.
    count = 0
    for s in range(n_states):
        mask, plain = 0, by_mask.size > 0
        if plain:
            plain = not terminated[s]
            for m in range(n_moves):
                t = moves[s, m]
                mask += (t == s) << m
                plain &= not special[t]
            if plain and by_mask[mask] >= 0:
                pattern[s] = by_mask[mask]
                continue
        for m in range(n_moves):
            t = moves[s, m]
            if not by_move and terminated[s]:
                kind[m], pay[m] = _ENDS, 0.0
                continue
            pay[m] = reward[s * n_moves + m] if reward_by_move else reward[t]
            if terminated[s * n_moves + m] if by_move else terminated[t]:
                kind[m] = _ENDS
            else:
                kind[m] = _STAYS if t == s else _GOES
        if not shared:
            pattern[s] = s
            _fill_from_moves(table, s, kind, pay, noise)
            count += 1
            continue
        at = _hash_moves(kind, pay) & (slots.size - 1)
        while slots[at] >= 0 and not _same_moves(kinds, pays, slots[at], kind, pay):
            at = (at + 1) & (slots.size - 1)
        if slots[at] < 0:
            if count == capacity:
                return _TOO_MANY_PATTERNS
            slots[at] = count
            for m in range(n_moves):
                kinds[count, m], pays[count, m] = kind[m], pay[m]
            _fill_from_moves(table, count, kind, pay, noise)
            count += 1
        pattern[s] = slots[at]
        if plain:
            by_mask[mask] = slots[at]
    return count


def _special(reward: np.ndarray, terminated: np.ndarray) -> np.ndarray:
    """(S,) bool: entering the state ends, or pays something else than the middle one of some rewards."""
    sample = np.sort(reward[:: max(1, reward.size // 101)])
    special = reward != sample[sample.size // 2]
    special |= terminated
    return special


@jit
def _fill_from_moves(table, p, kind, pay, noise):
    table.rests[p] = True
    for m in range(kind.size):
        table.ends[p] |= kind[m] == _ENDS
        table.rests[p] &= kind[m] == _ENDS and pay[m] == 0.0
        for a in range(noise.shape[0]):
            table.reward[p, a] += noise[a, m] * pay[m]
            if kind[m] == _GOES:
                table.weight[p, a, m] = noise[a, m]
            elif kind[m] == _STAYS:
                table.own[p, a] += noise[a, m]


@jit
def _same_moves(kinds, pays, p, kind, pay):
    same = True
    for m in range(kind.size):
        same &= kinds[p, m] == kind[m] and pays[p, m] == pay[m]
    return same


@jit
def _hash_moves(kind, pay):
    mixed = np.uint64(0)
    for m in range(kind.size):
        mixed = _mix(mixed + np.uint64(kind[m]), pay[m])
    return np.int64(mixed >> np.uint64(8))


# From general rows: a state's pattern is its table of weights, successors in an order that numbering has no part in.


@jit
def _from_rows(row_start, next_state, probability, reward, terminated, slots, successors, pattern, table, shared):
    """The same from general rows, `successors` too: (number of patterns or why not, longest row, largest reward)."""
    n_states, width = successors.shape
    n_actions = table.own.shape[1]
    found, rank = np.empty(width, dtype=np.int32), np.empty(width, dtype=np.int64)
    column, stay, pay = np.empty((width, n_actions)), np.empty(n_actions), np.empty(n_actions)
    sign, factor = np.empty(width), _factors(n_actions)
    longest, largest, count = 0, 0.0, 0
    for s in range(n_states):
        n, ends, rests = 0, False, True
        for a in range(n_actions):
            begin, stop = row_start[s * n_actions + a], row_start[s * n_actions + a + 1]
            kept, paid = 0.0, 0.0 if begin < stop else -np.inf
            longest = max(longest, stop - begin)
            for i in range(begin, stop):
                p, t, r = probability[i], next_state[i], reward[i]
                paid += p * r
                largest = max(largest, abs(r))
                if terminated[i]:
                    ends = True
                    rests &= r == 0.0
                    continue
                rests = False
                if t == s:
                    kept += p
                    continue
                d = 0
                while d < n and found[d] != t:
                    d += 1
                if d == n:
                    if n == width:
                        return _TOO_MANY_SUCCESSORS, longest, largest
                    found[n], sign[n] = t, 0.0
                    column[n] = 0.0
                    n += 1
                column[d, a] += p
                sign[d] += p * factor[a]
            stay[a], pay[a] = kept, paid
        # States that differ only in numbering shall look the same: successors stand by their weights.
        for i in range(n):
            j = i
            while j > 0 and sign[rank[j - 1]] < sign[i]:
                rank[j] = rank[j - 1]
                j -= 1
            rank[j] = i
        for d in range(width):
            successors[s, d] = found[rank[d]] if d < n else s
        if not shared:
            pattern[s] = s
            _fill_from_rows(table, s, n, ends, rests, rank, column, stay, pay)
            count += 1
            continue
        mixed = np.uint64(4 * n + 2 * ends + rests)
        for a in range(n_actions):
            mixed = _mix(_mix(mixed, stay[a]), pay[a])
        for d in range(n):
            mixed = _mix(mixed, sign[rank[d]])
        at = np.int64(mixed >> np.uint64(8)) & (slots.size - 1)
        while slots[at] >= 0 and not _same_rows(table, slots[at], n, ends, rests, rank, column, stay, pay):
            at = (at + 1) & (slots.size - 1)
        if slots[at] < 0:
            if count == table.ends.size:
                return _TOO_MANY_PATTERNS, longest, largest
            slots[at] = count
            _fill_from_rows(table, count, n, ends, rests, rank, column, stay, pay)
            count += 1
        pattern[s] = slots[at]
    return count, longest, largest


@jit
def _fill_from_rows(table, p, n, ends, rests, rank, column, stay, pay):
    table.ends[p], table.rests[p] = ends, rests
    for a in range(stay.size):
        table.own[p, a], table.reward[p, a] = stay[a], pay[a]
        for d in range(n):
            table.weight[p, a, d] = column[rank[d], a]


@jit(inline="always")
def _same_rows(table, p, n, ends, rests, rank, column, stay, pay):
    same = table.ends[p] == ends and table.rests[p] == rests
    for a in range(stay.size):
        same &= table.own[p, a] == stay[a] and table.reward[p, a] == pay[a]
        for d in range(table.weight.shape[2]):
            same &= table.weight[p, a, d] == (column[rank[d], a] if d < n else 0.0)
    return same


@jit
def _factors(n_actions):
    """A number for each action, all different and without a pattern: what a column of weights is summed up by."""
    golden = 0.6180339887498949
    out = np.empty(n_actions)
    for a in range(n_actions):
        out[a] = 0.5 + (golden * (a + 1) ** 2) % 1.0
    return out


# Both


def _empty_slots(capacity: int) -> np.ndarray:
    size = 1
    while size < 4 * capacity:
        size *= 2
    return np.full(size if capacity > 0 else 0, -1, dtype=np.int32)


@jit(inline="always")
def _mix(mixed, number):
    # A float's own bits, multiplied and folded (Knuth's multiplicative hashing).
    bits = np.float64(number).view(np.uint64) if number != 0.0 else np.uint64(0)
    mixed = (mixed ^ bits) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))
