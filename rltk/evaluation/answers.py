"""The answer key of many levels: for each of them the optimum, what it really pays, and a plan that reaches it.

    optimum(level) = V*(start) = gamma^(d - 1)     d: steps of a shortest plan, where only success pays, and 1
    return(level)  = what the environment pays for success at step d, such as MiniGrid's 1 - 0.9 d / max_steps

An environment that knows shorter ways than tables (`shortest_plan`) is searched breadth first until the first success;
any other that has `mdp()` is solved, and has no plan where chance decides.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.planning import solve
from rltk.errors import ArgumentError, ModelError, RltkError
from rltk.evaluation.levels import Levels, begin_level, checked_levels, knows_plans, name_of, optimum_by_plan, own_copy
from rltk.evaluation.paid import paid_by_the_clock
from rltk.mdp import Criterion
from rltk.mdp.threads import available_cores, checked_threads
from rltk.runs import ProgressBar


@dataclass(frozen=True, eq=False)
class AnswerKey:
    """What is optimal in N levels.

    levels: (N,) int64 seeds, or N layouts. optimum: (N,) float64, V* of the start; 0 where there is no way to success.
    optimal_return: (N,) float64, what the environment pays for it in one episode, 0 where its time is too short; nan
    where it follows from no plan. plan_length: (N,) int64, -1 without a plan. plans: N arrays of actions, or None.
    """

    levels: Levels
    optimum: np.ndarray
    optimal_return: np.ndarray
    plan_length: np.ndarray
    plans: tuple[np.ndarray | None, ...]
    criterion: Criterion

    def __len__(self) -> int:
        return len(self.levels)

    def __str__(self) -> str:
        found = self.plan_length[self.plan_length >= 0]
        plans = f"{found.size:,} plans of {found.min()} to {found.max()} steps" if found.size else "no plans"
        return (
            f"{len(self):,} levels, {self.criterion}: optimum {self.optimum.mean():.4f} on average "
            f"({self.optimum.min():.4f} to {self.optimum.max():.4f}), {plans}"
        )


def answer_key(
    env: Any,
    levels: int | Iterable[Any],
    *,
    gamma: float = 0.99,
    threads: int | None = None,
    progress_bar: bool = False,
) -> AnswerKey:
    """The answer key of `levels` of `env`, an id or an environment: so many, or their seeds, or layouts.

        key = rltk.answer_key("rltk/MiniGrid-DoorKey-8x8-v0", range(1000))
        key.optimum, key.plan_length, key.plans[0]

    threads: None for all cores; the answers are the same by any number.

    Raises ModelError where the environment knows neither plans nor its T and R, SizeError, naming the level, where
    it has too many states.
    """
    made = gym.make(env) if isinstance(env, str) else env
    if not isinstance(made, gym.Env):
        raise ArgumentError(f"env: an id or a single Gymnasium environment; found {type(env).__name__}")
    wanted = checked_levels("levels", levels)
    criterion, count = Criterion(gamma), len(wanted)
    workers = min(checked_threads(threads) or available_cores(), count)
    envs = [own_copy(made.unwrapped) for _ in range(workers)]  # none of the caller's levels is changed
    bar = ProgressBar(count, "answer key", "levels") if progress_bar else None
    answers: dict[int, tuple[float, float, np.ndarray | None]] = {}

    def work(worker: int) -> None:
        for i in range(worker, count, workers):
            answers[i] = _answer(envs[worker], wanted, i, criterion)
            if bar is not None:
                bar.update(len(answers))

    try:
        with ThreadPoolExecutor(workers, thread_name_prefix="rltk-levels") as pool:
            for _ in pool.map(work, range(workers)):
                pass
    finally:
        if bar is not None:
            bar.close()
    optimum, pays, plans = zip(*(answers[i] for i in range(count)), strict=True)
    lengths = [-1 if plan is None else len(plan) for plan in plans]
    return AnswerKey(wanted, np.array(optimum), np.array(pays), np.array(lengths), plans, criterion)


def _answer(env: Any, levels: Levels, i: int, criterion: Criterion) -> tuple[float, float, np.ndarray | None]:
    """(optimum, what it pays, plan) of one level."""
    try:
        begin_level(env, levels[i])
        if knows_plans(env):
            return optimum_by_plan(env, criterion)
        if not callable(getattr(env, "mdp", None)):
            raise ModelError(f"{type(env).__name__} offers neither shortest_plan() nor mdp()")
        mdp = env.mdp()
        solution = solve(mdp, criterion=criterion)
        paid = paid_by_the_clock(env, mdp, None)
    except RltkError as error:
        raise type(error)(f"{name_of(levels, i)}: {error}") from None
    return solution.start_value, np.nan if paid is None else paid.optimum(), None
