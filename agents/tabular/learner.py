"""What every tabular learner shares: its table, its loop, its random streams, and its place in a checkpoint."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from rltk.agents.tabular.behaviour import behaviour_probabilities, epsilon_greedy
from rltk.agents.tabular.checks import check_spaces, checked_rate, counts_episodes, observes_states
from rltk.agents.tabular.loop import Episode, Finished, compiled_loop, gymnasium_loop, row_of
from rltk.errors import ArgumentError, CheckpointError, LearningError
from rltk.mdp import Criterion, first_best, model_of, restore_stream, stream_of, sync_time_limit
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

BACKENDS = ("auto", "compiled", "gymnasium")
# Between two looks at the progress bar. Neither number changes what is learned.
_COMPILED_PIECE, _GYMNASIUM_PIECE = 500_000, 1_000
_RECENT_EPISODES = 100


class TabularLearner:
    """A learner with one value for each (observation, action) of an environment with discrete spaces.

    env: any Gymnasium environment with Discrete observations and actions. gamma: discount. alpha: step size; epsilon:
    probability of exploring; each a number or a schedule, a callable of the timestep (`rltk.runs.linear`).
    initial_value: what the table starts with; a high one makes the agent curious. seed: of every random stream, the
    environment's included. backend: "compiled" runs the loop on the environment's own arrays, "gymnasium" calls its
    `step`; "auto" takes the first where it can. Both leave the same table.

    A subclass names an update kernel `(q, state, action, reward, next_state, terminated, alpha, gamma) -> error`.
    """

    name: ClassVar[str]
    update: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        env: Any,
        *,
        gamma: float = 0.99,
        alpha: float | Schedule = 0.1,
        epsilon: float | Schedule = 0.1,
        initial_value: float = 0.0,
        seed: int = 0,
        backend: str = "auto",
        **unknown: Any,
    ) -> None:
        if unknown:
            known = "gamma, alpha, epsilon, initial_value, seed, backend"
            raise ArgumentError(f"{type(self).__name__} has no option {next(iter(unknown))!r}; its options are {known}")
        check_spaces(env, type(self).__name__)
        if backend not in BACKENDS:
            raise ArgumentError(f"backend is one of {', '.join(BACKENDS)}; it is {backend!r}")
        if not isinstance(initial_value, int | float | np.number) or not np.isfinite(initial_value):
            raise ArgumentError(f"initial_value is a finite number; it is {initial_value!r}")
        self.env = env
        self.criterion = Criterion(gamma)
        self.alpha = checked_rate("alpha", alpha)
        self.epsilon = checked_rate("epsilon", epsilon)
        self.initial_value = float(initial_value)
        self.streams = Streams(seed)
        self.mdp, self._time_limit, self._reason = model_of(env)
        self._sees_states = self.mdp is not None and observes_states(env, self.mdp.n_states)
        self.backend = self._chosen_backend(backend)
        self.q = np.full((int(env.observation_space.n), int(env.action_space.n)), self.initial_value)
        if self.mdp is not None and self._sees_states:
            self.q[~self.mdp.available] = -np.inf
        self.timestep = 0
        self.episodes = 0
        self._episode: Episode | None = None
        self._left: dict[str, Any] | None = None  # the environment as learning left it, where it can be captured
        self._fault = ""  # what stopped learning for good
        self._mark = ""  # elsewhere the state of its random numbers, which shows whether anybody reset it
        self._recent: deque[tuple[float, int]] = deque(maxlen=_RECENT_EPISODES)

    @property
    def gamma(self) -> float:
        """The discount that this agent learns under."""
        return self.criterion.gamma

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

        callback: one or several `Progress -> bool | None`, called whenever the timestep is a multiple of
        `callback_every`, and at the end; False stops. Learning 2 x n steps gives the same table as n and n again.

        Raises LearningError, naming the step, where a value stops being finite.
        """
        if (
            isinstance(total_timesteps, bool)
            or not isinstance(total_timesteps, int | np.integer)
            or total_timesteps < 1
        ):
            raise ArgumentError(f"total_timesteps is a positive whole number; it is {total_timesteps!r}")
        if not isinstance(callback_every, int | np.integer) or callback_every < 1:
            raise ArgumentError(f"callback_every is a number of steps, at least 1; it is {callback_every!r}")
        callbacks = CallbackList(callback)
        target, begin = self.timestep + int(total_timesteps), (self.timestep, time.perf_counter())
        bar = ProgressBar(int(total_timesteps), self.name) if progress_bar else None
        try:
            if self._episode is None:
                self._begin()
            going = True
            while going and self.timestep < target:
                piece = _COMPILED_PIECE if self.backend == "compiled" else _GYMNASIUM_PIECE
                if len(callbacks):
                    piece = min(piece, callback_every - self.timestep % callback_every)
                self._learn_piece(min(piece, target - self.timestep))
                if bar is not None:
                    bar.update(self.timestep - begin[0], **self._bar_fields())
                due = self.timestep % callback_every == 0 or self.timestep == target
                if len(callbacks) and due:
                    going = callbacks(Progress(self, self.timestep, self.episodes, self._metrics(begin)))
        finally:
            if bar is not None:
                bar.close()
        return self

    def _learn_piece(self, count: int) -> None:
        if self._fault:
            raise LearningError(f"{self._fault}. Nothing more can be learnt from here; load an earlier checkpoint")
        rates = (self._rate("alpha", count), self._rate("epsilon", count), self.gamma)
        if self._left is not None:  # whoever stepped the environment meanwhile has changed nothing for us
            self._place_env(self._left)
        elif not self._captures and self._random_state() != self._mark:
            self._replay()
        behaviour = self.streams.generator("behaviour")
        stream = stream_of(behaviour)
        run = self._run_compiled if self.backend == "compiled" else self._run_gymnasium
        finished = run(rates, stream)
        restore_stream(behaviour, stream)
        if finished.fault >= 0:
            step = self.timestep + finished.fault + 1
            self._fault = f"{type(self).__name__}: the update of step {step} is not finite (NaN or infinity)"
            raise LearningError(
                f"{self._fault}. The reward or the table overflowed: look at the rewards near that step, or lower alpha"
            )
        self._left = self.env.unwrapped.get_state() if self._captures else None
        self._mark = self._random_state()
        self.timestep += count
        self.episodes += len(finished.returns)
        self._recent.extend(zip(finished.returns, finished.lengths, strict=True))

    def _rate(self, name: str, count: int) -> np.ndarray:
        """(count,) alpha or epsilon of the coming steps, each in [0, 1]."""
        values = schedules.values(getattr(self, name), self.timestep, count)
        outside = np.flatnonzero((values < 0) | (values > 1))
        if outside.size:
            step, value = self.timestep + int(outside[0]), values[outside[0]]
            raise ArgumentError(f"{name} at timestep {step} is {value:g}; a schedule of it stays in [0, 1]")
        return values

    def _run_compiled(self, rates: tuple[np.ndarray, np.ndarray, float], stream: np.ndarray) -> Finished:
        assert self.mdp is not None
        assert self._episode is not None
        inner, episode = self.env.unwrapped, self._episode
        env_stream = stream_of(inner.np_random)
        counters = np.array([episode.state, episode.steps], dtype=np.int64)
        returns, lengths = np.empty(rates[0].size), np.empty(rates[0].size, dtype=np.int64)
        ended, fault, episode.reward = compiled_loop(self.update)(
            self.mdp.tables,
            self.q,
            *rates,
            self._time_limit or 0,
            env_stream,
            stream,
            counters,
            episode.reward,
            returns,
            lengths,
        )
        episode.state, episode.steps = (int(number) for number in counters)
        self._place_env({"state": counters[0], "elapsed": counters[1], "stream": env_stream})
        return Finished(returns[:ended].tolist(), lengths[:ended].tolist(), int(fault))

    def _run_gymnasium(self, rates: tuple[np.ndarray, np.ndarray, float], stream: np.ndarray) -> Finished:
        assert self._episode is not None
        return gymnasium_loop(self.env, self.update, self.q, rates, stream, self._episode, self._reset)

    # The environment

    @property
    def _captures(self) -> bool:
        """Whether the environment's whole state can be read and set; else an episode is resumed by replaying it."""
        return self.mdp is not None and callable(getattr(self.env.unwrapped, "get_state", None))

    def _chosen_backend(self, asked: str) -> str:
        mdp, metadata = self.mdp, getattr(self.env.unwrapped, "metadata", {})
        why = self._reason if mdp is None else ""
        if not why and not self._sees_states:
            why = "what is observed is not the state's number"
        if not why and not metadata.get("draw_law"):
            why = "the environment does not declare the draw law"
        if not why and getattr(self.env.unwrapped, "render_mode", None) == "human":
            why = "it shows each step in a window"
        if not why and counts_episodes(self.env):
            why = "a wrapper counts its episodes"
        if asked == "compiled" and why:
            raise ArgumentError(f'backend="compiled" can\'t be used here: {why}. Use backend="auto"')
        return "gymnasium" if why or asked == "gymnasium" else "compiled"

    def _begin(self) -> None:
        self._episode = Episode()
        seed = self.streams.seed("environment")
        self._episode.state = row_of(self.env, self.env.reset(seed=seed)[0]) if self._captures else self._reset()
        self._mark = self._random_state()

    def _reset(self) -> int:
        assert self._episode is not None
        if self._captures:
            return row_of(self.env, self.env.reset()[0])
        # What can't be captured must be replayed, so each episode begins from a seed that is known.
        self._episode.seed = int(self.streams.generator("episodes").integers(2**32))
        return row_of(self.env, self.env.reset(seed=self._episode.seed)[0])

    def _place_env(self, state: dict[str, Any]) -> None:
        self.env.unwrapped.set_state(state, restore_rng=True)
        sync_time_limit(self.env, int(state["elapsed"]))

    # Acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """(action, state) for one observation or an array of them; deterministic takes the first of the best."""
        array = np.asarray(observation)
        index = np.atleast_1d(self._indices(array))
        if deterministic:
            action = first_best(self.q[index])
        else:
            random, epsilon = self.streams.generator("predict"), self._epsilon_now()
            action = np.array([epsilon_greedy(self.q, s, epsilon, random.random()) for s in index], dtype=np.int64)
        action = action + int(self.env.action_space.start)
        return (int(action[0]) if array.ndim == 0 else action), state

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the greedy policy of (N,) observations, or the behaviour policy where not deterministic."""
        q = self.q[np.atleast_1d(self._indices(np.asarray(observations)))]
        if mask is not None:
            q = np.where(np.asarray(mask, dtype=bool), q, -np.inf)
        if not deterministic:
            return behaviour_probabilities(q, self._epsilon_now())
        probabilities = np.zeros(q.shape)
        probabilities[np.arange(len(q)), first_best(q)] = 1.0
        return probabilities

    def _indices(self, observation: np.ndarray) -> np.ndarray:
        index = observation - int(self.env.observation_space.start)
        if not np.issubdtype(observation.dtype, np.integer) or (index < 0).any() or (index >= len(self.q)).any():
            raise ArgumentError(f"an observation of {self.env.observation_space} was expected, not {observation!r}")
        return index

    def _epsilon_now(self) -> float:
        return float(schedules.values(self.epsilon, self.timestep, 1)[0])

    # Reports

    def _metrics(self, begin: tuple[int, float]) -> dict[str, float]:
        seconds = max(time.perf_counter() - begin[1], 1e-9)
        metrics = {"time/fps": (self.timestep - begin[0]) / seconds, "time/episodes": float(self.episodes)}
        if self._recent:
            returns, lengths = zip(*self._recent, strict=True)
            metrics["rollout/ep_rew_mean"] = float(np.mean(returns))
            metrics["rollout/ep_len_mean"] = float(np.mean(lengths))
        return metrics

    def _bar_fields(self) -> dict[str, float]:
        return {"ep_rew_mean": float(np.mean([r for r, _ in self._recent]))} if self._recent else {}

    # Checkpoints

    def config(self) -> dict[str, Any]:
        """The hyper-parameters as plain JSON."""
        return {
            "gamma": self.gamma,
            "alpha": schedules.config_of(self.alpha),
            "epsilon": schedules.config_of(self.epsilon),
            "initial_value": self.initial_value,
            "seed": self.streams.root,
        }

    def state(self) -> dict[str, Any]:
        """Everything that the future depends on: the table, the counters, the streams, the environment."""
        episode = self._episode
        state: dict[str, Any] = {
            "learner": self.name,
            "q": self.q.copy(),
            "timestep": self.timestep,
            "episodes": self.episodes,
            "streams": self.streams.state(),
            "recent_returns": np.array([r for r, _ in self._recent], dtype=np.float64),
            "recent_lengths": np.array([n for _, n in self._recent], dtype=np.int64),
        }
        if episode is not None:
            state["episode"] = {
                "state": episode.state,
                "steps": episode.steps,
                "reward": episode.reward,
                "seed": episode.seed,
                "actions": np.array([] if self._captures else episode.actions, dtype=np.int64),
            }
            if self._left is not None:
                state["env"] = self._left
        return state

    def restore(self, state: dict[str, Any]) -> Self:
        """Go on exactly where `state` was taken. Raises CheckpointError where it is another learner's or env's."""
        if state.get("learner") != self.name:
            raise CheckpointError(f"this is the state of {state.get('learner')!r}, not of {self.name!r}")
        if np.shape(state["q"]) != self.q.shape:
            raise CheckpointError(
                f"the saved table is {np.shape(state['q'])}, this environment's {self.q.shape}: another environment"
            )
        self.q[:] = state["q"]
        self.timestep, self.episodes = int(state["timestep"]), int(state["episodes"])
        self.streams.restore(state["streams"])
        returns, lengths = state["recent_returns"].tolist(), state["recent_lengths"].tolist()
        self._recent = deque(zip(returns, lengths, strict=True), maxlen=_RECENT_EPISODES)
        self._episode, self._left, self._fault = None, None, ""
        if "episode" in state:
            saved = state["episode"]
            if not 0 <= int(saved["state"]) < len(self.q):
                raise CheckpointError(f"the saved episode stands in state {saved['state']}, which is not there")
            self._episode = Episode(
                int(saved["state"]),
                int(saved["steps"]),
                float(saved["reward"]),
                int(saved["seed"]),
                np.asarray(saved["actions"]).tolist(),
            )
            self._restore_env(state.get("env"))
        return self

    def _restore_env(self, env_state: dict[str, Any] | None) -> None:
        assert self._episode is not None
        if env_state is not None:
            self.env.reset(seed=0)  # so that wrappers know that an episode is under way
            self._place_env(env_state)
            self._left = env_state
            return
        self._replay()

    def _replay(self) -> None:
        assert self._episode is not None
        observation, _ = self.env.reset(seed=self._episode.seed)
        for action in self._episode.actions:
            observation, *_ = self.env.step(action + int(self.env.action_space.start))
        if row_of(self.env, observation) != self._episode.state:
            raise CheckpointError(
                f"replaying the {len(self._episode.actions)} actions of the open episode led to observation "
                f"{observation}, not to {self._episode.state}: the environment does not repeat itself from a seed"
            )
        self._mark = self._random_state()

    def _random_state(self) -> str:
        return "" if self._captures else repr(self.env.unwrapped.np_random.bit_generator.state)

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
        settings = {**config, **{name: schedules.from_config(config[name]) for name in ("alpha", "epsilon")}}
        return cls(env, backend=backend, **settings)
