"""The MDP: T and R as frozen, validated arrays, and the operators that everything else is made of.

    q(v, gamma)(s, a) = sum_s' T(s' | s, a) [ r(s, a, s') + gamma (1 - terminated) v(s') ]
    backup(v, gamma)(s) = max_a q(v, gamma)(s, a)

Two storage forms, general rows (`rltk.mdp.rows`) and compact moves for grids (`rltk.mdp.moves`), answer the same
operators; the compact one makes the row arrays when they are asked for.

Source: Puterman (1994), Markov Decision Processes, chapter 2.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rltk.errors import ArgumentError, MDPError
from rltk.mdp.arrays import rows_from_arrays
from rltk.mdp.canonical import canonical, rows_from_moves
from rltk.mdp.chain import Chain
from rltk.mdp.criterion import checked_gamma
from rltk.mdp.listings import rows_from_function, rows_from_table
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows
from rltk.mdp.sampling import Tables, steps, tables_of
from rltk.mdp.threads import checked_threads
from rltk.mdp.validation import as_flags, as_numbers, as_states, check_moves, check_start, own

if TYPE_CHECKING:
    from rltk.mdp.report import Report

# Actions whose values differ by less than this share of the largest value are ties.
TIE = 1e-9

Labels = tuple[int, ...] | Callable[[int], Any] | None


class MDP:
    """A Markov decision process with S states and A actions, known exactly.

    Make one with `from_arrays`, `from_moves`, `from_function` or `from_env`; all arrays are read-only afterwards.
    `state_labels` and `action_labels` say what an index means: a shape (the index unravels into it) or a function.
    """

    def __init__(
        self,
        form: Rows | Moves,
        start: Any = None,
        *,
        state_labels: Labels = None,
        action_labels: Labels = None,
    ) -> None:
        if isinstance(form, Rows):
            form = canonical(form)
        else:
            check_moves(form)
        self.form = form
        if start is not None:
            self.start = check_start(start, form.n_states)
        self.state_labels = _checked_labels(state_labels, form.n_states, "state_labels")
        self.action_labels = _checked_labels(action_labels, form.n_actions, "action_labels")

    # Builders

    @classmethod
    def from_arrays(
        cls,
        T: Any,
        R: Any,
        *,
        terminated: Any = None,
        start: Any = None,
        available: Any = None,
        success: Any = None,
        state_labels: Labels = None,
        action_labels: Labels = None,
    ) -> "MDP":
        """An MDP from transition probabilities and rewards.

        T: (S, A, S), or a list with one SciPy sparse (S, S) matrix an action. R: (S, A), or like T.
        terminated: None, (S,) bool (entering that state ends the episode) or (S, A, S) bool; success: the same.
        start: (S,), uniform if not given. available: (S, A) bool; T is empty where it is False.

        Raises MDPError naming state and action where a row does not sum to 1 or an entry is not finite.
        """
        rows = rows_from_arrays(T, R, terminated=terminated, available=available, success=success)
        return cls(rows, start, state_labels=state_labels, action_labels=action_labels)

    @classmethod
    def from_moves(
        cls,
        moves: Any,
        noise: Any,
        reward: Any,
        terminated: Any = False,
        start: Any = None,
        *,
        success: Any = None,
        state_labels: Labels = None,
        action_labels: Labels = None,
    ) -> "MDP":
        """An MDP in the compact form: `moves` (S, M) states, `noise` (A, M) "action a performs move m with this
        probability". `reward`, `terminated` and `success` are (S, M) by move, (S,) by the state entered, or a scalar;
        a state whose entering terminates is absorbing and pays nothing.

        Arrays that are read-only already (`moves.flags.writeable = False`) are kept, not copied, where the type fits.
        """
        # Copies in C order: the caller's arrays stay the caller's, and kernels are compiled for one layout.
        moves = own(as_states(moves, "moves"), moves)
        n_states = moves.shape[0] if moves.ndim else 0

        def spread(array: np.ndarray, given: Any) -> np.ndarray:
            return np.full(n_states, array) if array.ndim == 0 else own(array, given)

        form = Moves(
            moves,
            own(as_numbers(noise, "noise"), noise),
            spread(as_numbers(reward, "reward"), reward),
            spread(as_flags(terminated, "terminated"), terminated),
            None if success is None else spread(as_flags(success, "success"), success),
        )
        return cls(form, start, state_labels=state_labels, action_labels=action_labels)

    @classmethod
    def from_function(
        cls,
        transition: Callable[[Any, int], Iterable[tuple[float, Hashable, float, bool]] | None],
        start: Any,
        actions: int | Sequence[Any],
        *,
        success: Callable[[Any], bool] | None = None,
        max_states: int = 1_000_000,
    ) -> "MDP":
        """Enumerate an MDP from a function: `transition(state, action)` lists (probability, next_state, reward,
        terminated), or is empty where the action (0 to A - 1) is not available.

        start: a mapping from states to probabilities, or one state (any hashable). actions: how many, or their labels.
        success: says of a state whether entering it is reaching the goal. `mdp.label(s)` is the state with index s.
        """
        try:
            starts = dict(start) if isinstance(start, Mapping) else {start: 1.0}
        except TypeError:
            raise ArgumentError(
                f"start is a state (hashable) or a dict from states to numbers; it is {start!r}"
            ) from None
        try:
            labels = None if isinstance(actions, int | np.integer) else tuple(actions)
        except TypeError:
            raise ArgumentError(f"actions is a number of actions or their labels; it is {actions!r}") from None
        if isinstance(max_states, bool) or not isinstance(max_states, int | np.integer):
            raise ArgumentError(f"max_states is a number of states; it is {max_states!r}")
        n_actions = len(labels) if labels is not None else int(cast(int, actions))
        rows, states = rows_from_function(transition, list(starts), n_actions, max_states, success)
        distribution = np.zeros(len(states))
        distribution[: len(starts)] = as_numbers(list(starts.values()), "start")
        return cls(
            rows,
            distribution,
            state_labels=states.__getitem__,
            action_labels=None if labels is None else labels.__getitem__,
        )

    @classmethod
    def from_table(cls, P: Mapping[int, Any], start: Any = None) -> "MDP":
        """An MDP from Gymnasium's `P[s][a] = [(probability, next_state, reward, done), ...]`; `done` ends that outcome.

        States keep their numbers. `from_env` reads P from an environment and checks it against `step` as well.
        """
        return cls(rows_from_table(P), start)

    @classmethod
    def from_env(cls, env: Any, *, check: bool = True) -> "MDP":
        """The exact MDP of a Gymnasium environment that has `mdp()` or a P table, or a ModelError that says why not."""
        from rltk.mdp.environments import mdp_from_env

        return mdp_from_env(env, check=check)

    # What it is

    @cached_property
    def start(self) -> np.ndarray:
        """(S,) float64: the distribution of the first state. Uniform where it was not given, made when asked for."""
        return check_start(np.full(self.n_states, 1.0 / self.n_states), self.n_states)

    @property
    def n_states(self) -> int:
        """S, the number of states."""
        return self.form.n_states

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return self.form.n_actions

    @cached_property
    def rows(self) -> Rows:
        """The general form; made from the compact one when it is first asked for. SizeError where it would not fit."""
        return self.form if isinstance(self.form, Rows) else rows_from_moves(self.form)

    row_start = property(lambda self: self.rows.row_start, doc="(S * A + 1,) int64: where each row begins.")
    next_state = property(lambda self: self.rows.next_state, doc="(nnz,) int32: s'.")
    probability = property(lambda self: self.rows.probability, doc="(nnz,) float64: T(s' | s, a).")
    reward = property(lambda self: self.rows.reward, doc="(nnz,) float64: the mean of r given (s, a, s').")
    terminated = property(lambda self: self.rows.terminated, doc="(nnz,) bool: the outcome ends the episode.")
    success = property(lambda self: self.rows.success, doc="(nnz,) bool or None: the outcome reaches the goal.")
    reward_noise = property(lambda self: self.rows.reward_noise, doc="(nnz,) float64 or None: standard deviation.")

    def over_start(self, value: np.ndarray) -> float:
        """The mean of `value` (S,) over the start distribution; other states don't count, however infinite."""
        if "start" not in vars(self):
            with np.errstate(invalid="ignore"):
                return float(value.mean())
        starts = self.start > 0
        with np.errstate(invalid="ignore"):  # infinities of both signs: the mean is nan
            return float(self.start[starts] @ value[starts])

    @property
    def available(self) -> np.ndarray:
        """(S, A) bool: the actions that can be taken."""
        return self.form.available

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays of the form it is stored in."""
        return self.form.nbytes + (self.start.nbytes if "start" in vars(self) else 0)

    def label(self, state: int) -> Any:
        """What state `state` means."""
        return _label(self.state_labels, state)

    def action_label(self, action: int) -> Any:
        """What action `action` means."""
        return _label(self.action_labels, action)

    def equals(self, other: "MDP") -> bool:
        """Whether `other` has the same form, arrays and start distribution; labels don't count."""
        if self is other:
            return True
        if type(self.form) is not type(other.form) or not np.array_equal(self.start, other.start):
            return False
        names = [field.name for field in fields(self.form)]
        pairs = ((getattr(self.form, name), getattr(other.form, name)) for name in names)
        return all((a is None) == (b is None) and (a is None or np.array_equal(a, b)) for a, b in pairs)

    def __repr__(self) -> str:
        return (
            f"<MDP: {self.n_states:,} states, {self.n_actions} actions, {self.form.name}, {self.nbytes / 1e6:,.1f} MB>"
        )

    # Operators

    def q(self, value: Any, gamma: float) -> np.ndarray:
        """(S, A) float64 action values, one look ahead from `value` (S,); -inf where an action is not available."""
        return self.form.q(self._value(value), checked_gamma(gamma))

    def backup(self, value: Any, gamma: float, threads: int = 1) -> np.ndarray:
        """(S,) float64: the Bellman optimality operator, max_a q(s, a), without the (S, A) array.

        threads: how many cores share the work; the bits don't depend on it.
        """
        return self.form.backup(self._value(value), checked_gamma(gamma), checked_threads(threads) or 1)

    def greedy(self, value: Any, gamma: float, tie: float = TIE) -> np.ndarray:
        """(S,) int64: the first action within `tie` (relative to the best's size) of the best."""
        return self.form.look(self._value(value), checked_gamma(gamma), tie).policy

    def expected_reward(self) -> np.ndarray:
        """(S, A) float64: the mean reward of each action; 0 where it is not available."""
        return self.form.expected_reward

    def chain(self, policy: Any) -> Chain:
        """The Markov chain of a policy: (S,) actions or (S, A) probabilities."""
        return Chain.from_outcomes(self.n_states, self.form.outcomes(self.policy_probabilities(policy)))

    def uniform_policy(self) -> np.ndarray:
        """(S, A) float64: every available action with the same probability."""
        return self.available / self.available.sum(axis=1, keepdims=True)

    def policy_probabilities(self, policy: Any) -> np.ndarray:
        """`policy`, (S,) actions or (S, A) probabilities, as checked (S, A) probabilities."""
        try:
            array = np.asarray(policy)
        except ValueError as error:
            raise ArgumentError(f"a policy is an array: {error}") from None
        if array.shape == (self.n_states,):
            if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() >= self.n_actions:
                raise ArgumentError(f"a policy (S,) holds actions 0 to {self.n_actions - 1} as integers")
            probabilities = np.zeros((self.n_states, self.n_actions))
            probabilities[np.arange(self.n_states), array] = 1.0
        elif array.shape == (self.n_states, self.n_actions) and array.dtype.kind in "biuf":
            probabilities = array.astype(np.float64)
        else:
            raise ArgumentError(
                f"a policy is (S,) = ({self.n_states},) actions or (S, A) = ({self.n_states}, {self.n_actions}) "
                f"probabilities; its shape is {array.shape}, its dtype {array.dtype}"
            )
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero(~(np.abs(probabilities.sum(axis=1) - 1) <= 1e-6) | (probabilities < 0).any(axis=1))
        if bad.size:
            raise ArgumentError(f"the policy of state {bad[0]} is {probabilities[bad[0]]}; expected a distribution")
        barred = np.argwhere((probabilities > 0) & ~self.available)
        if barred.size:
            raise ArgumentError(
                "the policy takes action {1} in state {0}, where it is not available".format(*barred[0])
            )
        return probabilities

    @cached_property
    def tables(self) -> Tables:
        """The arrays that kernels sample from (`rltk.mdp.sampling`)."""
        return tables_of(self.form, self.start)

    def sample(self, states: Any, actions: Any, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw one step for each of (N,) states and actions: (next_states, rewards, terminated).

        `stream` is (6,) uint64 (`rltk.mdp.stream_of(generator)`), advanced in place by one word a step.
        """
        states, actions = np.atleast_1d(np.asarray(states)), np.asarray(actions)
        if states.dtype.kind not in "iu" or actions.dtype.kind not in "iu" or states.ndim != 1:
            raise ArgumentError("sample takes (N,) states and actions as integers")
        if actions.shape not in ((), (1,), states.shape):
            raise ArgumentError(
                f"sample takes an action a state, ({states.size},); the actions have shape {actions.shape}"
            )
        states = states.astype(np.int64)
        actions = np.broadcast_to(actions.astype(np.int64), states.shape).copy()
        inside = (states >= 0) & (states < self.n_states) & (actions >= 0) & (actions < self.n_actions)
        if not inside.all() or not self.available[states, actions].all():
            raise ArgumentError("sample takes states and available actions of this MDP; one is neither")
        out = np.empty(states.size, np.int64), np.empty(states.size), *(np.empty(states.size, bool) for _ in range(2))
        steps(self.tables, states, actions, stream, *out)
        return out[0], out[1], out[2]

    def _value(self, value: Any) -> np.ndarray:
        # Writeable, so that kernels are compiled for one kind of array; a copy is made only of what is not.
        try:
            array = np.require(as_numbers(value, "value"), requirements=["C", "W"])
        except MDPError as error:
            raise ArgumentError(str(error)) from None
        if array.shape != (self.n_states,):
            raise ArgumentError(f"a value holds one number a state, ({self.n_states},); its shape is {array.shape}")
        return array

    # Reports and files

    def report(self) -> "Report":
        """Facts about the MDP that a person should know: sizes, what can be reached, what can end. Print it."""
        from rltk.mdp.report import report

        return report(self)

    def save(self, path: str | Path) -> Path:
        """Write an `.npz` without pickles, whole or not at all. Labels are kept where they are a shape."""
        from rltk.mdp.files import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "MDP":
        """Read what `save` wrote and validate it anew; MDPError names what is wrong with the file."""
        from rltk.mdp.files import load

        return load(path)


def first_best(q: np.ndarray, tie: float = TIE) -> np.ndarray:
    """(S,) int64: in each row of `q` (S, A) the first action within `tie` of the best, relative to the best's size."""
    best = q.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        margin = np.where(np.isfinite(best), tie * np.maximum(np.abs(best), 1.0), 0.0)
        return np.argmax(q >= best - margin, axis=1)


def _checked_labels(labels: Labels, count: int, name: str) -> Labels:
    if labels is None or callable(labels):
        return labels
    try:
        shape = tuple(int(n) for n in labels)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is a shape or a function of the index; it is {labels!r}") from None
    if min(shape, default=1) < 1 or math.prod(shape) != count:
        raise ArgumentError(
            f"{name} is a shape with {count} entries or a function of the index; {shape} has {math.prod(shape)}"
        )
    return shape


def _label(labels: Labels, index: int) -> Any:
    if labels is None:
        return int(index)
    return labels(int(index)) if callable(labels) else tuple(int(i) for i in np.unravel_index(index, labels))
