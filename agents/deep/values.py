"""What a Q-network's outputs mean: an expected return, its distribution over fixed atoms, or its quantiles.

Each kind turns the outputs z (..., N) of an action into its value, and says how far the outputs of the action taken lie
from their target, for r the reward of the step (or of n steps) and d = gamma^k its discount, 0 where it terminated:

    expected      N = 1    Q = z              target  y = r + d z'                     loss  huber(z - y)
    categorical   N atoms  Q = sum p_i x_i    target  the atoms r + d x_i, projected   loss  cross entropy
    quantile      N levels Q = mean z_i       target  y_j = r + d z'_j                 loss  quantile Huber loss

Sources: Mnih et al. (2015), "Human-level control through deep reinforcement learning"; Bellemare, Dabney and Munos
(2017), "A distributional perspective on reinforcement learning", algorithm 1; Dabney et al. (2018), "Distributional
reinforcement learning with quantile regression", equations 9 and 10.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, mse_loss

from rltk.errors import ArgumentError

KINDS = ("expected", "categorical", "quantile")
LOSSES = ("huber", "squared")


class Values(Protocol):
    """A kind of values. Shapes: ... is (B, K), the batch and the heads."""

    atoms: int

    def mean(self, outputs: Tensor) -> Tensor:
        """(..., A, N) outputs as (..., A) action values."""
        ...

    def loss(self, outputs: Tensor, next_outputs: Tensor, rewards: Tensor, discounts: Tensor) -> tuple[Tensor, Tensor]:
        """(loss (...), error (...)) of the actions taken: outputs (..., N), those of the best next actions (..., N),
        rewards (...), discounts (...). The error is what prioritised replay goes by."""
        ...


@dataclass(frozen=True)
class Expected:
    """The expected return itself. loss: "huber", quadratic within 1 and linear beyond, or "squared"."""

    huber: bool = True
    atoms: int = 1

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs[..., 0]

    def loss(self, outputs: Tensor, next_outputs: Tensor, rewards: Tensor, discounts: Tensor) -> tuple[Tensor, Tensor]:
        chosen = outputs[..., 0]
        target = rewards + discounts * next_outputs[..., 0]
        measure = huber_loss if self.huber else mse_loss
        return measure(chosen, target, reduction="none"), (chosen - target).detach()


@dataclass(frozen=True)
class Categorical:
    """A distribution over `atoms` returns, evenly spaced from `lowest` to `highest`."""

    atoms: int = 51
    lowest: float = -10.0
    highest: float = 10.0

    def __post_init__(self) -> None:
        if self.atoms < 2 or not self.lowest < self.highest:
            raise ArgumentError(
                f"categorical values need at least 2 atoms and v_min below v_max; found {self.atoms} from "
                f"{self.lowest:g} to {self.highest:g}"
            )

    def support(self, like: Tensor) -> Tensor:
        """(N,) the returns that the atoms stand for."""
        return torch.linspace(self.lowest, self.highest, self.atoms, dtype=like.dtype, device=like.device)

    def mean(self, outputs: Tensor) -> Tensor:
        return (outputs.softmax(-1) * self.support(outputs)).sum(-1)

    def loss(self, outputs: Tensor, next_outputs: Tensor, rewards: Tensor, discounts: Tensor) -> tuple[Tensor, Tensor]:
        target = self.projected(next_outputs.softmax(-1), rewards, discounts)
        cross = -(target * outputs.log_softmax(-1)).sum(-1)
        # The Kullback-Leibler divergence, as Rainbow takes it for priorities: 0 where the target is met.
        entropy = -torch.special.xlogy(target, target).sum(-1)
        return cross, (cross - entropy).detach()

    def projected(self, chances: Tensor, rewards: Tensor, discounts: Tensor) -> Tensor:
        """(..., N): the distribution of r + d X, X distributed by `chances`, shared between neighbouring atoms."""
        support = self.support(chances)
        spacing = (self.highest - self.lowest) / (self.atoms - 1)
        moved = rewards[..., None] + discounts[..., None] * support  # (..., N)
        places = (moved.clamp(self.lowest, self.highest) - self.lowest) / spacing
        # Atom i receives what lies within one spacing of it, in proportion to the nearness.
        atoms = torch.arange(self.atoms, dtype=chances.dtype, device=chances.device)
        nearness = (1 - (places[..., None, :] - atoms[:, None]).abs()).clamp(min=0)  # (..., N to, N from)
        return (nearness * chances[..., None, :]).sum(-1)


@dataclass(frozen=True)
class Quantile:
    """`atoms` quantiles of the return, at the middles (2i + 1) / 2N of even levels."""

    atoms: int = 51

    def __post_init__(self) -> None:
        if self.atoms < 1:
            raise ArgumentError(f"quantile values need at least 1 atom; found {self.atoms}")

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.mean(-1)

    def loss(self, outputs: Tensor, next_outputs: Tensor, rewards: Tensor, discounts: Tensor) -> tuple[Tensor, Tensor]:
        target = rewards[..., None] + discounts[..., None] * next_outputs  # (..., N)
        gaps = target[..., None, :] - outputs[..., :, None]  # (..., N levels, N targets)
        levels = (torch.arange(self.atoms, dtype=outputs.dtype, device=outputs.device) + 0.5) / self.atoms
        # Being below the quantile and being above it are weighted so that the minimum is the quantile.
        weights = (levels[:, None] - (gaps.detach() < 0).to(outputs.dtype)).abs()
        measured = huber_loss(gaps, torch.zeros_like(gaps), reduction="none")
        losses = (weights * measured).mean(-1).sum(-1)
        return losses, (target.mean(-1) - outputs.mean(-1)).detach()


def values_of(kind: str, loss: str, atoms: int, v_min: float, v_max: float) -> Any:
    """The kind of values called `kind`. ArgumentError for one there is not."""
    if loss not in LOSSES:
        raise ArgumentError(f"loss is one of {', '.join(LOSSES)}; it is {loss!r}")
    if kind == "expected":
        return Expected(huber=loss == "huber")
    if kind == "categorical":
        return Categorical(atoms, v_min, v_max)
    if kind == "quantile":
        return Quantile(atoms)
    raise ArgumentError(f"values is one of {', '.join(KINDS)}; it is {kind!r}")


def best_actions(values: Tensor, masks: Tensor | None) -> Tensor:
    """(...) the first of the best among (..., A) values; masks says what can be done, without the axis of heads."""
    if masks is not None:
        values = values.masked_fill(~masks.unsqueeze(-2), -torch.inf)
    return values.argmax(-1)


def of_actions(outputs: Tensor, actions: Tensor) -> Tensor:
    """(..., N) of the (..., A, N) outputs those of (...) actions."""
    index = actions[..., None, None].expand(*actions.shape, 1, outputs.shape[-1])
    return outputs.gather(-2, index).squeeze(-2)
