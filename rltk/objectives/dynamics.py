"""Dynamics: features that tell what happens next, and what was done.

forward     L = -(1/N) sum_i ln p(o'_i | g(phi(o), a))           nats a place of the next observation
inverse     L = -ln softmax(h(phi(o), phi(o')))[a]
successor   L = softplus(-f(phi(o), a, phi(o'))) + softplus(f(phi(o), a, phi(o'')))      o'': another pair's o'

Telling the next observation, and not its features, can't be done by features that are all alike. The inverse keeps what
the agent can change. The last asks whether o' is a successor of o under a; an o'' equal to o' is left out, one that is
another outcome of (o, a) by chance is not.

Source: Pathak, Agrawal, Efros and Darrell (2017), "Curiosity-driven exploration by self-supervised prediction", section
2.2 (forward and inverse; their forward model tells features); Gutmann and Hyvarinen (2010), "Noise-contrastive
estimation", section 2 (true pairs against others).
"""

from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders import Encoder
from rltk.encoders.options import sizes
from rltk.errors import ArgumentError
from rltk.objectives.decoder import Decoder
from rltk.objectives.objective import Batch, Loss, Objective, another, each, perceptron, tensors_of


class Transitions(Objective):
    """The base: actions, how many the environment has; hidden, the width of the head. Raises ArgumentError."""

    needs = ("next_observations", "actions")

    def __init__(self, encoder: Encoder, *, actions: int | None = None, hidden: int = 64, **options: Any) -> None:
        super().__init__(encoder, actions=actions, hidden=hidden, **options)
        if actions is None:
            raise ArgumentError(f"{type(self).__name__} has to know how many actions there are: actions=env.n_actions")
        sizes(actions=actions, hidden=hidden)
        self.actions, self.hidden = actions, hidden

    def check(self, batch: Batch) -> None:
        super().check(batch)
        taken = batch.actions
        if taken.is_floating_point() or taken.ndim != 1:
            raise ArgumentError(f"actions are {taken.dtype} {tuple(taken.shape)}, but integers (B,) were expected")
        if int(taken.min()) < 0 or int(taken.max()) >= self.actions:
            raise ArgumentError(
                f"actions go from {int(taken.min())} to {int(taken.max())}, but 0 to {self.actions - 1} was expected; "
                "give actions=, the number of the environment's"
            )

    def _with_action(self, features: Tensor, batch: Batch) -> Tensor:
        """(B, F) -> (B, F + A), a one-hot of the action beside the features."""
        return torch.cat([features, nn.functional.one_hot(batch.actions.long(), self.actions).to(features)], dim=1)


class Forward(Transitions):
    """width, sigma: the decoder's."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        actions: int | None = None,
        hidden: int = 64,
        width: int = 64,
        sigma: float = 1.0,
    ) -> None:
        super().__init__(encoder, actions=actions, hidden=hidden, width=width, sigma=sigma)
        self.mix = nn.Sequential(nn.Linear(encoder.features_dim + self.actions, hidden), nn.ReLU())
        self.decoder = Decoder(hidden, encoder.parts, width, sigma)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        mixed = self.mix(self._with_action(encoder(batch.observations), batch))  # (B, hidden)
        loss = self.decoder.nll(mixed, batch.next_observations).mean()
        return Loss(loss, {"nll": loss.detach()})


class Inverse(Transitions):
    """`head`: from the features of both to logits (B, A)."""

    def __init__(self, encoder: Encoder, *, actions: int | None = None, hidden: int = 64) -> None:
        super().__init__(encoder, actions=actions, hidden=hidden)
        self.head = perceptron(2 * encoder.features_dim, hidden, self.actions)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        both = torch.cat([encoder(batch.observations), encoder(batch.next_observations)], dim=1)
        logits, taken = self.head(both), batch.actions.long()
        loss = nn.functional.cross_entropy(logits, taken)
        return Loss(loss, {"cross_entropy": loss.detach(), "accuracy": agreement(logits, taken)})


class Successor(Transitions):
    """`head`: f, (B, 1)."""

    least = 2

    def __init__(self, encoder: Encoder, *, actions: int | None = None, hidden: int = 64) -> None:
        super().__init__(encoder, actions=actions, hidden=hidden)
        self.head = perceptron(2 * encoder.features_dim + self.actions, hidden, 1)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        before = self._with_action(encoder(batch.observations), batch)
        after = encoder(batch.next_observations)
        others = another(len(batch), after.device)
        true = self.head(torch.cat([before, after], dim=1))[:, 0]  # (B,)
        false = self.head(torch.cat([before, after[others]], dim=1))[:, 0]
        counts = (~_equal(batch.next_observations, others)).to(false)
        loss = nn.functional.softplus(-true).mean()
        loss = loss + (nn.functional.softplus(false) * counts).sum() / counts.sum().clamp(min=1)
        right = torch.cat([true > 0, false < 0]).to(loss).mean()
        return Loss(loss, {"cross_entropy": loss.detach(), "accuracy": right.detach()})


def agreement(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of rows whose largest logit is at their label, a scalar without gradient."""
    return (logits.detach().argmax(1) == labels).to(logits).mean()


def _equal(observations: Any, others: Tensor) -> Tensor:
    """(B,) bool: whether each observation equals the one whose number is in `others`."""
    same = each(observations, lambda tensor: (tensor == tensor[others]).reshape(len(tensor), -1).all(1))
    return torch.stack(tensors_of(same)).all(0)
