"""Temporal InfoNCE: of all observations, find the one that came next.

    L = -(1/B) sum_i ln  exp(phi(s'_i)^T W phi(s_i)) / sum_j exp(phi(s'_j)^T W phi(s_i))

The negatives are the others' next observations in the batch. It needs no actions, and no second view.

Source: van den Oord, Li and Vinyals (2018), "Representation learning with contrastive predictive coding", equations 3
and 4, with one step ahead and the features themselves as context.
"""

from rltk.encoders import Encoder
from rltk.objectives.contrastive import info_nce
from rltk.objectives.objective import Batch, Loss, Objective, bilinear


class Temporal(Objective):
    """`w`: W."""

    needs = ("next_observations",)
    least = 2

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.w = bilinear(encoder.features_dim)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        loss = info_nce(self.w(encoder(batch.observations)), encoder(batch.next_observations))
        return Loss(loss, {"info_nce": loss.detach()})
