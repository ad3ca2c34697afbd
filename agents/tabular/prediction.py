"""Prediction: learning what a policy is worth while it, or another, is followed."""

from typing import Any, ClassVar

import numpy as np

from rltk.agents.tabular.checks import available_actions
from rltk.agents.tabular.exploration import FixedPolicy
from rltk.agents.tabular.learner import TabularLearner, alpha_from
from rltk.errors import ArgumentError, ModelError


class PredictionLearner(TabularLearner):
    """A learner of a policy's state values: `agent.value` (S,).

    policy: (S, A) probabilities or (S,) actions; uniform over the available actions if None. behaviour: the policy
    that is followed instead, for methods that learn off-policy; `policy` itself if None. The other options are those of
    `TabularLearner`.
    """

    off_policy: ClassVar[bool] = False  # whether the method corrects for a behaviour that is not the policy
    own_options: ClassVar[tuple[str, ...]] = ("policy", "behaviour")

    def __init__(self, env: Any, policy: Any = None, *, behaviour: Any = None, **options: Any) -> None:
        if "exploration" in options:
            raise ArgumentError("a prediction follows a policy: give policy=, not exploration=")
        if behaviour is not None and not self.off_policy:
            raise ArgumentError(f"{type(self).__name__} learns on-policy: it follows `policy`; leave behaviour= out")
        available = available_actions(env, type(self).__name__)
        self.policy = FixedPolicy(_uniform(available) if policy is None else policy).table(available)
        self.behaviour = FixedPolicy(self.policy if behaviour is None else behaviour).table(available)
        super().__init__(env, exploration=FixedPolicy(self.behaviour), **options)

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(name for name in super().options() if name != "exploration")

    @property
    def value(self) -> np.ndarray:
        """(S,) float64: the state values learnt so far."""
        return self.table

    def true_value(self) -> np.ndarray:
        """(S,) float64: what the policy is exactly worth in each state, from T and R. ModelError where unknown."""
        if self.mdp is None or not self.experience.sees_states:
            raise ModelError("what a policy is exactly worth follows from T and R, which are not known here")
        return self.mdp.chain(self.policy).value(self.gamma)

    def error(self, states: Any = None) -> float:
        """The root mean square of `value - true_value()` over `states` (n,) numbers or (S,) bool; all if None."""
        truth = self.true_value()
        chosen = np.arange(self.n_states) if states is None else np.asarray(states)
        flags = chosen.dtype == bool and chosen.shape == truth.shape
        if not flags and not (chosen.dtype.kind in "iu" and ((chosen >= 0) & (chosen < truth.size)).all()):
            raise ArgumentError(
                f"states: numbers from 0 to {truth.size - 1}, or ({truth.size},) bool, were expected; found {states!r}"
            )
        if not truth[chosen].size:
            raise ArgumentError("states: at least one; found none")
        return float(np.sqrt(np.mean((self.value[chosen] - truth[chosen]) ** 2)))

    def _new_table(self) -> np.ndarray:
        return np.full(self.n_states, self.initial_value)

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the policy whose values are learnt, or the one that is followed where not deterministic."""
        return (self.policy if deterministic else self.behaviour)[self._indices(observations)]

    def config(self) -> dict[str, Any]:
        """The hyper-parameters as plain JSON; the behaviour stands in for the exploration."""
        return {name: value for name, value in super().config().items() if name != "exploration"}

    @classmethod
    def from_config(cls, config: dict[str, Any], env: Any, *, backend: str = "auto") -> Any:
        """A new learner with the hyper-parameters that `config` gave."""
        settings = {**config, "alpha": alpha_from(config), "policy": np.array(config["policy"])}
        behaviour = np.array(settings.pop("behaviour"))
        return cls(env, behaviour=behaviour if cls.off_policy else None, backend=backend, **settings)


def _uniform(available: np.ndarray) -> np.ndarray:
    return available / available.sum(axis=1, keepdims=True)
