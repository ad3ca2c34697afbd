"""A learner's side of its environment: the episode under way, and how to come back to it.

An environment whose whole state can be captured (rltk's own) is put back where learning left it, whatever happened to
it meanwhile. Any other begins each episode from a seed that is written down, and comes back by replaying its actions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import index
from typing import Any

import numpy as np

from rltk.agents.tabular.checks import counts_episodes, observes_states
from rltk.errors import ArgumentError, CheckpointError, SpaceError
from rltk.mdp import MDP, model_of, sync_time_limit
from rltk.runs import Streams
from rltk.runs.checks import checked_choice

BACKENDS = ("auto", "compiled", "gymnasium")


@dataclass
class Episode:
    """The episode under way: where it stands, what it has collected, what is to be done next."""

    state: int = 0
    steps: int = 0
    reward: float = 0.0
    action: int = -1  # chosen already, by a method that looks one action ahead; -1 where none is
    seed: int = 0  # what its reset was seeded with, and what was done since: enough to replay it
    actions: list[int] = field(default_factory=list)


class Experience:
    """One environment and one learner's place in it. `streams` are the learner's: "environment" and "episodes"."""

    def __init__(self, env: Any, streams: Streams, backend: str) -> None:
        backend = checked_choice("backend", backend, BACKENDS)
        self.env, self.streams = env, streams
        self.mdp: MDP | None
        self.mdp, self.time_limit, self._reason = model_of(env)
        self.sees_states = self.mdp is not None and observes_states(env, self.mdp.n_states)
        self.backend = self._chosen_backend(backend)
        self.row_of = row_reader(env.observation_space)
        self.episode: Episode | None = None
        self._left: dict[str, Any] | None = None  # the environment as learning left it, where it can be captured
        self._mark = ""  # elsewhere the state of its random numbers, which shows whether anybody reset it

    @property
    def captures(self) -> bool:
        """Whether the environment's whole state can be read and set; else an episode is resumed by replaying it."""
        return self.mdp is not None and callable(getattr(self.env.unwrapped, "get_state", None))

    def _chosen_backend(self, asked: str) -> str:
        metadata = getattr(self.env.unwrapped, "metadata", {})
        why = self._reason if self.mdp is None else ""
        if not why and not self.sees_states:
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

    # Learning

    def open(self) -> Episode:
        """The episode under way; the first where there is none."""
        if self.episode is None:
            state, seed = self.reset(self.streams.seed("environment"))
            self.leave()
            self.episode = Episode(state=state, seed=seed)  # last: a reset that is broken off begins nothing
        return self.episode

    def return_to(self) -> Episode:
        """Put the environment where learning left it: whoever stepped it meanwhile has changed nothing for us."""
        episode = self.open()
        if self._left is not None:
            self.place(self._left)
        elif not self.captures and self._random_state() != self._mark:
            self._replay(episode)
        return episode

    def leave(self) -> None:
        """Write down where learning leaves the environment."""
        self._left = self.env.unwrapped.get_state() if self.captures else None
        self._mark = self._random_state()

    def reset(self, seed: int | None = None) -> tuple[int, int]:
        """Begin the next episode: (the state that it begins in, the seed to replay it from)."""
        if self.captures:
            return self.row_of(self.env.reset(seed=seed)[0]), 0
        # What can't be captured must be replayed, so each episode begins from a seed that is known.
        seed = int(self.streams.generator("episodes").integers(2**32))
        return self.row_of(self.env.reset(seed=seed)[0]), seed

    def place(self, state: Mapping[str, Any]) -> None:
        """Set the environment to `state`, its random stream included."""
        self.env.unwrapped.set_state(dict(state), restore_rng=True)
        sync_time_limit(self.env, int(state["elapsed"]))

    # Checkpoints

    def state(self) -> dict[str, Any]:
        """The open episode and the environment, as far as there are any."""
        if self.episode is None:
            return {}
        saved = {name: getattr(self.episode, name) for name in ("state", "steps", "reward", "action", "seed")}
        actions = [] if self.captures else self.episode.actions
        state: dict[str, Any] = {"episode": {**saved, "actions": np.array(actions, dtype=np.int64)}}
        return state if self._left is None else {**state, "env": self._left}

    def restore(self, state: Mapping[str, Any], n_states: int) -> None:
        """Go on where `state` was taken. Raises CheckpointError where that is not to be found."""
        self.episode, self._left = None, None
        if "episode" not in state:
            return
        saved = state["episode"]
        if not 0 <= int(saved["state"]) < n_states:
            raise CheckpointError(f"the saved episode stands in state {saved['state']}, which is not there")
        numbers = (int(saved["state"]), int(saved["steps"]), float(saved["reward"]), int(saved["action"]))
        self.episode = Episode(*numbers, int(saved["seed"]), np.asarray(saved["actions"]).tolist())
        if state.get("env") is None:
            self._replay(self.episode)
            return
        self.env.reset(seed=0)  # so that wrappers know that an episode is under way
        self.place(state["env"])
        self._left = state["env"]

    def _replay(self, episode: Episode) -> None:
        observation, _ = self.env.reset(seed=episode.seed)
        for action in episode.actions:
            observation, *_ = self.env.step(action + int(self.env.action_space.start))
        if self.row_of(observation) != episode.state:
            raise CheckpointError(
                f"replaying the {len(episode.actions)} actions of the open episode led to observation "
                f"{observation}, not to {episode.state}: the environment does not repeat itself from a seed"
            )
        self._mark = self._random_state()

    def _random_state(self) -> str:
        return "" if self.captures else repr(self.env.unwrapped.np_random.bit_generator.state)


def row_reader(space: Any) -> Callable[[Any], int]:
    """A function that gives the table's row for an observation; SpaceError where it is not in `space` (Discrete)."""
    start, n = int(space.start), int(space.n)

    def row_of(observation: Any) -> int:
        try:
            row = index(observation) - start
        except TypeError:  # 2.7 or "3" is no number of a state
            row = -1
        if 0 <= row < n:  # a kernel would not look
            return row
        raise SpaceError(
            f"the environment observed {observation!r}, which is not in {space}; mend it or its observation_space"
        )

    return row_of
