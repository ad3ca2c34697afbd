"""Local repair: make the values of a similar MDP fit this one, looking only where they don't.

    v(s) <- (T v)(s)        for states whose residual (T v)(s) - v(s) is outside [low, high], first come first served

The bounds need no more than a narrow range of residuals (`bounds`), so the range that most states are in already is the
one that the others are brought to; values that fit stay as they are, and a change of one cell stays local. A state that
changed may move those that lead to it. Where one can go back to where one came from, these are among its successors, so
no list of predecessors is made: the successors wait in line next. Whom that forgets, the next look ahead over all
states finds.

Source: Bertsekas and Tsitsiklis (1989), Parallel and Distributed Computation, section 4.3 (asynchronous value
iteration converges in any order); Moore and Atkeson (1993), "Prioritized sweeping", for the thought.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from rltk.agents.planning.bounds import Certifier
from rltk.mdp import jit
from rltk.mdp.moves import Moves

ROUNDS = 8  # looks ahead after which another method shall go on


def repair(
    certifier: Certifier, guess: np.ndarray, tolerance: float, max_sweeps: int
) -> tuple[np.ndarray, dict[str, Any] | None, int]:
    """(value (S,), bounds within the tolerance or None, backups of single states).

    Gives up after ROUNDS looks or about S backups, max_sweeps * S at most, or where the states to mend are many.
    """
    mdp, gamma = certifier.mdp, certifier.gamma
    form, value = mdp.form, guess.copy()
    arrays: tuple[Any, ...]
    if isinstance(form, Moves):
        arrays, kernel = (form.moves, form.noise, *form.flat), repair_kernel(_moves_worth, _moves_around)
    else:
        rows = (form.row_start, form.next_state, form.probability, form.reward, form.terminated)
        arrays, kernel = (*rows, form.n_actions), repair_kernel(_rows_worth, _rows_around)
    room, done = 0.97 * tolerance * (1 - gamma) / max(gamma, 1e-3), 0
    most = max_sweeps * mdp.n_states
    for _ in range(ROUNDS):
        look = form.look(value, gamma, certifier.tie(value))
        rounding = certifier.rounding(value)
        if certifier.shift_of(look.least_change, look.most_change, rounding).half_width <= tolerance:
            return value, certifier.judge(look, rounding, certifier.resting), done
        residual = look.best - value
        usual = np.percentile(residual[:: max(1, residual.size // 10_000)], [2, 98]).mean()
        middle = np.clip(usual, -0.9 * room, 0.9 * room)  # a state that was backed up has the residual 0
        low, high = middle - room, middle + room
        first = np.flatnonzero((residual < low) | (residual > high)).astype(np.int32)
        many = first.size > mdp.n_states / 10 or done > mdp.n_states
        if first.size == 0 or many or done >= most or room <= 8 * rounding:
            break
        done += kernel(arrays, value, gamma, first, low, high, min(mdp.n_states, most - done))
    return value, None, done


@cache
def repair_kernel(worth: Callable[..., float], around: Callable[..., np.ndarray]) -> Callable[..., int]:
    """The queue, for one storage form: `worth` backs one state up, `around` lists its successors."""

    @jit
    def repair(arrays, value, gamma, first, low, high, allowed):
        """Change `value` (S,) in place, beginning with the states `first`; returns how many backups were made."""
        line, waits = np.empty(value.size, dtype=np.int32), np.zeros(value.size, dtype=np.bool_)
        for i in range(first.size):
            line[i], waits[first[i]] = first[i], True
        head, count, done = 0, first.size, 0
        while count > 0 and done < allowed:
            s = line[head]
            head, count = (head + 1) % line.size, count - 1
            waits[s] = False
            best = worth(arrays, s, value, gamma)
            done += 1
            if not low <= best - value[s] <= high:
                value[s] = best
                for t in around(arrays, s):
                    if not waits[t]:
                        waits[t] = True
                        line[(head + count) % line.size] = t
                        count += 1
        return done

    return repair


@jit
def _rows_worth(arrays, s, value, gamma):
    row_start, next_state, probability, reward, terminated, n_actions = arrays
    best = -np.inf
    for row in range(s * n_actions, (s + 1) * n_actions):
        if row_start[row] == row_start[row + 1]:
            continue
        q = 0.0
        for i in range(row_start[row], row_start[row + 1]):
            q += probability[i] * (reward[i] + (0.0 if terminated[i] else gamma * value[next_state[i]]))
        best = max(best, q)
    return best


@jit
def _rows_around(arrays, s):
    row_start, next_state, n_actions = arrays[0], arrays[1], arrays[5]
    return next_state[row_start[s * n_actions] : row_start[(s + 1) * n_actions]]


@jit
def _moves_worth(arrays, s, value, gamma):
    moves, noise, reward, reward_by_move, terminated, by_move = arrays
    best = -np.inf
    if not by_move and terminated[s]:
        return 0.0
    for a in range(noise.shape[0]):
        q = 0.0
        for m in range(noise.shape[1]):
            t = moves[s, m]
            q += noise[a, m] * (reward[s * noise.shape[1] + m] if reward_by_move else reward[t])
            if not (terminated[s * noise.shape[1] + m] if by_move else terminated[t]):
                q += noise[a, m] * gamma * value[t]
        best = max(best, q)
    return best


@jit
def _moves_around(arrays, s):
    return arrays[0][s]
