"""A deep learner's side of its environment: one player, or a batch of them in any of Gymnasium's autoreset modes.

All look alike to the learner. `observations` is what the players see now; `step` takes an action of each and tells what
became of it. An episode's end and the next one's beginning are told apart in every mode: `Moves.next_observations` are
the true ones, the last of an episode where it ended, and `Moves.began` lists who stands at a new beginning.

| mode | when an ended environment is reset | what that costs |
| --- | --- | --- |
| one environment, DISABLED | at once, by the learner | nothing |
| SAME_STEP | in the step that ends; the last observation is in `infos["final_obs"]` | nothing |
| NEXT_STEP | in the step after it, whose action is ignored | that step is no transition: `Moves.took` is False |

Source: Gymnasium 1.1, `gymnasium.vector.AutoresetMode`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rltk.encoders import Plain
from rltk.errors import LearningError, SpaceError
from rltk.runs import Streams

MASK = "action_mask"


class Moves(NamedTuple):
    """What became of an action of each of n players. Observations are plain: an array, or a dict of arrays."""

    next_observations: Any  # (n, ...)
    next_masks: np.ndarray | None  # (n, A) bool: what can be done there
    rewards: np.ndarray  # (n,) float64
    terminated: np.ndarray  # (n,) bool
    truncated: np.ndarray  # (n,) bool
    took: np.ndarray | None  # (n,) bool: who took the action; None where all did
    began: np.ndarray | None  # (k,) who stands at the beginning of an episode now; None where nobody does


class Players:
    """What one environment and many have in common. `streams`: the learner's own."""

    count: int
    observations: Any  # (n, ...) plain, what the players see now
    masks: np.ndarray | None  # (n, A) bool, what they can do now; None where everything always can be done

    def __init__(self, env: Any, observation_space: Any, action_space: Any, streams: Streams) -> None:
        check_actions(action_space)
        self.env, self.streams = env, streams
        self.plain = Plain(tight_space(env, observation_space))
        self.n_actions, self.first_action = int(action_space.n), int(action_space.start)
        self.observations, self.masks = None, None
        self.finished: list[tuple[float, int]] = []  # (return, length) of episodes since the learner last looked
        self.masked = False  # whether the environment says what can be done

    @property
    def is_open(self) -> bool:
        """Whether episodes are under way."""
        return self.observations is not None

    def open(self) -> bool:
        """Begin the first episodes, where none are under way; whether it did."""
        raise NotImplementedError

    def step(self, actions: np.ndarray) -> Moves:
        """Take (n,) `actions`, numbered from 0."""
        raise NotImplementedError

    def forget(self) -> None:
        """The episodes under way are lost: new ones begin when learning goes on."""
        self.observations, self.masks = None, None

    def leave(self) -> None:
        """Write down where learning leaves the environment."""
        raise NotImplementedError

    def come_back(self) -> None:
        """Put the environment where learning left it, whoever used it meanwhile."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Everything that the future of the episodes under way depends on."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. CheckpointError where that is not to be found."""
        raise NotImplementedError

    def _refuse(self, reward: Any, which: int) -> LearningError:
        return LearningError(
            f"the environment paid {reward!r} to player {which}, which is no finite number; mend its reward"
        )


def check_actions(space: Any) -> None:
    """SpaceError unless actions are Discrete, with the algorithm that takes others."""
    if isinstance(space, gym.spaces.Discrete):
        return
    others = "SAC, TD3 or PPO" if isinstance(space, gym.spaces.Box) else "PPO"
    raise SpaceError(
        f"DQN takes the best of numbered actions and needs a Discrete space; this environment's actions are {space}. "
        f"Use Stable-Baselines3's {others}, which take them"
    )


def shaped_masks(masks: np.ndarray, count: int, n_actions: int) -> np.ndarray:
    """`masks` as (n, A) bool. LearningError where the shape is another one."""
    if masks.shape != (count, n_actions):
        raise LearningError(
            f"{MASK}: the environment gave a mask of shape {masks.shape[1:]}; its {n_actions} actions need "
            f"({n_actions},)"
        )
    return masks != 0


def check_masks(masks: np.ndarray) -> None:
    """LearningError where a player has nothing left to do. Games may end so, but not go on."""
    if not masks.any(axis=1).all():
        stuck = int(np.argmin(masks.any(axis=1)))
        raise LearningError(f"{MASK}: it leaves player {stuck} no action at all, and the episode goes on; end it there")


def tight_space(env: Any, space: gym.Space[Any]) -> gym.Space[Any]:
    """`space`, with the bounds of the numbers that are really seen, where the environment knows tighter ones.

    MiniGrid's own spaces say 0 to 255 of numbers below 11.
    """
    inner = env.unwrapped
    own = getattr(inner, "single_observation_space", getattr(inner, "observation_space", None))
    tight = getattr(getattr(inner, "observer", None), "tight_space", None)
    return tight if isinstance(tight, gym.Space) and space == own else space


def copied(observations: Any) -> Any:
    if isinstance(observations, dict):
        return {name: part.copy() for name, part in observations.items()}
    return None if observations is None else observations.copy()
