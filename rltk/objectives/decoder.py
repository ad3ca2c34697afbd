"""Decoders: from a row of numbers back to the places of an observation.

    h_i = ReLU(V_i z + c_i)                    for each place i, then the likelihood of the contents of i given h_i
    h_i = ReLU(U ReLU(W z + p_i) + u)          the same for many places, of which only p_i is a place's own

The likelihood (`rltk.encoders.Likelihood`) fits what a place holds: a softmax for ids, a Gaussian for numbers. The
second line takes the place of the first where all V_i together had more than 2^23 weights.

Source of the second: Watters et al. (2019), "Spatial broadcast decoder", with learned positions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rltk.encoders import Likelihood, Part
from rltk.encoders.options import sizes
from rltk.objectives.objective import Observations, positive

_MOST_WEIGHTS = 2**23


class Decoder(nn.Module):
    """`layers` from (B, inputs) to (B, N, width), `likelihood` from there on. sigma: of all numbers, in their own
    unit, pixels in 0..1. Raises ArgumentError."""

    def __init__(self, inputs: int, parts: Sequence[Part], width: int = 64, sigma: float = 1.0) -> None:
        super().__init__()
        sizes(inputs=inputs, width=width)
        positive(sigma=sigma)
        places = sum(part.places for part in parts)
        if inputs * places * width <= _MOST_WEIGHTS:
            self.layers = nn.Sequential(nn.Linear(inputs, places * width), nn.ReLU(), nn.Unflatten(1, (places, width)))
        else:
            self.layers = nn.Sequential(Broadcast(inputs, places, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.likelihood = Likelihood(parts, width, sigma)

    def nll(self, code: Tensor, observations: Observations) -> Tensor:
        """code (B, inputs) -> (B, N) nats: what each place of the observations costs."""
        return self.likelihood.nll(self.layers(code), observations)


class Broadcast(nn.Module):
    """z (B, inputs) -> (B, places, width): W z, the same at each place, and the place's own p_i."""

    def __init__(self, inputs: int, places: int, width: int) -> None:
        super().__init__()
        self.shared = nn.Linear(inputs, width)
        self.positions = nn.Parameter(torch.randn(places, width))

    def forward(self, code: Tensor) -> Tensor:
        spread: Tensor = self.shared(code)[:, None] + self.positions
        return spread
