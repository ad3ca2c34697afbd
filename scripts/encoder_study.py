"""Which figure of a frozen representation tells how quickly DQN learns on it? The plan was written before any run.

    score    = 1 - mean over evaluations of min(grade, 1)          grade: `evaluate`'s normalised suboptimality, exact
    relation = Spearman's rank correlation, over encoders, of a figure of the report card with the score

Encoders: each trunk of TRUNKS with each objective of OBJECTIVES (and with none: random weights), from SEEDS seeds, for
two worlds, pretrained on every state of some levels. Figures: those of `rltk.report_card`, on held-out states of these
levels and on unseen levels. DQN gets the features alone, of one seen and one unseen level, and begins episodes in any
state, so that what is measured is generalisation and not whether chance finds the goal. All encoders have the same
width, and DQN the same settings and seeds.

A figure counts as predicting where the 95% interval of its correlation excludes 0 in both worlds, on the same side (the
last five words were added after the runs: some correlations turned out certain and opposed). Intervals are of the
bootstrap, 1,000 times, over pairs of trunk and objective, whose seeds stay together. Figures where less is better are
turned round, so a positive correlation always means that the better figure goes with the quicker learner. Nothing is
left out of the table, whatever it shows.

One change of plan: the four rooms were MiniGrid's, of 19 x 19. After 17 encoders no score there was above 0.02, and
where nothing is learnt no figure can tell anything, so the rooms are now of 9 x 9, drawn likewise. Whether anything is
learnt on these was tried with two encoders of a seed that is not among the study's; nothing else was.
"""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError
from rltk.runs import ProgressBar, Streams
from rltk.scripts.program import start
from rltk.scripts.records import Records

GAMMA = 0.95
FEATURES = 32
TRUNKS = ("mlp", "cnn")
OBJECTIVES = ("none", "autoencoder", "vae", "masked", "temporal", "forward", "inverse", "supervised")
UPDATES, BATCH = 2_000, 128
LEVELS, UNSEEN = tuple(range(6)), (1_000_000, 1_000_001)
TASKS = (0, 1_000_000)  # a level that the encoder was pretrained on, and one that it was not
STEPS, EVERY = 15_000, 500
DQN_SETTINGS: dict[str, Any] = {
    "encoder": "mlp",
    "encoder_kwargs": {"hidden": [64, 64]},
    "learning_rate": 1e-3,
    "learning_starts": 500,
    "train_freq": 2,
    "target_update_interval": 250,
    "exploration_fraction": 0.5,
    "exploration_final_eps": 0.2,
    "double": True,
}
_SAMPLES = 1_000


@dataclass(frozen=True)
class World:
    """Levels of an environment, seen whole."""

    env: str
    env_kwargs: dict[str, Any]


WORLDS = {
    "door": World("rltk/MiniGrid-DoorKey-5x5-v0", {"observation": "symbolic", "form": "image"}),
    "rooms": World("rltk/SmallFourRooms-v0", {"observation": "symbolic", "form": "image"}),
}


def register_rooms() -> None:
    """MiniGrid's FourRooms on a board of 9 x 9, as an environment."""
    from rltk.envs.minigrid import level_family, register

    @level_family("SmallFourRooms", "reach the goal")
    def four_rooms(level: Any, random: Any, size: int = 9) -> None:
        middle = size // 2
        level.surround()
        level.vertical_wall(middle, 0)
        level.horizontal_wall(0, middle)
        for first in (1, middle + 1):  # a gap in each of the four walls
            level.put(middle, random.integers(first, first + middle - 1), None)
            level.put(random.integers(first, first + middle - 1), middle, None)
        level.place_agent()
        level.place("green goal")

    if WORLDS["rooms"].env not in gym.registry:
        register(WORLDS["rooms"].env, four_rooms)


class Figure(NamedTuple):
    """Where a figure stands in the report card's JSON, and whether more of it is better."""

    path: tuple[str, ...]
    more: bool = True


def _by_split(name: str, *path: str, more: bool = True) -> dict[str, Figure]:
    return {f"{name}, {split.replace('_', ' ')}": Figure((*path, split), more) for split in ("held_out", "unseen")}


FIGURES: dict[str, Figure] = {
    **_by_split("V* R^2", "value_r2"),
    **_by_split("advantage R^2", "advantage_r2"),
    **_by_split("advantage error", "advantage_error", more=False),
    **_by_split("position accuracy", "accuracy", "position"),
    **_by_split("heading accuracy", "accuracy", "heading"),
    **_by_split("closedness error", "closedness_error", more=False),
    **_by_split("reward error", "reward_error", more=False),
    "linear Q*, greedy share": Figure(("control", "uniform", "greedy", "normalised"), False),
    "linear Q*, softmax share": Figure(("control", "uniform", "softmax", "normalised"), False),
    "linear Q*, agreement": Figure(("control", "uniform", "greedy", "agreement")),
    "linear Q*, greedy, unseen": Figure(("control", "unseen uniform", "greedy", "normalised"), False),
    "effective rank": Figure(("effective_rank",)),
    "dormant share": Figure(("dormant_fraction",), False),
    "Rand index": Figure(("rand_index",)),
}


@dataclass
class Study:
    """Relate figures of representations to how quickly DQN learns on them.

    Example: rltk encoder_study

    Example: rltk encoder_study --worlds door --seeds 2 --out runs/study
    """

    worlds: tuple[str, ...] = tuple(WORLDS)
    """Which worlds."""
    trunks: tuple[str, ...] = TRUNKS
    """Which trunks."""
    objectives: tuple[str, ...] = OBJECTIVES
    """Which objectives."""
    seeds: int = 3
    """How many seeds of each encoder, from 0 on; those already in the folder are not run again."""
    out: str = "runs/encoder_study"
    """The folder of the results, a line of JSON an encoder."""
    progress: bool = True
    """Show a progress bar."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Study, run, argv, "encoder_study")


def run(config: Study) -> None:
    """Make what is missing, then print the table."""
    for what, asked, known in (
        ("worlds", config.worlds, tuple(WORLDS)),
        ("trunks", config.trunks, TRUNKS),
        ("objectives", config.objectives, OBJECTIVES),
    ):
        unknown = [name for name in asked if name not in known]
        if unknown or not asked:
            raise ArgumentError(f"{what}: of {', '.join(known)}; found {', '.join(unknown) or 'none'}")
    if config.seeds < 1:
        raise ArgumentError(f"seeds: at least 1; found {config.seeds}")
    records = {cell: _records(config, *cell) for cell in _cells(config)}
    work = [(cell, seed) for cell in records for seed in records[cell].missing(range(config.seeds))]
    bar = ProgressBar(len(work), "encoder study", "encoders") if config.progress and work else None
    try:
        for done, (cell, seed) in enumerate(work, 1):
            records[cell].add(seed=seed, **graded(*cell, seed))
            if bar is not None:
                bar.update(done, now=" ".join(cell))
    finally:
        if bar is not None:
            bar.close()
    lines = {cell: [line for line in records[cell].lines if line["seed"] < config.seeds] for cell in records}
    print(report({cell: found for cell, found in lines.items() if found}))


def _cells(config: Study) -> Iterator[tuple[str, str, str]]:
    yield from product(config.worlds, config.trunks, config.objectives)


def _records(config: Study, world: str, trunk: str, objective: str) -> Records:
    settings = {
        **asdict(WORLDS[world]),
        "gamma": GAMMA,
        "features": FEATURES,
        "updates": UPDATES,
        "batch": BATCH,
        "levels": [LEVELS, UNSEEN, TASKS],
        "steps": [STEPS, EVERY],
        "dqn": DQN_SETTINGS,
    }
    return Records(Path(config.out) / f"{world}-{trunk}-{objective}.jsonl", settings)


# One encoder


def graded(world: str, trunk: str, objective: str, seed: int) -> dict[str, Any]:
    """Pretrain it, grade it, and let DQN learn on it: a line of the records."""
    import torch

    from rltk.encoders import Encoder
    from rltk.experiments import every_transition, pretrain, report_card

    torch.set_num_threads(1)
    register_rooms()
    made = WORLDS[world]
    env = gym.make(made.env, **made.env_kwargs)
    torch.manual_seed(seed)
    encoder = Encoder(env.observation_space, trunk, features_dim=FEATURES)
    if objective != "none":
        data = every_transition(env, LEVELS, gamma=GAMMA)
        options: dict[str, Any] = {"batch_size": BATCH, "held_out": None, "device": "cpu", "seed": seed}
        pretrain(encoder, data, objective, UPDATES, **options)
    encoder.eval()
    card = report_card(encoder, env, LEVELS, UNSEEN, gamma=GAMMA, distances=False, memoryless=False, device="cpu")
    scores = [score(encoder, env, level, seed) for level in TASKS]
    return {"card": card.to_dict()["grades"], "scores": scores}


def score(encoder: Any, env: Any, level: int, seed: int) -> float:
    """1 - the mean grade of DQN's greedy policy while it learns on the features of one level, begun in any state."""
    import rltk
    from rltk.encoders import feature_table
    from rltk.envs import TabularEnv
    from rltk.mdp import MDP

    env.reset(seed=level)
    table = feature_table(encoder, env, device="cpu")
    anywhere = MDP(env.unwrapped.mdp().form)

    def shown() -> Any:
        return Features(gym.wrappers.TimeLimit(TabularEnv(anywhere), 100), table)

    agent = rltk.agents.DQN(shown(), gamma=GAMMA, seed=seed, device="cpu", **DQN_SETTINGS)
    grades: list[float] = []
    twin = shown()

    def look(progress: Any) -> None:
        found = rltk.evaluate(progress.agent, twin, GAMMA)
        assert found.normalised_suboptimality is not None
        grades.append(min(found.normalised_suboptimality, 1.0))

    agent.learn(STEPS, callback=look, callback_every=EVERY)
    return 1.0 - float(np.mean(grades))


class Features(gym.ObservationWrapper):
    """Shows row s of `table` (S, F), standardised, in state s."""

    stateless_observation = True

    def __init__(self, env: Any, table: np.ndarray) -> None:
        super().__init__(env)
        spread = table.std(axis=0)
        self.table = ((table - table.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0)).astype(np.float32)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, table.shape[1:], np.float32)

    def observation(self, observation: Any) -> Any:
        """The features of a state."""
        return self.table[int(observation)]


# What the figures say


def figure_of(card: dict[str, Any], figure: Figure) -> float:
    """The figure in a card's JSON, turned so that more is better; nan where it is not there."""
    value: Any = card
    for key in figure.path:
        value = value.get(key) if isinstance(value, dict) else None
    number = float(value) if value is not None else np.nan
    return number if figure.more else -number


def relation(values: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """(Spearman's rho, low, high) of (n,) values and scores; the interval holds whole groups together."""
    known = np.isfinite(values) & np.isfinite(scores)
    values, scores, groups = values[known], scores[known], groups[known]
    names = np.unique(groups)
    if len(names) < 3 or np.ptp(values) == 0:
        return np.nan, np.nan, np.nan
    members = [np.flatnonzero(groups == name) for name in names]
    stream = Streams(0).generator("encoder study")
    found = []
    for drawn in stream.integers(len(names), size=(_SAMPLES, len(names))):
        rows = np.concatenate([members[i] for i in drawn])
        found.append(_spearman(values[rows], scores[rows]))
    low, high = np.nanquantile(found, (0.025, 0.975))
    return _spearman(values, scores), float(low), float(high)


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.stats import rankdata

    a, b = rankdata(x), rankdata(y)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def report(lines: dict[tuple[str, str, str], list[dict[str, Any]]]) -> str:
    """The table, within 80 columns: mean scores of encoders, then each figure's correlation in each world."""
    worlds = list(dict.fromkeys(cell[0] for cell in lines))
    told = ["DQN's score on frozen features, 1 is optimal from the first step, and its spread", ""]
    told.append(f"{'encoder':<22}" + "".join(f"{world:>20}" for world in worlds))
    for trunk in TRUNKS:
        for objective in OBJECTIVES:
            row = f"{trunk + ', ' + objective:<22}"
            for world in worlds:
                found = [np.mean(line["scores"]) for line in lines.get((world, trunk, objective), [])]
                row += f"{f'{np.mean(found):.3f} ({np.std(found):.3f})' if found else '-':>20}"
            told.append(row)
    told += ["", "rank correlation of the report card's figures with the score, 95% interval", ""]
    told.append(f"{'figure':<30}" + "".join(f"{world:>24}" for world in worlds) + "  ")
    for name, figure in FIGURES.items():
        row, sides = f"{name:<30}", set()
        for world in worlds:
            cells = [(cell, line) for cell, found in lines.items() if cell[0] == world for line in found]
            values = np.array([figure_of(line["card"], figure) for _, line in cells])
            scores = np.array([np.mean(line["scores"]) for _, line in cells])
            rho, low, high = relation(values, scores, np.array([" ".join(cell) for cell, _ in cells]))
            row += f"{f'{rho:+.2f} [{low:+.2f}, {high:+.2f}]' if np.isfinite(rho) else '-':>24}"
            sides.add(1 if low > 0 else -1 if high < 0 else 0)
        told.append(row + (" *" if sides in ({1}, {-1}) else ""))
    return "\n".join([*told, "", "* the interval excludes 0 in every world, on the same side"])


if __name__ == "__main__":
    sys.exit(main())
