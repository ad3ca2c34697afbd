"""The two loops that every tabular learner shares, around three kernels.

    row = values(table, memory, state)       what behaviour is led by
    action = choose(row, ...)                how (`exploration`)
    step -> update(table, memory, ...) -> (at an end) note the episode and reset

`compiled_loop` runs on an MDP's arrays, `gymnasium_loop` on any environment. Where the environment keeps the draw law
(`rltk.mdp.sampling`) both draw the same words in the same order, so both leave the same table, bit for bit.

A method that looks ahead (SARSA) has its next action chosen before it updates, and that action is then taken; others
choose from the updated table. A terminated step has no bootstrap; a truncated one has: its episode was cut short, the
world went on.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np

from rltk.agents.tabular.experience import Episode, Experience
from rltk.errors import ArgumentError
from rltk.mdp import jit, stream_of
from rltk.mdp.sampling import MoveTables, Tables, draw, draw_start
from rltk.mdp.streams import random


class Kernels(NamedTuple):
    """What a method and its behaviour are made of.

    update(table, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour,
    stream) changes the table and the arrays of memory, a tuple, and returns the error, which is not finite where
    learning must stop. next_action: -1 where none was chosen. over: whether the episode ends here, terminated or
    truncated. behaviour: (rate, habits) of the exploration. stream: (6,) uint64, for the method's own draws. Compiled
    with `@jit(_nrt=False)` where it makes no arrays: counting references to memory's costs more than most updates.

    values(table, memory, state): (A,), what behaviour is led by; compiled with `@jit(inline="always")`, since the loop
    counts no references (`rltk.mdp.jit`).

    begin(table, memory, state, stream), for a method that `looks_ahead` and does not begin episodes where the
    environment does, in `state`: the (state, action) to begin with.
    """

    update: Callable[..., Any]
    values: Callable[..., Any]
    choose: Callable[..., Any]
    looks_ahead: bool
    begin: Callable[..., Any] | None = None


class Rates(NamedTuple):
    """Of the coming steps: how many, their step sizes and rates of behaviour, and the discount."""

    steps: int
    alphas: np.ndarray  # (steps,), or (1,) a constant
    rates: np.ndarray  # (steps,), or (1,) a constant
    gamma: float


@jit(_nrt=False)
def at_step(values, i):
    """The i-th of the values, or the constant."""
    return values[np.uint64(i) if values.size > 1 else np.uint64(0)]


class Words(NamedTuple):
    """The streams that a piece of learning draws from, (6,) uint64 each."""

    behaviour: np.ndarray
    method: np.ndarray


class Finished(NamedTuple):
    """The n episodes that ended during a piece of learning, in order."""

    returns: np.ndarray  # (n,) float64
    lengths: np.ndarray  # (n,) int64
    fault: int  # the step of the piece at which a value stopped being finite, or -1


@jit(inline="always")
def row_of_table(table, memory, state):
    """The action values of `state` where the table holds them."""
    return table[state]


@cache
def decision(values: Callable[..., Any], choose: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that decides on an action from one word of `stream` (6,) uint64."""
    if getattr(values, "targetoptions", {}).get("inline") != "always":
        raise ArgumentError(
            f"values: a kernel compiled with @jit(inline='always') was expected; found {values!r}. The loop counts no "
            "references, so that the row which any other returns would never be freed"
        )

    @jit(inline="always", _nrt=False)
    def decide(table, memory, habits, state, rate, stream):
        return np.int64(choose(values(table, memory, state), state, rate, habits, random(stream)))

    return decide


_FEW = 9  # actions or moves, for which a loop of its own is compiled


def sizes_of(tables: Tables, table: np.ndarray) -> tuple[int, int] | None:
    """(moves of the grid, columns of the table) that a loop is compiled for; None for the one loop for all."""
    if not isinstance(tables, MoveTables) or table.ndim != 2 or max(tables.moves.shape[1], table.shape[1]) > _FEW:
        return None
    return tables.moves.shape[1], table.shape[1]


@cache
def expecting(sizes: tuple[int, int] | None) -> Callable[..., bool]:
    """A kernel: whether the tables have these sizes. What comes after is compiled for them alone."""
    if sizes is None:
        return jit(lambda tables, table: True, inline="always")
    n_moves, n_columns = sizes

    @jit(inline="always")
    def fits(tables, table):
        return (
            tables.moves.shape[1] == n_moves
            and tables.cumulative.shape[1] == n_moves
            and table.shape[table.ndim - 1] == n_columns
        )

    return fits


@cache
def compiled_loop(kernels: Kernels, sizes: tuple[int, int] | None = None) -> Callable[..., Any]:
    """A kernel that learns on an MDP's arrays; one is compiled for each method and behaviour, and kept on disk.

    With `sizes`, for grids of these alone: where the compiler knows how often short loops turn, they cost half.
    """

    update, looks_ahead, begin_with = kernels.update, kernels.looks_ahead, cast(Callable[..., Any], kernels.begin)
    elsewhere = kernels.begin is not None
    decide, fits = decision(kernels.values, kernels.choose), expecting(sizes)

    @jit(_nrt=False)
    def loop(tables, table, memory, habits, rates, limit, env_stream, words, episode, reward_so_far, returns, lengths):
        """Learn for `rates.steps` steps, or until `returns` is full. Returns (episodes ended, step of a fault or -1,
        reward of the open one).

        `episode`: (3,) int64, state, steps and chosen action of the episode under way, changed in place. `limit`:
        steps, 0 for none. `returns`, `lengths`: (n,) each, for the episodes that end.
        """
        state, steps, action = episode[0], episode[1], episode[2]
        total, ended, fault = reward_so_far, 0, -1
        if not fits(tables, table):
            return 0, 0, total
        if elsewhere and steps == 0 and action < 0:
            state, action = begin_with(table, memory, state, words.method)
        for i in range(rates.steps):
            alpha, rate = at_step(rates.alphas, i), at_step(rates.rates, i)
            if not looks_ahead or action < 0:
                action = decide(table, memory, habits, state, rate, words.behaviour)
            next_state, reward, terminated, _ = draw(tables, state, action, env_stream)
            steps += 1
            over = terminated or steps == limit
            next_action = np.int64(-1)
            if looks_ahead and not terminated:
                next_action = decide(table, memory, habits, next_state, rate, words.behaviour)
            error = update(
                table,
                memory,
                state,
                action,
                reward,
                next_state,
                next_action,
                terminated,
                over,
                alpha,
                rates.gamma,
                (rate, habits),
                words.method,
            )
            total += reward
            state, action = next_state, next_action
            if not np.isfinite(error):
                fault = i
                break
            if over:
                returns[ended] = total
                lengths[ended] = steps
                ended += 1
                steps, total = 0, 0.0
                state, action = draw_start(tables, env_stream), np.int64(-1)
                if elsewhere:
                    state, action = begin_with(table, memory, state, words.method)
                if ended == returns.size:
                    break
        episode[0], episode[1], episode[2] = state, steps, action
        return ended, fault, total

    return loop


def learn_compiled(
    experience: Experience,
    kernels: Kernels,
    table: np.ndarray,
    memory: tuple[np.ndarray, ...],
    habits: tuple[np.ndarray, ...],
    rates: Rates,
    words: Words,
) -> Finished:
    """Learn for so many steps as there are rates, on the arrays of the environment's MDP."""
    episode, mdp = experience.return_to(), experience.mdp
    assert mdp is not None
    env_stream = stream_of(experience.env.unwrapped.np_random)
    counters = np.array([episode.state, episode.steps, episode.action], dtype=np.int64)
    returns, lengths = np.empty(rates.steps), np.empty(rates.steps, dtype=np.int64)
    ended, fault, episode.reward = compiled_loop(kernels, sizes_of(mdp.tables, table))(
        mdp.tables,
        table,
        memory,
        habits,
        rates,
        experience.time_limit or 0,
        env_stream,
        words,
        counters,
        episode.reward,
        returns,
        lengths,
    )
    episode.state, episode.steps, episode.action = (int(number) for number in counters)
    experience.place({"state": counters[0], "elapsed": counters[1], "stream": env_stream})
    return Finished(returns[:ended], lengths[:ended], int(fault))


def learn_by_stepping(
    experience: Experience,
    kernels: Kernels,
    table: np.ndarray,
    memory: tuple[np.ndarray, ...],
    habits: tuple[np.ndarray, ...],
    rates: Rates,
    words: Words,
) -> Finished:
    """The same by calling `step`, on any environment with discrete observations."""
    episode, env = experience.return_to(), experience.env
    step, first_action, row_of = env.step, int(env.action_space.start), experience.row_of
    update, decide, looks_ahead = kernels.update, decision(kernels.values, kernels.choose), kernels.looks_ahead
    state, steps, total, action, seed = episode.state, episode.steps, episode.reward, episode.action, episode.seed
    actions, taken = episode.actions, []
    returns, lengths, fault = [], [], -1
    if kernels.begin is not None and steps == 0 and action < 0:
        state, action = begin_elsewhere(experience, kernels.begin, table, memory, state, words.method)
    # Behaviour that the table alone leads is one kernel for all methods, whatever their memory.
    noticed = () if kernels.values is row_of_table else memory
    alphas, rates_of_behaviour = (np.broadcast_to(values, rates.steps).tolist() for values in rates[1:3])
    for i, (alpha, rate) in enumerate(zip(alphas, rates_of_behaviour, strict=True)):
        if not looks_ahead or action < 0:
            action = decide(table, noticed, habits, state, rate, words.behaviour)
        observation, reward, terminated, truncated, _ = step(action + first_action)
        next_state, reward, terminated = row_of(observation), float(reward), bool(terminated)
        steps += 1
        over = terminated or bool(truncated)
        next_action = -1
        if looks_ahead and not terminated:
            next_action = decide(table, noticed, habits, next_state, rate, words.behaviour)
        error = update(
            table,
            memory,
            state,
            action,
            reward,
            next_state,
            next_action,
            terminated,
            over,
            alpha,
            rates.gamma,
            (rate, habits),
            words.method,
        )
        total += reward
        taken.append(action)
        state, action = next_state, next_action
        if not math.isfinite(error):
            fault = i
            break
        if over:
            returns.append(total)
            lengths.append(steps)
            actions, taken = [], []
            (state, seed), steps, total, action = experience.reset(), 0, 0.0, -1
            if kernels.begin is not None:
                state, action = begin_elsewhere(experience, kernels.begin, table, memory, state, words.method)
    actions.extend(taken)
    experience.episode = Episode(state, steps, total, action, seed, actions)
    return Finished(np.array(returns), np.array(lengths, dtype=np.int64), fault)


def begin_elsewhere(
    experience: Experience, begin: Callable[..., Any], table: np.ndarray, memory: Any, state: int, stream: np.ndarray
) -> tuple[int, int]:
    """(state, action) that `begin` chooses for an episode that was reset to `state`; the environment is put there."""
    state, action = begin(table, memory, state, stream)
    experience.place({**experience.env.unwrapped.get_state(), "state": np.array(state)})
    return state, action
