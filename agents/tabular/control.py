"""Control: learning action values and acting by them."""

from typing import Any

import numpy as np

from rltk.agents.tabular.exploration import EpsilonGreedy, Exploration
from rltk.agents.tabular.learner import TabularLearner
from rltk.errors import ArgumentError
from rltk.mdp import first_best
from rltk.runs import Schedule
from rltk.runs.checks import masked


class ControlLearner(TabularLearner):
    """A learner with one value for each observation and action: `agent.q` (S, A), -inf where an action is barred.

    epsilon: short for `exploration=EpsilonGreedy(epsilon)`. The other options are those of `TabularLearner`.
    """

    def __init__(
        self,
        env: Any,
        *,
        epsilon: float | Schedule | None = None,
        exploration: Exploration | None = None,
        **options: Any,
    ) -> None:
        if epsilon is not None and exploration is not None:
            raise ArgumentError("epsilon is short for exploration=EpsilonGreedy(epsilon); give one of the two")
        if exploration is not None and not isinstance(exploration, Exploration):
            raise ArgumentError(
                "exploration: a rule of behaviour such as EpsilonGreedy(0.1), Softmax(1.0), UCB(2.0) or "
                f"FixedPolicy(policy) was expected; found {exploration!r}"
            )
        rule = EpsilonGreedy(0.1 if epsilon is None else epsilon) if exploration is None else exploration
        super().__init__(env, exploration=rule, **options)

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of all options."""
        names = super().options()
        return (*names[:2], "epsilon", *names[2:])

    @property
    def q(self) -> np.ndarray:
        """(S, A) float64: the action values learnt so far."""
        return self.table

    @property
    def value(self) -> np.ndarray:
        """(S,) float64: the best action value of each state."""
        return self.q.max(axis=1)

    @property
    def epsilon(self) -> Any:
        """The rate of exploration, a number or a schedule."""
        return self.exploration.rate

    def _new_table(self) -> np.ndarray:
        return np.where(self.available, self.initial_value, -np.inf)

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the greedy policy of (N,) observations, or the behaviour policy where not deterministic."""
        index = self._indices(observations)
        q = masked(self.q[index], mask)
        if not deterministic:
            return self.exploration.probabilities(q, index, self._rate_now(), self.habits)
        probabilities = np.zeros(q.shape)
        probabilities[np.arange(len(q)), first_best(q)] = 1.0
        return probabilities
