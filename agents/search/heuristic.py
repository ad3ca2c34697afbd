"""What LRTDP and LAO* share: an upper bound that comes down from a heuristic, and the bounds that follow from it.

    start from U = h >= V*;  settle what greedy actions meet from the start to within epsilon;
    V*(start) <= U(start),   V*(start) >= the exact value of the policy found;   narrow epsilon until they agree

Both ends hold whatever epsilon is (`successors` and `envelope` say why), so epsilon only decides how long it takes. The
default heuristic is the most that can be had at all: with m the largest row sum, x+ = max(x, 0),

    h = max( m max ending reward,  m max step reward / (1 - gamma m) )+        at gamma < 1,
    h = max ending reward+                                                     at gamma = 1, where no step pays.

Source: Bonet and Geffner (2003); Hansen and Zilberstein (2001).
"""

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from rltk.agents.planning.planner import checked_positive
from rltk.agents.search.envelope import Envelope, back_up, deflate, envelope, meet
from rltk.agents.search.following import Followed, is_state_number
from rltk.agents.search.result import SearchResult
from rltk.agents.search.successors import ExploredMDP, ExploredModel, Heuristic, action_bounds
from rltk.errors import ArgumentError, CriterionError, ModelError
from rltk.mdp import MDP, Criterion


class HeuristicSearch(ABC):
    """An agent that solves only what matters from where it stands, and remembers it.

    env_or_model: an environment whose exact MDP is known or that has `successors(state, action)`; an MDP; or any
    `SuccessorModel`. It acts on states: `predict` takes `info["state"]`, or what the followed environment shows now.
    heuristic: a number, (S,) numbers, or a callable of the state, never below V* (the default is told above; a model
    that can't be enumerated needs one). What is reported is only as true as it is. tolerance: the largest
    (upper - lower) / 2 of the start that is asked for. epsilon: the residual at which a state counts as settled; by
    default it begins at the tolerance and shrinks as far as that needs. max_backups: when one search gives up.

    Raises CriterionError at gamma = 1 where steps pay and no heuristic says how much.
    """

    name: ClassVar[str]

    def __init__(
        self,
        env_or_model: Any,
        *,
        gamma: float = 0.99,
        heuristic: float | np.ndarray | Heuristic | None = None,
        tolerance: float = 1e-6,
        epsilon: float | None = None,
        max_backups: int = 10_000_000,
    ) -> None:
        self.criterion = Criterion(gamma)
        self.tolerance = checked_positive(tolerance, "tolerance")
        self.epsilon = None if epsilon is None else checked_positive(epsilon, "epsilon")
        if isinstance(max_backups, bool) or not isinstance(max_backups, int | np.integer) or max_backups < 1:
            raise ArgumentError(f"max_backups is a positive whole number; it is {max_backups!r}")
        self.max_backups = int(max_backups)
        self.heuristic = heuristic
        self.followed: Followed | None = None
        self._model = env_or_model
        if isinstance(env_or_model, gym.Env | gym.vector.VectorEnv):
            self.followed = Followed(env_or_model, type(self).__name__)
            self._model = self.followed.mdp or self.followed.inner
        self._begin()

    def _begin(self) -> None:
        """Forget everything, and look at nothing yet."""
        self._explored = _explored(self._model, self.heuristic, self.gamma, type(self).__name__)
        self._given_up: set[int] = set()
        self._backups, self._pass = 0, 0

    @property
    def env(self) -> Any:
        """The environment that is followed, or None."""
        return None if self.followed is None else self.followed.env

    @property
    def acts_on_states(self) -> bool:
        """Whether `predict` is handed `info["state"]`; elsewhere what is observed is the state."""
        return self.followed is None or self.followed.hands_out_states or not isinstance(self._model, MDP)

    @property
    def gamma(self) -> float:
        """The discount that this agent searches under."""
        return self.criterion.gamma

    # Acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[int, Any]:
        """(action, state): `observation` is the state (`info["state"]`), or what the followed environment shows now.

        Searches where the state is not yet known to be on the way of a solved one.
        """
        self._follow_level()
        first = 0 if self.followed is None else self.followed.first_action
        return self._action(self._explored.node(self._state_of(observation))) + first, state

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the policy in (N,) states; each is searched from where it is not solved yet."""
        self._follow_level()
        states = np.atleast_1d(np.asarray(observations))
        probabilities = np.zeros((states.size, self._explored.graph.n_actions))
        for i, state in enumerate(states):
            probabilities[i, self._action(self._explored.node(state))] = 1.0
        return probabilities

    def _action(self, node: int) -> int:
        graph = self._explored.graph
        if graph.policy[node] < 0 and node not in self._given_up:
            self._search_from(node)
            graph = self._explored.graph
        return int(graph.policy[node]) if graph.policy[node] >= 0 else int(np.nanargmax(self._action_bounds(node)))

    def _state_of(self, observation: Any) -> Any:
        if self.followed is None or not isinstance(self._model, MDP) or is_state_number(observation):
            return observation
        state = self.followed.state_number()
        self.followed.check_observation(observation, state)
        return state

    def _follow_level(self) -> None:
        """Begin anew where the environment has gone to another level."""
        if self.followed is not None and isinstance(self._model, MDP) and self.followed.mdp is not self._model:
            self._model = self.followed.mdp
            self._begin()

    # Searching

    def search(self, state: Any = None) -> SearchResult:
        """Bounds on the optimal value of `state`, or of where episodes start where that is None.

        The start is an MDP's start distribution; a `SuccessorModel` needs `state`.
        """
        begin, before = time.perf_counter(), self._backups
        self._follow_level()
        if state is not None:
            starts, weights = [self._explored.node(state)], np.ones(1)
        elif isinstance(self._model, MDP):
            starts = [self._explored.node(s) for s in np.flatnonzero(self._model.start).tolist()]
            weights = self._model.start[self._model.start > 0]
        else:
            raise ArgumentError(f"{type(self).__name__}.search needs state=: this model does not say where it starts")
        lowers, notes = zip(*(self._search_from(node) for node in starts), strict=True)
        graph = self._explored.graph
        lower, upper = float(weights @ np.array(lowers)), float(weights @ graph.value[starts])
        only = starts[0] if len(starts) == 1 else None
        bounded = np.isfinite(lower) and np.isfinite(upper)
        return SearchResult(
            state=None if only is None else self._explored.state(only),
            action=None if only is None else self._action(only),
            value=lower + (upper - lower) / 2 if bounded else lower if lower == upper else np.nan,
            lower=lower,
            upper=upper,
            certified=True,
            converged=lower == upper or abs(upper - lower) / 2 <= self.tolerance,
            action_values=np.full(graph.n_actions, np.nan) if only is None else self._action_bounds(only),
            visits=None,
            expanded=self._expanded(),
            backups=self._backups - before,
            seconds=time.perf_counter() - begin,
            criterion=self.criterion,
            method=self.name,
            note=next((note for note in notes if note), ""),
        )

    def _search_from(self, root: int) -> tuple[float, str]:
        """Narrow the bounds of `root` to the tolerance; returns its value from below and what kept it from that."""
        lower = float(self._explored.graph.lower[root])
        if self._width(root, lower) <= self.tolerance:
            return lower, ""
        end = self._backups + self.max_backups
        epsilon, forgotten = self.epsilon or self.tolerance, False
        while True:
            settled = self._settle_wholly(root, epsilon, end)
            graph, slack = self._explored.graph, self._slack(epsilon)
            found = envelope(graph, root, self.gamma, slack, self.tolerance, self._next_pass())
            lower = -np.inf if found is None else float(found.solution.lower[0])
            self._check_admissible(root, lower)
            width = self._width(root, lower)
            if width > self.tolerance and not forgotten and self._forget():
                forgotten = True  # policies found from elsewhere are kept to, and were perhaps in the way
                continue
            spent = epsilon < 1e-16 * max(abs(graph.value[root]), 1e-280) or not settled
            if width <= self.tolerance or spent or self.epsilon is not None or graph.value[root] == -np.inf:
                if found is not None and lower > -np.inf:
                    self._adopt(found)
                else:
                    self._given_up.add(root)
                return lower, "" if width <= self.tolerance else self._note(root, settled, width)
            epsilon *= min(0.1, max(0.5 * self.tolerance / width, 1e-3))
            graph.solved[:] = False

    def _check_admissible(self, root: int, lower: float) -> None:
        """ArgumentError where a policy was found that is worth more than the heuristic allows.

        At gamma 1 a planner reads rows as distributions, and so may part from U by as much as a row's sum does from 1.
        """
        upper = float(self._explored.graph.value[root])
        if lower > upper + (self.tolerance if self.gamma == 1 else 0.0):
            raise ArgumentError(
                f"heuristic is not admissible: it says that state {self._explored.state(root)!r} is worth at most "
                f"{upper:g}, but a policy was found that is worth {lower:g}; give one that is never below the optimum"
            )

    def _settle_wholly(self, root: int, epsilon: float, end: int) -> bool:
        """Settle from `root`, resting components included; False where `end` backups come first."""
        self._settle(root, epsilon, end)
        if self.gamma == 1 and deflate(self._explored.graph) >= 0:
            # Within a component greedy actions may go round for ever and never find the way out: follow all ties.
            self._grow(root, epsilon, self._slack(epsilon), end)
            while self._backups < end and deflate(self._explored.graph) > epsilon:
                self._grow(root, epsilon, self._slack(epsilon), end)
            self._explored.graph.solved[:] = False
        return self._backups < end

    @abstractmethod
    def _settle(self, root: int, epsilon: float, end: int) -> None:
        """Bring U down until greedy actions from `root` meet only expanded nodes, none changing by more than
        `epsilon`, or `end` backups are done."""

    def _grow(self, root: int, epsilon: float, slack: float, end: int) -> None:
        """LAO*'s passes: expand and back up what actions within `slack` of greedy meet, until it has settled."""
        while self._backups < end:
            mark = self._next_pass()
            found, missing, tips, residual = meet(self._explored.graph, root, self.gamma, slack, False, mark)
            if tips == 0 and residual <= epsilon:
                return
            if missing > 0:
                self._explored.expand(self._explored.graph.closed[:missing].copy())
            back_up(self._explored.graph, found, self.gamma)
            self._backups += found

    def _slack(self, epsilon: float) -> float:
        """Within how much of the best an action is followed, where ties matter."""
        return 0.0 if self.gamma < 1 else max(self.tolerance, 10 * epsilon)

    def _adopt(self, found: Envelope) -> None:
        """Follow the policy of `found` from now on, where there was none."""
        graph, nodes, solution = self._explored.graph, found.nodes, found.solution
        new = (graph.policy[nodes] < 0) & (solution.lower > -np.inf)
        graph.policy[nodes[new]] = solution.policy[new]
        graph.lower[nodes[new]] = solution.lower[new]

    def _forget(self) -> bool:
        """Give up the policies found so far, though not the bounds from above; False where there were none."""
        graph = self._explored.graph
        had = bool((graph.policy >= 0).any())
        graph.policy[:], graph.lower[:] = -1, -np.inf
        return had

    def _note(self, root: int, settled: bool, width: float) -> str:
        if self._explored.graph.value[root] == -np.inf:
            return "no policy surely ends from here, and going on only loses: the total is minus infinity"
        if not settled:
            more = ""
            if self.gamma == 1 and np.isinf(width):
                more = "; it may be that no policy surely ends: ask for gamma < 1 then, or give the world an end"
            return f"the limit on backups stopped it at a half-width of {width:.2g}; raise max_backups{more}"
        if self.epsilon is not None:
            return f"settled to epsilon {self.epsilon:g} at a half-width of {width:.2g}; leave epsilon= out to go on"
        if np.isinf(width):
            return "no policy with a finite total was found from here; ask for gamma < 1"
        return f"rounding stopped it at a half-width of {width:.2g}"

    def _width(self, node: int, lower: float) -> float:
        upper = self._explored.graph.value[node]
        return 0.0 if lower == upper else float((upper - lower) / 2)

    def _expanded(self) -> int:
        return int(np.count_nonzero(self._explored.graph.expanded))

    def _next_pass(self, used: int = 0) -> int:
        """A number that marks no node yet, where passes up to `used` were counted elsewhere."""
        self._pass = max(self._pass, used) + 1
        return self._pass

    def _action_bounds(self, node: int) -> np.ndarray:
        """(A,) bounds from above on the action values of `node`; -inf where not available."""
        if self._explored.graph.first_row[node] < 0:
            self._explored.expand(np.array([node]))
        bounds = np.empty(self._explored.graph.n_actions)
        action_bounds(self._explored.graph, node, self.gamma, bounds)
        return bounds

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.criterion}, tolerance={self.tolerance:g})"


def _explored(model: Any, heuristic: Any, gamma: float, who: str) -> ExploredMDP | ExploredModel:
    if isinstance(model, MDP):
        cap = _cap(model, gamma, heuristic is None)
        return ExploredMDP(model, _checked_heuristic(cap if heuristic is None else heuristic, model.n_states), cap)
    if not callable(getattr(model, "successors", None)):
        raise ModelError(
            f"{who} takes an environment whose exact MDP is known, an MDP, or what has successors(state, action) and "
            f"n_actions; {type(model).__name__} has neither"
        )
    space: Any = getattr(model, "action_space", None)
    n_actions = getattr(model, "n_actions", getattr(space, "n", None))
    if isinstance(n_actions, bool) or not isinstance(n_actions, int | np.integer) or n_actions < 1:
        raise ArgumentError(f"{type(model).__name__}.n_actions is a positive whole number; it is {n_actions!r}")
    if heuristic is None:
        raise ArgumentError(
            f"{who} needs heuristic= for a model that can't be enumerated: a number that no state is worth more than, "
            "or a callable of the state"
        )
    if not callable(heuristic):
        number = float(_checked_heuristic(heuristic, None))
        return ExploredModel(model, int(n_actions), lambda state: number)
    return ExploredModel(model, int(n_actions), heuristic)


def _checked_heuristic(heuristic: Any, n_states: int | None) -> Any:
    """A callable, or a number or (S,) numbers below plus infinity."""
    if callable(heuristic):
        return heuristic
    try:
        array = np.asarray(heuristic, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"heuristic is a number, one a state, or a callable; it is {heuristic!r}") from None
    if array.shape not in ((), (n_states,)) or np.isnan(array).any() or (array == np.inf).any():
        expected = "a number" if n_states is None else f"a number, ({n_states},) numbers"
        raise ArgumentError(f"heuristic is {expected} below infinity, or a callable; its shape is {array.shape}")
    return array


def _cap(mdp: MDP, gamma: float, needed: bool) -> float:
    """The default heuristic, the most that can be had from any state; infinite where that is not known."""
    ends, reward = mdp.terminated, mdp.reward
    step = max(float(reward[~ends].max(initial=0.0)), 0.0)
    end = max(float(reward[ends].max(initial=0.0)), 0.0)
    if gamma == 1:
        if step == 0:
            return end * (1 + 1e-12)  # rows are read as distributions here
        if needed:
            raise CriterionError(
                f"at gamma 1 a step pays {step:g}, so there is no bound on what can be had; "
                "give heuristic=, or ask for gamma < 1"
            )
        return np.inf
    sums = np.add.reduceat(mdp.probability, mdp.row_start[:-1][np.diff(mdp.row_start) > 0])
    mass = float(sums.max()) * (1 + 1e-12)
    if gamma * mass >= 1:
        return np.inf if step > 0 else end * 2
    return max(mass * end, mass * step / (1 - gamma * mass)) * (1 + 1e-15)
