"""Soft value iteration: the optimum of reward plus the policy's entropy, at a temperature tau > 0.

    V <- T V,    (T V)(s) = tau log sum_a exp( q(s, a) / tau ),    q(s, a) = sum_s' T(s' | s, a) [ r + gamma V(s') ]
    pi(a | s) = exp( (q(s, a) - V(s)) / tau )          largest E[ sum_t gamma^t ( r_t + tau H(pi(. | s_t)) ) ]

Sums run over the available actions. As the hard operator, T is monotone and adding a constant to V adds at most gamma m
times it to T V, so the bounds of `rltk.agents.planning.bounds` hold; the policy above, for the q of any V, obeys the
lower one. As tau goes to 0 it tends to value iteration: V* <= V*_soft <= V* + tau log(A) / (1 - gamma).

An episode that has ended earns no entropy: a state where every action only ends and pays nothing is worth 0.

Rounding: with exp and log right within 8u (4 units in the last place), y <= 0 in the exponents and exp(y) |y| < 1/2,
the sum is right within (2A + 8) u of itself, its logarithm within (2A + 8 + 9 log A) u, the last sum within u of |V|.
The probabilities are right to the same order, which costs their policy at most twice as much.

Source: Ziebart (2010), Modeling Purposeful Adaptive Behavior with the Principle of Maximum Causal Entropy, chapter 6;
Haarnoja et al. (2017), Reinforcement Learning with Deep Energy-Based Policies, theorem 1.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from rltk.agents.planning.bounds import UNIT, Certifier
from rltk.agents.planning.planner import Planner, Report, checked_positive, shortfall
from rltk.agents.planning.solution import Solution
from rltk.agents.planning.value_iteration import iterate
from rltk.errors import ArgumentError
from rltk.mdp import MDP, Criterion, first_best, jit


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftSolution(Solution):
    """The answer key of reward plus entropy. `value` and its bounds hold the entropy, `policy` is the mode of the
    optimal policy, and `policy_loss` bounds what the policy of `action_probabilities(deterministic=False)` lacks.
    """

    temperature: float
    seed: int  # of the stream that `predict(deterministic=False)` draws from
    origin: np.ndarray = field(repr=False)  # (S,) float64: the value that q looks ahead from

    @cached_property
    def q(self) -> np.ndarray:
        """(S, A) float64 soft action values; -inf where an action is not available."""
        return self.mdp.q(self.origin, self.criterion.gamma)

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the optimal policy, softmax of q / tau, or its mode where `deterministic`."""
        if deterministic:
            return super().action_probabilities(observations, mask)
        return softmax(self.q[np.atleast_1d(self._states(observations))], self.temperature)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """(action, state): the mode, or a draw from the optimal policy. Each drawn action takes one number of the
        solution's own stream, which begins at `seed`: the same calls get the same actions."""
        if deterministic:
            return super().predict(observation, state, episode_start)
        index = self._states(observation)
        cumulated = np.cumsum(self.action_probabilities(index, deterministic=False), axis=1)  # (N, A)
        drawn = self._random.random((index.size, 1)) * cumulated[:, -1:]
        # Rounding must not draw what comes after the last action that can happen.
        action = np.minimum((drawn >= cumulated).sum(axis=1), (cumulated < cumulated[:, -1:]).sum(axis=1))
        return (int(action[0]) if index.ndim == 0 else action.reshape(index.shape)), state

    @cached_property
    def _random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def __str__(self) -> str:
        return f"{super().__str__()}\nvalues hold the entropy of the policy at temperature {self.temperature:g}"


class SoftValueIteration(Planner):
    """Soft value iteration with certified bounds: `SoftValueIteration(gamma=0.99, temperature=0.1).solve(mdp)`.

    temperature: what a unit (nat) of entropy is worth in reward, above 0. seed: of the draws of the solution's policy.
    """

    name = "soft value iteration"
    regularised = True
    solution: ClassVar[type[Solution]] = SoftSolution

    def __init__(
        self,
        gamma: float | None = None,
        *,
        temperature: float = 1.0,
        seed: int = 0,
        criterion: Criterion | None = None,
        tolerance: float = 1e-6,
        max_sweeps: int = 1_000_000,
    ) -> None:
        super().__init__(gamma, criterion=criterion, tolerance=tolerance, max_sweeps=max_sweeps)
        self.temperature = checked_positive(temperature, "temperature")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ArgumentError(f"seed is a whole number, at least 0; it is {seed!r}")
        self.seed = int(seed)

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        certifier = SoftCertifier(mdp, self.criterion.gamma, self.temperature)
        value = np.zeros(mdp.n_states) if guess is None else guess
        value, sweeps = iterate(certifier, value, self.tolerance, self.max_sweeps, report)
        answer = certifier.bounds(value)
        return {
            **answer,
            "sweeps": sweeps + 1,
            "note": shortfall(answer, self.tolerance, sweeps, self.max_sweeps),
            "temperature": self.temperature,
            "seed": self.seed,
            "origin": value,
        }


class SoftCertifier(Certifier):
    """The bounds of one MDP under one gamma and temperature, by the same shift as the hard operator's."""

    def __init__(self, mdp: MDP, gamma: float, temperature: float) -> None:
        super().__init__(mdp, gamma)
        self.temperature = temperature

    def backup(self, value: np.ndarray) -> np.ndarray:
        """(S,) float64: the soft operator applied once."""
        return self._soft(self.mdp.q(value, self.gamma))

    def rounding(self, value: np.ndarray) -> float:
        """How far a computed soft backup of `value` can be from the exact one, in any state."""
        n_actions = self.mdp.n_actions
        largest = self.largest_reward + self.gamma * float(np.abs(value).max())
        own = self.temperature * (2 * n_actions + 8 + 10 * math.log(n_actions)) + largest
        return super().rounding(value) + UNIT * (1 + 1e-6) * own

    def bounds(self, value: np.ndarray) -> dict:
        """lower, upper, policy and policy_loss from one soft look ahead at `value` (S,)."""
        q, e = self.mdp.q(value, self.gamma), self.rounding(value)
        backup = self._soft(q)
        change = backup - value
        shift = self.shift_of(float(change.min()), float(change.max()), e)
        of_policy = self.shift_of(float(change.min()), float(change.max()), 3 * e).below
        lower, upper = backup + shift.below, backup + shift.above
        lower[self.resting] = upper[self.resting] = 0.0
        return {
            "lower": lower,
            "upper": upper,
            "policy": first_best(q, self.tie(value)),
            "policy_loss": max(shift.above - of_policy + e, 0.0),
        }

    def _soft(self, q: np.ndarray) -> np.ndarray:
        out = np.empty(q.shape[0])
        _soft_maximum(q, self.temperature, out)
        out[self.resting] = 0.0
        return out


def softmax(q: np.ndarray, temperature: float) -> np.ndarray:
    """(N, A) probabilities proportional to exp(q / temperature); 0 where q is -inf."""
    with np.errstate(over="ignore"):  # a small temperature makes what is worse as good as impossible
        weights = np.exp((q - q.max(axis=1, keepdims=True)) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


@jit
def _soft_maximum(q, temperature, out):
    """Fill `out` (S,) with temperature * log sum_a exp(q(s, a) / temperature); an action of -inf counts for nothing."""
    for s in range(out.size):
        top = -np.inf
        for a in range(q.shape[1]):
            top = max(top, q[s, a])
        total = 0.0
        for a in range(q.shape[1]):
            if q[s, a] > -np.inf:
                total += math.exp((q[s, a] - top) / temperature)
        out[s] = top + temperature * math.log(total)
