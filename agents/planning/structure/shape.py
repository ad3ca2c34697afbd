"""The shape of an MDP, from samples: how fast its graph grows, whether one comes back, how varied its rewards are.

A search breadth-first from a few states tells worlds that one walks about in, which grow like a power of the distance,
from those that mix, which double with every step. What values do follows from it: in the first they travel from
neighbour to neighbour, in the second a few sweeps bring them everywhere.
"""

from typing import NamedTuple

import numpy as np

from rltk.agents.planning.structure.patterns import likely_successors
from rltk.mdp import MDP, jit
from rltk.mdp.moves import Moves

ENOUGH = 2048  # states of a search, after which its growth is known
STARTS = 4  # searches at most, until one met enough
SAMPLE = 128  # states whose rewards and successors are looked at
ARROWS = 16  # of each of these that are asked for one back
WALK = 1000  # steps, after which one would have come to the end of a world without cycles
VARIED = 0.1  # the share of different rewards in the sample above which they are varied
NARROW = 8  # states a level: the matrix of such a chain has factors hardly larger than itself


class Shape(NamedTuple):
    """What a planner is chosen by."""

    successors: int  # the most of a state in a sample
    met: int  # how many states the widest of the searches met
    levels: int  # in how many steps
    ends: bool  # whether an episode can end
    mutual: bool  # whether most arrows have one back
    varied: bool  # whether the best mean reward differs from state to state

    @property
    def mixes(self) -> bool:
        """Whether the number of states within reach doubles with every step."""
        return 2.0 ** min(self.levels, 60) <= max(2, self.met)

    @property
    def narrow(self) -> bool:
        """Whether a breadth-first search meets few states at a time, as in a chain."""
        return self.met <= NARROW * self.levels


def shape_of(mdp: MDP) -> Shape:
    """The shape of `mdp`: cheap beside any solution of it."""
    arrows, seen = _arrows(mdp), np.zeros(mdp.n_states, dtype=np.uint8)
    enough, met, levels = min(ENOUGH, -(-mdp.n_states // 2)), 0, 0
    for k in range(STARTS):
        if met < enough:
            start = (mdp.n_states * k + mdp.n_states // 2) // STARTS
            met, levels = max((met, levels), _search(arrows, start, enough, k + 1, seen))
    state = np.arange(0, mdp.n_states, max(1, mdp.n_states // SAMPLE))
    varied = is_varied(_best_rewards(mdp, state))
    ends = bool(mdp.form.terminated.any())
    mutual = bool(_share_of_mutual(arrows, state) > 0.5)
    return Shape(likely_successors(mdp, SAMPLE), met, levels, ends, mutual, varied)


def is_varied(rewards: np.ndarray) -> bool:
    """Whether a sample of rewards (n,) holds many different ones."""
    return np.unique(rewards).size > max(2, VARIED * rewards.size)


def goes_round(mdp: MDP) -> bool:
    """Whether from some state one can go far and come back, so that most states may depend on each other."""
    arrows = _arrows(mdp)
    if not mdp.form.terminated.any() and _walks_on(arrows, mdp.n_states // 2, WALK):
        return True
    return bool(_comes_back(arrows, mdp.n_states // 2, mdp.n_states))


class Arrows(NamedTuple):
    """T's graph: the successors of state s lie from `row_start[s * width]`, or all of S, `width` where it is empty."""

    row_start: np.ndarray  # (S * A + 1,) int64, or (0,)
    width: int
    successors: np.ndarray  # (n,) int32
    terminated: np.ndarray  # (n,) or (S,) bool: such an arrow, or one to such a state, ends and leads nowhere


def _arrows(mdp: MDP) -> Arrows:
    form = mdp.form
    if isinstance(form, Moves):
        empty = np.zeros(0, dtype=np.int64)
        return Arrows(empty, form.moves.shape[1], form.moves.reshape(-1), form.terminated.reshape(-1))
    return Arrows(form.row_start, form.n_actions, form.next_state, form.terminated)


def _best_rewards(mdp: MDP, state: np.ndarray) -> np.ndarray:
    """(n,) the best mean reward of (n,) states."""
    form = mdp.form
    if isinstance(form, Moves):
        pays = form.reward[state] if form.reward.ndim == 2 else form.reward[form.moves[state]]
        return np.where(form.absorbing[state], 0.0, (pays @ form.noise.T).max(axis=1))
    out = np.empty(state.size)
    _best_of_rows(form.row_start, form.probability, form.reward, form.n_actions, state, out)
    return out


@jit
def _best_of_rows(row_start, probability, reward, n_actions, state, out):
    for k in range(state.size):
        out[k] = -np.inf
        for row in range(state[k] * n_actions, (state[k] + 1) * n_actions):
            if row_start[row] < row_start[row + 1]:
                total = 0.0
                for i in range(row_start[row], row_start[row + 1]):
                    total += probability[i] * reward[i]
                out[k] = max(out[k], total)


@jit(inline="always")
def _range(arrows, s):
    if arrows.row_start.size == 0:
        return s * arrows.width, (s + 1) * arrows.width
    return arrows.row_start[s * arrows.width], arrows.row_start[(s + 1) * arrows.width]


@jit(inline="always")
def _ends(arrows, i):
    by_arrow = arrows.terminated.size == arrows.successors.size
    return arrows.terminated[i if by_arrow else arrows.successors[i]]


@jit
def _search(arrows, first, enough, stamp, seen):
    """(states met, levels) breadth-first from `first`, until `enough` are met or no more can be."""
    line = np.empty(enough, dtype=np.int32)
    line[0], seen[first] = first, stamp
    head, count, levels = 0, 1, 0
    while head < count:
        end = count
        levels += 1
        while head < end:
            begin, stop = _range(arrows, line[head])
            for i in range(begin, stop):
                t = arrows.successors[i]
                if seen[t] != stamp and not _ends(arrows, i):
                    if count == enough:
                        return count, levels
                    seen[t] = stamp
                    line[count] = t
                    count += 1
            head += 1
    return count, levels - 1


@jit
def _share_of_mutual(arrows, state):
    """The share of the arrows that leave (n,) states to which there is one back."""
    leaving, mutual = 0, 0
    for s in state:
        begin, stop = _range(arrows, s)
        for i in range(begin, stop, max(1, (stop - begin) // ARROWS)):
            t = arrows.successors[i]
            if t == s:
                continue
            leaving += 1
            back, last = _range(arrows, t)
            for j in range(back, last):
                if arrows.successors[j] == s:
                    mutual += 1
                    break
    return mutual / max(1, leaving)


@jit
def _walks_on(arrows, state, steps):
    """Whether a walk of so many steps, each along some arrow, meets no state that leads to itself alone."""
    word = np.uint64(1)
    for _ in range(steps):
        begin, stop = _range(arrows, state)
        leaves = False
        for i in range(begin, stop):
            leaves |= arrows.successors[i] != state
        if not leaves:
            return False
        word = word * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        state = arrows.successors[begin + np.int64((word >> np.uint64(33)) % np.uint64(stop - begin))]
    return True


@jit
def _comes_back(arrows, first, n_states):
    line = np.empty(n_states, dtype=np.int32)
    seen = np.zeros(n_states, dtype=np.uint8)
    origin = first
    for stamp in range(1, 3):  # far away, and back
        line[0], seen[origin] = origin, stamp
        head, count = 0, 1
        while head < count:
            begin, stop = _range(arrows, line[head])
            head += 1
            for i in range(begin, stop):
                t = arrows.successors[i]
                if seen[t] != stamp and not _ends(arrows, i):
                    if stamp == 2 and t == first:
                        return True
                    seen[t] = stamp
                    line[count] = t
                    count += 1
        origin = line[count - 1]
    return False
