"""The coarsest bisimulation: which states can't be told apart by anything that ever happens from them on.

    s ~ t   iff   available(s) = available(t) and, for each action a available in them,
                  R(s, a) = R(t, a)   and   sum_{u in C} T(u | s, a) = sum_{u in C} T(u | t, a) for every class C

An outcome that terminates leads to the end: one more state, in which every action is available, stays and pays 0.

Partition refinement: begin with the classes by available actions and rewards. A class C is a splitter: every class
whose members reach C with different probabilities is split by them. All the parts but the largest become splitters in
their turn; what goes to the largest follows from the others. So a state is in a splitter at most log2 S times, and the
work is O(nnz log S), but for the sorting of unequal probabilities. Numbers that differ by less than 1e-12 are equal but
for rounding; rewards are measured by the largest one.

Source: Givan, Dean and Greig (2003), "Equivalence notions and model minimization in Markov decision processes"; the
refinement, Valmari and Franceschinis (2010), "Simple O(m log n) time Markov chain lumping".
"""

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp.jit import jit
from rltk.mdp.model import MDP

ROUNDING = 1e-12


def bisimulation_classes(mdp: MDP) -> np.ndarray:
    """(S,) int64: the class of each state in the coarsest bisimulation, numbered from 0 in the order of first states.

    Raises SizeError where the rows of a compact MDP would not fit.
    """
    return point_classes(mdp)[: mdp.n_states]


def point_classes(mdp: MDP) -> np.ndarray:
    """(S,) or, where something terminates, (S + 1,) int64: the same with the end as the last state."""
    if not isinstance(mdp, MDP):
        raise ArgumentError(f"an MDP was expected; found {type(mdp).__name__}. Of an environment: env.unwrapped.mdp()")
    n_points = mdp.n_states + bool(mdp.terminated.any())
    classes = _by_reward(mdp, n_points)
    edges = _incoming(mdp.row_start, mdp.next_state, mdp.probability, mdp.terminated, mdp.n_actions, n_points)
    _refine(classes, int(classes.max()) + 1, *edges, mdp.n_actions, ROUNDING)
    return _renumbered(classes)


def _by_reward(mdp: MDP, n_points: int) -> np.ndarray:
    """(N,) int64: the classes by available actions and their rewards alone."""
    reward, available = np.zeros((n_points, mdp.n_actions)), np.ones((n_points, mdp.n_actions), dtype=bool)
    reward[: mdp.n_states], available[: mdp.n_states] = mdp.expected_reward(), mdp.available
    largest = np.abs(reward).max()
    classes = np.zeros(n_points, dtype=np.int64)
    for a in range(mdp.n_actions):
        level = np.where(available[:, a], 1 + _levels(reward[:, a], ROUNDING * largest), 0)
        classes = np.unique(classes * (level.max() + 1) + level, return_inverse=True)[1].reshape(-1)
    return classes


def _levels(values: np.ndarray, tolerance: float) -> np.ndarray:
    """(N,) int64: numbers of `values` by size, the same where neighbours in that order are within `tolerance`."""
    distinct, inverse = np.unique(values, return_inverse=True)
    return np.concatenate(([0], np.cumsum(np.diff(distinct) > tolerance)))[inverse.reshape(-1)]


def _renumbered(classes: np.ndarray) -> np.ndarray:
    """The same classes, numbered from 0 in the order of their first members."""
    _, first, inverse = np.unique(classes, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)]


@jit
def _incoming(row_start, next_state, probability, terminated, n_actions, n_points):
    """(start (N * A + 1,), source, weight): what comes into point t by action a lies from start[t * A + a] on."""
    n_states = (row_start.size - 1) // n_actions
    own = n_actions if n_points > n_states else 0  # the end stays where it is
    start = np.zeros(n_points * n_actions + 1, dtype=np.int64)
    for row in range(row_start.size - 1):
        for i in range(row_start[row], row_start[row + 1]):
            t = n_states if terminated[i] else next_state[i]
            start[t * n_actions + row % n_actions + 1] += 1
    start[start.size - own :] += 1
    start[:] = np.cumsum(start)
    source, weight = np.empty(start[-1], dtype=np.int32), np.ones(start[-1])
    free = start[:-1].copy()
    for row in range(row_start.size - 1):
        for i in range(row_start[row], row_start[row + 1]):
            t = n_states if terminated[i] else next_state[i]
            k = t * n_actions + row % n_actions
            source[free[k]], weight[free[k]] = row // n_actions, probability[i]
            free[k] += 1
    for k in range(start.size - 1 - own, start.size - 1):
        source[free[k]] = n_states
    return start, source, weight


@jit
def _refine(classes, n_classes, start, source, weight, n_actions, tolerance):
    """Split `classes` (N,), numbers from 0 to n_classes - 1, in place until they are a bisimulation."""
    n = classes.size
    order = np.argsort(classes, kind="mergesort")  # class c is order[first[c]:stop[c]]
    place = np.empty(n, dtype=np.int64)
    first, stop = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i in range(n):
        place[order[i]] = i
        c = classes[order[i]]
        first[c] = i if stop[c] == 0 else first[c]
        stop[c] = i + 1
    stack, n_stack = np.arange(n), n_classes  # splitters that wait
    waits = np.arange(n) < n_classes
    members, met = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    mass = np.zeros(n)  # the probability of reaching the splitter
    marked, split = np.zeros(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    cuts = np.empty(n + 1, dtype=np.int64)
    while n_stack > 0:
        n_stack -= 1
        splitter = stack[n_stack]
        waits[splitter] = False
        size = stop[splitter] - first[splitter]
        for i in range(size):
            members[i] = order[first[splitter] + i]  # it may itself be split on the way
        for a in range(n_actions):
            n_met = _gather(members, size, a, start, source, weight, n_actions, mass, met)
            n_split = _mark(met, n_met, classes, order, place, first, marked, split)
            for k in range(n_split):
                c = split[k]
                n_cuts = _cut(c, marked[c], first, stop, order, place, mass, tolerance, cuts)
                marked[c] = 0
                before = n_classes
                n_classes = _part(c, cuts, n_cuts, n_classes, classes, order, first, stop)
                for new in range(before, n_classes):
                    stack[n_stack] = new
                    waits[new] = True
                    n_stack += 1
            for k in range(n_met):
                mass[met[k]] = 0.0


@jit
def _gather(members, size, a, start, source, weight, n_actions, mass, met):
    """Add up in `mass` with what probability action `a` leads to `members`; `met` lists who can; return how many."""
    n_met = 0
    for k in range(size):
        row = members[k] * n_actions + a
        for i in range(start[row], start[row + 1]):
            s = source[i]
            if mass[s] == 0.0:
                met[n_met] = s
                n_met += 1
            mass[s] += weight[i]
    return n_met


@jit
def _mark(met, n_met, classes, order, place, first, marked, split):
    """Bring those of `met` to the front of their classes, count them in `marked`, list the classes in `split`."""
    n_split = 0
    for k in range(n_met):
        s = met[k]
        c = classes[s]
        if marked[c] == 0:
            split[n_split] = c
            n_split += 1
        i, j = place[s], first[c] + marked[c]
        order[i], order[j] = order[j], s
        place[order[i]], place[s] = i, j
        marked[c] += 1
    return n_split


@jit
def _cut(c, n_marked, first, stop, order, place, mass, tolerance, cuts):
    """Sort the marked members of class `c` by mass, largest first, and list in `cuts` where parts begin, and the end;
    those that are not marked have no mass and stand last."""
    low, marked_stop = first[c], first[c] + n_marked
    least = most = mass[order[low]]
    for i in range(low, marked_stop):
        least, most = min(least, mass[order[i]]), max(most, mass[order[i]])
    if most - least > tolerance:
        marked = order[low:marked_stop].copy()
        ranks = np.argsort(-mass[marked])
        for i in range(n_marked):
            order[low + i] = marked[ranks[i]]
            place[order[low + i]] = low + i
    n_cuts = 1
    cuts[0] = low
    for i in range(low + 1, marked_stop):
        if mass[order[i - 1]] - mass[order[i]] > tolerance:
            cuts[n_cuts] = i
            n_cuts += 1
    if marked_stop < stop[c] and least > tolerance:
        cuts[n_cuts] = marked_stop
        n_cuts += 1
    cuts[n_cuts] = stop[c]
    return n_cuts


@jit
def _part(c, cuts, n_parts, n_classes, classes, order, first, stop):
    """Give all parts of class `c` but the largest a new number; return how many classes there are then."""
    largest = 0
    for k in range(n_parts):
        if cuts[k + 1] - cuts[k] > cuts[largest + 1] - cuts[largest]:
            largest = k
    for k in range(n_parts):
        number = c
        if k != largest:
            number = n_classes
            n_classes += 1
            for i in range(cuts[k], cuts[k + 1]):
                classes[order[i]] = number
        first[number], stop[number] = cuts[k], cuts[k + 1]
    return n_classes
