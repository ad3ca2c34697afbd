"""How updates are made: in torch as they are written down, by torch.compile, or by one kernel. All learn the same."""

from typing import Any, Protocol

import numpy as np
import torch

from rltk.errors import ArgumentError
from rltk.replay import PrioritisedReplay

BACKENDS = ("auto", "torch", "compiled")


class Updates(Protocol):
    """What a backend does for a DQN."""

    def train(self, count: int) -> list[float]:
        """Make `count` updates from the replay and return their losses. LearningError where one is not finite."""
        ...

    def sync_target(self, tau: float) -> None:
        """target <- tau network + (1 - tau) target."""
        ...

    def greedy(self, observations: Any, masks: np.ndarray | None) -> np.ndarray:
        """(n,) the best actions for plain observations (n, ...), among those that masks (n, A) allow."""
        ...

    def refresh(self) -> None:
        """The networks were loaded: drop what was made of the old ones."""
        ...


class TorchUpdates:
    """The reference: each update as it is written down."""

    def __init__(self, learner: Any) -> None:
        self.learner = learner
        self.parameters = [p for p in learner.network.parameters() if p.requires_grad]

    def train(self, count: int) -> list[float]:
        learner, losses = self.learner, []
        learner.network.train()
        for _ in range(count):
            learner.resample_noise()
            batch = learner.sample()
            loss, errors = learner.loss(batch)
            losses.append(self.step(loss, batch))
            if isinstance(learner.replay, PrioritisedReplay):
                learner.replay.update(batch.positions, errors.cpu().numpy())
        return losses

    def step(self, loss: torch.Tensor, batch: Any) -> float:
        """One step of the optimiser; the loss."""
        self.learner.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.learner.settings.max_grad_norm)
        value, length = loss.item(), norm.item()
        if not (np.isfinite(value) and np.isfinite(length)):
            raise self.learner.broken(batch)
        self.learner.optimiser.step()
        return value

    def sync_target(self, tau: float) -> None:
        target, own = list(self.learner.target.parameters()), list(self.learner.network.parameters())
        with torch.no_grad():
            if tau == 1.0:
                torch._foreach_copy_(target, own)
            else:
                torch._foreach_lerp_(target, own, tau)
            for kept, buffer in zip(self.learner.target.buffers(), self.learner.network.buffers(), strict=True):
                kept.copy_(buffer)  # running statistics, say

    def greedy(self, observations: Any, masks: np.ndarray | None) -> np.ndarray:
        return self.learner.greedy_actions(observations, masks)

    def refresh(self) -> None:
        pass


def updates_of(learner: Any, backend: str) -> Updates:
    """The backend called `backend` for `learner`. ArgumentError for one there is not."""
    if backend not in BACKENDS:
        raise ArgumentError(f"backend is one of {', '.join(BACKENDS)}; it is {backend!r}")
    return TorchUpdates(learner)
