"""Bisimulation: features as far apart as their states behave differently.

    L = mean over i != j of ( |phi(s_i) - phi(s_j)|_1 - d(s_i, s_j) )^2

d is the exact bisimulation distance, so nothing has to be bootstrapped as it is where d is unknown.

Source: Zhang, McAllister, Calandra, Gal and Levine (2021), "Learning invariant representations for reinforcement
learning without reconstruction", equation 4 (with d itself in place of its estimate); Ferns, Panangaden and Precup
(2004), "Metrics for finite Markov decision processes", for d.
"""

import torch
from torch import Tensor

from rltk.encoders import Encoder
from rltk.errors import ArgumentError
from rltk.objectives.objective import Batch, Loss, Objective


def distance_error(features: Tensor, distance: Tensor) -> Tensor:
    """L above, a scalar. features: (B, F). distance: (B, B), whose diagonal is not looked at."""
    found = torch.cdist(features, features, p=1)  # (B, B)
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    error = (found - distance).masked_fill(itself, 0.0)
    return error.square().sum() / (len(features) * (len(features) - 1))


class Bisimulation(Objective):
    """Shapes the features themselves: it has no head."""

    needs = ("distance",)
    least = 2

    def check(self, batch: Batch) -> None:
        super().check(batch)
        found = batch.targets["distance"]
        if found.shape != (len(batch), len(batch)) or bool((found < 0).any()):
            raise ArgumentError(
                f"targets['distance'] has the shape {tuple(found.shape)}, but distances of 0 or more among the batch's "
                f"own states were expected, ({len(batch)}, {len(batch)}): distances[states][:, states]"
            )

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        features = encoder(batch.observations)
        loss = distance_error(features, batch.targets["distance"].to(features))
        return Loss(loss, {"distance_error": loss.detach()})
