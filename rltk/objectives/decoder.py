"""Decoders: from a row of numbers back to the places of an observation.

    h_i = ReLU(V_i z + c_i)    for each place i,    then the likelihood of the contents of place i given h_i

The likelihood (`rltk.encoders.Likelihood`) fits what a place holds: a softmax for ids, a Gaussian for numbers.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from rltk.encoders import Likelihood, Part
from rltk.encoders.options import sizes
from rltk.objectives.objective import Observations, positive


class Decoder(nn.Module):
    """`layers` from (B, inputs) to (B, N, width), `likelihood` from there on. sigma: of all numbers, in their own
    unit, pixels in 0..1. Raises ArgumentError."""

    def __init__(self, inputs: int, parts: Sequence[Part], width: int = 64, sigma: float = 1.0) -> None:
        super().__init__()
        sizes(inputs=inputs, width=width)
        positive(sigma=sigma)
        places = sum(part.places for part in parts)
        self.layers = nn.Sequential(nn.Linear(inputs, places * width), nn.ReLU(), nn.Unflatten(1, (places, width)))
        self.likelihood = Likelihood(parts, width, sigma)

    def nll(self, code: Tensor, observations: Observations) -> Tensor:
        """code (B, inputs) -> (B, N) nats: what each place of the observations costs."""
        return self.likelihood.nll(self.layers(code), observations)
