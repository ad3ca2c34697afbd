"""Least-squares TD: the fixed point of TD(0) on all experience so far, from equations instead of steps.

    V(s) = v0 + x(s)' w                                                  x(s) (d,): the features of s
    A = sum over the steps of x(s) (x(s) - gamma x(s'))' + ridge I       x(s') = 0 at a terminated step
    b = sum over the steps of (r - v0 + gamma v0) x(s)                   gamma v0 left out at a terminated step
    w = A^-1 b

v0 is `initial_value`: what is worth nothing yet is worth that. With a feature for each state (tabular) this is what
batch TD comes to. Solving takes d^3 operations, once a callback and at the end of `learn`; a step takes at most d^2.

Source: Bradtke and Barto (1996), "Linear least-squares algorithms for temporal difference learning"; Boyan (2002);
Sutton and Barto (2018), section 9.8, equations 9.20 and 9.21 (`ridge` is their epsilon).
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.batch import SettlingLearner
from rltk.agents.tabular.checks import available_actions
from rltk.agents.tabular.linear import checked_features
from rltk.agents.tabular.prediction import PredictionLearner
from rltk.errors import LearningError, SizeError
from rltk.mdp import jit
from rltk.runs.checks import checked_number

_MOST_FEATURES = 16_384  # A of 2 GiB


class Equations(NamedTuple):
    """A and b without the ridge, what they are made of, and their solution."""

    A: np.ndarray  # (d, d) float64
    b: np.ndarray  # (d,) float64
    features: np.ndarray  # (S, d) float64; (0, 0) where each state has its own
    origin: np.ndarray  # (1,) float64: v0
    weights: np.ndarray  # (d,) float64: w


@jit(_nrt=False)
def lstd_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Add the step to the equations; the values move when they are solved."""
    A, b, features, origin, weights = memory
    discount = 0.0 if terminated else gamma
    excess = reward + discount * origin[0] - origin[0]
    if features.size == 0:
        A[state, state] += 1.0
        A[state, next_state] -= discount
        b[state] += excess
    else:
        for i in range(b.size):
            x = features[state, i]
            if x != 0.0:
                b[i] += x * excess
                for j in range(b.size):
                    A[i, j] += x * (features[state, j] - discount * features[next_state, j])
    return reward * 0.0  # what is not finite stops learning at once


class LSTD(SettlingLearner):
    """Learn a policy's state values by least-squares TD: `LSTD(env, policy)`, or `LSTD(env, features=X)`.

    features: (S, d) finite numbers, the features of each state, or a function of all observations (S,) that gives them;
    one for each state if None. ridge: of A's diagonal, at least 0; with 0 the shortest w that comes nearest to solving
    the equations is taken. `agent.weights` (d,) is w. `PredictionLearner` owns the other options; there is no alpha.
    """

    name = "lstd"
    update = staticmethod(lstd_update)
    own_options = ("features", "ridge", *PredictionLearner.own_options)

    def __init__(
        self, env: Any, policy: Any = None, *, features: Any = None, ridge: float = 1e-6, **options: Any
    ) -> None:
        n_states, first = len(available_actions(env, type(self).__name__)), int(env.observation_space.start)
        self.features = None if features is None else checked_features(features, n_states, first)
        self.ridge = checked_number("ridge", ridge, np.inf)
        super().__init__(env, policy, **options)

    @property
    def weights(self) -> np.ndarray:
        """(d,) float64: one for each feature."""
        return self.memory.weights

    def _new_memory(self) -> Any:
        features = np.zeros((0, 0)) if self.features is None else self.features
        d = self.n_states if self.features is None else features.shape[1]
        if d > _MOST_FEATURES:
            raise SizeError(
                f"LSTD solves equations of {d:,} unknowns, which would take {d * d * 8 / 2**30:.0f} GiB; give features "
                f"(S, d) with d at most {_MOST_FEATURES:,}, or take TD"
            )
        return Equations(np.zeros((d, d)), np.zeros(d), features, np.array([self.initial_value]), np.zeros(d))

    def _follow(self) -> None:
        A, b, features, origin, weights = self.memory
        try:
            if self.ridge > 0:
                weights[:] = np.linalg.solve(A + self.ridge * np.eye(b.size), b)
            else:
                weights[:] = np.linalg.lstsq(A, b)[0]
        except np.linalg.LinAlgError as error:
            mend = "Give a larger ridge, or features that do not depend on each other"
            raise LearningError(
                f"LSTD: the equations after step {self.timestep} have no solution ({error}). {mend}"
            ) from None
        self.table[:] = origin[0] + (weights if self.features is None else features @ weights)
