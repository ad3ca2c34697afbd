"""Masked places: guess what some places hold from all the others.

    L = -mean over chosen places i of ln p(o_i | what is shown)

15% of the places are chosen, at least one of each observation. Of these 80% are hidden (zeros), 10% show what that
place holds in another observation, 10% stay as they are, so that a token has to know its place's contents whether or
not they are shown.

Where the trunk keeps its places, h_i = t_i + U phi(o) tells place i: its token, and the features, which so learn what
all places have in common. Elsewhere a decoder tells all places from the features.

Source: Devlin, Chang, Lee and Toutanova (2019), "BERT", section 3.1, task 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rltk.encoders import Encoder, Likelihood, exchanged
from rltk.errors import ArgumentError, SpaceError
from rltk.objectives.decoder import Decoder
from rltk.objectives.objective import Batch, Loss, Objective, another, each, positive

_HIDDEN, _EXCHANGED = 0.8, 0.1


class Chosen(NamedTuple):
    """Three (B, N) bool: the places to guess, those of them that are hidden, those that show something else."""

    chosen: Tensor
    hidden: Tensor
    exchanged: Tensor


def choose(batch: int, places: int, share: float, device: torch.device) -> Chosen:
    """Places drawn as above."""
    draw = torch.rand(batch, places, device=device)
    chosen = (draw < share) | (draw == draw.amin(1, keepdim=True))
    fate = torch.rand(batch, places, device=device)
    hidden = chosen & (fate < _HIDDEN)
    return Chosen(chosen, hidden, chosen & (fate >= _HIDDEN) & (fate < _HIDDEN + _EXCHANGED))


class Masked(Objective):
    """share: of places that are to be guessed. Raises SpaceError where there is one place alone."""

    def __init__(self, encoder: Encoder, *, share: float = 0.15, width: int = 64, sigma: float = 1.0) -> None:
        super().__init__(encoder, share=share, width=width, sigma=sigma)
        positive(share=share, sigma=sigma)
        if share > 1:
            raise ArgumentError(f"share is {share!r}, but a share of the places, at most 1, was expected")
        if encoder.places < 2:
            raise SpaceError(
                f"hidden places are guessed from the others, and {encoder.observation_space} has one place alone; use "
                '"autoencoder" or "vae"'
            )
        self.share, self.from_tokens = share, _aligned(encoder)
        if self.from_tokens:
            token = encoder.trunk.shapes[0].width
            self.context = nn.Linear(encoder.features_dim, token)
            self.likelihood = Likelihood(encoder.parts, token, sigma)
        else:
            self.decoder = Decoder(encoder.features_dim, encoder.parts, width, sigma)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        seen = batch.observations
        count, device = len(batch), next(self.parameters()).device
        places = choose(count, encoder.places, self.share, device)
        others = another(count, device)
        shown = exchanged(encoder.parts, seen, each(seen, lambda tensor: tensor[others]), places.exchanged)
        if self.from_tokens:
            tokens, features = encoder.both(shown, places.hidden)
            nll = self.likelihood.nll(tokens + self.context(features)[:, None], seen)  # (B, N)
        else:
            nll = self.decoder.nll(encoder(shown, places.hidden), seen)
        loss = (nll * places.chosen).sum() / places.chosen.sum()
        return Loss(loss, {"nll": loss.detach()})


def _aligned(encoder: Encoder) -> bool:
    """Whether token i stands where place i of an observation is, all tokens being of one width."""
    shapes = encoder.trunk.shapes
    one_width = len({shape.width for shape in shapes}) == 1
    return encoder.trunk.keeps_places and one_width and sum(shape.places for shape in shapes) == encoder.places
