"""Inpainting: tell what stood in a block of the board from what stands around it.

    L = -mean over hidden places i of ln p(o_i | phi(o, block hidden))

The block covers half of each side of the board, in places, at a random spot: a quarter of the area. It is zeros in what
the encoder reads.

Source: Pathak, Krahenbuhl, Donahue, Darrell and Efros (2016), "Context encoders: feature learning by inpainting",
equation 1 (without its adversarial term).
"""

import torch
from torch import Tensor

from rltk.encoders import Encoder
from rltk.errors import SpaceError
from rltk.objectives.boards import boards_of
from rltk.objectives.decoder import Decoder
from rltk.objectives.objective import Batch, Loss, Objective


class Inpainting(Objective):
    """width, sigma: the decoder's. Raises SpaceError where there is no board of two by two places or more."""

    def __init__(self, encoder: Encoder, *, width: int = 64, sigma: float = 1.0) -> None:
        super().__init__(encoder, width=width, sigma=sigma)
        self.layouts = [part.layout for part in encoder.parts]
        if not any(min(board.layout or (1, 1)) > 1 for board in boards_of(encoder.parts)):
            raise SpaceError(
                "Inpainting needs a board of two by two places or more, a Box such as (7, 7, 3), and nothing observed "
                'is one; use "masked" or "temporal"'
            )
        self.counts = [part.places for part in encoder.parts]
        self.decoder = Decoder(encoder.features_dim, encoder.parts, width, sigma)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        hidden = self.blocks(len(batch), next(self.parameters()).device)
        nll = self.decoder.nll(encoder(batch.observations, hidden), batch.observations)
        loss = (nll * hidden).sum() / hidden.sum()
        return Loss(loss, {"nll": loss.detach()})

    def blocks(self, count: int, device: torch.device) -> Tensor:
        """(count, N) bool: a block of each board that has room for one."""
        made = []
        for places, layout in zip(self.counts, self.layouts, strict=True):
            if layout is None or min(layout) < 2:
                made.append(torch.zeros(count, places, dtype=torch.bool, device=device))
                continue
            rows, columns = (_stretch(count, side, device) for side in layout)  # (count, height), (count, width)
            made.append((rows[:, :, None] & columns[:, None]).flatten(1))
        return torch.cat(made, dim=1)


def _stretch(count: int, side: int, device: torch.device) -> Tensor:
    """(count, side) bool: half of the side, rounded down, from a random place on."""
    length = side // 2
    first = torch.randint(side - length + 1, (count, 1), device=device)
    index = torch.arange(side, device=device)
    return (index >= first) & (index < first + length)
