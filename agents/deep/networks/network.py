"""The Q-network: an encoder, perhaps a memory, and a head.

    observations -> features (B, F) -> [memory (B, M)] -> outputs (B, K, A, N)

K heads, A actions, N atoms of a distribution; one head and one atom are the plain Q(s, a).
"""

from typing import Any, Self

import torch
from torch import Tensor, nn

from rltk.agents.deep.networks.heads import Head
from rltk.agents.deep.networks.memory import memory_of
from rltk.agents.deep.settings import Settings
from rltk.agents.deep.values import Values
from rltk.encoders.recurrence import Memory


class QNetwork(nn.Module):
    """`encoder`, then the memory and the head that `settings` ask for, for `n_actions` actions."""

    def __init__(self, encoder: Any, n_actions: int, settings: Settings, values: Values) -> None:
        super().__init__()
        self.encoder = encoder
        self.frozen = settings.mode == "frozen"
        if self.frozen:
            self.encoder.requires_grad_(False)
        width = int(encoder.features_dim)
        self.memory: Memory | None = None
        if settings.memory is not None:
            options = {"width": settings.memory_size}
            if settings.memory == "transformer":
                options["steps"] = settings.sequence_length
            self.memory = memory_of(settings.memory, width, options)
            width = self.memory.features_dim
        self.head = Head(
            width,
            n_actions,
            heads=settings.bootstrapped,
            atoms=values.atoms,
            hidden=settings.head_hidden,
            dueling=settings.dueling,
            noisy=settings.noisy,
        )

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.frozen:
            self.encoder.eval()  # no dropout, and no statistics that change
        return self

    def forward(self, observations: Any) -> Tensor:
        """(B, K, A, N) of a batch of observations; for networks without memory."""
        return self.head(self.encoder(observations))

    def step(self, observations: Any, recall: Any, start: Tensor) -> tuple[Tensor, Any]:
        """(outputs (B, K, A, N), recall) after one observation more; `start` (B,) bool forgets what was before."""
        assert self.memory is not None
        features, recall = self.memory.step(self.encoder(observations), recall, start)
        return self.head(features), recall

    def sequence(self, observations: Any, starts: Tensor) -> Tensor:
        """(B, L, K, A, N) of sequences (B, L, ...), remembering nothing at first; `starts` (B, L) bool."""
        assert self.memory is not None
        batch, length = starts.shape
        flat = _map(observations, lambda part: part.flatten(0, 1))
        features = self.encoder(flat).unflatten(0, (batch, length))  # (B, L, F)
        return self.head(self.memory.sequence(features, self.memory.initial(batch), starts)[0])


def _map(tree: Any, function: Any) -> Any:
    return {name: function(part) for name, part in tree.items()} if isinstance(tree, dict) else function(tree)


def to_device(observations: Any, device: torch.device) -> Any:
    """Plain observations, arrays, as tensors on `device`."""
    return _map(observations, lambda part: torch.as_tensor(part, device=device))
