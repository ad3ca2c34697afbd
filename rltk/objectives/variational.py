"""The variational autoencoder: a latent variable model of observations, whose posterior the encoder approximates.

    ELBO(o) = E_q [ln p(o | z)] - KL(q(z | o) || p(z))  =  ln p(o) - KL(q(z | o) || p(z | o))

    p(z) = N(0, I),   q(z | o) = N(mu, diag(sigma^2)),   z = mu + sigma * noise,  noise ~ N(0, I)
    KL(q || p) = sum_j (mu_j^2 + sigma_j^2 - 1) / 2 - ln sigma_j

    L = -E_q [ln p(o | z)] + beta KL            in nats an observation; with beta = 1, L = -ELBO

mu and sigma are linear in the features, sigma through a softplus, which can't overflow as an exponential does. What is
used afterwards are the features. A small decoder sigma makes numbers worth telling; with a large one all codes become
the prior.

Source: Kingma and Welling (2014), "Auto-encoding variational Bayes", equations 3 and 10, appendix B; beta of Higgins et
al. (2017), "beta-VAE", equation 4.
"""

import torch
from torch import Tensor, nn

from rltk.encoders import Encoder
from rltk.encoders.options import sizes
from rltk.objectives.decoder import Decoder
from rltk.objectives.objective import Batch, Loss, Objective, Observations, positive

_LEAST = 1e-6  # A sigma of zero would have an infinite KL.


def kl_from_prior(mean: Tensor, deviation: Tensor) -> Tensor:
    """(B,) nats: KL(N(mean, diag(deviation^2)) || N(0, I)), of two (B, latent)."""
    return (0.5 * (mean.square() + deviation.square() - 1) - deviation.log()).sum(1)


class VariationalAutoencoder(Objective):
    """latent: how many numbers z has. beta: weight of the KL. width, sigma: the decoder's."""

    def __init__(
        self, encoder: Encoder, *, latent: int = 32, beta: float = 1.0, width: int = 64, sigma: float = 1.0
    ) -> None:
        super().__init__(encoder, latent=latent, beta=beta, width=width, sigma=sigma)
        sizes(latent=latent)
        positive(beta=beta)
        self.beta = beta
        self.posterior_head = nn.Linear(encoder.features_dim, 2 * latent)
        self.decoder = Decoder(latent, encoder.parts, width, sigma)

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F) -> mean and standard deviation of q, two (B, latent)."""
        mean, raw = self.posterior_head(features).chunk(2, dim=1)
        return mean, nn.functional.softplus(raw) + _LEAST

    def terms(self, features: Tensor, observations: Observations, noise: Tensor) -> tuple[Tensor, Tensor]:
        """-ln p(o | z) at z = mu + sigma * noise, noise (B, latent), and KL(q || p): two (B,), nats."""
        mean, deviation = self.posterior(features)
        nll = self.decoder.nll(mean + deviation * noise, observations).sum(1)
        return nll, kl_from_prior(mean, deviation)

    def elbo(self, encoder: Encoder, observations: Observations, draws: int = 1) -> Tensor:
        """(B,) nats: the bound on ln p(o) from below, its expectation estimated from `draws` of z."""
        features = encoder(observations)
        total = features.new_zeros(len(features))
        for _ in range(draws):
            nll, kl = self.terms(features, observations, self._noise(features))
            total = total - nll - kl
        return total / draws

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        features = encoder(batch.observations)
        nll, kl = self.terms(features, batch.observations, self._noise(features))
        nll, kl = nll.mean(), kl.mean()
        return Loss(nll + self.beta * kl, {"nll": nll.detach(), "kl": kl.detach(), "elbo": -(nll + kl).detach()})

    def _noise(self, features: Tensor) -> Tensor:
        latent = self.posterior_head.out_features // 2
        return torch.randn(len(features), latent, dtype=features.dtype, device=features.device)
