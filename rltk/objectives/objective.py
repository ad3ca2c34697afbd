"""What an objective is: a loss that teaches an encoder what to keep of what it sees.

    minimise over encoder and heads    E [ L(heads(encoder(o)), o, o', a, ...) ]       over batches of data

An objective owns its heads (decoders, classifiers, projections), which are thrown away afterwards, and sees an encoder
only through its features, its tokens and its parts, so each objective works with each encoder that has what it needs:

    needs                 of the batch, by name: next_observations, actions, ... or the name of a target
    SpaceError            at construction, where the space lacks what the objective is about, such as a board to turn

Random numbers come from torch's default generator, that of the device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rltk.encoders import Encoder
from rltk.errors import ArgumentError

Observations = Tensor | dict[str, Tensor]

_MENDS = {
    "next_observations": "give transitions of episodes; an episode of one frame has no pair to give, so leave it out",
    "actions": "give transitions with the action taken, (B,) integers from 0 on",
    "value": "give V* of each state, from rltk.solve(env).value",
    "q": "give Q* of each state, from rltk.solve(env).q",
    "distance": "give the bisimulation distances among the batch's states, (B, B)",
}


@dataclass(frozen=True)
class Batch:
    """B transitions, or B single observations, as tensors whose first axis is B.

    observations, next_observations: plain observations of the encoder's space. actions: (B,) integers from 0 on.
    rewards: (B,) floats. terminated: (B,) bool. targets: what the answer key says of each state: "value" (B,), "q"
    (B, A) with -inf or "available" (B, A) bool for actions that can't be taken, "distance" (B, B).
    """

    observations: Observations
    next_observations: Any = None
    actions: Any = None
    rewards: Tensor | None = None
    terminated: Tensor | None = None
    targets: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(tensors_of(self.observations)[0])

    def find(self, name: str) -> Any:
        """The field or else the target of this name, None where there is none."""
        return getattr(self, name) if name in _FIELDS else self.targets.get(name)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`."""
        moved = {one.name: _moved(getattr(self, one.name), device) for one in fields(self)}
        return Batch(**moved)


_FIELDS = {one.name for one in fields(Batch)} - {"targets"}


class Loss(NamedTuple):
    """`total`, a scalar to minimise, and the terms it is made of, by name, as scalars without gradients: they stay on
    the device, so that reading none of them waits for none."""

    total: Tensor
    terms: dict[str, Tensor]


class Objective(nn.Module):
    """The base of all. options: what `config` gives back. Raises ArgumentError where the encoder is not rltk's."""

    needs: tuple[str, ...] = ()
    least: int = 1  # how many observations a batch has to have

    def __init__(self, encoder: Encoder, **options: Any) -> None:
        super().__init__()
        if not isinstance(encoder, Encoder):
            raise ArgumentError(
                f"an objective teaches an rltk.encoders.Encoder, but a {type(encoder).__name__} was given; give a "
                "torch module of your own as its trunk: Encoder(space, module)"
            )
        self._options = options

    def loss(self, encoder: Encoder, batch: Batch) -> Loss:
        """The loss of `encoder` on `batch`, which is checked first.

        Raises ArgumentError: an empty batch, lengths that differ, what it needs and does not find, NaN and infinities.
        """
        self.check(batch)
        found: Loss = self(encoder, batch)
        return found

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        """The loss, unchecked."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Its options, as plain JSON."""
        return dict(self._options)

    def check(self, batch: Batch) -> None:
        """ArgumentError where `batch` is none to learn from."""
        count = len(batch)
        if count < self.least:
            raise ArgumentError(
                f"the batch holds {count} observations, but {_named(self)} needs {self.least} or more; give larger "
                "batches, and leave out an empty one"
            )
        for name in ("observations", *self.needs):
            found = batch.find(name)
            if found is None:
                raise ArgumentError(f"{_named(self)} needs {name}, and the batch has none: {_mend(name)}")
            for tensor in tensors_of(found):
                _check_numbers(name, tensor, count)


def tensors_of(observations: Observations) -> list[Tensor]:
    """The tensors of a batch of observations."""
    return list(observations.values()) if isinstance(observations, dict) else [observations]


def each(observations: Any, do: Any) -> Any:
    """`do` of each tensor of a batch of observations."""
    if isinstance(observations, dict):
        return {name: do(tensor) for name, tensor in observations.items()}
    return do(observations)


def another(count: int, device: torch.device) -> Tensor:
    """(B,) int64: for each of the batch another one of it, the same distance away; itself where it is alone."""
    distance = torch.randint(1, max(count, 2), (1,), device=device)
    return (torch.arange(count, device=device) + distance) % count


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """W2 ReLU(W1 x + b1) + b2."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def bilinear(width: int) -> nn.Linear:
    """W of x^T W y, (width, width)."""
    return nn.Linear(width, width, bias=False)


def positive(**options: float) -> None:
    """ArgumentError, by name, where one of `options` is no finite number above 0."""
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ArgumentError(f"{name} is {value!r}, but a number above 0 was expected")


def _check_numbers(name: str, tensor: Tensor, count: int) -> None:
    if not tensor.ndim or len(tensor) != count:
        raise ArgumentError(f"{name} has the shape {tuple(tensor.shape)}, but {count} rows, one each, were expected")
    if not tensor.is_floating_point():
        return
    bad = ~(tensor.isfinite() | (tensor == -torch.inf) if name == "q" else tensor.isfinite())
    if bool(bad.any()):
        row = int(bad.reshape(count, -1).any(1).nonzero()[0])
        raise ArgumentError(
            f"{name} holds a NaN or an infinity, first in row {row} of the batch; mend the data, or leave the row out"
        )


def _mend(name: str) -> str:
    return _MENDS.get(name, f'give Batch(..., targets={{"{name}": tensor}})')


def _named(objective: nn.Module) -> str:
    return f"the objective {type(objective).__name__}"


def _moved(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Mapping):
        return {name: tensor.to(device) for name, tensor in value.items()}
    return value if value is None else value.to(device)
