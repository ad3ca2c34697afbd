"""Supervised on the answer key: what an encoder can hold if it is told, the upper reference for all others.

    L = mean (w_V . phi(s) + b_V - V*(s))^2  +  mean over available a of (w_a . phi(s) + b_a - Q*(s, a))^2

Linear heads, as the probes that grade features are: what is learnt has to stand in the features.

Source: Puterman (2005), "Markov decision processes", section 6.2 for V* and Q*; `rltk.solve` gives both.
"""

import torch
from torch import Tensor, nn

from rltk.encoders import Encoder
from rltk.encoders.options import sizes
from rltk.errors import ArgumentError
from rltk.objectives.objective import Batch, Loss, Objective


class Supervised(Objective):
    """actions: how many the environment has, for V* and Q*; None for V* alone."""

    def __init__(self, encoder: Encoder, *, actions: int | None = None) -> None:
        super().__init__(encoder, actions=actions)
        if actions is not None:
            sizes(actions=actions)
        self.actions = actions
        self.needs = ("value",) if actions is None else ("value", "q")
        self.heads = nn.Linear(encoder.features_dim, 1 + (actions or 0))

    def check(self, batch: Batch) -> None:
        super().check(batch)
        shapes = {"value": (len(batch),), "q": (len(batch), self.actions)}
        for name in self.needs:
            found = tuple(batch.targets[name].shape)
            if found != shapes[name]:
                raise ArgumentError(f"targets['{name}'] has the shape {found}, but {shapes[name]} was expected")

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        told = self.heads(encoder(batch.observations))  # (B, 1 + A)
        loss = nn.functional.mse_loss(told[:, 0], batch.targets["value"].to(told))
        terms = {"value": loss.detach()}
        if self.actions is not None:
            of_q = squared_error(told[:, 1:], batch.targets["q"].to(told), batch.targets.get("available"))
            loss, terms["q"] = loss + of_q, of_q.detach()
        return Loss(loss, terms)


def squared_error(told: Tensor, q: Tensor, available: Tensor | None = None) -> Tensor:
    """The mean over actions that can be taken, a scalar. told, q: (B, A). available: (B, A) bool, or None where q is
    -inf for those that can't."""
    counts = q.isfinite() if available is None else available & q.isfinite()
    error = torch.where(counts, told - q.where(counts, 0), 0)
    return error.square().sum() / counts.sum().clamp(min=1)
