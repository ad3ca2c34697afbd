"""Noisy layers: exploration from noise on the weights, whose size is learnt.

    y = (mu_w + sigma_w * eps_w) x + mu_b + sigma_b * eps_b

The noise is factorised: with p inputs and q outputs it takes p + q Gaussian numbers,

    eps_w[j, i] = f(eps_j) f(eps_i),   eps_b[j] = f(eps_j),   f(x) = sign(x) sqrt(|x|)

At first mu is uniform within +- 1 / sqrt(p), and sigma is sigma_0 / sqrt(p) with sigma_0 = 0.5.

Source: Fortunato et al. (2018), "Noisy networks for exploration", equations 9 to 11 and section 3.2.
"""

import math

import torch
from torch import Tensor, nn

SIGMA_0 = 0.5


class NoisyLinear(nn.Module):
    """(..., inputs) -> (..., outputs) with noise on weights and biases, which stays the same until `resample`.

    Without noise (the means alone) in eval mode, and while `silent` is True. The noise is saved with the weights, for
    what a resumed run does next depends on it. It comes from torch's default generator of the layer's device.
    """

    noise_in: Tensor
    noise_out: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.weight_sigma = nn.Parameter(torch.full((outputs, inputs), SIGMA_0 * bound))
        self.bias_sigma = nn.Parameter(torch.full((outputs,), SIGMA_0 * bound))
        self.register_buffer("noise_in", torch.empty(inputs))
        self.register_buffer("noise_out", torch.empty(outputs))
        self.silent = False
        self.resample()

    @torch.no_grad()
    def resample(self) -> None:
        """Draw new noise."""
        for noise in (self.noise_in, self.noise_out):
            noise.normal_()
            noise.copy_(noise.sign() * noise.abs().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        if self.silent or not self.training:
            return nn.functional.linear(x, self.weight, self.bias)
        weight = self.weight + self.weight_sigma * torch.outer(self.noise_out, self.noise_in)  # (outputs, inputs)
        return nn.functional.linear(x, weight, self.bias + self.bias_sigma * self.noise_out)

    def extra_repr(self) -> str:
        return f"inputs={self.weight.shape[1]}, outputs={self.weight.shape[0]}"
