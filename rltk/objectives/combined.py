"""The objectives by name, and their weighted sum.

L = sum_k w_k L_k(encoder, batch)
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rltk.encoders import Encoder
from rltk.encoders.encoder import called
from rltk.errors import ArgumentError, UnknownNameError
from rltk.objectives.adversarial import AdversarialAutoencoder
from rltk.objectives.autoencoder import Autoencoder
from rltk.objectives.bisimulation import Bisimulation
from rltk.objectives.colourisation import Colourisation
from rltk.objectives.contrastive import SimCLR
from rltk.objectives.curl import CURL
from rltk.objectives.dynamics import Forward, Inverse, Successor
from rltk.objectives.inpainting import Inpainting
from rltk.objectives.masked import Masked
from rltk.objectives.objective import Batch, Loss, Objective, positive
from rltk.objectives.rearrangement import Jigsaw, Rotation
from rltk.objectives.supervised import Supervised
from rltk.objectives.temporal import Temporal
from rltk.objectives.variational import VariationalAutoencoder

OBJECTIVES: dict[str, type[Objective]] = {
    "autoencoder": Autoencoder,
    "vae": VariationalAutoencoder,
    "adversarial": AdversarialAutoencoder,
    "masked": Masked,
    "simclr": SimCLR,
    "curl": CURL,
    "temporal": Temporal,
    "forward": Forward,
    "inverse": Inverse,
    "successor": Successor,
    "rotation": Rotation,
    "jigsaw": Jigsaw,
    "inpainting": Inpainting,
    "colourisation": Colourisation,
    "bisimulation": Bisimulation,
    "supervised": Supervised,
}

Weights = Mapping[str, float | Mapping[str, Any]]


class Combined(Objective):
    """`objectives` by name, each with its weight in `weights`. Terms are called "vae/kl"; "vae" is L_k itself."""

    def __init__(self, encoder: Encoder, objectives: Mapping[str, Objective], weights: Mapping[str, float]) -> None:
        super().__init__(encoder)
        self.names = list(objectives)
        self.objectives = nn.ModuleList(objectives.values())
        self.weights = dict(weights)
        self.needs = tuple(dict.fromkeys(name for one in objectives.values() for name in one.needs))
        self.least = max(one.least for one in objectives.values())

    def check(self, batch: Batch) -> None:
        for _, one in self._named():
            one.check(batch)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        weighted: list[Tensor] = []
        terms: dict[str, Tensor] = {}
        for name, objective in self._named():
            loss, parts = objective(encoder, batch)
            weighted.append(loss if self.weights[name] == 1.0 else self.weights[name] * loss)
            terms[name] = loss.detach()
            terms.update({f"{name}/{part}": value for part, value in parts.items()})
        return Loss(sum(weighted[1:], weighted[0]), terms)

    def config(self) -> dict[str, Any]:
        """What `objectives_of` makes the same of."""
        return {name: {"weight": self.weights[name], **objective.config()} for name, objective in self._named()}

    def _named(self) -> list[tuple[str, Any]]:
        return list(zip(self.names, self.objectives, strict=True))


def objectives_of(weights: str | Weights, encoder: Encoder, *, actions: int | None = None) -> Combined:
    """The weighted sum of objectives for `encoder`.

    weights: {"vae": 1.0, "inverse": 0.5}, or with options {"vae": {"weight": 1.0, "beta": 4.0}}, or one name alone.
    actions: how many the environment has, for those that ask.

    Raises UnknownNameError, ArgumentError, and SpaceError where the encoder's space lacks what one of them needs.
    """
    wanted: Any = {weights: 1.0} if isinstance(weights, str) else weights
    if not isinstance(wanted, Mapping) or not wanted:
        raise ArgumentError(
            f'objectives are {weights!r}, but names with weights were expected, such as {{"vae": 1.0, "inverse": 0.5}}'
        )
    objectives, numbers = {}, {}
    for name, given in wanted.items():
        if name not in OBJECTIVES:
            raise UnknownNameError(f"there is no objective {name!r}; there are {', '.join(OBJECTIVES)}")
        options = dict(given) if isinstance(given, Mapping) else {"weight": given}
        weight = options.pop("weight", 1.0)
        positive(**{f"the weight of {name}": weight})
        make = OBJECTIVES[name]
        if actions is not None and _asks(make):
            options.setdefault("actions", actions)
        objectives[name] = called(make, encoder, options, f"the objective {name}")
        numbers[name] = float(weight)
    return Combined(encoder, objectives, numbers)


def _asks(make: type[Objective]) -> bool:
    """Whether this objective has an option `actions`."""
    import inspect

    return "actions" in inspect.signature(make).parameters
