"""One step of an MDP in plain Python, faster than entering a kernel for it, with the same bits.

The law is that of `rltk.mdp.sampling`: a word of the generator a step, one more for noise on a reward, one a reset; the
word's number u picks the first outcome at which the probabilities, summed left to right, exceed u.
"""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from rltk.mdp import MDP
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows
from rltk.mdp.streams import inverse_normal

# A row with more outcomes than this is summed by NumPy, whose cumulative sum goes left to right as well.
_SHORT_ROW = 24
_HALVES = 4503599627370496.0  # 2^52: `rltk.mdp.streams.normal` uses the upper 52 bits of a word

Uniform = Callable[[], float]
Outcome = tuple[int, float, bool]


class RowSampler:
    """Draws from the general form. `step(state, action, random)` gives (next_state, reward, terminated)."""

    def __init__(self, form: Rows) -> None:
        self.form = form
        # Memory views: reading one element is quicker than from an array, and nothing is copied.
        self._n_actions = form.n_actions
        self._row_start = _view(form.row_start)
        self._next_state = _view(form.next_state)
        self._probability = _view(form.probability)
        self._reward = _view(form.reward)
        self._terminated = _view(form.terminated)
        self._noise = None if form.reward_noise is None else _view(form.reward_noise)

    def __reduce__(self) -> Any:
        return type(self), (self.form,)

    def step(self, state: int, action: int, random: Uniform) -> Outcome:
        u = random()
        row = state * self._n_actions + action
        i, last = self._row_start[row], self._row_start[row + 1] - 1
        if last - i < _SHORT_ROW:
            probability = self._probability
            total = probability[i]
            while u >= total and i < last:
                i += 1
                total += probability[i]
        else:
            sums = np.cumsum(self.form.probability[i : last + 1])
            i = min(i + int(np.searchsorted(sums, u, side="right")), last)
        reward = self._reward[i]
        if self._noise is not None:
            reward += self._noise[i] * inverse_normal((int(random() * _HALVES) + 0.5) / _HALVES)
        return self._next_state[i], reward, self._terminated[i]


class MoveSampler:
    """Draws from the compact form, as `RowSampler` does from the general one."""

    def __init__(self, form: Moves) -> None:
        self.form = form
        self._n_moves = form.moves.shape[1]
        self._moves = _view(form.moves)
        self._reward_by_move = form.reward.ndim == 2
        self._terminated_by_move = form.terminated.ndim == 2
        self._reward = _view(form.reward)
        self._terminated = _view(form.terminated)
        # Per action its moves of positive probability and their cumulative sums: leaving out zeros changes no sum.
        self._choices = []
        for row in form.noise.tolist():
            moves = [move for move, probability in enumerate(row) if probability > 0]
            self._choices.append((moves, list(accumulate(row[move] for move in moves)), len(moves) - 1))

    def __reduce__(self) -> Any:
        return type(self), (self.form,)

    def step(self, state: int, action: int, random: Uniform) -> Outcome:
        u = random()
        moves, sums, last = self._choices[action]
        if not self._terminated_by_move and self._terminated[state]:
            return state, 0.0, True
        i = bisect_right(sums, u)
        at = state * self._n_moves + moves[i if i < last else last]
        t = self._moves[at]
        return (
            t,
            self._reward[at if self._reward_by_move else t],
            self._terminated[at if self._terminated_by_move else t],
        )


def _view(array: np.ndarray) -> Any:
    return memoryview(array.reshape(-1))  # type: ignore[arg-type]  # NumPy's stubs declare no buffer before Python 3.12


def sampler_of(mdp: MDP) -> RowSampler | MoveSampler:
    """The sampler of the form in which `mdp` is stored."""
    return RowSampler(mdp.form) if isinstance(mdp.form, Rows) else MoveSampler(mdp.form)
