"""Colourisation: tell the colours of a picture from its grey.

    L = -(1/N) sum_i ln p(o_i | phi(grey(o)))         nats a place, grey = .299 red + .587 green + .114 blue

The grey stands in all three channels, so the encoder reads what has the form that it knows. The colours are told as
Gaussians around one guess; the paper asks for a distribution over 313 bins of them, which keeps colours from becoming
the mean of several that would do.

Source: Zhang, Isola and Efros (2016), "Colorful image colorization", section 2; ITU-R BT.601 for the grey.
"""

from typing import Any

from torch import Tensor

from rltk.encoders import Encoder
from rltk.encoders.parts import Board
from rltk.errors import SpaceError
from rltk.objectives.boards import boards_of, changed
from rltk.objectives.decoder import Decoder
from rltk.objectives.objective import Batch, Loss, Objective

_GREY = (0.299, 0.587, 0.114)


class Colourisation(Objective):
    """width, sigma: the decoder's. Raises SpaceError where there is no picture of three channels."""

    def __init__(self, encoder: Encoder, *, width: int = 64, sigma: float = 1.0) -> None:
        super().__init__(encoder, width=width, sigma=sigma)
        self.boards = [board for board in boards_of(encoder.parts) if _is_coloured(board)]
        if not self.boards:
            raise SpaceError(
                "Colourisation needs a picture with red, green and blue, a Box (height, width, 3) of bytes with sides "
                'of 36 or more, and nothing observed is one; use "autoencoder" or "masked"'
            )
        self.decoder = Decoder(encoder.features_dim, encoder.parts, width, sigma)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        loss = self.decoder.nll(encoder(self.greyed(batch.observations)), batch.observations).mean()
        return Loss(loss, {"nll": loss.detach()})

    def greyed(self, observations: Any) -> Any:
        """`observations` with the grey of each pixel in its three channels."""
        return changed(self.boards, observations, _greyed)


def _greyed(board: Board, cells: Tensor) -> Tensor:
    """(B, frames * 3, H, W)."""
    red, green, blue = cells.unflatten(1, (board.planes.frames, 3)).to(board.unit.dtype).unbind(2)
    grey = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue  # (B, frames, H, W)
    grey = grey if cells.is_floating_point() else grey.round()
    return grey.to(cells.dtype).repeat_interleave(3, dim=1)


def _is_coloured(board: Board) -> bool:
    return board.planes.is_picture and board.planes.channels == 3 * board.planes.frames
