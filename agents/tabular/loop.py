"""The two loops that every tabular learner shares, around one update kernel.

    choose an action -> step -> update -> (at an end) note the episode and reset

`compiled_loop` runs on an MDP's arrays, `gymnasium_loop` on any environment. Where the environment keeps the draw law
(`rltk.mdp.sampling`) both draw the same words in the same order, so both leave the same table, bit for bit.

A terminated step has no bootstrap; a truncated one has: its episode was cut short, the world went on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from rltk.agents.tabular.behaviour import choose
from rltk.errors import SpaceError
from rltk.mdp import jit
from rltk.mdp.sampling import draw, draw_start


@dataclass
class Episode:
    """The episode under way: where it stands and what it has collected."""

    state: int = 0
    steps: int = 0
    reward: float = 0.0
    seed: int = 0  # what its reset was seeded with, and what was done since: enough to replay it
    actions: list[int] = field(default_factory=list)


@dataclass
class Finished:
    """The episodes that ended during a piece of learning, in order."""

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    fault: int = -1  # the step of the piece at which a value stopped being finite, or -1


@cache
def compiled_loop(update: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that learns by `update` on an MDP's arrays; one is compiled for each update and kept on disk."""

    @jit
    def loop(
        tables,
        q,
        alphas,
        epsilons,
        gamma,
        limit,
        env_stream,
        behaviour_stream,
        episode,
        reward_so_far,
        returns,
        lengths,
    ):
        """Learn for `alphas.size` steps. Returns (episodes ended, step of a fault or -1, reward of the open episode).

        `episode`: (2,) int64, state and steps of the episode under way, changed in place. `limit`: steps, 0 for none.
        """
        state, steps, total, ended = episode[0], episode[1], reward_so_far, 0
        fault = -1
        for i in range(alphas.size):
            action = choose(q, state, epsilons[i], behaviour_stream)
            next_state, reward, terminated, _ = draw(tables, state, action, env_stream)
            error = update(q, state, action, reward, next_state, terminated, alphas[i], gamma)
            steps += 1
            total += reward
            state = next_state
            if not np.isfinite(error):
                fault = i
                break
            if terminated or steps == limit:
                returns[ended] = total
                lengths[ended] = steps
                ended += 1
                state, steps, total = draw_start(tables, env_stream), 0, 0.0
        episode[0], episode[1] = state, steps
        return ended, fault, total

    return loop


def row_of(env: Any, observation: Any) -> int:
    """The table's row for an observation; SpaceError where it is not in the space. A kernel would not look."""
    space = env.observation_space
    row = int(observation) - int(space.start)
    if not 0 <= row < int(space.n):
        raise SpaceError(
            f"the environment observed {observation!r}, which is not in {space}; mend it or its observation_space"
        )
    return row


def gymnasium_loop(
    env: Any,
    update: Callable[..., Any],
    q: np.ndarray,
    rates: tuple[np.ndarray, np.ndarray, float],
    behaviour_stream: np.ndarray,
    episode: Episode,
    reset: Callable[[], int],
) -> Finished:
    """The same on any environment with discrete observations; `reset` starts its next episode and gives the state.

    `rates`: (alphas (n,), epsilons (n,), gamma); learns for n steps.
    """
    first_action = int(env.action_space.start)
    alphas, epsilons, gamma = rates
    finished = Finished()
    for i in range(alphas.size):
        action = choose(q, episode.state, epsilons[i], behaviour_stream)
        observation, reward, terminated, truncated, _ = env.step(action + first_action)
        next_state = row_of(env, observation)
        error = update(q, episode.state, action, float(reward), next_state, bool(terminated), alphas[i], gamma)
        episode.actions.append(action)
        episode.steps += 1
        episode.reward += float(reward)
        episode.state = next_state
        if not np.isfinite(error):
            finished.fault = i
            break
        if terminated or truncated:
            finished.returns.append(episode.reward)
            finished.lengths.append(episode.steps)
            episode.steps, episode.reward, episode.actions = 0, 0.0, []
            episode.state = reset()
    return finished
