"""What an encoder is: a torch module from the observations of one space to features (batch, features_dim)."""

from typing import Any

from gymnasium import spaces
from torch import Tensor, nn

from rltk.encoders.plain import Plain


class Encoder(nn.Module):
    """The base of rltk's encoders.

    `observation_space` is the plain form of the space that it was made for; `features_dim` is the width of what it
    gives. The constructor is that of Stable-Baselines3's feature extractors: the space, then options by name.
    """

    features_dim: int

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        super().__init__()
        self.observation_space = Plain(observation_space).space

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """A batch of plain observations, its first axis B, -> (B, features_dim)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Plain JSON that `encoder_from(config, observation_space)` makes an encoder of the same form of."""
        raise NotImplementedError
