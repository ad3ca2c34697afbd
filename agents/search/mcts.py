"""Monte Carlo tree search with upper confidence bounds (UCT): try, count, and trust what was tried most.

Each simulation sets out from the present state. In the tree it takes the action

    argmax_a  Q(n, a) + c d sqrt( ln N(n) / N(n, a) ),          Q(n, a) what followed on average

in node n (`rltk.agents.search.tree`); where it comes to a new node it adds that, estimates what lies beyond by a
rollout, and backs up every node passed. As simulations grow, Q of the best action goes to its optimal value, but for
what lies beyond `max_depth`, and the share of the other actions goes to nothing; the most visited one is taken.

Where the MDP is known, a node is a state, however it was reached (at gamma 1: a state and a step), so that all
simulations add to one picture of it, and Q looks ahead by the outcomes counted: r + gamma max_b Q(n', b) on average.
Elsewhere nodes form a tree, told apart by what was done and seen on the way, and Q is the mean return.

A search that saw the environment's coming draws would beat the optimum. This one draws from streams of its own, and the
copy that it steps is set back with `set_state(state, restore_rng=False)`.

Source: Kocsis and Szepesvari (2006), "Bandit based Monte-Carlo planning"; Childs, Brodeur and Kocsis (2008),
"Transpositions and move groups in Monte Carlo tree search", and Leurent and Maillard (2020), "Monte-Carlo graph search:
the value of merging similar states"; Keller and Helmert (2013), "Trial-based heuristic tree search for finite horizon
MDPs", for the maximum in the backup; the scale d as in Schrittwieser et al. (2020), "Mastering Atari, Go, chess and
shogi by planning with a learned model", appendix B.
"""

import math
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from rltk.agents.search.following import Followed, is_state_number, key_of
from rltk.agents.search.result import SearchResult
from rltk.agents.search.simulating import Settings, Stepping, search_arrays
from rltk.agents.search.tree import BY_DEPTH, BY_STATE, BY_WAY, MOST_BYTES, Tree, bytes_for
from rltk.errors import ArgumentError, ModelError, SizeError
from rltk.mdp import MDP, Criterion, restore_stream, stream_of
from rltk.runs import Streams

BACKENDS = ("auto", "compiled", "gymnasium")
_LONGEST, _NEGLIGIBLE = 1_000, 0.01
_TWO_SIDED_95 = 0.975
# What rounding may do to a mean of returns, relative to the largest.
_ROUNDING = 1e-12
# Exact grading searches in every state: beyond so many simulations together it is left to sampling.
_EXACT_WORK = 5_000_000


class MCTS:
    """Search from wherever `env` stands: `MCTS(env, gamma=0.99, simulations=1000).predict(observation)`.

    env: any Gymnasium environment with Discrete actions whose exact MDP is known, or that offers `get_state()` and
    `set_state(state, restore_rng=False)`. The agent follows this one environment and never changes it. Time limits of
    wrappers are not seen. exploration: c above. max_depth: steps after which a simulation stops; by default when what
    is left counts for less than a hundredth, at most 1,000. rollout: how a simulation goes on beyond the tree, by
    default uniformly at random; a callable from an observation to an action, or (S, A) probabilities where the MDP is
    known. value: what a state is worth, in place of rollouts; a callable from an observation, or (S,) numbers.
    backend: "compiled" searches on the MDP's arrays, "gymnasium" steps a copy; "auto" takes the first where it can.

    `predict(..., deterministic=True)` searches with random numbers that follow from the seed and the state alone: the
    same state is answered with the same action, whatever came before. Without it every search draws afresh.

    Masks: at the root only actions are tried that the known MDP has, or that `action_masks()` of a copy allows; beyond
    it `info["action_mask"]` of each step counts first. One that only `info` shows is not asked at the root, for
    `predict` is not handed it: an environment whose MDP is not known should offer `action_masks()`.
    """

    name: ClassVar[str] = "mcts"

    def __init__(
        self,
        env: Any,
        *,
        gamma: float = 0.99,
        simulations: int = 1_000,
        exploration: float = math.sqrt(2),
        max_depth: int | None = None,
        seed: int = 0,
        rollout: Callable[[Any], Any] | np.ndarray | None = None,
        value: Callable[[Any], float] | np.ndarray | None = None,
        backend: str = "auto",
    ) -> None:
        self.criterion = Criterion(gamma)
        self.followed = Followed(env, type(self).__name__)
        mdp = self.followed.mdp
        depth = _default_depth(self.gamma) if max_depth is None else _counted("max_depth", max_depth)
        counted, explored = _counted("simulations", simulations), _checked_exploration(exploration)
        # At gamma 1 the value of a node could hold itself up round a cycle that pays nothing.
        sharing = BY_WAY if mdp is None else BY_STATE if self.gamma < 1 else BY_DEPTH
        self.settings = Settings(self.gamma, counted, explored, depth, sharing)
        self._check_room()
        self.rollout = _table_or_callable("rollout", rollout, mdp, 2)
        self.value = _table_or_callable("value", value, mdp, 1)
        self.streams = Streams(seed)
        self.backend = self._chosen_backend(backend)

    @property
    def env(self) -> Any:
        """The environment that is followed."""
        return self.followed.env

    @property
    def gamma(self) -> float:
        """The discount that this agent searches under."""
        return self.criterion.gamma

    @property
    def acts_on_states(self) -> bool:
        """Whether `predict` is handed `info["state"]`; it may get what is observed as well."""
        return self.followed.hands_out_states

    def _check_room(self) -> None:
        """SizeError where the tree or one simulation would not fit."""
        room = bytes_for(self.settings.simulations, self.followed.n_actions, self.settings.max_depth)
        if room > MOST_BYTES:
            raise SizeError(
                f"{self.settings.simulations:,} simulations of up to {self.settings.max_depth:,} steps with "
                f"{self.followed.n_actions} actions may take {room / 2**30:,.0f} GiB; ask for fewer or shorter ones"
            )

    def _chosen_backend(self, asked: str) -> str:
        if not isinstance(asked, str) or asked not in BACKENDS:
            raise ArgumentError(f"backend is one of {', '.join(BACKENDS)}; it is {asked!r}")
        why = "the environment's MDP is not known" if self.followed.mdp is None else ""
        if callable(self.rollout) or callable(self.value):
            why = why or "rollout or value is a Python callable; give it as an array, one row a state"
        if asked == "compiled" and why:
            raise ArgumentError(f'backend="compiled" can\'t be used here: {why}')
        if asked == "gymnasium" or why:
            self.followed.check_copies()
            return "gymnasium"
        return "compiled"

    # Acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[int, Any]:
        """(action, state) for the environment's present state, which `observation` must show where that can be checked.

        Raises ArgumentError where the environment was never reset, or `observation` is not its present one.
        """
        root = self.followed.state_number() if self.followed.mdp is not None else None
        if root is not None:
            self.followed.check_observation(observation, root)
        result = self._search(root, observation, deterministic)
        assert result.action is not None
        return result.action + self.followed.first_action, state

    def search(self, state: int | None = None, *, deterministic: bool = True) -> SearchResult:
        """What a search from `state` finds: a state number of a known MDP, or None for where the environment stands.

        `action_values` are Q at the root: estimates, the highest of which may be too high. `value` is the mean return
        of the later half of the simulations, with what was lost by
        exploring: its expectation is not above the optimum, whatever the number of simulations and actions, but for
        what lies beyond `max_depth`, which `lower` allows for. A `value=` or an outcome that no simulation met is not
        in the interval.
        """
        mdp = self.followed.mdp
        if state is None:
            return self._search(None if mdp is None else self.followed.state_number(), None, deterministic)
        if self.backend != "compiled" or mdp is None:
            raise ArgumentError("a search that steps a copy starts where the environment stands: leave out state=")
        if not is_state_number(state) or not 0 <= int(state) < mdp.n_states:
            raise ArgumentError(f"state is a number from 0 to {mdp.n_states - 1}; it is {state!r}")
        return self._search(int(state), state, deterministic)

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the policy of (N,) state numbers that `predict(..., deterministic=True)` follows.

        One search a state. Raises ModelError, after which `rltk.evaluate` samples, where that would take too long and
        for the policy that draws afresh, which is known only by its draws.
        """
        mdp = self.followed.mdp
        if not deterministic:
            raise ModelError("a search that draws afresh each time has action probabilities that are not known")
        if mdp is None or self.backend != "compiled":
            raise ModelError("a search that steps a copy of the environment can't be asked about every state")
        if mdp.n_states * self.settings.simulations > _EXACT_WORK:
            raise ModelError(f"{self.settings.simulations:,} simulations in each of {mdp.n_states:,} states are many")
        states = np.atleast_1d(np.asarray(observations))
        probabilities = np.zeros((states.size, mdp.n_actions))
        for i, state in enumerate(states):
            probabilities[i, self.search(state).action] = 1.0
        return probabilities

    # One search

    def _search(self, root: int | None, observation: Any, deterministic: bool) -> SearchResult:
        """Search from state number `root`, or from where the environment stands where that is None."""
        begin = time.perf_counter()
        self._check_level()
        if root is None:
            self.followed.check_reset()
        world, choices = self._generators(root, observation, deterministic)
        if self.backend == "compiled":
            assert root is not None
            tree = self._on_arrays(root, world, choices)
        else:
            # Fixed, or afresh each time, as the other random numbers are.
            seed = self.streams.seed("copy") if deterministic else int(self.streams.generator("copy").integers(2**32))
            tree = self._by_stepping(root, world, choices, seed)
        return self._result(tree, root, None if deterministic else choices, begin)

    def _check_level(self) -> None:
        """ArgumentError where `rollout` or `value` is an array for a level of another size."""
        mdp = self.followed.mdp
        for name, table in (("rollout", self.rollout), ("value", self.value)):
            if mdp is not None and isinstance(table, np.ndarray) and len(table) != mdp.n_states:
                raise ArgumentError(
                    f"{name} is an array for {len(table)} states, but the environment's present level has "
                    f"{mdp.n_states}; build MCTS anew, or give a callable"
                )

    def _generators(
        self, root: int | None, observation: Any, deterministic: bool
    ) -> tuple[np.random.Generator, np.random.Generator]:
        """The random numbers of the outcomes and of the rollouts."""
        if not deterministic:
            return self.streams.generator("world"), self.streams.generator("choices")
        key = root if root is not None else key_of(observation)
        return tuple(np.random.default_rng(self.streams.seed(f"{name} of {key!r}")) for name in ("world", "choices"))  # type: ignore[return-value]

    def _on_arrays(self, root: int, world: Any, choices: Any) -> Tree:
        mdp = self.followed.mdp
        assert mdp is not None
        rollout = np.empty((0, mdp.n_actions)) if self.rollout is None else self.rollout
        value = np.empty(0) if self.value is None else self.value
        streams = stream_of(world), stream_of(choices)
        tree = search_arrays(mdp.tables, root, self.settings, rollout, value, *streams)
        restore_stream(world, streams[0])
        restore_stream(choices, streams[1])
        return tree

    def _by_stepping(self, root: int | None, world: Any, choices: Any, seed: int) -> Tree:
        mdp, origin = self.followed.mdp, self.followed.inner.get_state()
        twin = self.followed.copy(seed, world)
        self._place(twin, origin)
        mask = np.ones(self.followed.n_actions, dtype=bool)
        if mdp is not None:
            mask = mdp.available[root]
        elif callable(getattr(twin, "action_masks", None)):
            mask = np.asarray(twin.action_masks(), dtype=bool)
        place = lambda: self._place(twin, origin)  # noqa: E731
        stepping = Stepping(twin, place, self.followed.first_action, self.rollout, self.value, choices)
        return stepping.search(root, mask, self.settings)

    def _place(self, twin: Any, origin: Any) -> None:
        """Set the copy back to the root; its random numbers go on, so each simulation meets other ones."""
        self.followed.place(twin, origin)

    def _result(self, tree: Tree, root: int | None, random: Any, begin: float) -> SearchResult:
        visits = tree.visits[0]
        values = np.where(visits > 0, tree.q[0], np.where(visits < 0, -np.inf, np.nan))
        most = np.flatnonzero(visits == visits.max())
        best = most[values[most] == values[most].max()]
        action = int(best[0] if random is None else best[random.integers(best.size)])
        value, lower, upper = _interval(tree, self.gamma)
        return SearchResult(
            state=root,
            action=action,
            value=value,
            lower=lower,
            upper=upper,
            certified=False,
            converged=False,
            action_values=values,
            visits=np.maximum(visits, 0),
            expanded=int(tree.size[0]),
            backups=self.settings.simulations,
            seconds=time.perf_counter() - begin,
            criterion=self.criterion,
            method=self.name,
            note=_note(tree, lower),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.criterion}, simulations={self.settings.simulations:,})"


def _interval(tree: Tree, gamma: float) -> tuple[float, float, float]:
    """(value, lower, upper): the mean of the later half of the returns and its 95% interval.

    The mean of the action that did best would be too high, most of all where many actions are alike. That of all
    simulations of a fixed span can't be: each of them is worth at most V* given those before it. The lowest and the
    highest return of all count once more in the spread, for a few returns that happen to be equal prove nothing. What
    lies beyond where simulations were cut short pays at least the lowest reward seen, as far as `lower` knows.
    """
    from scipy.special import stdtrit  # loads slowly

    later = slice(tree.returns.size // 2, None)
    half, beyond = tree.returns[later], float(tree.unseen[later].mean())
    value, spread = float(half.mean()), np.inf
    if half.size > 1:
        sample = np.concatenate([half, [tree.returns.min(), tree.returns.max()]])
        spread = float(stdtrit(half.size - 1, _TWO_SIDED_95) * sample.std(ddof=1) / math.sqrt(half.size))
    below = 0.0
    if beyond > 0 and tree.least[0] < 0:
        below = -np.inf if gamma == 1 else beyond * float(tree.least[0]) / (1 - gamma)
    rounding = _ROUNDING * (float(np.abs(half).max()) - (below if below > -np.inf else 0.0))
    return value, value - spread + below - rounding, value + spread + rounding


def _note(tree: Tree, lower: float) -> str:
    cut = int(np.count_nonzero(tree.unseen))
    if lower > -np.inf or tree.returns.size <= 2:
        return ""
    return (
        f"{cut:,} of {tree.returns.size:,} simulations were cut short at max_depth where steps cost, so at gamma 1 "
        "there is no bound from below; raise max_depth, or give value="
    )


def _default_depth(gamma: float) -> int:
    if gamma == 1:
        return _LONGEST
    return 1 if gamma == 0 else min(_LONGEST, max(1, math.ceil(math.log(_NEGLIGIBLE) / math.log(gamma))))


def _counted(name: str, number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
        raise ArgumentError(f"{name} is a positive whole number; it is {number!r}")
    return int(number)


def _checked_exploration(exploration: Any) -> float:
    fits = isinstance(exploration, int | float | np.number) and not isinstance(exploration, bool)
    if not fits or not 0 <= exploration < np.inf:
        raise ArgumentError(f"exploration is a finite number, at least 0; it is {exploration!r}")
    return float(exploration)


def _table_or_callable(name: str, given: Any, mdp: MDP | None, ndim: int) -> Any:
    """`given` as None, a callable, or a checked array: (S,) values or (S, A) probabilities."""
    if given is None or callable(given):
        return given
    if mdp is None:
        raise ArgumentError(f"{name} is a callable of the observation here, for the environment's MDP is not known")
    if ndim == 2:
        return mdp.policy_probabilities(given)
    shape = (mdp.n_states,)
    try:
        array = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is a callable or numbers of shape {shape}; it is {given!r}") from None
    if array.shape != shape or not np.isfinite(array).all():
        raise ArgumentError(f"{name} is a callable or {shape} finite numbers; its shape is {array.shape}")
    return array
