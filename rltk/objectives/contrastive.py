"""Contrastive learning: of all others, find the one that belongs to you.

SimCLR: two views i and j of one observation, among the 2 B views of a batch (NT-Xent):

    l(i, j) = -ln  exp(cos(z_i, z_j) / t) / sum_(k != i) exp(cos(z_i, z_k) / t)      L = mean over all 2 B views
    z = W2 ReLU(W1 phi(view)),    a projection head that is thrown away afterwards

InfoNCE: of queries q_i and keys k_j those of the same number belong together:

    L = -(1/B) sum_i ln  exp(q_i . k_i) / sum_j exp(q_i . k_j)

Where all observations look the same, all cosines are 1: the loss is ln(2 B - 1), and teaches nothing.

Source: Chen, Kornblith, Norouzi and Hinton (2020), "A simple framework for contrastive learning of visual
representations", equation 1 and section 2.1; van den Oord, Li and Vinyals (2018), "Representation learning with
contrastive predictive coding", equation 4.
"""

import torch
from torch import Tensor, nn

from rltk.encoders import Encoder
from rltk.encoders.options import sizes
from rltk.objectives.objective import Batch, Loss, Objective, perceptron, positive
from rltk.objectives.views import Views


def nt_xent(projections: Tensor, temperature: float) -> Tensor:
    """The mean of l above, a scalar. projections: (2 B, P), rows i and i + B are views of one observation."""
    unit = nn.functional.normalize(projections, dim=1)
    count = len(unit)
    itself = torch.eye(count, dtype=torch.bool, device=unit.device)
    logits = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    partner = torch.arange(count, device=unit.device).roll(count // 2)
    return nn.functional.cross_entropy(logits, partner)


def info_nce(queries: Tensor, keys: Tensor) -> Tensor:
    """The mean of InfoNCE above, a scalar. queries, keys: (B, P)."""
    return nn.functional.cross_entropy(queries @ keys.T, torch.arange(len(keys), device=keys.device))


class SimCLR(Objective):
    """temperature: t. projection: the width of z. Raises SpaceError where an observation has no second view."""

    least = 2

    def __init__(self, encoder: Encoder, *, temperature: float = 0.5, projection: int = 64) -> None:
        super().__init__(encoder, temperature=temperature, projection=projection)
        positive(temperature=temperature)
        sizes(projection=projection)
        self.temperature = temperature
        self.views = Views(encoder.parts)
        self.projection = perceptron(encoder.features_dim, encoder.features_dim, projection)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        views = [encoder(*self.views(batch.observations)) for _ in range(2)]
        loss = nt_xent(self.projection(torch.cat(views)), self.temperature)
        return Loss(loss, {"nt_xent": loss.detach()})
