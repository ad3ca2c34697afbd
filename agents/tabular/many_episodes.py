"""Many seeds at once, episode by episode: what each episode returned, how long it was, and tables at the ends of some.

`many_seeds` counts steps, as experiments on efficiency do; the figures of the textbooks count episodes. Here the same
loop stops where an episode ends, so each return, length and table is bit for bit what one learner with that seed has
at the end of that episode.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rltk.agents.tabular.chunks import (
    Copies,
    bytes_of,
    check_learner,
    checked_checkpoints,
    checked_seeds,
    chunk_size,
    compiles,
    in_chunks,
    one_of,
    put,
)
from rltk.agents.tabular.learner import TabularLearner
from rltk.agents.tabular.loop import Kernels, Words, compiled_loop, sizes_of
from rltk.errors import ArgumentError, LearningError
from rltk.mdp import jit
from rltk.mdp.sampling import draw_start
from rltk.mdp.threads import available_cores, checked_threads
from rltk.mdp.validation import refuse_size
from rltk.runs.checks import checked_count

_MEND = "Take fewer seeds, episodes or checkpoints"


@dataclass(frozen=True, eq=False)
class ManyEpisodes:
    """The first E episodes of N seeds, and what had been learnt at K checkpoints.

    returns: (N, E) float64, the undiscounted sum of an episode's rewards. lengths: (N, E) int64, its steps. tables:
    (N, K, ...) float64, each as the learner's own. checkpoints: (K,) int64, after how many episodes. seeds: N of them.
    agent: a learner of the first seed that has learnt nothing, for its settings.
    """

    returns: np.ndarray
    lengths: np.ndarray
    tables: np.ndarray
    checkpoints: np.ndarray
    seeds: tuple[int, ...]
    agent: TabularLearner


def learn_episodes(
    learner: type[TabularLearner],
    env: Any,
    episodes: int,
    *,
    seeds: int | Iterable[int] = 100,
    checkpoints: int | Iterable[int] = 1,
    threads: int | None = None,
    **options: Any,
) -> ManyEpisodes:
    """Let `learner(env, seed=seed, **options)` learn until `episodes` have ended, from each of `seeds`.

        many = learn_episodes(SARSA, gym.make("rltk/CliffWalking-v0"), 500, seeds=100, alpha=0.5, gamma=1.0)
        many.returns.mean(axis=0)                               # (500,) what the n-th episode returns on average

    seeds: so many, from 0 on, or which. checkpoints: after so many of the episodes, evenly spaced, the last at the end,
    or after which; 0 is before the first. threads: None for all cores; any number gives the same. options: the
    learner's; step size and exploration are constant, for how many steps there will be is not known.

    Raises ArgumentError for what can't be used (an environment without a time limit, whose episodes might never end,
    or one that the compiled loop can't run), SizeError, before anything is learnt, where the tables would not fit, and
    LearningError, naming the seed, where a value stops being finite.
    """
    check_learner(learner, options, "learn_episodes")
    total, threads = checked_count("episodes", episodes), checked_threads(threads) or available_cores()
    numbers, ends = checked_seeds(seeds), checked_checkpoints(checkpoints, total)
    agent = learner(env, seed=numbers[0], **options)
    _refuse(agent, len(numbers), total, ends.size, threads)
    many = ManyEpisodes(
        returns=np.zeros((len(numbers), total)),
        lengths=np.zeros((len(numbers), total), dtype=np.int64),
        tables=np.empty((len(numbers), ends.size, *agent.table.shape)),
        checkpoints=ends,
        seeds=numbers,
        agent=agent,
    )
    _learn_in_chunks(many, threads)
    return many


def _refuse(agent: TabularLearner, n_seeds: int, n_episodes: int, n_checkpoints: int, threads: int) -> None:
    """Raise the error for what can't be learnt here, or would not fit."""
    name, limit = type(agent).__name__, agent.experience.time_limit
    if not compiles(agent):
        raise ArgumentError(f"{name} does not run in the compiled loop on {agent.env}; take learn_many")
    if limit is None:
        raise ArgumentError(
            f"{agent.env} has no time limit, so an episode might never end; give it one, "
            "gym.make(id, max_episode_steps=10_000)"
        )
    if callable(agent.alpha) or callable(agent.exploration.rate):
        raise ArgumentError(f"{name}: episodes are learnt at constant rates, not by a schedule; take learn_many")
    kept = n_seeds * (16 * n_episodes + n_checkpoints * agent.table.nbytes)
    own = bytes_of(agent, limit)
    what = f"what {n_seeds:,} seeds learn in {n_episodes:,} episodes, at {n_checkpoints:,} checkpoints"
    refuse_size(what, kept + threads * chunk_size(n_seeds) * own, _MEND)


def _learn_in_chunks(many: ManyEpisodes, threads: int) -> None:
    """Fill `many` chunk by chunk, by so many threads."""
    agent = many.agent
    limit = agent.experience.time_limit or 0
    rates = agent.coming_rates(limit)
    agent._reserve(limit)
    sizes = sizes_of(agent.mdp.tables, agent.table)
    run = many_episodes_loop(agent.kernels(), len(agent.memory), len(agent.habits), sizes)

    def learn(mine: slice, own: Copies, words: np.ndarray) -> None:
        out = many.tables[mine], many.returns[mine], many.lengths[mine], many.checkpoints
        fault, episode = run(agent.mdp.tables, *own, rates, limit, words, *out, np.empty(3, dtype=np.int64))
        if fault >= 0:
            raise LearningError(
                f"seed {many.seeds[mine][fault]}: {type(agent).__name__}: an update in episode {episode + 1} is not "
                "finite (NaN or infinity). The reward or the table overflowed: look at the rewards, or lower alpha"
            )

    for _ in in_chunks(agent, many.seeds, threads, learn):
        pass


@cache
def many_episodes_loop(
    kernels: Kernels, n_memory: int, n_habits: int, sizes: tuple[int, int] | None = None
) -> Callable[..., Any]:
    """A kernel that learns from several seeds, one after the other, around `compiled_loop`.

    n_memory, n_habits: how many arrays these hold.
    """

    loop = compiled_loop(kernels, sizes)
    memory_of, habits_of = one_of(n_memory), one_of(n_habits)

    @jit(nogil=True, _nrt=False)
    def run(mdp_tables, tables, memories, habits, rates, limit, words, out, returns, lengths, checkpoints, episode):
        """Fill `out` (n, K, ...), `returns` and `lengths` (n, E). Returns (place of the seed at fault, its episode),
        -1 if none.

        tables, memories, habits: tuples of arrays whose first axis is the seed's, n of them. words: (n, 3, 6) uint64,
        the streams of the environment, the behaviour and the method. episode: (3,), room.
        """
        for i in range(out.shape[0]):
            table, streams = tables[0][i], Words(words[i, 1], words[i, 2])
            memory, habit = memory_of(memories, i), habits_of(habits, i)
            episode[0], episode[1], episode[2] = draw_start(mdp_tables, words[i, 0]), 0, -1
            reward, done = 0.0, 0
            for k in range(checkpoints.size + 1):
                end = checkpoints[k] if k < checkpoints.size else returns.shape[1]
                while done < end:
                    ended, fault, reward = loop(
                        mdp_tables,
                        table,
                        memory,
                        habit,
                        rates,
                        limit,
                        words[i, 0],
                        streams,
                        episode,
                        reward,
                        returns[i, done:end],
                        lengths[i, done:end],
                    )
                    done += ended
                    if fault >= 0:
                        return i, done
                if k < checkpoints.size:
                    put(table, out[i, k])
        return -1, -1

    return run
