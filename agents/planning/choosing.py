"""Which planner suits an MDP, by its shape (`structure.shape`), and which goes on where the first makes no headway.

    the number of states within reach
      doubles with every step
        few successors, an end, rewards sparse    Gauss-Seidel: values travel outwards from where they are paid
        one comes back                            modified policy iteration: a few sweeps reach everything
        one never does                            topological: one pass in the right order
      grows like a power of the steps, and one can step back
        rewards sparse                            Gauss-Seidel; of many successors modified policy iteration goes on
        varied, few states abreast                policy iteration: the factors are hardly larger than T
        varied, many abreast                      Gauss-Seidel or, of many successors, modified policy iteration;
                                                  where values travel for as long as the discount lets them, inexact
                                                  policy iteration goes on
      grows like a power of the steps, and arrows have a direction
        rewards varied, one never comes back      topological
        few successors                            Gauss-Seidel and modified policy iteration in turns: round a cycle
                                                  either may be far quicker than the other
        many, and an end                          modified policy iteration
        many, and none                            topological, against the arrows; then modified policy iteration

The rules come from measurements over some seventy families of problems (`docs/benchmarks.md`). No rule knows all: an
attempt has a budget of sweeps, and where it is spent the next begins from the values that are there.
"""

from typing import NamedTuple

from rltk.agents.planning.structure.patterns import MOST_SUCCESSORS
from rltk.agents.planning.structure.shape import Shape, goes_round, shape_of
from rltk.errors import CriterionError
from rltk.mdp import MDP, Criterion

HEADWAY = 200  # sweeps in which values that stay near where they are paid have settled


class Attempt(NamedTuple):
    """A planner by name, and the sweeps after which the next one goes on; None: as many as were asked for."""

    method: str
    budget: int | None = None


def attempts(mdp: MDP, criterion: Criterion) -> list[Attempt]:
    """The planners that suit the MDP and the criterion, in turn.

    Raises CriterionError where no planner solves the criterion.
    """
    if criterion.kind == "average" and criterion.horizon is not None:
        raise CriterionError(
            f"[{criterion}]: the average is that of the long run; for so many steps ask for the total, and divide it"
        )
    if criterion.horizon is not None:
        return [Attempt("backward-induction")]
    if criterion.kind == "average":
        return [Attempt("relative-value-iteration")]
    if criterion.kind == "total":
        return [Attempt("gauss-seidel")]
    return discounted(shape_of(mdp), mdp)


def discounted(shape: Shape, mdp: MDP) -> list[Attempt]:
    """The planners for discounted reward."""
    few = shape.successors <= MOST_SUCCESSORS
    settle = Attempt("modified-policy-iteration", 5 * HEADWAY)
    last = Attempt("policy-iteration" if shape.narrow else "inexact-policy-iteration")
    if shape.mixes and few and shape.ends and not shape.varied:
        return [Attempt("gauss-seidel", 5 * HEADWAY), Attempt("modified-policy-iteration")]
    if shape.mixes:
        return [Attempt("modified-policy-iteration" if goes_round(mdp) else "topological-value-iteration")]
    if shape.mutual:
        return _undirected(shape, few, settle, last)
    if shape.varied and not goes_round(mdp):
        return [Attempt("topological-value-iteration")]
    if few:
        in_turns = Attempt("gauss-seidel", HEADWAY), Attempt("modified-policy-iteration", 4 * HEADWAY)
        return [*in_turns, Attempt("gauss-seidel", 10 * HEADWAY), last]
    return [settle, last] if shape.ends else [Attempt("topological-value-iteration", HEADWAY), settle, last]


def _undirected(shape: Shape, few: bool, settle: Attempt, last: Attempt) -> list[Attempt]:
    if not shape.varied:
        return [Attempt("gauss-seidel")] if few else [Attempt("gauss-seidel", HEADWAY // 4), settle, last]
    if shape.narrow:
        return [last]
    return [Attempt("gauss-seidel", HEADWAY) if few else settle, last]
