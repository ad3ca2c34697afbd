"""A Transformer over the last k steps, as a memory.

In each layer a step attends to itself and to the w - 1 steps before it in its episode:

    x <- x + W_o concat_h softmax_j( q_h(x_i) . k_h(x_j) / sqrt(d) + b_h[i - j] ) v_h(x_j),   0 <= i - j < w
    x <- x + W_2 gelu(W_1 x)

with layer normalisation of what each line's right side reads. L layers see L (w - 1) steps back, so w is the largest
with L (w - 1) <= k - 1, and nothing older than k steps can matter. What tells steps apart is how long ago they were,
by a learnt number b for each head and distance, so a window may be cut anywhere. The state is the features of the
last k - 1 steps, and which of them belong to the episode.

Sources: Vaswani et al. (2017), "Attention is all you need", equation 1; Xiong et al. (2020), "On layer normalization in
the Transformer architecture", figure 1b, for where the norms stand; Raffel et al. (2020), section 2.1, for b.
"""

from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders import attention
from rltk.encoders.options import shared, sizes
from rltk.encoders.recurrence import Memory, State


class Transformer(Memory):
    """Features (B, F) of a step -> (B, `width`) from the last `steps` of them; heads divides width.

    The state is (features (B, steps - 1, F), which of them count (B, steps - 1) bool). Raises ArgumentError.
    """

    def __init__(self, inputs: int, width: int = 64, *, steps: int = 16, layers: int = 1, heads: int = 4) -> None:
        super().__init__()
        sizes(inputs=inputs, steps=steps, layers=layers)
        shared(width, heads)
        self.inputs, self.features_dim, self.steps = inputs, width, steps
        self.window = (steps - 1) // layers + 1
        self.embedding = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(Layer(width, heads, self.window) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def initial(self, batch: int) -> State:
        """Nothing seen: zeros that don't count."""
        features = self.embedding.weight.new_zeros(batch, self.steps - 1, self.inputs)
        return features, torch.zeros(batch, self.steps - 1, dtype=torch.bool, device=features.device)

    def sequence(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, L, F), state, (B, L) -> (B, L, M), state."""
        past, counts = state
        length = x.shape[1]
        x = torch.cat([past, x], dim=1)  # (B, T, F), T = steps - 1 + L
        counts = torch.cat([counts, torch.ones_like(start)], dim=1)  # (B, T)
        episode = torch.cat([torch.zeros_like(past[..., 0], dtype=torch.int64), start.cumsum(1)], dim=1)  # (B, T)
        place = torch.arange(x.shape[1], device=x.device)
        distance = place[:, None] - place  # (T, T), how long before i is j
        near = (distance >= 0) & (distance < self.window)
        seen = near & counts[:, None] & (episode[:, :, None] == episode[:, None])  # (B, T, T)
        seen = seen | (distance == 0)  # so that a softmax always has something to share out
        hidden = self.embedding(x)
        for each in self.layers:
            layer: Any = each
            hidden = layer.looking_back(hidden, distance.clamp(0, self.window - 1), seen)
        out: Tensor = self.norm(hidden[:, self.steps - 1 :])  # (B, L, M)
        counts = counts & (episode == episode[:, -1:])
        return out, (x[:, length:], counts[:, length:])


class Layer(attention.Layer):
    """A layer whose scores also depend on how long ago a step was, by `by_distance` (heads, window)."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__(width, heads)
        self.by_distance = nn.Parameter(torch.zeros(heads, window))

    def looking_back(self, x: Tensor, distance: Tensor, seen: Tensor) -> Tensor:
        """x (B, T, M), distance (T, T) below the window, seen (B, T, T) bool -> (B, T, M)."""
        bias = self.by_distance[:, distance].masked_fill(~seen[:, None], -torch.inf)  # (B, H, T, T)
        return self(x, bias)
