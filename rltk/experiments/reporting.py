"""The report card of an encoder: what its features hold of the answer key, on levels it may have seen and on others.

    train       states of the given levels that lines are fitted on
    held out    the other states of the same levels
    unseen      all states of further levels

Nothing is trained but lines in closed form, and every figure of control is exact (`rltk.evaluation.representation`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rltk.encoders import Plain, config_of, feature_table
from rltk.errors import ArgumentError, ModelError, RltkError
from rltk.evaluation import best_memoryless
from rltk.evaluation.alikeness import observation_classes
from rltk.evaluation.levels import begin_level, checked_levels, name_of, own_copy
from rltk.evaluation.representation import RepresentationGrades, Splits, grade_representation
from rltk.evaluation.result import plain, write_json
from rltk.mdp import MDP, bisimulation_metric, model_of, union
from rltk.mdp.observing import observations_of
from rltk.runs import ProgressBar, Streams

_AGENT = re.compile(r"agent at \((\d+), (\d+)\) facing (\w+)")
UNSEEN = 1_000_000  # the first seed of levels that are asked for by number
_MOST_DISTANCES = 2_000  # states: beyond them the metric between all pairs takes minutes


@dataclass(frozen=True, eq=False)
class ReportCard:
    """`grades`, and what they are of. places: (S, 2) the features' two main directions; value: (S,) V*; unseen: (S,)
    bool. bounds: returns over the starts of the levels, by "seen" and "unseen": "optimum" of the fully informed,
    "memoryless" of the best policies found that act on what they see alone, one for each level (None where every state
    of each looks its own)."""

    encoder: dict[str, Any]
    env: str
    levels: int
    unseen_levels: int
    grades: RepresentationGrades
    places: np.ndarray
    value: np.ndarray
    unseen: np.ndarray
    bounds: dict[str, dict[str, float | None]]

    def to_dict(self) -> dict[str, Any]:
        """Every figure as plain JSON, without the pictures' points."""
        names = ("encoder", "env", "levels", "unseen_levels", "bounds")
        return {**{name: plain(getattr(self, name)) for name in names}, "grades": self.grades.to_dict()}

    def save(self, path: str | Path) -> Path:
        """Write `to_dict` as JSON; the file appears whole or not at all."""
        return write_json(path, self.to_dict())

    def save_page(self, path: str | Path) -> Path:
        """Write one HTML page with the table and the pictures in it; it needs nothing else."""
        from rltk.drawing.page import write_page
        from rltk.drawing.points import points_plot

        parts = {"seen levels": ~self.unseen, "unseen levels": self.unseen}
        figure = points_plot(
            {name: (self.places[which], self.value[which]) for name, which in parts.items() if which.any()},
            label="V*",
            caption="features along the two directions in which they vary most",
        )
        name = self.encoder.get("encoder", "module")
        caption = "Each point is a state. States of equal value should lie together, on unseen levels as on seen ones."
        return write_page(path, f"Report card: {name} on {self.env}", str(self), [(figure, caption)])

    def __str__(self) -> str:
        lines = [f"{self.encoder.get('encoder', 'module')} on {self.env}", str(self.grades)]
        if self.grades.distance is None:
            lines.append(f"  bisimulation distances: not computed for {len(self.value):,} states (distances=True)")
        lines.append(f"  {'return from the start':<38}" + "".join(f"{name:>12}" for name in self.bounds))
        for kind, said in (("optimum", "fully informed optimum"), ("memoryless", "best memoryless policy found")):
            values = [bound[kind] for bound in self.bounds.values()]
            if any(value is not None for value in values):
                told = ["-" if value is None else f"{value:.4g}" for value in values]
                lines.append(f"  {said:<38}" + "".join(f"{one:>12}" for one in told))
        return "\n".join(lines)


def report_card(
    encoder: Any,
    env: Any,
    levels: int | Iterable[Any] | None = None,
    unseen: int | Iterable[Any] | None = None,
    *,
    gamma: float = 0.99,
    share: float = 0.8,
    distances: bool | None = None,
    memoryless: bool = True,
    device: str | torch.device = "auto",
    seed: int = 0,
    progress_bar: bool = False,
) -> ReportCard:
    """Grade `encoder` on `env`, an id or an environment whose T and R are known.

        print(rltk.report_card(encoder, "rltk/MiniGrid-DoorKey-6x6-v0", levels=range(8), unseen=range(100, 104)))

    levels: how many, their seeds, or layouts; None for an environment without levels. unseen: levels that nothing is
    fitted on, so many (seeds from a million on), their seeds, or layouts; those the encoder was pretrained on are for
    `levels`. share: of the states of `levels` that
    lines are fitted on. distances: whether to compute the exact bisimulation metric; None for up to 2,000 states.
    memoryless: whether to search the best memoryless policy where states look alike. seed: of the split, k-means and
    the search.

    Raises ModelError where T and R are not known; ArgumentError; SpaceError where the encoder is for other spaces.
    """
    made = gym.make(env) if isinstance(env, str) else env
    if not isinstance(made, gym.Env):
        raise ArgumentError(f"env: an id or a single Gymnasium environment; found {type(env).__name__}")
    if not 0 < share < 1:
        raise ArgumentError(f"share: above 0 and below 1, of the states that lines are fitted on; found {share}")
    if levels is None and unseen is not None:
        raise ArgumentError("unseen: levels to fit lines on are needed beside them: levels=")
    own = own_copy(made)
    seen = _all_levels("levels", levels)
    if isinstance(unseen, int):
        unseen = range(UNSEEN, UNSEEN + unseen)
    other = [] if unseen is None else _all_levels("unseen", unseen)
    twice = {name for name, _ in seen} & {name for name, level in other if isinstance(level, int | np.integer)}
    if twice:
        raise ArgumentError(f"unseen: {sorted(twice)[0]} is among the levels, too; name others")
    worlds: list[World] = []
    bar = ProgressBar(len(seen) + len(other), "report card", "levels") if progress_bar else None
    try:
        for name, level in [*seen, *other]:
            worlds.append(_world(own, name, level, encoder, gamma, memoryless, device, seed))
            if bar is not None:
                bar.update(len(worlds))
    finally:
        if bar is not None:
            bar.close()
    mdp, number = union([world.mdp for world in worlds])
    new = number >= len(seen)
    if distances is None:
        distances = mdp.n_states <= _MOST_DISTANCES
    grades = grade_representation(
        np.concatenate([world.features for world in worlds]),
        mdp,
        _splits(new, share, seed),
        gamma=gamma,
        labels=_labels([world.labels for world in worlds]),
        observed=_classes(worlds, mdp),
        distance=bisimulation_metric(mdp, gamma) if distances else None,
        seed=seed,
    )
    return ReportCard(
        encoder=config_of(encoder),
        env=made.spec.id if made.spec is not None else type(made.unwrapped).__name__,
        levels=len(seen),
        unseen_levels=len(other),
        grades=grades,
        places=_main_directions(np.concatenate([world.features for world in worlds])),
        value=np.concatenate([world.value for world in worlds]),
        unseen=new,
        bounds=_bounds(worlds, len(seen)),
    )


@dataclass(frozen=True, eq=False)
class World:
    """What is needed of one level."""

    mdp: MDP
    features: np.ndarray  # (S, F)
    value: np.ndarray  # (S,) V*
    rows: np.ndarray  # (S, bytes) what is observed
    labels: dict[str, np.ndarray]
    optimum: float
    memoryless: float | None


def _all_levels(name: str, wanted: Any) -> list[tuple[str, Any]]:
    if wanted is None:
        return [("", None)]
    levels = checked_levels(name, wanted)
    return [(name_of(levels, i), levels[i]) for i in range(len(levels))]


def _world(
    env: Any, name: str, level: Any, encoder: Any, gamma: float, memoryless: bool, device: Any, seed: int
) -> World:
    from rltk.agents.planning import solve

    try:
        if level is not None:
            begin_level(env, level)
        mdp, _, reason = model_of(env)
        if mdp is None:
            raise ModelError(f"env: {reason}; a report card needs T and R")
        classes, solution = observation_classes(env, mdp), solve(mdp, gamma=gamma)
        states, plain = np.arange(mdp.n_states), Plain(env.observation_space)
        rows = _rows(plain.many(observations_of(env, states), len(states)))
        best = None
        if memoryless and classes.max() + 1 < mdp.n_states:
            best = best_memoryless(env, gamma, seed=seed).value
        features = feature_table(encoder, env, device=device)
        labels = labels_of(mdp)
        return World(mdp, features, solution.value, rows, labels, solution.start_value, best)
    except RltkError as error:
        if not name:
            raise
        raise type(error)(f"{name}: {error}") from None


def labels_of(mdp: MDP) -> dict[str, np.ndarray]:
    """Where the agent stands ("position") and looks ("heading"), (S,) int64 each, as far as the states' labels say."""
    labels = [mdp.label(state) for state in range(mdp.n_states)]
    if all(isinstance(label, tuple) and len(label) >= 2 for label in labels):
        return {"position": _numbered([str(label[:2]) for label in labels])}
    found = [_AGENT.match(label) if isinstance(label, str) else None for label in labels]
    if not all(found):
        return {}
    said = [match.groups() for match in found if match]
    headings = ("right", "down", "left", "up")
    return {
        "position": np.array([1000 * int(x) + int(y) for x, y, _ in said], np.int64),
        "heading": np.array([headings.index(heading) for _, _, heading in said], np.int64),
    }


def _numbered(names: list[str]) -> np.ndarray:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _labels(of_levels: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Those that every level has, numbered alike in all of them."""
    names = [name for name in of_levels[0] if all(name in labels for labels in of_levels)]
    return {
        name: np.unique(np.concatenate([labels[name] for labels in of_levels]), return_inverse=True)[1]
        for name in names
    }


def _rows(observations: Any) -> np.ndarray:
    """(S, bytes): plain observations, all parts side by side."""
    parts = observations.values() if isinstance(observations, dict) else [observations]
    return np.concatenate([np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8) for part in parts], axis=1)


def _classes(worlds: list[World], mdp: MDP) -> np.ndarray:
    """(S,) numbers, the same where states look alike and have the same actions, whatever their level: an encoder does
    not see the level's number either."""
    shown = np.concatenate([np.concatenate([world.rows for world in worlds]), mdp.available], axis=1)
    return np.unique(np.ascontiguousarray(shown), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _splits(new: np.ndarray, share: float, seed: int) -> Splits:
    old = np.flatnonzero(~new)
    count = round(share * old.size)
    if not 0 < count < old.size:
        raise ArgumentError(f"share: {share} of {old.size} states leaves {count} to fit lines on; give more levels")
    drawn = Streams(seed).generator("report card").permutation(old)
    return Splits(np.sort(drawn[:count]), np.sort(drawn[count:]), np.flatnonzero(new) if new.any() else None)


def _main_directions(features: np.ndarray) -> np.ndarray:
    """(S, 2): the features along the two directions in which they vary most."""
    centred = features.astype(np.float64) - features.mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    places = np.zeros((len(features), 2))
    places[:, : len(directions)] = centred @ directions.T
    return places


def _bounds(worlds: list[World], seen: int) -> dict[str, dict[str, float | None]]:
    """By seen and unseen levels."""
    parts = {"seen": worlds[:seen], "unseen": worlds[seen:]}
    return {name: _bound(part) for name, part in parts.items() if part}


def _bound(worlds: list[World]) -> dict[str, float | None]:
    found = [world.memoryless for world in worlds]
    known = [world.optimum if value is None else value for world, value in zip(worlds, found, strict=True)]
    return {
        "optimum": float(np.mean([world.optimum for world in worlds])),
        "memoryless": None if all(value is None for value in found) else float(np.mean(known)),
    }
