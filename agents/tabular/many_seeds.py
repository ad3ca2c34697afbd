"""Many seeds at once: the same learner from many seeds, and its table at checkpoints on the way.

One run of a learner says little (Patterson, Neumann, White and White 2024, "Empirical design in reinforcement
learning"). Here a kernel learns from one seed after the other, threads take the seeds between them, and nothing but
their tables is kept. Each is bit for bit what one learner with that seed has learnt by then.

Where the compiled loop can't be used (`TabularLearner`, backend), learners are made and taught one by one: the same
tables, only slower.
"""

from collections.abc import Callable, Iterable, Iterator
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
from rltk.agents.tabular.exploration import Counts
from rltk.agents.tabular.learner import TabularLearner
from rltk.agents.tabular.loop import Kernels, Rates, Words, compiled_loop, sizes_of
from rltk.errors import ArgumentError, LearningError
from rltk.mdp import jit
from rltk.mdp.sampling import draw_start
from rltk.mdp.threads import available_cores, checked_threads
from rltk.mdp.validation import refuse_size
from rltk.runs import ProgressBar
from rltk.runs.checks import checked_count

_MEND = "Take fewer seeds or checkpoints"


@dataclass(frozen=True, eq=False)
class ManySeeds:
    """What N seeds had learnt at K checkpoints.

    tables: (N, K, ...) float64, each as the learner's own. timesteps: (K,) int64, of the checkpoints. episodes: (N, K)
    int64, those ended by then. seeds: N of them. agent: a learner of the first seed that has learnt nothing, for its
    settings.
    """

    tables: np.ndarray
    timesteps: np.ndarray
    episodes: np.ndarray
    seeds: tuple[int, ...]
    agent: TabularLearner

    def greedy(self) -> np.ndarray:
        """(N, K, S) int64: the action that each table takes at each observation when it is done learning."""
        actions = [policy.argmax(axis=-1) for policy in self._policies(True)]
        return np.stack(actions).reshape(*self.tables.shape[:2], -1)

    def behaviour(self) -> np.ndarray:
        """(N, K, S, A) float64: the policy that each table is followed by while it learns, at its rate then.

        ArgumentError where that depends on more than the table, SizeError where all of them do not fit.
        """
        if isinstance(self.agent.habits, Counts):
            raise ArgumentError(f"{self.agent.exploration.name} behaves by its counts, too, which tables do not hold")
        shape = (*self.tables.shape[:2], self.agent.n_states, self.agent.n_actions)
        refuse_size("the behaviour policies", 8.0 * np.prod(shape, dtype=float), _MEND)
        return np.stack(list(self._policies(False))).reshape(shape)

    def _policies(self, deterministic: bool) -> Iterator[np.ndarray]:
        """Of each seed and checkpoint, (S, A)."""
        agent, own = self.agent, (self.agent.table.copy(), self.agent.timestep)
        observations = int(agent.env.observation_space.start) + np.arange(agent.n_states)
        try:
            for tables in self.tables:
                for table, timestep in zip(tables, self.timesteps.tolist(), strict=True):
                    agent.table[:], agent.timestep = table, timestep
                    yield agent.action_probabilities(observations, deterministic=deterministic)
        finally:
            agent.table[:], agent.timestep = own


def learn_many(
    learner: type[TabularLearner],
    env: Any,
    total_timesteps: int,
    *,
    seeds: int | Iterable[int] = 100,
    checkpoints: int | Iterable[int] = 20,
    threads: int | None = None,
    progress_bar: bool = False,
    **options: Any,
) -> ManySeeds:
    """Let `learner(env, seed=seed, **options)` learn for `total_timesteps` from each of `seeds`.

        many = learn_many(QLearning, env, 50_000, seeds=1000, gamma=0.99, epsilon=0.1)
        loss = suboptimality_curves(many.greedy(), env, many.agent.criterion)        # rltk.evaluation.curves

    seeds: so many, from 0 on, or which. checkpoints: so many, evenly spaced, the last at the end; or rising timesteps.
    threads: None for all cores; the tables are the same by any number. options: the learner's.

    Raises SizeError, before anything is learnt, where the tables would not fit, ArgumentError for what can't be used,
    and LearningError, naming seed and step, where a value stops being finite.
    """
    check_learner(learner, options, "learn_many")
    total, threads = checked_count("total_timesteps", total_timesteps), checked_threads(threads) or available_cores()
    numbers, timesteps = checked_seeds(seeds), checked_checkpoints(checkpoints, total)
    agent = learner(env, seed=numbers[0], **options)
    _refuse_size(agent, len(numbers), timesteps, threads)
    shape = len(numbers), timesteps.size
    many = ManySeeds(
        tables=np.empty((*shape, *agent.table.shape)),
        timesteps=timesteps,
        episodes=np.zeros(shape, dtype=np.int64),
        seeds=numbers,
        agent=agent,
    )
    bar = ProgressBar(len(numbers) * total, f"{agent.name}, {len(numbers):,} seeds") if progress_bar else None
    progress = _in_chunks(many, threads) if compiles(agent) else _one_by_one(many, learner, options)
    try:
        for done in progress:
            if bar is not None:
                bar.update(done * total)
    finally:
        if bar is not None:
            bar.close()
    return many


def _one_by_one(many: ManySeeds, learner: type[TabularLearner], options: dict[str, Any]) -> Iterator[int]:
    """Fill `many` with one learner after the other; yields how many seeds are done."""
    for i, seed in enumerate(many.seeds):
        agent = learner(many.agent.env, seed=seed, **options)
        for k, timestep in enumerate(many.timesteps.tolist()):
            try:
                if timestep > agent.timestep:
                    agent.learn(timestep - agent.timestep)
            except LearningError as error:
                raise LearningError(f"seed {seed}: {error}") from None
            many.tables[i, k], many.episodes[i, k] = agent.table, agent.episodes
        yield i + 1


def _in_chunks(many: ManySeeds, threads: int) -> Iterator[int]:
    """Fill `many` chunk by chunk, by so many threads; yields how many seeds are done."""
    agent, total = many.agent, int(many.timesteps[-1])
    rates, limit = agent.coming_rates(total), agent.experience.time_limit or 0
    agent._reserve(_room(agent, total))
    run = many_loop(agent.kernels(), len(agent.memory), len(agent.habits), sizes_of(agent.mdp.tables, agent.table))
    longest = max(1, int(np.diff(many.timesteps, prepend=0).max()))

    def learn(mine: slice, own: Copies, words: np.ndarray) -> None:
        out = many.tables[mine], many.episodes[mine], many.timesteps
        room = np.empty(3, dtype=np.int64), np.empty(longest), np.empty(longest, dtype=np.int64)
        fault, step = run(agent.mdp.tables, *own, rates, limit, words, *out, *room)
        if fault >= 0:
            raise LearningError(
                f"seed {many.seeds[mine][fault]}: {type(agent).__name__}: the update of step {step + 1} is not finite "
                "(NaN or infinity). The reward or the table overflowed: look at the rewards near that step, or lower "
                "alpha"
            )

    return in_chunks(agent, many.seeds, threads, learn)


@cache
def many_loop(
    kernels: Kernels, n_memory: int, n_habits: int, sizes: tuple[int, int] | None = None
) -> Callable[..., Any]:
    """A kernel that learns from several seeds, one after the other, around `compiled_loop`.

    n_memory, n_habits: how many arrays these hold.
    """

    loop = compiled_loop(kernels, sizes)
    memory_of, habits_of = one_of(n_memory), one_of(n_habits)

    @jit(nogil=True, _nrt=False)
    def run(
        mdp_tables, tables, memories, habits, rates, limit, words, out, episodes, timesteps, episode, returns, lengths
    ):
        """Fill `out` (n, K, ...) and `episodes` (n, K). Returns (place of the seed at fault, its step), -1 if none.

        tables, memories, habits: tuples of arrays whose first axis is the seed's, n of them. words: (n, 3, 6) uint64,
        the streams of the environment, the behaviour and the method. episode (3,), returns and lengths: room, the last
        two for as many episodes as there are steps between two checkpoints.
        """
        for i in range(out.shape[0]):
            table, streams = tables[0][i], Words(words[i, 1], words[i, 2])
            memory, habit = memory_of(memories, i), habits_of(habits, i)
            episode[0], episode[1], episode[2] = draw_start(mdp_tables, words[i, 0]), 0, -1
            reward, finished, done = 0.0, 0, 0
            for k in range(timesteps.size):
                steps = timesteps[k] - done
                piece = Rates(steps, part(rates.alphas, done, steps), part(rates.rates, done, steps), rates.gamma)
                ended, fault, reward = loop(
                    mdp_tables,
                    table,
                    memory,
                    habit,
                    piece,
                    limit,
                    words[i, 0],
                    streams,
                    episode,
                    reward,
                    returns,
                    lengths,
                )
                if fault >= 0:
                    return i, done + fault
                finished, done = finished + ended, timesteps[k]
                episodes[i, k] = finished
                put(table, out[i, k])
        return -1, -1

    return run


@jit(inline="always")
def part(values, begin, count):
    """So many of the values from `begin` on, or the constant."""
    return values[begin : begin + count] if values.size > 1 else values


def _room(agent: TabularLearner, total: int) -> int:
    """How many steps an episode can have."""
    return min(total, agent.experience.time_limit or total)


def _refuse_size(agent: TabularLearner, n_seeds: int, timesteps: np.ndarray, threads: int) -> None:
    """Raise SizeError where what is to be learnt does not fit."""
    n_tables, total = n_seeds * timesteps.size, int(timesteps[-1])
    kept = n_tables * (agent.table.nbytes + 8)
    own = bytes_of(agent, _room(agent, total))
    what = f"the {n_tables:,} tables of {n_seeds:,} seeds at {timesteps.size:,} checkpoints"
    refuse_size(what, kept + threads * chunk_size(n_seeds) * own + 32 * total, _MEND)
