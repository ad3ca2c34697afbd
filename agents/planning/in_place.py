"""What planners share that update values one state at a time, in place: the update, and how they come to a certificate.

    v(s) <- max_a [ r(s, a) + gamma sum_{t != s} T(t | s, a) v(t) ] / (1 - gamma T(s | s, a))

Staying is divided out: a state's value under one action solves v = r + gamma (T(s | s, a) v + ...), so that waiting for
a door to open costs no updates. Right after it, the Bellman residual of s is 0.

Such a planner settles values to within a threshold of the Bellman residual. One ordinary backup of the caller's own T
then certifies the bounds (`bounds`); where they are still too wide, the threshold shrinks and the updates go on.

Source: Puterman (1994), section 6.3.3 (Gauss-Seidel and Jacobi, which divides staying out).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Planner, Report, onward, shortfall
from rltk.agents.planning.value_iteration import iterate
from rltk.mdp import MDP, jit

SWEEPS_A_ROUND = 64  # how often the certificate is tried: it may hold long before all values are settled

Settle = Callable[[np.ndarray, np.ndarray, float, int], int]
"""settle(value (S,), change (S,) = T value - value, threshold, allowed) updates `value` in place until no residual is
above the threshold, or `allowed` backups of single states are done; returns how many were."""


def from_below(mdp: MDP, gamma: float) -> np.ndarray:
    """(S,) values that no state is worth less than: from there values travel outwards from where something is gained,
    once. From above, each state would have to find out in many small steps that its neighbours are no better."""
    return np.full(mdp.n_states, min(float(mdp.form.reward.min(initial=0.0)), 0.0) / (1 - gamma))


def refine(
    certifier: Certifier, value: np.ndarray, tolerance: float, max_sweeps: int, report: Report, settle: Settle
) -> tuple[np.ndarray, int]:
    """(value (S,), sweeps): rounds of `settle` until the bounds are within the tolerance, or only rounding is left.

    sweeps: backups of single states, divided by their number and rounded up; looks ahead for bounds are not counted.
    """
    mdp, gamma = certifier.mdp, certifier.gamma
    done, allowed = 0, max_sweeps * mdp.n_states
    threshold = max(tolerance * (1 - gamma) / max(gamma, 1e-3), certifier.rounding(np.zeros(1)))
    settled, last = False, np.inf
    # Rows whose mass outgrows the discount have no fixed point to settle at; ordinary sweeps still stay finite.
    hopeless = gamma * certifier.high_mass >= 1
    while True:
        backup = mdp.backup(value, gamma)
        half_width = certifier.shift(value, backup).half_width
        report(-(-done // mdp.n_states), half_width)
        if half_width <= tolerance or done >= allowed:
            break
        rounding = certifier.rounding(value)
        if hopeless or (settled and (half_width >= last or threshold <= 4 * rounding)):
            # The threshold can't tell change from rounding any more: ordinary sweeps still can.
            before = -(-done // mdp.n_states)
            value, sweeps = iterate(certifier, backup, tolerance, max_sweeps - before, onward(report, before))
            done = (before + sweeps) * mdp.n_states
            break
        if settled:
            threshold, last = max(threshold * min(0.9 * tolerance / half_width, 0.5), rounding), half_width
        round_ = min(SWEEPS_A_ROUND * mdp.n_states, allowed - done)
        backups = settle(value, backup - value, threshold, round_)
        settled = backups < round_
        done += backups
    return value, max(-(-done // mdp.n_states), 1)


def solve_in_place(
    planner: Planner, mdp: MDP, report: Report, guess: np.ndarray | None, settle: Settle
) -> dict[str, Any]:
    """What the `_solve` of a planner is that differs from others by how it settles values."""
    certifier = Certifier(mdp, planner.criterion.gamma)
    value = from_below(mdp, certifier.gamma) if guess is None else guess.copy()
    value, sweeps = refine(certifier, value, planner.tolerance, planner.max_sweeps, report, settle)
    return answer(certifier, value, planner.tolerance, sweeps, planner.max_sweeps)


def answer(certifier: Certifier, value: np.ndarray, tolerance: float, sweeps: int, max_sweeps: int) -> dict[str, Any]:
    """What a planner's `_solve` returns for `value` (S,), with a note where the bounds are wider than the tolerance."""
    bounds = certifier.bounds(value)
    return {**bounds, "sweeps": sweeps, "note": shortfall(bounds, tolerance, sweeps, max_sweeps)}


@jit(inline="always")  # a call for each state takes longer
def settled_value(row_start, next_state, probability, reward, terminated, value, gamma, n_actions, s):
    """The right side above for state `s`; gamma T(s | s, a) is below 1."""
    best = -np.inf
    for row in range(s * n_actions, (s + 1) * n_actions):
        if row_start[row] == row_start[row + 1]:
            continue
        total, staying = 0.0, 0.0
        for i in range(row_start[row], row_start[row + 1]):
            target = reward[i]
            if not terminated[i]:
                if next_state[i] == s:
                    staying += probability[i]
                else:
                    target += gamma * value[next_state[i]]
            total += probability[i] * target
        best = max(best, total / (1.0 - gamma * staying))
    return best
