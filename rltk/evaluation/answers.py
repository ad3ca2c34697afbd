"""The answer key of many levels: for each seed the optimum, what it really pays, and a plan that reaches it.

    optimum(level) = V*(start) = gamma^(d - 1)     d: steps of a shortest plan, where only success pays, and 1
    return(level)  = what the environment pays for success at step d, such as MiniGrid's 1 - 0.9 d / max_steps

An environment that knows shorter ways than tables (`shortest_plan`) is searched breadth first until the first success;
any other that has `mdp()` is solved, and has no plan where chance decides.
"""

import copy
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.planning import solve
from rltk.errors import ArgumentError, ModelError
from rltk.mdp import Criterion
from rltk.mdp.threads import available_cores, checked_threads
from rltk.runs import ProgressBar


@dataclass(frozen=True, eq=False)
class AnswerKey:
    """What is optimal in N levels.

    seeds: (N,) int64. optimum: (N,) float64, V* of the start; 0 where there is no way to success. optimal_return: (N,)
    float64, what the environment pays for it in one episode, 0 where its time is too short; nan where it follows from
    no plan. plan_length: (N,) int64, -1 without a plan. plans: N arrays of actions, or None.
    """

    seeds: np.ndarray
    optimum: np.ndarray
    optimal_return: np.ndarray
    plan_length: np.ndarray
    plans: tuple[np.ndarray | None, ...]
    criterion: Criterion

    def __len__(self) -> int:
        return self.seeds.size

    def __str__(self) -> str:
        found = self.plan_length[self.plan_length >= 0]
        plans = f"{found.size:,} plans of {found.min()} to {found.max()} steps" if found.size else "no plans"
        return (
            f"{len(self):,} levels, {self.criterion}: optimum {self.optimum.mean():.4f} on average "
            f"({self.optimum.min():.4f} to {self.optimum.max():.4f}), {plans}"
        )


def answer_key(
    env: Any,
    seeds: int | Iterable[int],
    *,
    gamma: float = 0.99,
    threads: int | None = None,
    progress_bar: bool = False,
) -> AnswerKey:
    """The answer key of the levels that `env`, an id or an environment, makes from `seeds`: so many, or which.

        key = rltk.answer_key("rltk/MiniGrid-DoorKey-8x8-v0", range(1000))
        key.optimum, key.plan_length, key.plans[0]

    threads: None for all cores; the answers are the same by any number.

    Raises ModelError where the environment knows neither plans nor its T and R, SizeError, naming the seed, where a
    level has too many states.
    """
    made = gym.make(env) if isinstance(env, str) else env
    if not isinstance(made, gym.Env):
        raise ArgumentError(f"env: an id or a single Gymnasium environment; found {type(env).__name__}")
    numbers = _checked_seeds(seeds)
    criterion = Criterion(gamma)
    workers = checked_threads(threads) or available_cores()
    shares = [numbers[i::workers] for i in range(min(workers, numbers.size))]
    envs = [copy.deepcopy(made.unwrapped) for _ in shares]  # none of the caller's levels is changed
    bar = ProgressBar(numbers.size, "answer key") if progress_bar else None
    answers: dict[int, tuple[float, float, np.ndarray | None]] = {}

    def work(i: int) -> None:
        for seed in shares[i].tolist():
            answers[seed] = _answer(envs[i], seed, criterion)
            if bar is not None:
                bar.update(len(answers))

    try:
        with ThreadPoolExecutor(len(shares), thread_name_prefix="rltk-levels") as pool:
            for _ in pool.map(work, range(len(shares))):
                pass
    finally:
        if bar is not None:
            bar.close()
    optimum, pays, plans = zip(*(answers[seed] for seed in numbers.tolist()), strict=True)
    lengths = [-1 if plan is None else len(plan) for plan in plans]
    return AnswerKey(numbers, np.array(optimum), np.array(pays), np.array(lengths), plans, criterion)


def _answer(env: Any, seed: int, criterion: Criterion) -> tuple[float, float, np.ndarray | None]:
    """(optimum, what it pays, plan) of one level."""
    env.reset(seed=seed)
    try:
        if callable(getattr(env, "shortest_plan", None)):
            plan = env.shortest_plan()
            if plan is None:
                return 0.0, 0.0, None
            return criterion.gamma ** (len(plan) - 1), env.success_reward(len(plan)), plan
        if not callable(getattr(env, "mdp", None)):
            raise ModelError(f"{type(env).__name__} offers neither shortest_plan() nor mdp()")
        solution = solve(env.mdp(), criterion=criterion)
    except (ModelError, ValueError) as error:
        raise type(error)(f"seed {seed}: {error}") from None
    return solution.start_value, np.nan, None


def _checked_seeds(seeds: Any) -> np.ndarray:
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        seeds = range(int(seeds))
    try:
        numbers = np.array(list(seeds))
    except TypeError:
        raise ArgumentError(f"seeds: how many levels, or the seed of each; found {seeds!r}") from None
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise ArgumentError(f"seeds: at least one whole number, none below 0; found {seeds!r}")
    if np.unique(numbers).size < numbers.size:
        raise ArgumentError("seeds: each of them once")
    return numbers.astype(np.int64)
