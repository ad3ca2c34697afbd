"""What every deep learner shares: its place in an environment, its random streams, its loop, reports and checkpoints.

A subclass says what a turn of learning is (`_turn`), what makes it up (`_own_state`, `_restore_own`), and how it acts.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from rltk.agents.deep.playing.choosing import players_of
from rltk.agents.deep.torch_random import TorchRandom
from rltk.encoders.devices import checked_device
from rltk.errors import ArgumentError, CheckpointError, LearningError
from rltk.mdp import Criterion
from rltk.runs import CallbackList, Progress, ProgressBar, Streams, latest_checkpoint, write_checkpoint
from rltk.runs.checks import checked_count
from rltk.runs.interrupts import held_interrupts
from rltk.runs.pace import MOMENT
from rltk.runs.recent import RecentEpisodes

_RECENT_LOSSES = 100


class DeepLearner:
    """A learner with networks, on one Gymnasium environment or a batch of them.

    seed: of every random stream, the environment's included. device: "auto" (a GPU if there is one), "cpu", "cuda".
    """

    name: ClassVar[str]

    def __init__(self, env: Any, *, gamma: float, seed: int = 0, device: str | torch.device = "auto") -> None:
        self.criterion = Criterion(gamma)
        self.streams = Streams(seed)
        self.players = players_of(env, self.streams)
        self.device = checked_device(device)
        self.random = TorchRandom(self.streams.seed("torch"), self.device)
        self.timestep = 0
        self.episodes = 0
        self.updates = 0
        self.owed = 0  # updates that are due before the next step
        self.last_checkpoint: Path | None = None
        self.losses: deque[float] = deque(maxlen=_RECENT_LOSSES)
        self._recent = RecentEpisodes()
        self._fault = ""  # what stopped learning for good
        self._logger: Any = None

    @property
    def env(self) -> Any:
        """The environment that it learns on."""
        return self.players.env

    @property
    def gamma(self) -> float:
        """The discount that this agent learns under."""
        return self.criterion.gamma

    @property
    def observation_space(self) -> Any:
        """Of one environment, as it was given."""
        return getattr(self.env, "single_observation_space", self.env.observation_space)

    @property
    def action_space(self) -> Any:
        """Of one environment."""
        return getattr(self.env, "single_action_space", self.env.action_space)

    @property
    def n_envs(self) -> int:
        """How many environments it learns on at once."""
        return self.players.count

    # What a subclass is

    def _begin(self) -> None:
        """Episodes began in all environments: forget what was there before."""
        raise NotImplementedError

    def _turn(self, stop: int) -> None:
        """Collect for a moment, up to timestep `stop` at most, or make some of the updates that are `owed`."""
        raise NotImplementedError

    def _look_again(self) -> None:
        """Take notice of what was done to the networks since the last piece."""

    def plan_for(self, total_timesteps: int) -> None:
        """Learning is to take so many timesteps, if no plan was made before: schedules that depend on it begin."""

    def _own_state(self, copy: bool) -> dict[str, Any]:
        raise NotImplementedError

    def _restore_own(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def _restore_learnt(self, state: Mapping[str, Any]) -> None:
        """Of the state, what acts."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """What makes this learner again, as plain JSON."""
        raise NotImplementedError

    # Learning

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        progress_bar: bool = False,
        *,
        callback_every: int = 1_000,
        log_interval: int = 4,
    ) -> Self:
        """Learn for `total_timesteps` more steps, going on in the middle of an episode where the last call stopped.

        callback: one or several `Progress -> bool | None`, called whenever a multiple of its own `every`, or else of
        `callback_every`, timesteps is reached or passed, and at the end; False stops. log_interval: episodes between
        two lines of the logger (`set_logger`). Learning n steps and n again learns the same as 2 n, but that
        `exploration_fraction` is of the first call's steps. A batch of environments may go beyond by less than its
        size.

        Ctrl-C is raised between two pieces, a tenth of a second at most where one update takes no longer; they may cut
        a turn's updates, and the learner can go on or be saved as if nothing had happened. Where an environment's own
        error breaks off learning, what was learnt can be saved and gone on with, in new episodes.

        Raises LearningError, naming source, step and the last checkpoint, where a number stops being finite.
        """
        total_timesteps = checked_count("total_timesteps", total_timesteps)
        callback_every = checked_count("callback_every", callback_every)
        callbacks = CallbackList(callback, every=callback_every, timestep=self.timestep)
        self.plan_for(total_timesteps)
        begin, target = (self.timestep, time.perf_counter()), self.timestep + total_timesteps
        logged = self.episodes
        bar = ProgressBar(total_timesteps, self.name) if progress_bar else None
        going = True
        try:
            with held_interrupts():
                self._open()
            while going and (self.timestep < target or self.owed):
                with held_interrupts():
                    self._piece(min(target, callbacks.due))
                if bar is not None:
                    bar.update(min(self.timestep - begin[0], total_timesteps), **self._recent.bar_fields())
                if self._logger is not None and self.episodes - logged >= log_interval:
                    logged = self.episodes
                    self._write_log(self._metrics(begin))
                at_end = self.timestep >= target
                if callbacks and not self.owed and (at_end or self.timestep >= callbacks.due):
                    progress = Progress(self, self.timestep, self.episodes, self._metrics(begin))
                    going = callbacks(progress, at_end)
                    self.players.come_back()
        finally:
            if bar is not None:
                bar.close()
        return self

    def _open(self) -> None:
        self._check_going()
        self.players.come_back()
        if self.players.open():
            self._begin()
            self.players.leave()

    def _piece(self, stop: float) -> None:
        """Turns, up to timestep `stop`, for a moment."""
        self._check_going()
        self._look_again()
        over = time.perf_counter() + MOMENT
        try:
            with self.random.owned(), self._threads():
                while (self.timestep < stop or self.owed) and time.perf_counter() < over:
                    self._turn(int(stop))
        except LearningError as error:
            if self._fault:
                raise
            self._fault = f"learning broke off after step {self.timestep}: {error}"
            raise LearningError(f"{self._fault}{self._last_words()}") from None
        except BaseException:  # the environment's own error, say: what was learnt is whole, the episodes are lost
            self.players.forget()
            raise
        self.players.leave()
        self._count_episodes()

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """On small networks torch's threads wait for each other: there one is many times quicker than two."""
        before = torch.get_num_threads()
        torch.set_num_threads(1 if self._is_small() else before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _is_small(self) -> bool:
        """Whether one thread of the CPU is enough for the networks."""
        return False

    def _count_episodes(self) -> None:
        self.episodes += len(self.players.finished)
        self._recent.extend(self.players.finished)
        self.players.finished.clear()

    def _check_going(self) -> None:
        if self._fault:
            raise LearningError(
                f"{self._fault}. Nothing more can be learnt from here; load an earlier checkpoint{self._last_words()}"
            )

    def _stop(self, source: str) -> LearningError:
        """The error of an update that is not finite."""
        self._fault = f"{type(self).__name__}: the update of step {self.timestep} is not finite: {source}"
        return LearningError(f"{self._fault}. The weights are as they were before it{self._last_words()}")

    def _last_words(self) -> str:
        if self.last_checkpoint is None:
            return "; no checkpoint was written"
        return f"; the last good checkpoint is {self.last_checkpoint}"

    # Reports

    def set_logger(self, logger: Any) -> None:
        """Log to a `rltk.runs.Run` or to a Stable-Baselines3 Logger (anything with `record` and `dump`); None stops."""
        if logger is not None and not callable(getattr(logger, "log" if hasattr(logger, "folder") else "dump", None)):
            raise ArgumentError(
                f"logger is a rltk.runs.Run or has record(key, value) and dump(step); found {type(logger).__name__}"
            )
        self._logger = logger

    def _write_log(self, metrics: Mapping[str, float]) -> None:
        if hasattr(self._logger, "folder"):
            self._logger.log(self.timestep, **metrics)
            return
        for name, value in metrics.items():
            self._logger.record(name, value)
        self._logger.dump(step=self.timestep)

    def _metrics(self, begin: tuple[int, float]) -> dict[str, float]:
        metrics = self._recent.metrics(self, begin)
        if self.updates:
            metrics["train/n_updates"] = float(self.updates)
            metrics["train/loss"] = float(np.mean(self.losses))
        return metrics

    # Checkpoints

    def state(self, copy: bool = True) -> dict[str, Any]:
        """Everything that the future depends on: networks, optimiser, replay, counters, streams, the environment.

        copy: False hands out the replay's own arrays, which go on changing: for saving at once.
        Raises LearningError where learning has stopped for good: nothing can go on from there.
        """
        self._check_going()
        return {
            "learner": self.name,
            "config": self.config(),
            **self._own_state(copy),
            "timestep": self.timestep,
            "episodes": self.episodes,
            "updates": self.updates,
            "owed": self.owed,
            "losses": np.array(self.losses, dtype=np.float64),
            **self._recent.state(),
            "streams": self.streams.state(),
            "torch": self.random.state(),
            "players": self.players.state(),
        }

    def state_to_write(self) -> dict[str, Any]:
        """`state` without copies, for whoever writes it at once."""
        return self.state(copy=False)

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Go on exactly where `state` was taken. Raises CheckpointError where it is another learner's or env's."""
        if state.get("learner") != self.name:
            raise CheckpointError(f"this is the state of {state.get('learner')!r}, not of {self.name!r}")
        mine, saved = _flat(self.config()), _flat(state["config"])
        other = [name for name in mine | saved if mine.get(name) != saved.get(name) and name != "seed"]
        if other:
            raise CheckpointError(
                f"the state was taken with {other[0]}={saved.get(other[0])!r}, this one has {mine.get(other[0])!r}: "
                "make the learner with the same options"
            )
        self._restore_own(state)
        self.timestep, self.episodes, self.updates = (int(state[n]) for n in ("timestep", "episodes", "updates"))
        self.owed = int(state.get("owed", 0))  # states of before there was such a thing owe nothing
        self.losses = deque(state["losses"].tolist(), maxlen=_RECENT_LOSSES)
        self._recent = RecentEpisodes.restored(state)
        self.streams.restore(state["streams"])
        self.random.restore(state["torch"])
        self.players.restore(state["players"])
        self._fault = ""
        return self

    def save(self, path: str | Path) -> Path:
        """Write the learner to the folder `path` as a checkpoint; `load` reads it back."""
        self.last_checkpoint = write_checkpoint(path, self.state_to_write(), step=self.timestep)
        return self.last_checkpoint

    @classmethod
    def load(cls, path: str | Path, env: Any, *, resume: bool = True, **options: Any) -> Self:
        """The learner saved in the folder `path`, on `env`, which must be made as the one that it was trained on.

        resume: go on exactly where it stood; False takes what was learnt alone, to act with it, on any environment or
        batch with the same spaces. options: device and backend; the encoder or schedules where they were your own.
        """
        checkpoint = latest_checkpoint(path)
        if checkpoint is None:
            raise CheckpointError(f"{path} holds no checkpoint; save one there with agent.save({str(path)!r})")
        state = checkpoint.state
        if state.get("learner") != cls.name:
            raise CheckpointError(
                f"{checkpoint.path} holds no {cls.name}: {state.get('learner') or 'another learner'!r}"
            )
        learner = cls.from_config(state["config"], env, **options)
        if not resume:
            learner._restore_learnt(state)
            learner.timestep = int(state["timestep"])
            return learner
        learner.restore(state).last_checkpoint = checkpoint.path
        return learner

    @classmethod
    def from_config(cls, config: Mapping[str, Any], env: Any, **options: Any) -> Self:
        """A new learner with the hyper-parameters that `config` gave."""
        raise NotImplementedError


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without its inner dicts' walls."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= (
            {f"{name} {key}" if name != "settings" else key: own for key, own in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    return flat
