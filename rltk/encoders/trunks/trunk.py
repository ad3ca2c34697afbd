"""What a trunk is: the layers between stem and readout.

It reads and gives lists of tensors, one for each part of the space: (B, places, width), or (B, width, height, width of
the board) where a part lies on a board. `shapes` says which. What it needs of them it declares:

    layout     a part that lies on a board
    sequence   two places or more in all, one after the other; boards row by row
    one width  what it reads is of one width, so that all the places are one sequence: the stem "tokens"
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rltk.encoders.parts import Shape
from rltk.errors import ArgumentError, SpaceError


class Trunk(nn.Module):
    """The base of rltk's trunks. The constructor gets the shapes of what it will read, then options by name.

    `shapes` are those of what it gives. `stem` and `readout` name those that go with it unless others are asked for.
    `keeps_places`: place i of what it gives stands where place i was that it read.
    """

    needs: ClassVar[str] = ""
    stem: ClassVar[str] = "tokens"
    readout: ClassVar[str] = "flatten"
    keeps_places: bool = True
    shapes: list[Shape]

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__()
        if self.needs == "layout" and not any(shape.layout for shape in shapes):
            raise SpaceError(
                f"{self._called} needs a 2-D layout, a Box such as (height, width, channels), and nothing observed has "
                'one; use "mlp" or "transformer"'
            )
        if self.needs == "sequence" and sum(shape.places for shape in shapes) < 2:
            raise SpaceError(
                f"{self._called} needs a sequence of two places or more, and what is observed has one place alone; use "
                '"mlp", or stack frames with gymnasium.wrappers.FrameStackObservation'
            )

    @property
    def _called(self) -> str:
        return f"the trunk {type(self).__name__}"

    def forward(self, tensors: list[Tensor]) -> list[Tensor]:
        """Tensors of the shapes that it was made for -> tensors of `shapes`."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Its options, as plain JSON."""
        raise NotImplementedError


def places_of(tensors: Any) -> Tensor:
    """All places as one sequence, (B, N, width): boards row by row. All have to be of one width. A row that is flat,
    (B, width), is a single place."""
    if isinstance(tensors, Tensor):
        return tensors[:, None]
    rows = [tensor.flatten(2).mT if tensor.ndim == 4 else tensor for tensor in tensors]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)


def one_width(trunk: nn.Module, shapes: Sequence[Shape]) -> int:
    """The width of all `shapes`. Raises ArgumentError where they differ."""
    widths = {shape.width for shape in shapes}
    if len(widths) > 1:
        raise ArgumentError(
            f'{type(trunk).__name__} needs places of one width, and they have {sorted(widths)}: use stem="tokens"'
        )
    return widths.pop()
