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

from rltk.agents.deep.networks.memory import Memory, State, check_widths
from rltk.errors import ArgumentError


class Transformer(Memory):
    """Features (B, F) of a step -> (B, `width`) from the last `steps` of them; heads divides width.

    The state is (features (B, steps - 1, F), which of them count (B, steps - 1) bool). Raises ArgumentError.
    """

    def __init__(self, inputs: int, width: int = 64, *, steps: int = 16, layers: int = 1, heads: int = 4) -> None:
        super().__init__()
        check_widths(inputs=inputs, width=width, steps=steps, layers=layers, heads=heads)
        if width % heads:
            raise ArgumentError(f"width {width} can't be shared by {heads} heads; give a multiple of {heads}")
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
        for layer in self.layers:
            hidden = layer(hidden, distance.clamp(0, self.window - 1), seen)
        out: Tensor = self.norm(hidden[:, self.steps - 1 :])  # (B, L, M)
        counts = counts & (episode == episode[:, -1:])
        return out, (x[:, length:], counts[:, length:])


class Layer(nn.Module):
    """One layer: attention, then two fully connected layers, each added to what it read."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_qkv, self.from_heads = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.by_distance = nn.Parameter(torch.zeros(heads, window))
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, distance: Tensor, seen: Tensor) -> Tensor:
        """x (B, T, M), distance (T, T) below the window, seen (B, T, T) bool -> (B, T, M)."""
        qkv = self.to_qkv(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, H, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, d) each
        bias = self.by_distance[:, distance].masked_fill(~seen[:, None], -torch.inf)  # (B, H, T, T)
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + self.from_heads(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.before_mlp(x))
