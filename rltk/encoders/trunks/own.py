"""Any torch module as a trunk."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.parts import Shape
from rltk.encoders.readout import flattened
from rltk.encoders.trunks.trunk import Trunk, one_width, places_of
from rltk.errors import ArgumentError


class Own(Trunk):
    """`module`, which gets all places as one sequence (B, N, D), or the flat row (B, width) where the stem is "flat",
    and gives (B, n, d) or (B, d). It is tried on two observations of zeros. Raises ArgumentError."""

    def __init__(self, shapes: Sequence[Shape], module: nn.Module, *, flat: bool) -> None:
        super().__init__(shapes)
        self.module, self.flat = module, flat
        places = sum(shape.places for shape in shapes)
        sample = torch.zeros(2, shapes[0].width) if flat else torch.zeros(2, places, one_width(self, shapes))
        first = next(module.parameters(), sample)
        given = _tried(module, sample.to(first))
        self.shapes = [Shape(given.shape[1] if given.ndim == 3 else 1, given.shape[-1])]
        self.keeps_places = given.ndim == 3 and given.shape[1] == places

    def forward(self, tensors: list[Tensor]) -> list[Tensor]:
        given = self.module(flattened(tensors) if self.flat else places_of(tensors))
        return [given if given.ndim == 3 else given[:, None]]

    def config(self) -> dict[str, Any]:
        return {"module": type(self.module).__qualname__}


def _tried(module: nn.Module, sample: Tensor) -> Tensor:
    """What the module makes of `sample`, leaving its mode, its random numbers and its statistics as they were."""
    modes = [(part, part.training) for part in module.modules()]
    what = f"the trunk {type(module).__name__}, given {tuple(sample.shape)},"
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            given = module.eval()(sample)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ArgumentError(f"{what} failed with {type(error).__name__}: {error}") from error
    finally:
        for part, training in modes:
            part.training = training
    if not isinstance(given, Tensor) or given.ndim not in (2, 3) or len(given) != 2:
        found = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise ArgumentError(f"{what} gave {found}; (2, places, width) or (2, width) was expected")
    return given
