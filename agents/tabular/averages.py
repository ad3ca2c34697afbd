"""Learners without a step size: what they keep is an average, or the solution of equations, of all they have seen."""

from typing import Any

from rltk.agents.tabular.learner import TabularLearner
from rltk.errors import ArgumentError


class NoStepSize(TabularLearner):
    """Mixed into learners that take no `alpha`."""

    def __init__(self, env: Any, *args: Any, alpha: None = None, **options: Any) -> None:
        if alpha is not None:
            raise ArgumentError(f"{type(self).__name__} has no step size; leave alpha= out (it is {alpha!r})")
        super().__init__(env, *args, alpha=0.0, **options)

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(name for name in super().options() if name != "alpha")

    def config(self) -> dict[str, Any]:
        """The hyper-parameters as plain JSON; alpha is None."""
        return {**super().config(), "alpha": None}
