"""What every tabular learner shares: its table, its loop, its random streams, and its place in a checkpoint."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from rltk.agents.tabular.checks import available_actions, check_spaces
from rltk.agents.tabular.experience import Experience
from rltk.agents.tabular.exploration import EpsilonGreedy, Exploration, exploration_from
from rltk.agents.tabular.loop import Kernels, Rates, Words, learn_by_stepping, learn_compiled, row_of_table
from rltk.errors import ArgumentError, CheckpointError, LearningError
from rltk.mdp import Criterion, restore_stream, stream_of
from rltk.runs import (
    CallbackList,
    Progress,
    ProgressBar,
    Schedule,
    Streams,
    latest_checkpoint,
    schedules,
    write_checkpoint,
)
from rltk.runs.checks import checked_count, checked_finite, checked_rate
from rltk.runs.interrupts import held_interrupts
from rltk.runs.pace import Pace
from rltk.runs.recent import KEPT, RecentEpisodes

# Steps between two looks at the progress bar and at the keyboard. How they are cut changes nothing of what is learnt.
_FIRST_PIECE = {"compiled": 20_000, "gymnasium": 100}


class NoMemory(NamedTuple):
    """A method that keeps nothing beside its table."""

    nothing: np.ndarray  # (0,)


class TabularLearner:
    """A learner that keeps a table over the observations of an environment with discrete spaces.

    env: any Gymnasium environment with Discrete observations and actions. gamma: discount. alpha: step size, a number
    or a schedule, a callable of the timestep (`rltk.runs.linear`). exploration: how it behaves while it learns
    (`exploration`). initial_value: what the table starts with; a high one makes the agent curious. seed: of every
    random stream, the environment's included. backend: "compiled" runs the loop on the environment's own arrays,
    "gymnasium" calls its `step`; "auto" takes the first where it can. Both leave the same table.

    A subclass names an update kernel (`loop.Kernels`), says whether it `looks_ahead`, and, where it keeps more than
    the table, makes that in `_new_memory`: a NamedTuple of arrays, which are saved and restored by their names.
    Options of its own it lists in `own_options` and keeps as attributes.
    """

    name: ClassVar[str]
    update: ClassVar[Callable[..., Any]]
    values: ClassVar[Callable[..., Any]] = staticmethod(row_of_table)
    looks_ahead: ClassVar[bool] = False
    begin: ClassVar[Callable[..., Any] | None] = None
    own_options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        env: Any,
        *,
        gamma: float = 0.99,
        alpha: float | Schedule = 0.1,
        exploration: Exploration | None = None,
        initial_value: float = 0.0,
        seed: int = 0,
        backend: str = "auto",
        **unknown: Any,
    ) -> None:
        if unknown:
            known = ", ".join(self.options())
            raise ArgumentError(f"{type(self).__name__} has no option {next(iter(unknown))!r}; its options are {known}")
        check_spaces(env, type(self).__name__)
        self.env = env
        self.criterion = Criterion(gamma)
        self.alpha = checked_rate("alpha", alpha, 1.0)
        self.exploration = EpsilonGreedy() if exploration is None else exploration
        self.initial_value = checked_finite("initial_value", initial_value)
        self.streams = Streams(seed)
        self.experience = Experience(env, self.streams, backend)
        self.n_states, self.n_actions = int(env.observation_space.n), int(env.action_space.n)
        self.available = available_actions(env, type(self).__name__)  # (S, A) bool
        self.table = self._new_table()
        self.memory = self._new_memory()
        self.habits = self.exploration.habits(self.available)
        self.timestep = 0
        self.episodes = 0
        self._fault = ""  # what stopped learning for good
        self._at_work = False  # whether a piece has begun to change the table
        self._recent = RecentEpisodes()

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of all options."""
        return ("gamma", "alpha", "exploration", "initial_value", "seed", "backend", *cls.own_options)

    @property
    def gamma(self) -> float:
        """The discount that this agent learns under."""
        return self.criterion.gamma

    @property
    def backend(self) -> str:
        """Which loop it learns in: "compiled" or "gymnasium"."""
        return self.experience.backend

    @property
    def mdp(self) -> Any:
        """The environment's exact MDP; None where it is not known."""
        return self.experience.mdp

    def _new_table(self) -> np.ndarray:
        """What is learnt, before anything is."""
        raise NotImplementedError

    def _new_memory(self) -> Any:
        """What the update keeps besides: a NamedTuple of arrays."""
        return NoMemory(np.zeros(0))

    def _update(self) -> Callable[..., Any]:
        """The update kernel; for methods whose kernel is made for the exploration, another than the class names."""
        return type(self).update

    def kernels(self) -> Kernels:
        """What its loop is made of: the method's kernels and the behaviour's."""
        return Kernels(self._update(), self.values, self.exploration.choose, self.looks_ahead, type(self).begin)

    def _reserve(self, count: int) -> None:
        """Make room in the memory for `count` more steps. For methods that keep whole episodes."""

    # Learning

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        progress_bar: bool = False,
        *,
        callback_every: int = 10_000,
    ) -> Self:
        """Learn for `total_timesteps` more steps, going on in the middle of an episode where the last call stopped.

        callback: one or several `Progress -> bool | None`, called whenever the timestep is a multiple of its own
        `every`, or else of `callback_every`, and at the end; False stops. Learning 2 x n steps gives the same table as
        n and n again.

        Ctrl-C is raised between two pieces, so the learner can go on or be saved. Whatever else breaks off a piece (an
        environment's own error) leaves it of no use, which it says: load an earlier checkpoint.

        Raises LearningError, naming the step, where a value stops being finite.
        """
        total_timesteps = checked_count("total_timesteps", total_timesteps)
        callback_every = checked_count("callback_every", callback_every)
        callbacks = CallbackList(callback, every=callback_every, timestep=self.timestep)
        target, begin = self.timestep + total_timesteps, (self.timestep, time.perf_counter())
        bar = ProgressBar(total_timesteps, self.name) if progress_bar else None
        going, settled, pace = True, False, Pace(_FIRST_PIECE[self.backend])
        try:
            with held_interrupts():
                self.experience.open()
            while going and self.timestep < target:
                piece = min(pace.count, int(min(target, callbacks.due)) - self.timestep)
                begun, settled = time.perf_counter(), False
                with held_interrupts():
                    self._learn_guarded(piece)
                pace.note(piece, begun)
                if bar is not None:
                    bar.update(self.timestep - begin[0], **self._recent.bar_fields())
                at_end = self.timestep == target
                if callbacks and (at_end or self.timestep == callbacks.due):
                    self._settle()
                    settled = True
                    going = callbacks(
                        Progress(self, self.timestep, self.episodes, self._recent.metrics(self, begin)), at_end
                    )
        finally:
            if bar is not None:
                bar.close()
            if not (settled or self._fault):  # after an interrupt, too: whoever looks at the table finds it up to date
                self._settle()
        return self

    def _settle(self) -> None:
        """Bring the table up to date with the memory, for methods that do so only when the table is looked at."""

    def _learn_guarded(self, count: int) -> None:
        """Learn a piece; where that is broken off, the table is ahead of its counters, for good."""
        self._at_work = False
        try:
            self._learn_piece(count)
        except BaseException as error:
            if self._at_work and not self._fault:
                self._fault = f"learning broke off in the steps after {self.timestep} ({type(error).__name__})"
            raise

    def _learn_piece(self, count: int) -> None:
        if self._fault:
            raise LearningError(f"{self._fault}. Nothing more can be learnt from here; load an earlier checkpoint")
        rates = self.coming_rates(count)
        self._reserve(count)
        generators = [self.streams.generator(name) for name in ("behaviour", "method")]
        words = Words(*(stream_of(generator) for generator in generators))
        learn = learn_compiled if self.backend == "compiled" else learn_by_stepping
        arrays = self.table, tuple(self.memory), tuple(self.habits)
        self._at_work = True  # nothing has changed before
        finished = learn(self.experience, self.kernels(), *arrays, rates, words)
        for generator, stream in zip(generators, words, strict=True):
            restore_stream(generator, stream)
        if finished.fault >= 0:
            step = self.timestep + finished.fault + 1
            self._fault = f"{type(self).__name__}: the update of step {step} is not finite (NaN or infinity)"
            raise LearningError(
                f"{self._fault}. The reward or the table overflowed: look at the rewards near that step, or lower alpha"
            )
        self.experience.leave()
        self.timestep += count
        self.episodes += finished.returns.size
        recent = finished.returns[-KEPT:].tolist(), finished.lengths[-KEPT:].tolist()
        self._recent.extend(zip(*recent, strict=True))

    def coming_rates(self, count: int) -> Rates:
        """Of the `count` coming steps. ArgumentError where a schedule leaves its range."""
        rule = self.exploration
        alphas = self._rates("alpha", self.alpha, count, 1.0)
        return Rates(count, alphas, self._rates(rule.rate_name, rule.rate, count, rule.highest), self.gamma)

    def _rates(self, name: str, rate: float | Schedule, count: int, highest: float) -> np.ndarray:
        """(count,) a rate in the coming steps, each in [0, highest]; (1,) where it is a constant."""
        if not callable(rate):
            return schedules.values(rate, self.timestep, 1)
        values = schedules.values(rate, self.timestep, count)
        if values.min() < 0 or values.max() > highest:
            outside = np.flatnonzero((values < 0) | (values > highest))
            step, value = self.timestep + int(outside[0]), values[outside[0]]
            raise ArgumentError(f"{name} at timestep {step} is {value:g}; a schedule of it stays in [0, {highest:g}]")
        return values

    # Acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """(action, state) for one observation or an array of them; deterministic takes the first of the best."""
        array = np.asarray(observation)
        policy = self.action_probabilities(np.atleast_1d(array), deterministic=deterministic)
        if deterministic:
            action = policy.argmax(axis=1)
        else:
            u = self.streams.generator("predict").random(len(policy))
            below = np.cumsum(policy, axis=1) <= u[:, None]
            possible = policy.shape[1] - 1 - (policy[:, ::-1] > 0).argmax(axis=1)
            action = np.minimum(below.sum(axis=1), possible)  # the last possible one takes what rounding leaves
        action = action + int(self.env.action_space.start)
        return (int(action[0]) if array.ndim == 0 else action), state

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the policy that was learnt, or the behaviour policy where not deterministic."""
        raise NotImplementedError

    def _indices(self, observations: Any) -> np.ndarray:
        """(N,) the table's rows for (N,) observations; ArgumentError for what is none."""
        array = np.atleast_1d(np.asarray(observations))
        if array.ndim == 1 and np.issubdtype(array.dtype, np.integer):
            index = array - int(self.env.observation_space.start)
            if ((index >= 0) & (index < self.n_states)).all():
                return index
        raise ArgumentError(f"an observation of {self.env.observation_space} was expected, not {observations!r}")

    def _rate_now(self) -> float:
        return float(schedules.values(self.exploration.rate, self.timestep, 1)[0])

    # Checkpoints

    def config(self) -> dict[str, Any]:
        """The hyper-parameters as plain JSON."""
        return {
            "gamma": self.gamma,
            "alpha": schedules.config_of(self.alpha),
            "exploration": self.exploration.config(),
            "initial_value": self.initial_value,
            "seed": self.streams.root,
            **self._own(),
        }

    def _own(self) -> dict[str, Any]:
        """The method's own options as plain JSON."""
        return {name: _plain(getattr(self, name)) for name in self.own_options}

    def state(self) -> dict[str, Any]:
        """Everything that the future depends on: the table, the counters, the streams, the environment.

        Raises LearningError where learning has stopped for good: nothing can go on from there.
        """
        if self._fault:
            raise LearningError(f"{self._fault}. Its state is of no use; load an earlier checkpoint")
        return {
            "learner": self.name,
            "options": self._own(),
            "table": self.table.copy(),
            "memory": {name: array.copy() for name, array in self.memory._asdict().items()},
            "habits": {name: array.copy() for name, array in self.habits._asdict().items()},
            "timestep": self.timestep,
            "episodes": self.episodes,
            "streams": self.streams.state(),
            **self._recent.state(),
            **self.experience.state(),
        }

    def restore(self, state: dict[str, Any]) -> Self:
        """Go on exactly where `state` was taken. Raises CheckpointError where it is another learner's or env's."""
        if state.get("learner") != self.name:
            raise CheckpointError(f"this is the state of {state.get('learner')!r}, not of {self.name!r}")
        if np.shape(state["table"]) != self.table.shape:
            raise CheckpointError(
                f"the saved table is {np.shape(state['table'])}, this environment's {self.table.shape}: another "
                "environment"
            )
        other = [name for name, value in self._own().items() if state["options"].get(name) != value]
        if other:
            found = f"{other[0]}={state['options'].get(other[0])!r}, this one has {getattr(self, other[0])!r}"
            raise CheckpointError(f"the state was taken with {found}: make the learner with the same options")
        self.table[:] = state["table"]
        self.memory = _restored("memory", self.memory, state["memory"])
        self.habits = _restored("habits", self.habits, state["habits"])
        self.timestep, self.episodes = int(state["timestep"]), int(state["episodes"])
        self.streams.restore(state["streams"])
        self._recent = RecentEpisodes.restored(state)
        self._fault = ""
        self.experience.restore(state, self.n_states)
        return self

    def save(self, path: str | Path) -> Path:
        """Write the learner to the folder `path` as a checkpoint; `load` reads it back."""
        return write_checkpoint(path, {"config": self.config(), "agent": self.state()}, step=self.timestep)

    @classmethod
    def load(cls, path: str | Path, env: Any, *, backend: str = "auto") -> Self:
        """The learner saved in the folder `path`, on `env`, which must be made as the one that it was trained on."""
        checkpoint = latest_checkpoint(path)
        if checkpoint is None:
            raise CheckpointError(f"{path} holds no checkpoint; save one there with agent.save({str(path)!r})")
        return cls.from_config(checkpoint.state["config"], env, backend=backend).restore(checkpoint.state["agent"])

    @classmethod
    def from_config(cls, config: dict[str, Any], env: Any, *, backend: str = "auto") -> Self:
        """A new learner with the hyper-parameters that `config` gave."""
        settings = {**config, "alpha": alpha_from(config)}
        if "exploration" in config:
            settings["exploration"] = exploration_from(config["exploration"])
        return cls(env, backend=backend, **settings)


def alpha_from(config: dict[str, Any]) -> Any:
    """The step size that `config` gave: a number, a schedule, or None."""
    return None if config["alpha"] is None else schedules.from_config(config["alpha"])


def _restored(what: str, kept: Any, saved: dict[str, np.ndarray]) -> Any:
    """A tuple like `kept` with the arrays of `saved`; CheckpointError where these are others."""
    fresh = kept._asdict()
    if fresh.keys() != saved.keys():
        raise CheckpointError(f"the saved {what} holds {', '.join(saved)}; expected {', '.join(fresh)}")
    arrays = {name: np.array(saved[name], dtype=array.dtype) for name, array in fresh.items()}
    wrong = [name for name, array in arrays.items() if array.ndim != fresh[name].ndim]
    if wrong:
        raise CheckpointError(f"the saved {what}'s {wrong[0]} has {arrays[wrong[0]].ndim} dimensions")
    return type(kept)(**arrays)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
