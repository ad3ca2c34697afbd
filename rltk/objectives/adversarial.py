"""The adversarial autoencoder: codes that can't be told from draws of a prior.

    -ln p(o | z) / N  +  softplus(-D(z)), D fixed          the encoder: tell the observation, and pass for the prior
    softplus(D(z)), z fixed  +  softplus(-D(u)), u ~ N(0, I)       the discriminator D: tell codes z from draws u

Two players, one scalar: each term's gradient reaches one of the two alone, for the other stands in it as a constant. So
a single backward and step move both at once, where the paper takes them in turn. The encoder's term is the one that
keeps its gradient while D is sure (Goodfellow et al. 2014, section 3).

Source: Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial autoencoders", section 2.
"""

import torch
from torch import nn
from torch.func import functional_call

from rltk.encoders import Encoder
from rltk.encoders.options import sizes
from rltk.objectives.decoder import Decoder
from rltk.objectives.objective import Batch, Loss, Objective, perceptron, positive


class AdversarialAutoencoder(Objective):
    """latent: how many numbers z has. hidden: the discriminator's. weight: of the two adversarial terms."""

    def __init__(
        self, encoder: Encoder, *, latent: int = 32, hidden: int = 64, weight: float = 1.0, sigma: float = 1.0
    ) -> None:
        super().__init__(encoder, latent=latent, hidden=hidden, weight=weight, sigma=sigma)
        sizes(latent=latent, hidden=hidden)
        positive(weight=weight)
        self.weight = weight
        self.code = nn.Linear(encoder.features_dim, latent)
        self.decoder = Decoder(latent, encoder.parts, sigma=sigma)
        self.discriminator = perceptron(latent, hidden, 1)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        code = self.code(encoder(batch.observations))  # (B, latent)
        nll = self.decoder.nll(code, batch.observations).mean()
        fixed = {name: weights.detach() for name, weights in self.discriminator.named_parameters()}
        fooling = nn.functional.softplus(-functional_call(self.discriminator, fixed, (code,))).mean()
        prior = torch.randn_like(code)
        telling = nn.functional.softplus(self.discriminator(code.detach())).mean()
        telling = telling + nn.functional.softplus(-self.discriminator(prior)).mean()
        terms = {"nll": nll.detach(), "fooling": fooling.detach(), "telling": telling.detach()}
        return Loss(nll + self.weight * (fooling + telling), terms)
