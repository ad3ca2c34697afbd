"""The return that `step` really pays, where success is paid by the step at which it comes.

    x_0 = start,   x_t = P_pi^T x_(t-1),   paid = sum_t x_(t-1) . r_t^pi                       t = 1, ..., n
    v_n = 0,       v_(t-1)(s) = max_a [ r_t(s, a) + sum_s' T(s' | s, a) v_t(s') ],   optimum = start . v_0

undiscounted, until the environment's limit of n steps. r_t pays w_t, the environment's `success_reward(t)`, for success
on step t, and for everything else what the MDP says. MiniGrid's w_t = 1 - 0.9 t / n is why no stationary MDP can hold
its rewards, and why its MDP declares 1 instead.

Here success is one state more, S, from which nothing goes on, and w_t is what it is worth to enter it on step t. Then
T and what else is paid no longer change with t:  x_(t-1) . r_t = x_(t-1) . r + w_t x_t(S),  and v_t(S) = w_(t+1).

Source: Puterman (1994), sections 4.2 and 4.5.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from rltk.evaluation.exact import LIMITED_WORK
from rltk.mdp import MDP, Chain
from rltk.mdp.rows import Rows

_FIRST_STEPS = 16
_optima: WeakKeyDictionary[MDP, dict[bytes, float]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Paid:
    """An MDP with one state more, success, whose worth follows the clock: `pays` (n,) float64 on steps 1 to n."""

    mdp: MDP
    rows: Rows  # S + 1 states
    pays: np.ndarray

    @property
    def start(self) -> np.ndarray:
        """(S + 1,) float64."""
        return np.append(self.mdp.start, 0.0)

    def chain(self, policy: Any) -> Chain:
        """The chain of a policy of the MDP, (S,) actions or (S, A) probabilities: over S + 1 states."""
        probabilities = self.mdp.policy_probabilities(policy)
        nowhere = np.zeros((1, self.mdp.n_actions))
        return Chain.from_outcomes(self.rows.n_states, self.rows.outcomes(np.vstack([probabilities, nowhere])))

    def value(self, chains: Iterable[Chain]) -> float:
        """What is paid on average; `chains` are those of what is done on step 1, 2, ..."""
        here, total, last = self.start, 0.0, None
        for pay, chain in zip(self.pays, chains, strict=False):
            if not here.any():
                break
            if chain is not last:
                last, onwards = chain, chain.P.T
            total += float(here @ chain.reward)
            here = onwards @ here  # what had succeeded before is gone: S leads nowhere
            total += float(pay * here[-1])
        return total

    def optimum(self) -> float:
        """The most that any policy is paid on average; remembered for as long as the MDP lives."""
        known = _optima.setdefault(self.mdp, {})
        name = self.pays.tobytes()
        if name not in known:
            known[name] = self._optimum()
        return known[name]

    def _optimum(self) -> float:
        """From the first m steps alone where they decide: where it is the same whether what comes after them is worth
        least or most, as where all can be had in m steps and success pays the less the later."""
        n = self.pays.size
        m = min(_FIRST_STEPS, n)
        while m < n:
            low, high = (self._induced(m, beyond) for beyond in self._beyond(m))
            if high <= low:
                return low
            m = min(2 * m, n)
        return self._induced(n, 0.0)

    def _beyond(self, m: int) -> tuple[float, float]:
        """Bounds on what a state is worth with m steps done: on all that can be paid from there on."""
        paid, left = self.rows.expected_reward[:-1], self.pays.size - m
        available = self.mdp.available
        sure = np.where(available, paid, -np.inf).max(axis=1).min()  # a step, whatever comes of it
        low = left * min(0.0, float(sure)) + min(0.0, float(self.pays[m:].min()))
        high = left * max(0.0, float(paid.max())) + max(0.0, float(self.pays[m:].max()))
        return low, high

    def _induced(self, m: int, beyond: float) -> float:
        """The optimum by backward induction from step m, after which every state is worth `beyond`."""
        value = np.full(self.rows.n_states, beyond)
        for pay in self.pays[:m][::-1]:
            value[-1] = pay
            value = self.rows.backup(value, 1.0)
        return self.mdp.over_start(value[:-1])


def reward_model_of(env: Any) -> str:
    """The word for the rewards of the MDP of `env`: "exact" where they are what step pays, else "declared"."""
    return getattr(env.unwrapped, "metadata", {}).get("reward_model", "exact")


def success_reward_of(env: Any) -> Callable[[int], float] | None:
    """What success on a step pays, where that is not what the MDP declares, and where `env` says so."""
    success_reward = getattr(env.unwrapped, "success_reward", None)
    return success_reward if reward_model_of(env) != "exact" and callable(success_reward) else None


def paid_by_the_clock(env: Any, mdp: MDP, time_limit: int | None) -> Paid | None:
    """How `env` pays within its own limit or `time_limit`; None where its MDP's rewards are what it pays, where it does
    not say what success pays (`success_reward`, `max_steps`), has no limit, or where it is too much work.
    """
    success_reward = success_reward_of(env)
    limits = [limit for limit in (time_limit, getattr(env.unwrapped, "max_steps", None)) if limit is not None]
    steps = min(limits, default=math.inf)
    if success_reward is None or steps * (mdp.form.n_outcomes + 1.0) > LIMITED_WORK:
        return None
    success = mdp.success
    if success is None or (success & ~mdp.terminated).any():  # an episode that succeeds and goes on has no such state
        return None
    pays = np.array([success_reward(t) for t in range(1, int(steps) + 1)], dtype=np.float64)
    return Paid(mdp, _with_success_as_a_state(mdp.rows, success), pays)


def _with_success_as_a_state(rows: Rows, success: np.ndarray) -> Rows:
    n, n_actions = rows.n_states, rows.n_actions
    arrays = (
        np.append(rows.row_start, np.full(n_actions, rows.row_start[-1])),
        np.where(success, np.int32(n), rows.next_state),
        rows.probability,
        np.where(success, 0.0, rows.reward),
        rows.terminated & ~success,
    )
    for array in arrays:
        array.flags.writeable = False  # as every MDP's are: kernels are compiled for that type
    return Rows(n + 1, n_actions, *arrays)
