"""The best memoryless policy found: how far an agent can get that acts on what it sees now and remembers nothing.

States that look alike must be acted in alike. Among such policies no Bellman equation holds: what is best in one class
of states depends on what is done in all others, chance can beat every fixed choice (Singh, Jaakkola and Jordan 1994),
and to find the best fixed choice is NP-hard (Littman 1994). So this is a search, and what it returns is a lower bound
on the best: `found`, not proved. Each value on its way is exact, though. From several starting points:

1. Ascent. All classes move together towards the greedy policy over classes,

       x <- (1 - w) x + w g,     g_c = argmax_a sum_{s in c} d(s) Q(s, a)

   with w = 1, 1/2, 1/4, ... as far as the exact value of the start rises. The derivative at w = 0 is
   sum_s d(s) A(s, g) >= 0, so some w improves unless x is a stationary point (Jaakkola, Singh and Jordan 1995).
2. Fixed choices. The most probable action of each class, then classes changed one at a time, each change weighed
   exactly (`class_policies`), until none helps.
3. Chance. From the ascent's end classes move by shares towards single actions, until none helps. It is kept only where
   it beats the best fixed choices.

Every other start is the best fixed choice so far with some of its classes drawn anew.

Source: Littman (1994), "Memoryless policies: theoretical limitations and practical results"; Singh, Jaakkola and Jordan
(1994), "Learning without state-estimation in partially observable Markovian decision processes"; Jaakkola, Singh and
Jordan (1995), "Reinforcement learning algorithm for partially observable Markov decision problems".
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rltk.errors import ArgumentError, CriterionError, ModelError
from rltk.evaluation.alikeness import observation_classes
from rltk.evaluation.class_policies import ClassProblem, Evaluated
from rltk.evaluation.exact import answer_key
from rltk.mdp import Criterion, model_of
from rltk.runs import Streams

_HALVINGS = 12  # of the share by which all classes move together
_SHARES = 0.5 ** np.arange(7)  # by which one class moves alone
WHOLE = np.ones(1)  # the class moves as a whole: choices stay fixed
_DRAWN_ANEW = 0.15  # of the classes that the best policy visits
_CONVERGED = 1e-6  # where chance enters, gains below this share of the value's size are none: they never end


@dataclass(frozen=True, eq=False)
class Memoryless:
    """The best memoryless policy found, beside the optimum of one who knows the state.

    policy: (S, A) probabilities, equal in states of one class. value: its return over the start, exact.
    deterministic_value: of the best one found that leaves nothing to chance; equal to `value` unless chance helps.
    optimum: of the fully informed. classes: (S,) numbers of what looks alike. local_optimum: no class, changed alone,
    does better: proved by trying. As an agent it acts on the state index (`info["state"]`), like a Solution.
    """

    policy: np.ndarray = field(repr=False)
    value: float
    deterministic_value: float
    optimum: float
    classes: np.ndarray = field(repr=False)
    n_classes: int
    local_optimum: bool
    starts: int
    seconds: float
    criterion: Criterion

    acts_on_states = True

    @property
    def suboptimality(self) -> float:
        """optimum - value: what not remembering costs, as far as was found."""
        return self.optimum - self.value

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """(action, state) for a state index or an array of them: the most probable action of its class."""
        action = self.action_probabilities(observation).argmax(axis=1)
        return (int(action[0]) if np.ndim(observation) == 0 else action), state

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the policy of (N,) state indices, chance included."""
        index = np.atleast_1d(np.asarray(observations))
        if index.dtype.kind not in "iu" or (index < 0).any() or (index >= len(self.policy)).any():
            raise ArgumentError(f"a state index, 0 to {len(self.policy) - 1}, was expected; found {observations!r}")
        return self.policy[index]

    def __str__(self) -> str:
        chance = self.value > self.deterministic_value
        lines = [
            f"the best memoryless policy found, {self.criterion}: {self.value:.6g}",
            f"  fully informed optimum {self.optimum:.6g}, {self.suboptimality:.3g} above it",
            f"  {len(self.classes):,} states in {self.n_classes:,} classes that look alike",
            f"  {self.starts} starts in {self.seconds:.1f} s; no change of one class alone does better",
        ]
        if chance:
            lines.insert(2, f"  it leaves some choices to chance; without, {self.deterministic_value:.6g}")
        return "\n".join(lines)


def best_memoryless(
    env: Any, criterion: Criterion | float = 0.99, *, restarts: int = 20, seed: int = 0, classes: Any = None
) -> Memoryless:
    """Search the best memoryless policy of `env` as it stands, under a discounted criterion (or a gamma).

    restarts: starting points at most; a policy as good as the optimum ends the search. seed: of what is drawn; the same
    seed, the same policy. classes: (S,) numbers of the states that are to look alike; by default those that do in this
    environment's own observation.

    Raises ModelError where T and R are not known, CriterionError where nothing is discounted or there is a horizon.
    """
    began = time.perf_counter()
    criterion = criterion if isinstance(criterion, Criterion) else Criterion(criterion)
    if criterion.kind != "discounted" or criterion.horizon is not None:
        raise CriterionError(
            f"[{criterion}]: memoryless policies are searched under a discount and without a horizon; ask for gamma < 1"
        )
    if isinstance(restarts, bool) or not isinstance(restarts, int | np.integer) or restarts < 1:
        raise ArgumentError(f"restarts: a whole number of starting points, at least 1; found {restarts!r}")
    mdp, _, reason = model_of(env)
    if mdp is None:
        raise ModelError(f"{reason}; memoryless policies are valued by T and R")
    seen = observation_classes(env, mdp) if classes is None else _checked_classes(classes, mdp.n_states, mdp.available)
    problem, optimum = ClassProblem(mdp, seen, criterion.gamma), mdp.over_start(answer_key(mdp, criterion).optimum)
    fixed, mixed, starts = _search(problem, optimum, int(restarts), Streams(seed).generator("memoryless"))
    best = mixed if mixed.value > fixed.value + fixed.margin else fixed
    return Memoryless(
        policy=best.policy,
        value=best.value,
        deterministic_value=fixed.value,
        optimum=optimum,
        classes=seen,
        n_classes=problem.n_classes,
        local_optimum=True,
        starts=starts,
        seconds=time.perf_counter() - began,
        criterion=criterion,
    )


def _checked_classes(classes: Any, n_states: int, available: np.ndarray) -> np.ndarray:
    given = np.asarray(classes)
    if given.shape != (n_states,) or given.dtype.kind not in "iu":
        raise ArgumentError(
            f"classes: a whole number for each of {n_states} states was expected; found {given.dtype}, {given.shape}"
        )
    pairs = np.column_stack([given, available])
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


# The search


def _search(
    problem: ClassProblem, optimum: float, restarts: int, stream: np.random.Generator
) -> tuple[Evaluated, Evaluated, int]:
    """(the best fixed choices, the best with chance, from how many starts)."""
    fixed: Evaluated | None = None
    mixed: Evaluated | None = None
    number = 0
    while number < restarts and (fixed is None or fixed.value < optimum - fixed.margin):
        if fixed is not None and number % 2:
            begun = settled(problem.evaluate(_drawn_anew(fixed, stream)), WHOLE, stream)
        else:
            risen = _ascent(problem.evaluate(_beginning(problem, number, stream)))
            begun = settled(problem.evaluate(_hardened(risen)), WHOLE, stream)
            mixed = risen if mixed is None or risen.value > mixed.value + mixed.margin else mixed
        fixed = begun if fixed is None or begun.value > fixed.value + fixed.margin else fixed
        number += 1
    assert fixed is not None
    assert mixed is not None
    return fixed, max((settled(one, _SHARES, stream) for one in (mixed, fixed)), key=lambda one: one.value), number


def _beginning(problem: ClassProblem, number: int, stream: np.random.Generator) -> np.ndarray:
    """(C, A): the uniform policy first, then policies drawn at random, as likely near the corners as inside."""
    weights = np.ones(problem.available.shape) if number == 0 else stream.exponential(size=problem.available.shape)
    weights = np.where(problem.available, weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _drawn_anew(point: Evaluated, stream: np.random.Generator) -> np.ndarray:
    """(C, A) the fixed choices of `point` with some of the classes that it visits drawn anew."""
    problem, x = point.problem, point.x.copy()
    visited = np.unique(problem.classes[point.visits > 0])
    count = min(visited.size, max(2, round(_DRAWN_ANEW * visited.size)))
    for c in stream.choice(visited, size=count, replace=False):
        x[c] = 0.0
        x[c, stream.choice(np.flatnonzero(problem.available[c]))] = 1.0
    return x


def _ascent(point: Evaluated) -> Evaluated:
    """Move all classes towards the greedy policy for as long as that raises the value: step 1."""
    halvings = 0
    while True:
        greedy = np.zeros_like(point.x)
        greedy[np.arange(len(greedy)), point.greedy()] = 1.0
        least = _least(point)
        better = None
        for halving in range(max(0, halvings - 2), _HALVINGS):
            share = 0.5**halving
            tried = point.problem.evaluate((1 - share) * point.x + share * greedy)
            if better is not None and tried.value <= better.value:
                break
            if tried.value > point.value + least:
                better, halvings = tried, halving
        if better is None:
            return point
        point = better


def _hardened(point: Evaluated) -> np.ndarray:
    """(C, A) the most probable action of each class, the greedy one where they are alike."""
    x = np.zeros_like(point.x)
    likely = point.x + 1e-9 * (np.arange(x.shape[1]) == point.greedy()[:, None])
    x[np.arange(len(x)), np.where(point.problem.available, likely, -1.0).argmax(axis=1)] = 1.0
    return x


def _least(point: Evaluated) -> float:
    """The least gain that counts where classes move by shares."""
    return max(point.margin, _CONVERGED * abs(point.value))


def settled(point: Evaluated, shares: np.ndarray, stream: np.random.Generator) -> Evaluated:
    """Change single classes, each towards one action by one of `shares`, until no such change helps: steps 2 and 3."""
    waiting = list(stream.permutation(point.problem.n_classes))
    tried = 0
    while tried < len(waiting):
        c = waiting[tried]
        actions = point.promising(c)
        better = None
        if actions.size:
            gains = point.gains(c, actions, shares)
            i, j = np.unravel_index(gains.argmax(), gains.shape)
            if gains[i, j] > (point.margin if shares is WHOLE else _least(point)):
                x = point.x.copy()
                x[c] *= 1.0 - shares[j]
                x[c, actions[i]] += shares[j]
                better = point.problem.evaluate(x)
        tried += 1
        if better is not None and better.value > point.value:
            # All others have to be asked again; this one last.
            waiting, tried, point = waiting[tried:] + waiting[:tried], 0, better
    return point
