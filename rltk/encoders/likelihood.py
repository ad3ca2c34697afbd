"""How likely an observation is, given what a decoder says of each place.

    ids        -ln p(x) = -ln softmax(W h + b)[x]                         for each id of a place
    numbers    -ln p(x) = (x - mu)^2 / (2 sigma^2) + ln(sigma sqrt(2 pi)),  mu = W h + b, for each number

in nats, summed over a place. Pixels are numbers from 0 to 1. sigma is given, not learnt: it sets what a number's error
weighs beside an id's; a decoder that learns it makes it vanish where a number never changes.
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.parts import Part, of_part


class Likelihood(nn.Module):
    """`heads`, a linear layer for each part. width: D of what the decoder gives. sigma: of all numbers."""

    def __init__(self, parts: Sequence[Part], width: int, sigma: float = 1.0) -> None:
        super().__init__()
        self.width, self.sigma = width, sigma
        self.parts = nn.ModuleList(deepcopy(part) for part in parts)  # they have no weights, but move to a device
        self.heads = nn.ModuleList(nn.Linear(width, sum(part.values) + part.numbers) for part in parts)
        self.counts = [part.places for part in parts]
        self.places = sum(self.counts)

    def nll(self, decoded: Tensor, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """decoded (B, N, D) -> (B, N) nats: what each place of the observations costs."""
        if len(self.counts) == 1:
            lone: Any = self.parts[0]
            return self._of(lone, self.heads[0](decoded), of_part(observations, lone))
        pieces: Any = zip(self.parts, self.heads, decoded.split(self.counts, dim=1), strict=True)
        return torch.cat([self._of(part, head(h), of_part(observations, part)) for part, head, h in pieces], dim=1)

    def guess(self, decoded: Tensor) -> list[tuple[Tensor | None, Tensor | None]]:
        """Of each part the most likely ids (B, n, C) and numbers (B, n, K), None where it has none."""
        found = []
        pieces: Any = zip(self.parts, self.heads, decoded.split(self.counts, dim=1), strict=True)
        for part, head, h in pieces:
            *logits, mu = head(h).split([*part.values, part.numbers], dim=-1)
            ids = torch.stack([one.argmax(-1) for one in logits], dim=-1) if logits else None
            found.append((ids, mu if part.numbers else None))
        return found

    def _of(self, part: Any, said: Tensor, x: Any) -> Tensor:
        """said (B, n, values and numbers) -> (B, n)."""
        if not part.values:
            return self._of_numbers(part, said, x)
        *logits, mu = said.split([*part.values, part.numbers], dim=-1)
        ids = part.ids(x)  # (B, n, C)
        costs = [
            nn.functional.cross_entropy(scores.mT, ids[..., channel], reduction="none")
            for channel, scores in enumerate(logits)
        ]
        if part.numbers:
            costs.append(self._of_numbers(part, mu, x))
        return sum(costs[1:], costs[0])

    def _of_numbers(self, part: Any, mu: Tensor, x: Any) -> Tensor:
        """mu (B, n, K) -> (B, n)."""
        squares, count = nn.functional.mse_loss(mu, part.scaled(x), reduction="none"), part.numbers
        if part.inside is not None:
            squares, count = squares * part.inside, part.inside.sum(-1)
        constant = math.log(self.sigma * math.sqrt(2 * math.pi))
        return squares.sum(-1) * (0.5 / self.sigma**2) + constant * count
