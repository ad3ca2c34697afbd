"""The head: from features to the values of all actions, in all the forms that DQN's variants ask for.

    plain           Q(s, a) = w_a . phi(s) + b_a
    dueling         Q(s, a) = V(s) + A(s, a) - mean_b A(s, b)
    bootstrapped    K heads, each with weights of its own
    distributional  N numbers an action: logits of the atoms of a return, or its quantiles

and any of them at once: the last three axes are heads, actions and atoms (K, A, N). Subtracting the mean says which
part of Q is V; with several heads or atoms it is done in each for itself.

Sources: Wang et al. (2016), "Dueling network architectures", equation 9; Osband et al. (2016), "Deep exploration via
bootstrapped DQN", section 4; Bellemare et al. (2017), "A distributional perspective"; Hessel et al. (2018), "Rainbow".
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from operator import index

import torch
from torch import Tensor, nn

from rltk.agents.deep.networks.noisy import NoisyLinear
from rltk.errors import ArgumentError


class Head(nn.Module):
    """Features (..., F) -> (..., K, A, N): `heads` K, `n_actions` A, `atoms` N.

    hidden: the widths of ReLU layers before the last one; each head has its own, and if dueling V and A each theirs.
    noisy: all layers are `NoisyLinear`. `out` gives the actions' numbers, and `value`, if dueling, the state's; without
    hidden layers each is one linear layer, K heads being K blocks of its rows. Raises ArgumentError.
    """

    def __init__(
        self,
        features_dim: int,
        n_actions: int,
        *,
        heads: int = 1,
        atoms: int = 1,
        hidden: Sequence[int] = (),
        dueling: bool = False,
        noisy: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"features_dim": features_dim, "n_actions": n_actions, "heads": heads, "atoms": atoms}
        for name, value in [*sizes.items(), *(("hidden", width) for width in hidden)]:
            _check_whole(name, value)
        self.features_dim, self.n_actions, self.heads, self.atoms = features_dim, n_actions, heads, atoms
        self.hidden = tuple(hidden)
        self.out = _layers((features_dim, *hidden), heads, n_actions * atoms, noisy)
        self.value = _layers((features_dim, *hidden), heads, atoms, noisy) if dueling else None

    def forward(self, features: Tensor) -> Tensor:
        """(..., F) -> (..., K, A, N)."""
        values: Tensor = self.out(features).unflatten(-1, (self.heads, self.n_actions, self.atoms))
        if self.value is None:
            return values
        state = self.value(features).unflatten(-1, (self.heads, 1, self.atoms))  # (..., K, 1, N)
        return state + values - values.mean(dim=-2, keepdim=True)

    def resample(self) -> None:
        """Draw new noise in all noisy layers; nothing happens where there are none."""
        for layer in self._noisy():
            layer.resample()

    @contextmanager
    def mean_weights(self) -> Iterator[None]:
        """Within it, noisy layers use their means alone."""
        before = [(layer, layer.silent) for layer in self._noisy()]
        for layer, _ in before:
            layer.silent = True
        try:
            yield
        finally:
            for layer, silent in before:
                layer.silent = silent

    def _noisy(self) -> Iterator[NoisyLinear]:
        return (layer for layer in self.modules() if isinstance(layer, NoisyLinear))


class SideBySide(nn.ModuleList):
    """Networks that see the same features; what they give stands side by side in the last axis."""

    def forward(self, features: Tensor) -> Tensor:
        """(..., F) -> (..., sum of their widths)."""
        return torch.cat([network(features) for network in self], dim=-1)


def _layers(widths: Sequence[int], heads: int, outputs: int, noisy: bool) -> nn.Module:
    """(..., widths[0]) -> (..., heads * outputs), the heads' numbers one after the other."""
    if len(widths) == 1:
        return _linear(widths[0], heads * outputs, noisy)
    if heads > 1:
        return SideBySide(_layers(widths, 1, outputs, noisy) for _ in range(heads))
    layers = nn.Sequential()
    for inputs, width in pairwise(widths):
        layers.extend([_linear(inputs, width, noisy), nn.ReLU()])
    return layers.append(_linear(widths[-1], outputs, noisy))


def _linear(inputs: int, outputs: int, noisy: bool) -> nn.Module:
    return NoisyLinear(inputs, outputs) if noisy else nn.Linear(inputs, outputs)


def _check_whole(name: str, value: int) -> None:
    try:
        number = index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ArgumentError(f"{name} is {value!r}, but integers of at least 1 were expected")
