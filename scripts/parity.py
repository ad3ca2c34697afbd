"""Does rltk's DQN learn as Stable-Baselines3's does? RL Zoo's settings on CartPole, many seeds, bounds set beforehand.

    score(run, checkpoint) = mean return of the greedy policy over the evaluations of the 10,000 steps up to it

Equivalence is shown by two one-sided tests at 5% each: the 90% bootstrap interval of the difference between the two
interquartile means lies within the bounds. That no difference was found would show nothing.

The bounds stand in BOUNDS, and were written before any run of rltk. Their size is a matter of what matters, a tenth of
the scale of 500 while the curve rises and half of that at the end; the number of seeds follows from it. Five seeds of
Stable-Baselines3 alone had scores with standard deviations of 60 to 90 while learning and 35 at the end. The difference
of two interquartile means of n seeds then has a standard error of about 1.1 * 75 * sqrt(2 / n): 21 at n = 30, 15 at
n = 60. Two equal learners are found so four times out of five where the bound is 2.9 standard errors away, which is 62
at n = 30 and 44 at n = 60. Hence 60 seeds. A single evaluation would be of no use: the greedy policy of one seed jumps
between 100 and 500 from one thousand steps to the next, so a score is a mean of ten.

A second outcome is sustained success: the first step from which three evaluations in a row are above 475. The first
single one above it says little, for early hits pass.

Source: Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach"; Agarwal et al.
(2021), "Deep reinforcement learning at the edge of the statistical precipice"; the settings, RL Zoo (Raffin 2020).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError
from rltk.evaluation.statistics import Strata, interquartile_mean
from rltk.runs import ProgressBar, Streams
from rltk.scripts.program import start
from rltk.scripts.records import Records

STEPS = 50_000
EVERY = 1_000  # steps between evaluations
EPISODES = 10  # of each, from the same starts for both learners
CHECKPOINTS = (10_000, 20_000, 30_000, 40_000, 50_000)
BOUNDS = (50.0, 50.0, 50.0, 50.0, 25.0)  # on the difference of interquartile means at each checkpoint
SUSTAINED, IN_A_ROW = 475.0, 3
SETTINGS: dict[str, Any] = {  # by the names that both learners have for them
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}
_SAMPLES = 10_000
_MOST_STEPS = 500


@dataclass
class Parity:
    """Test whether DQN learns as Stable-Baselines3's does, over many seeds.

    Example: rltk parity --seeds 60

    Example: rltk parity --agent sb3 --out runs/parity
    """

    seeds: int = 60
    """How many seeds of each learner, from 0 on; those already in the folder are not run again."""
    agent: Literal["both", "rltk", "sb3"] = "both"
    """Which to train. The table compares what the folder holds of both."""
    backend: str = "auto"
    """Of rltk's DQN."""
    hidden: tuple[int, ...] = (256, 256)
    """Units of the network's layers; RL Zoo has 256 256."""
    out: str = "runs/parity"
    """The folder of the results, a line of JSON a seed."""
    progress: bool = True
    """Show a progress bar."""


class Curve(NamedTuple):
    """What one seed did."""

    returns: list[float]  # mean return at each evaluation
    seconds: float  # of learning, evaluation excluded
    cpu_seconds: float


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Parity, run, argv, "parity")


def run(config: Parity) -> None:
    """Train what is missing, then print the table."""
    if config.seeds < 2:
        raise ArgumentError(f"seeds: at least 2, and 30 to say anything; found {config.seeds}")
    records = {name: _records(config, name) for name in ("rltk", "sb3")}
    wanted = [name for name in records if config.agent in (name, "both")]
    work = [(seed, name) for name in wanted for seed in records[name].missing(range(config.seeds))]
    work.sort()  # in turns, so that both meet the same machine
    if work:
        _train(config, records, work)
    print(report(*(_curves(records[name], config.seeds) for name in ("rltk", "sb3"))))


def _records(config: Parity, name: str) -> Records:
    settings = {**SETTINGS, "hidden": list(config.hidden), "steps": STEPS, "every": EVERY, "episodes": EPISODES}
    file = f"{name}-{config.backend}" if name == "rltk" else name
    return Records(Path(config.out) / f"{file}.jsonl", settings)


def _train(config: Parity, records: dict[str, Records], work: list[tuple[int, str]]) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    each, done = STEPS // EVERY, 0
    bar = ProgressBar(each * len(work), "parity", "evaluations") if config.progress else None
    try:
        for seed, name in work:

            def tick(value: float, now: str = f"{name} {seed}") -> None:
                nonlocal done
                done += 1
                if bar is not None:
                    bar.update(done, now=now, value=value)

            clock = Clock(tick)
            if name == "rltk":
                train_rltk(seed, config.hidden, config.backend, clock)
            else:
                train_sb3(seed, config.hidden, clock)
            records[name].add(seed=seed, **clock.curve()._asdict())
    finally:
        torch.set_num_threads(threads)
        if bar is not None:
            bar.close()


class Clock:
    """Evaluates an agent every so often, and counts the time spent on anything else."""

    def __init__(self, tick: Callable[[float], None]) -> None:
        self.returns: list[float] = []
        self._tick = tick
        self._env = gym.make_vec("CartPole-v1", num_envs=EPISODES, vectorization_mode="vector_entry_point")
        self._wall, self._cpu = -time.perf_counter(), -time.process_time()

    def look(self, agent: Any) -> None:
        """Stop the clock, evaluate, and let it go on."""
        self._wall, self._cpu = self._wall + time.perf_counter(), self._cpu + time.process_time()
        self.returns.append(greedy_return(agent, self._env, seed=len(self.returns)))
        self._tick(self.returns[-1])
        self._wall, self._cpu = self._wall - time.perf_counter(), self._cpu - time.process_time()

    def curve(self) -> Curve:
        """All that was seen."""
        return Curve(self.returns, self._wall + time.perf_counter(), self._cpu + time.process_time())


def greedy_return(agent: Any, env: Any, seed: int) -> float:
    """The mean return of the greedy policy over one episode of each of the batch's environments."""
    observations, _ = env.reset(seed=1_000_000 + 1_000 * seed)
    total, going = np.zeros(env.num_envs), np.ones(env.num_envs, dtype=bool)
    for _ in range(_MOST_STEPS):
        actions, _ = agent.predict(observations, deterministic=True)
        observations, rewards, terminated, truncated, _ = env.step(np.asarray(actions))
        total += going * rewards
        going &= ~(terminated | truncated)
        if not going.any():
            break
    return float(total.mean())


def train_rltk(seed: int, hidden: tuple[int, ...], backend: str, clock: Clock) -> None:
    """One seed of rltk's DQN."""
    import rltk

    env = gym.make("CartPole-v1")
    agent = rltk.agents.DQN(
        env, encoder="mlp", encoder_kwargs={"hidden": hidden}, backend=backend, device="cpu", seed=seed, **SETTINGS
    )
    agent.learn(STEPS, callback=lambda progress: clock.look(progress.agent), callback_every=EVERY)


def train_sb3(seed: int, hidden: tuple[int, ...], clock: Clock) -> None:
    """One seed of Stable-Baselines3's DQN. It learns in rollouts of 256 steps and is stopped at exactly the last."""
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps % EVERY == 0:
                clock.look(self.model)
            return self.num_timesteps < STEPS

    policy: dict[str, Any] = {"net_arch": list(hidden)}
    env = gym.make("CartPole-v1")
    DQN("MlpPolicy", env, policy_kwargs=policy, seed=seed, device="cpu", **SETTINGS).learn(STEPS, callback=Look())


# What the curves say


class Curves(NamedTuple):
    """All seeds of one learner."""

    returns: np.ndarray  # (runs, evaluations)
    seconds: np.ndarray  # (runs,) of the processor


def _curves(records: Records, seeds: int) -> Curves:
    lines = sorted((line for line in records.lines if line["seed"] < seeds), key=lambda line: line["seed"])
    returns = np.array([line["returns"] for line in lines]).reshape(len(lines), STEPS // EVERY)
    return Curves(returns, np.array([line["cpu_seconds"] for line in lines]))


def scores_of(returns: np.ndarray) -> np.ndarray:
    """(runs, checkpoints): the mean of the evaluations since the checkpoint before."""
    each = CHECKPOINTS[0] // EVERY
    return returns.reshape(len(returns), len(CHECKPOINTS), each).mean(axis=2)


def difference(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(difference, low, high), (checkpoints,) each: of the interquartile means of (runs, checkpoints) scores, with the
    interval of two one-sided tests at 5%."""
    stream = Streams(0).generator("parity")
    strata = [Strata((scores.T,), ("return",)) for scores in (ours, theirs)]
    drawn = [interquartile_mean(one.resampled(stream, _SAMPLES)) for one in strata]  # (checkpoints, samples)
    low, high = np.quantile(drawn[0] - drawn[1], (0.05, 0.95), axis=-1)
    return interquartile_mean(strata[0]) - interquartile_mean(strata[1]), low, high


def sustained(returns: np.ndarray) -> np.ndarray:
    """(runs,): the step at which the first of IN_A_ROW evaluations above SUSTAINED was made; infinite where none."""
    windows = np.lib.stride_tricks.sliding_window_view(returns, IN_A_ROW, axis=1)
    above = windows.min(axis=2) > SUSTAINED
    return np.where(above.any(axis=1), (above.argmax(axis=1) + 1.0) * EVERY, np.inf)


def report(ours: Curves, theirs: Curves) -> str:
    """The table, within 80 columns."""
    lines = [
        f"DQN on CartPole-v1, RL Zoo's settings: rltk {len(ours.returns)} seeds, "
        f"Stable-Baselines3 {len(theirs.returns)}",
        f"interquartile mean of the greedy return, {CHECKPOINTS[0]:,} steps up to each checkpoint",
        "",
        f"{'steps':>8}{'rltk':>9}{'SB3':>9}{'difference':>13}{'90% interval':>20}{'bound':>8}  verdict",
    ]
    if min(len(ours.returns), len(theirs.returns)) < 2:
        return f"{lines[0]}\nBoth are needed, two seeds each at least: run the other one too."
    scores = scores_of(ours.returns), scores_of(theirs.returns)
    means = [[interquartile_mean(column) for column in one.T] for one in scores]
    gaps, lows, highs = difference(*scores)
    for row in zip(CHECKPOINTS, *means, gaps, lows, highs, BOUNDS, strict=True):
        step, mine, peers, gap, low, high, bound = row
        interval = f"[{low:+.1f}, {high:+.1f}]"
        said = verdict(low, high, bound)
        lines.append(f"{step:>8,}{mine:>9.1f}{peers:>9.1f}{gap:>+13.1f}{interval:>20}{bound:>8.0f}  {said}")
    lines += ["", f"three evaluations in a row above {SUSTAINED:.0f}:"]
    for name, one in (("rltk", ours), ("SB3", theirs)):
        steps = sustained(one.returns)
        middle = np.sort(steps)[len(steps) // 2]
        when = f"{middle:,.0f}" if np.isfinite(middle) else f"none within {STEPS:,}"
        lines.append(f"  {name:<6}{np.isfinite(steps).mean():>6.0%} of the seeds; median step {when}")
    mine, peers = np.median(ours.seconds), np.median(theirs.seconds)
    lines += ["", f"processor time of a run, median: rltk {mine:.1f} s, SB3 {peers:.1f} s: {peers / mine:.1f}x"]
    return "\n".join(lines)


def verdict(low: float, high: float, bound: float) -> str:
    """What an interval of the difference says beside its bound."""
    if -bound < low and high < bound:
        return "equivalent"
    return "different" if low >= bound or high <= -bound else "open"


if __name__ == "__main__":
    sys.exit(main())
