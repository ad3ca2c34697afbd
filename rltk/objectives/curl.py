"""CURL: which two views are of one observation, told by an encoder and its own slow average.

    L = InfoNCE with queries phi(view_i) and keys W phi'(view'_j)
    theta' <- m theta' + (1 - m) theta        before each loss in training; theta' gets no gradient

phi' is a copy of the encoder that only follows it, so that the keys change slowly. Its views are cropped or moved, and
keep their colours.

Source: Laskin, Srinivas and Abbeel (2020), "CURL: contrastive unsupervised representations for reinforcement learning",
sections 4.4 to 4.6 and algorithm 1.
"""

from copy import deepcopy

import torch

from rltk.encoders import Encoder
from rltk.errors import ArgumentError
from rltk.objectives.contrastive import info_nce
from rltk.objectives.objective import Batch, Loss, Objective, bilinear
from rltk.objectives.views import Views


class CURL(Objective):
    """momentum: m, from 0 to 1. `key_encoder`: phi'. Raises SpaceError where an observation has no second view."""

    least = 2

    def __init__(self, encoder: Encoder, *, momentum: float = 0.95) -> None:
        super().__init__(encoder, momentum=momentum)
        if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 <= momentum <= 1:
            raise ArgumentError(f"momentum is {momentum!r}, but a number from 0 to 1 was expected, such as 0.95")
        self.momentum = momentum
        self.views = Views(encoder.parts, colour=False)
        self.key_encoder = deepcopy(encoder).requires_grad_(False)
        self.w = bilinear(encoder.features_dim)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        if self.training:
            self.follow(encoder)
        queries = encoder(*self.views(batch.observations))
        with torch.no_grad():
            keys = self.key_encoder(*self.views(batch.observations))
        loss = info_nce(queries, self.w(keys))
        return Loss(loss, {"info_nce": loss.detach()})

    @torch.no_grad()
    def follow(self, encoder: Encoder) -> None:
        """One step of phi' towards `encoder`."""
        for slow, quick in zip(self.key_encoder.parameters(), encoder.parameters(), strict=True):
            slow.lerp_(quick, 1 - self.momentum)
