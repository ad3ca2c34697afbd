"""Least-squares policy iteration: the weights that fit all samples at once, without a step size.

    LSTDQ    A = sum phi(s, a) [ phi(s, a) - gamma phi(s', pi(s')) ]^T,   b = sum phi(s, a) r,   w = (A + delta I)^-1 b
    LSPI     pi <- greedy for w, and LSTDQ again with the same samples, until pi stays as it is

phi(s, a) holds the features x(s) in the block of a, and zeros elsewhere, so that q(s, a) = w_a . x(s) (`linear`). A
terminated sample has no s'. LSTDQ finds the fixed point to which semi-gradient SARSA under pi would go; where the
features can't hold the values, LSPI need not settle, and ends after so many iterations.

`LSPI` gathers samples as it goes, by default from random behaviour, and learns from all of them whenever their number
is a multiple of `every`.

Source: Lagoudakis and Parr (2003), "Least-squares policy iteration", JMLR 4, Figures 5 and 8.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.averages import NoStepSize
from rltk.agents.tabular.linear import LinearLearner
from rltk.agents.tabular.memory import lengthened
from rltk.errors import LearningError
from rltk.mdp import first_best, jit
from rltk.runs.checks import checked_count, checked_number

ITERATIONS = 20


class Samples(NamedTuple):
    """n transitions; those that are alike are taken together."""

    states: np.ndarray  # (n,) int64
    actions: np.ndarray  # (n,) int64
    rewards: np.ndarray  # (n,) float64
    next_states: np.ndarray  # (n,) int64
    terminated: np.ndarray  # (n,) bool
    weights: np.ndarray  # (n,) float64: how often each was met


def samples_of(states: Any, actions: Any, rewards: Any, next_states: Any, terminated: Any) -> Samples:
    """(n,) arrays as Samples, those that agree in all but the reward taken together, with their mean reward."""
    keys = np.stack([np.asarray(part, dtype=np.int64) for part in (states, actions, next_states, terminated)])
    unique, inverse, counts = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse.reshape(-1), weights=rewards, minlength=len(counts)) / counts
    return Samples(unique[0], unique[1], mean, unique[2], unique[3].astype(bool), counts.astype(np.float64))


def lstdq(features: np.ndarray, samples: Samples, policy: np.ndarray, gamma: float, ridge: float = 1e-6) -> np.ndarray:
    """(A, d) the weights of `policy` (S, A), probabilities, by the equation above; `ridge` is its delta.

    features: (S, d). Raises LearningError where the samples leave the weights open, which a ridge above 0 prevents.
    """
    n_actions, d = policy.shape[1], features.shape[1]
    matrix, right = ridge * np.eye(n_actions * d), np.zeros(n_actions * d)
    for a in range(n_actions):
        mine = np.flatnonzero(samples.actions == a)
        weighted = features[samples.states[mine]] * samples.weights[mine, None]  # (m, d)
        block = slice(a * d, (a + 1) * d)
        right[block] += weighted.T @ samples.rewards[mine]
        matrix[block, block] += weighted.T @ features[samples.states[mine]]
        going = ~samples.terminated[mine]
        ahead = samples.next_states[mine][going]
        for b in range(n_actions):
            expected = features[ahead] * policy[ahead, b, None]  # (m, d)
            matrix[block, b * d : (b + 1) * d] -= gamma * (weighted[going].T @ expected)
    try:
        weights = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        raise LearningError("LSTDQ: the samples leave the weights open; gather more, or give a ridge above 0") from None
    return weights.reshape(n_actions, d)


def lspi(
    weights: np.ndarray,
    features: np.ndarray,
    available: np.ndarray,
    samples: Samples,
    gamma: float,
    ridge: float = 1e-6,
) -> np.ndarray:
    """(A, d) the weights after at most ITERATIONS of LSTDQ, from the policy that is greedy for `weights` on.

    features: (S, d). available: (S, A) bool.
    """
    n_states, n_actions = available.shape
    policy = np.full(n_states, -1)
    for _ in range(ITERATIONS):
        greedy = first_best(np.where(available, features @ weights.T, -np.inf))
        if (greedy == policy).all():
            break
        policy = greedy
        weights = lstdq(features, samples, np.eye(n_actions)[policy], gamma, ridge)
    return weights


class Gathered(NamedTuple):
    """The features, and all steps so far: `size[0]` of them."""

    features: np.ndarray  # (S, d) float64
    available: np.ndarray  # (S, A) bool
    row: np.ndarray  # (A,) float64
    states: np.ndarray  # (room,) int64
    actions: np.ndarray  # (room,) int64
    rewards: np.ndarray  # (room,) float64
    next_states: np.ndarray  # (room,) int64
    terminated: np.ndarray  # (room,) bool
    size: np.ndarray  # (1,) int64


@jit(_nrt=False)
def gather(
    weights, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Note one step; returns 0, or nan where the reward is not finite."""
    states, actions, rewards, next_states, ended, size = memory[3:]
    at = size[0]
    states[at], actions[at], rewards[at], next_states[at], ended[at] = state, action, reward, next_state, terminated
    size[0] += 1
    return reward * 0.0


class LSPI(NoStepSize, LinearLearner):
    """Least-squares policy iteration on the steps taken so far: `LSPI(env, features=X).learn(10_000)`.

    every: it learns whenever the timestep is a multiple of this. ridge: the equation's delta. It behaves at random
    unless told otherwise. There is no alpha. `LinearLearner` owns the other options.
    """

    name = "lspi"
    update = staticmethod(gather)
    own_options = ("features", "every", "ridge")

    def __init__(self, env: Any, *, every: int = 1000, ridge: float = 1e-6, **options: Any) -> None:
        self.every, self.ridge = checked_count("every", every), checked_number("ridge", ridge, np.inf)
        if options.get("epsilon") is None and options.get("exploration") is None:
            options["epsilon"] = 1.0
        super().__init__(env, **options)

    def samples(self) -> Samples:
        """All steps so far."""
        memory, n = self.memory, int(self.memory.size[0])
        return samples_of(*(part[:n] for part in memory[3:8]))

    def _new_memory(self) -> Any:
        features, available, row = super()._new_memory()
        none = np.zeros(0, dtype=np.int64)
        return Gathered(
            features,
            available,
            row,
            states=none,
            actions=none,
            rewards=none.astype(np.float64),
            next_states=none,
            terminated=none.astype(bool),
            size=np.zeros(1, dtype=np.int64),
        )

    def _reserve(self, count: int) -> None:
        self.memory = lengthened(self.memory, Gathered._fields[3:8], int(self.memory.size[0]) + count)

    def _learn_piece(self, count: int) -> None:
        while count > 0:
            part = min(count, self.every - self.timestep % self.every)
            super()._learn_piece(part)
            count -= part
            if self.timestep % self.every == 0:
                self._solve()

    def _solve(self) -> None:
        """The weights that follow from all steps so far."""
        samples = self.samples()
        with np.errstate(over="ignore", invalid="ignore"):
            adds_up = np.isfinite(np.abs(samples.rewards) @ samples.weights)
        if adds_up:
            self.table[:] = lspi(self.table, self.features, self._available, samples, self.gamma, self.ridge)
        if not adds_up or not np.isfinite(self.table).all():
            self._fault = f"LSPI: the weights after step {self.timestep} are not finite (NaN or infinity)"
            raise LearningError(f"{self._fault}. The rewards so far overflow where they are added up: look at them")
