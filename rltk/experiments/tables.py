"""Data as tensors on a device, and batches of it."""

from typing import Any

import numpy as np
import torch

from rltk.errors import ArgumentError
from rltk.experiments.data.transitions import Transitions
from rltk.objectives import Batch
from rltk.objectives.objective import each, tensors_of

_OF_PAIRS = ("next_observations", "actions", "rewards", "terminated")


class Tables:
    """`data`, whole, on `device`: a batch is then a few gathers there. Where a GPU has no room for the observations,
    they stay in the computer's memory and batches are copied.

    objective: what it `needs` has to be in the data. Raises ArgumentError where it is not.
    """

    def __init__(self, data: Transitions, objective: Any, device: torch.device) -> None:
        self.data, self.device = data, device
        for name in objective.needs:
            if name in _OF_PAIRS and not len(data):
                raise ArgumentError(
                    f"data: the objective needs {name}, and there is no transition among these "
                    f"{data.n_observations} observations; record episodes of two steps or more, or take an objective "
                    'of observations alone, such as "vae"'
                )
            if name == "distance":
                if data.distance is None:
                    raise ArgumentError(
                        "data: the objective needs the distances between states, and these data have none; "
                        "every_transition(env, levels, distances=True) gives them"
                    )
            elif name not in _OF_PAIRS and name not in data.targets:
                raise ArgumentError(
                    f"data: the objective needs {name!r} of each observation, and the data know "
                    f"{', '.join(data.targets) or 'nothing'}; every_transition(env, levels) gives value, q and state"
                )
        if all((part == part[:1]).all() for part in tensors_of(data.observations)):
            raise ArgumentError(
                f"data: all {data.n_observations} observations are the same, so there is nothing to tell apart; record "
                "more steps, or give other levels or pictures"
            )
        self._pairs = len(data) > 0
        place = device if _fits(data.observations, device) else torch.device("cpu")
        self._observations = each(data.observations, lambda part: torch.from_numpy(part).to(place))
        self._place = place
        self._rows = {
            name: torch.from_numpy(np.ascontiguousarray(getattr(data, own))).to(device)
            for name, own in (("actions", "action"), ("rewards", "reward"), ("terminated", "terminated"))
        }
        self._origin, self._next = (torch.from_numpy(part).to(place) for part in (data.origin, data.next))
        self._targets = {name: torch.from_numpy(target).to(device) for name, target in data.targets.items()}
        wanted = "distance" in objective.needs
        self._distance = torch.from_numpy(data.distance) if wanted and data.distance is not None else None
        even = len(data.weight) == 0 or bool((data.weight == data.weight[0]).all())
        self._shares = None if even else np.cumsum(data.weight) / data.weight.sum()

    def __len__(self) -> int:
        return len(self.data) if self._pairs else self.data.n_observations

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """(count,) rows, with replacement, each as often as its weight says."""
        if self._shares is None:
            return generator.integers(len(self), size=count)
        return np.minimum(np.searchsorted(self._shares, generator.random(count), side="right"), len(self) - 1)

    def batch(self, rows: np.ndarray) -> Batch:
        """The transitions, or where there are none the observations, of these numbers."""
        at = torch.from_numpy(rows).to(self._place)
        origin = self._origin[at] if self._pairs else at
        targets = {name: target[origin.to(target.device)] for name, target in self._targets.items()}
        if self._distance is not None:
            here = origin.to(self._distance.device)
            targets["distance"] = self._distance[here][:, here].to(self.device)
        if not self._pairs:
            return Batch(self._shown(origin), targets=targets)
        here = at.to(self.device)
        return Batch(
            self._shown(origin),
            self._shown(self._next[at]),
            **{name: part[here] for name, part in self._rows.items()},
            targets=targets,
        )

    def _shown(self, numbers: torch.Tensor) -> Any:
        return each(self._observations, lambda part: part[numbers].to(self.device, non_blocking=True))


def _fits(observations: Any, device: torch.device) -> bool:
    """Whether the observations take less than half of what a GPU has free."""
    if device.type != "cuda":
        return True
    return sum(part.nbytes for part in tensors_of(observations)) < torch.cuda.mem_get_info(device)[0] / 2
