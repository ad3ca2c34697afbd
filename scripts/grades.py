"""How near the optimum DQN comes on rltk's own environments, beside random and tabular agents, graded exactly.

    grade = (V* - V^pi) / (V* - V^uniform)       of the greedy policy, over the start: 0% optimal, 100% random

The settings are those of TASKS and nothing else; what differs from the defaults stands there. A grade follows from T
and R without sampling noise. An agent with memory can't be graded from the state alone. Its level is one without
chance: from one start every episode is the same and a few of them say it all; from any start 2,000 are sampled, which
leaves half a percent of noise. Beside it stands the best memoryless policy found (`rltk.evaluation.best_memoryless`):
what can be had of that view without remembering.

Tabular Q-learning gets the state's number, or, where the view is partial, the number of what it sees.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import tyro

from rltk.errors import ArgumentError, UnknownNameError
from rltk.evaluation import best_memoryless, evaluate
from rltk.evaluation.alikeness import observation_classes
from rltk.evaluation.statistics import interquartile_mean
from rltk.mdp import MDP
from rltk.runs import ProgressBar, exponential, linear
from rltk.scripts.program import start
from rltk.scripts.records import Records

GAMMA = 0.99
LEVEL = 0  # the seed of DoorKey's fixed level
BAR = 0.01  # what DQN is to stay under


@dataclass(frozen=True)
class Task:
    """An environment, and how the learners are set on it.

    memory: the view is partial, and DQN remembers. anywhere: episodes begin in any state of the level, and what is
    seen comes as a number; from a single start the views of a shortest way rarely repeat, and nobody need remember.
    difference: DQN is shown every so manieth number along height and width of the board or picture, less what the
    start shows there (`Difference`); 0 shows it as it is.
    """

    env: str
    env_kwargs: dict[str, Any]
    steps: int
    dqn: dict[str, Any] = field(default_factory=dict)
    tabular_steps: int = 300_000
    memory: bool = False
    anywhere: bool = False
    difference: int = 0


# Of DQN on all tasks; a task's own go first. `learning_rate` falls from its first number to its last over the steps:
# the first finds the way early, the last lets the chance of slips average out. Exploration stays wide: the start is
# one state, and the grade is of a greedy policy that slips anywhere.
DQN_SETTINGS: dict[str, Any] = {
    "learning_rate": [2e-3, 1e-4],
    "buffer_size": 50_000,
    "learning_starts": 1_000,
    "batch_size": 64,
    "train_freq": 4,
    "gradient_steps": 1,
    "target_update_interval": 250,
    "exploration_fraction": 0.5,
    "exploration_final_eps": 0.3,
    "double": True,
}
# Where the state comes as numbers the way is found soon, and less chance is enough.
_NUMBERS = {"exploration_final_eps": 0.15}
_ROOMS = "rltk/FourRooms-v0"
_DOOR = "rltk/MiniGrid-DoorKey-6x6-v0"
# Half of a reward after 14 steps rather than most of it: the shortest way is the best one with any gamma, and a step
# more or less is easier to tell. A random policy finds the goal once in 20,000 steps, so many of those come first, and
# the few that matter are drawn more often.
_DOOR_SETTINGS = {
    "gamma": 0.95,
    "learning_rate": [1e-3, 1e-4],
    "learning_starts": 60_000,
    "target_update_interval": 500,
    "buffer_size": 200_000,
}
# Memory learns from sequences, of which each tells as much as twenty transitions; they are drawn evenly, so rewards are
# handed on by three steps at a time.
_LSTM = {
    **_DOOR_SETTINGS,
    "learning_rate": [2e-3, 3e-4],
    "memory": "lstm",
    "encoder_kwargs": {"hidden": [64]},
    "batch_size": 32,
    "train_freq": 8,
    "n_step": 3,
}
TASKS = {
    "rooms-index": Task(_ROOMS, {"observation": "index"}, 60_000, _NUMBERS),
    "rooms-coords": Task(_ROOMS, {"observation": "coords"}, 60_000, _NUMBERS),
    "rooms-symbolic": Task(_ROOMS, {"observation": "symbolic"}, 60_000, difference=1),
    "rooms-rgb": Task(_ROOMS, {"observation": "rgb"}, 60_000, {"buffer_size": 20_000}, difference=4),
    "cliff": Task("rltk/CliffWalking-v0", {"observation": "index"}, 40_000, _NUMBERS),
    "taxi": Task("rltk/Taxi-v0", {"observation": "index"}, 200_000, {"gradient_steps": 4}, tabular_steps=1_000_000),
    "door-board": Task(
        _DOOR,
        {"observation": "symbolic_onehot", "form": "image"},
        120_000,
        {**_DOOR_SETTINGS, "prioritised": True},
        tabular_steps=3_000_000,
        difference=1,
    ),
    "door-view": Task(
        _DOOR,
        {"observation": "egocentric_onehot", "form": "image"},
        100_000,
        _LSTM,
        tabular_steps=200_000,
        memory=True,
        difference=1,
    ),
    "door-anywhere": Task(
        _DOOR,
        {"form": "image", "agent_view_size": 3},
        120_000,
        {**_LSTM, "learning_starts": 5_000},
        tabular_steps=400_000,
        memory=True,
        anywhere=True,
    ),
}
AGENTS = ("dqn", "tabular")
_EPISODES = {False: 5, True: 2_000}  # of an agent with memory: alike from one start, not from any


@dataclass
class Grades:
    """Grade DQN and a tabular learner on rltk's own environments.

    Example: rltk grades

    Example: rltk grades cliff taxi --agents tabular --seeds 3
    """

    tasks: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which, by name; all if none. A wrong name lists them."""
    agents: tuple[str, ...] = AGENTS
    """Which learners to train; the table shows all that the folder holds."""
    seeds: int = 5
    """How many seeds of each, from 0 on; those already in the folder are not run again."""
    backend: str = "auto"
    """Of rltk's DQN."""
    out: str = "runs/grades"
    """The folder of the results, a line of JSON a seed."""
    progress: bool = True
    """Show a progress bar."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Grades, run, argv, "grades")


def run(config: Grades) -> None:
    """Train what is missing, then print the table."""
    names = config.tasks or tuple(TASKS)
    for known, asked, what in ((TASKS, names, "task"), (AGENTS, config.agents, "learner")):
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise UnknownNameError(f"no {what} is called {unknown[0]!r}; there are {', '.join(known)}")
    if config.seeds < 1:
        raise ArgumentError(f"seeds: at least 1; found {config.seeds}")
    records = {(name, agent): _records(config, name, agent) for name in names for agent in AGENTS}
    work = [
        (name, agent, seed)
        for name in names
        for agent in config.agents
        for seed in records[name, agent].missing(range(config.seeds))
    ]
    bar = ProgressBar(len(work), "grades", "seeds") if config.progress and work else None
    for done, (name, agent, seed) in enumerate(work, 1):
        records[name, agent].add(seed=seed, **graded(TASKS[name], agent, seed, config.backend))
        if bar is not None:
            bar.update(done, now=f"{name} {agent}")
    if bar is not None:
        bar.close()
    print(report(names, records, config.seeds))


def _records(config: Grades, name: str, agent: str) -> Records:
    settings = {**asdict(TASKS[name]), "gamma": GAMMA, "level": LEVEL}
    settings["dqn"] = {**DQN_SETTINGS, **TASKS[name].dqn} if agent == "dqn" else {}
    return Records(Path(config.out) / f"{name}-{agent}.jsonl", settings)


# The worlds


def world_of(task: Task) -> Any:
    """The environment of a task; of one that makes levels the level LEVEL alone."""
    if task.anywhere:
        return in_numbers(task)
    env = level_of(task) if "MiniGrid" in task.env else gym.make(task.env, **task.env_kwargs)
    return Difference(env, task.difference) if task.difference else env


class Difference(gym.ObservationWrapper):
    """Shows what a board or a picture has other than the start's, as a row: (x - x_start) / max(x_start).

    What is the same in every state tells nothing, and weighs on every unit of an MLP's first layer: any change of its
    weights moves the values of all states at once. step: of height and width every so manieth number is taken, from
    the middle of the first step on. For environments with one start.

    Source: LeCun, Bottou, Orr and Mueller (1998), "Efficient backprop", section 4.3, on centred inputs.
    """

    stateless_observation = True

    def __init__(self, env: Any, step: int = 1) -> None:
        super().__init__(env)
        self.step_size = step
        self.start = self._taken(env.reset(seed=0)[0])
        self.unit = self.start.max()
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, self.start.shape, np.float32)

    def observation(self, observation: Any) -> Any:
        """(n,) float32 of (H, W, C) numbers."""
        return (self._taken(observation) - self.start) / self.unit

    def _taken(self, observation: Any) -> np.ndarray:
        every = slice(self.step_size // 2, None, self.step_size)
        return np.asarray(observation)[every, every].astype(np.float32).ravel()


def level_of(task: Task) -> Any:
    """A MiniGrid environment of one level."""
    from rltk.envs.minigrid import Layout

    maker = gym.make(task.env)
    maker.reset(seed=LEVEL)
    env = gym.make("rltk/MiniGrid-v0", layout=Layout.from_env(maker), **task.env_kwargs)
    env.reset(seed=0)
    return env


def in_numbers(task: Task) -> Any:
    """The level's MDP as an environment: it shows the number of the state, or of what is seen of it."""
    from rltk.envs import TabularEnv

    env = level_of(task)
    mdp: MDP = env.unwrapped.mdp()
    played = MDP(mdp.form) if task.anywhere else mdp  # without a start it begins anywhere
    limited = gym.wrappers.TimeLimit(TabularEnv(played), int(env.unwrapped.max_episode_steps))
    return Seen(limited, observation_classes(env, mdp)) if task.memory else limited


class Seen(gym.ObservationWrapper):
    """Shows the number of what is seen in place of the state's number. classes: (S,) from 0 on."""

    stateless_observation = True

    def __init__(self, env: Any, classes: np.ndarray) -> None:
        super().__init__(env)
        self.classes = classes
        self.observation_space = gym.spaces.Discrete(int(classes.max()) + 1)

    def observation(self, observation: Any) -> Any:
        """The number of its class."""
        return int(self.classes[observation])


def tabular_world(task: Task) -> Any:
    """The task for a learner that keeps a table."""
    if "MiniGrid" in task.env:
        return in_numbers(task)
    return gym.make(task.env, **{**task.env_kwargs, "observation": "index"})


# The learners


def graded(task: Task, agent: str, seed: int, backend: str) -> dict[str, Any]:
    """Train one seed and grade it: a line of the records."""
    began = time.process_time()
    train: Callable[[Task, int, str], tuple[Any, Any]] = {"dqn": train_dqn, "tabular": train_tabular}[agent]
    learner, env = train(task, seed, backend)
    seconds = time.process_time() - began
    found = evaluate(learner, env, GAMMA, episodes=_EPISODES[task.anywhere])
    assert found.optimum is not None
    return {
        "value": found.value,
        "optimum": found.optimum,
        "uniform": found.uniform_value,
        "grade": found.normalised_suboptimality,
        "exact": found.exact,
        "cpu_seconds": seconds,
    }


def train_dqn(task: Task, seed: int, backend: str) -> tuple[Any, Any]:
    """(agent, an environment to grade it on) of rltk's DQN."""
    import torch

    import rltk

    torch.set_num_threads(1)
    settings = {"gamma": GAMMA, **DQN_SETTINGS, **task.dqn}
    rate = settings["learning_rate"]
    if isinstance(rate, list):
        first, last = rate
        settings["learning_rate"] = exponential(first, last, task.steps)
    agent = rltk.agents.DQN(world_of(task), seed=seed, backend=backend, device="cpu", **settings)
    return agent.learn(task.steps), world_of(task)


def train_tabular(task: Task, seed: int, backend: str) -> tuple[Any, Any]:
    """(agent, an environment to grade it on) of Q-learning. Steps get smaller, or chance would never average out."""
    from rltk.agents.tabular import EpsilonGreedy, QLearning

    alpha, epsilon = linear(0.5, 0.005, task.tabular_steps), linear(1.0, 0.15, task.tabular_steps)
    env = tabular_world(task)
    agent = QLearning(env, gamma=GAMMA, alpha=alpha, exploration=EpsilonGreedy(epsilon), seed=seed)
    return agent.learn(task.tabular_steps), tabular_world(task)


# The table


def report(names: tuple[str, ...], records: dict[tuple[str, str], Records], seeds: int) -> str:
    """One row a task, within 80 columns."""
    lines = [
        "suboptimality, a share of the random policy's: interquartile mean (worst seed)",
        "",
        f"{'task':<17}{'optimum':>8}{'random':>9}{'tabular':>17}{'DQN':>17}{'memoryless':>12}",
    ]
    for name in names:
        task = TASKS[name]
        env = world_of(task)
        mdp = MDP.from_env(env)
        optimum, uniform = _bounds(mdp)
        row = f"{name:<17}{optimum:>8.4g}{uniform:>9.4g}"
        for agent in ("tabular", "dqn"):
            grades = [line["grade"] for line in records[name, agent].lines if line["seed"] < seeds]
            row += f"{_cell(grades):>17}"
        if task.memory:
            found = best_memoryless(env, GAMMA, restarts=5)
            row += f"{(optimum - found.value) / (optimum - uniform):>12.2%}"
        lines.append(row)
    lines += [
        "",
        f"random stands at 100%, the informed optimum at 0%; DQN is to stay under {BAR:.0%}.",
        "memoryless: the best policy found that acts on the view and remembers nothing.",
    ]
    return "\n".join(lines)


def _bounds(mdp: MDP) -> tuple[float, float]:
    """(V*, V of the uniform policy) over the start."""
    from rltk.evaluation.exact import answer_key
    from rltk.mdp import Criterion

    key = answer_key(mdp, Criterion(GAMMA))
    return mdp.over_start(key.optimum), mdp.over_start(key.uniform)


def _cell(grades: list[float]) -> str:
    """Grades of several seeds in a few letters."""
    if not grades:
        return "-"
    worst = max(grades)
    return f"{interquartile_mean(np.array(grades)):.2%} ({worst:.1%})"


if __name__ == "__main__":
    sys.exit(main())
