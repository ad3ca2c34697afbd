"""Attention, and the layers of the Transformer that are made of it.

    attention(q, k, v)_i = sum_j softmax_j( q_i . k_j / sqrt(d) + b_ij ) v_j              d: width of a head

    Layer          x <- x + W_o [attention of each head](norm x, norm x);           x <- x + W_2 gelu(W_1 norm x)
    DecoderLayer   the same, and between the two lines                              x <- x + W_o' [...](norm x, memory)

q, k and v are linear in what is attended from, to and to; heads lie side by side; b_ij is 0, or minus infinity where i
may not see j. Norms stand before each product (pre-norm), so the gradients of all layers are alike at the start and no
warm-up of the learning rate is needed. For the same reason torch's initialisation is left as it is: what a product
reads has variance 1 whatever came before, and weights uniform within 1 / sqrt(inputs) make of it variance 1/3, less
than what it is added to.

    sinusoidal positions   p(i, 2 k) = sin(i / 10000^(2 k / D)),   p(i, 2 k + 1) = cos(i / 10000^(2 k / D))

Sources: Vaswani et al. (2017), "Attention is all you need", equation 1 and sections 3.2.2, 3.2.3 and 3.5; Xiong et al.
(2020), "On layer normalization in the Transformer architecture", figure 1b and section 3, for where the norms stand.
"""

import torch
from torch import Tensor, nn

from rltk.encoders.options import shared


class Layer(nn.Module):
    """One layer: each place attends to all, then two fully connected layers. width: M. heads: H, divides M.

    Raises ArgumentError.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        shared(width, heads)
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_qkv, self.from_heads = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x (B, T, M), bias None or one that broadcasts to (B, H, T, T) -> (B, T, M)."""
        x = self.attended(x, bias)
        return x + self.mlp(self.before_mlp(x))

    def attended(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The first line: x and what it attends to of itself."""
        q, k, v = (by_head(part, self.heads) for part in self.to_qkv(self.before_attention(x)).chunk(3, dim=-1))
        return x + self.from_heads(joined(nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)))


class DecoderLayer(Layer):
    """A layer whose places attend to those of a memory as well. Raises ArgumentError."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.before_memory = nn.LayerNorm(width)
        self.to_q, self.to_kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.from_memory = nn.Linear(width, width)

    def decode(self, x: Tensor, memory: Tensor, bias: Tensor | None = None) -> Tensor:
        """x (B, m, M), memory (B, n, M), bias of x on itself -> (B, m, M)."""
        x = self.attended(x, bias)
        q = by_head(self.to_q(self.before_memory(x)), self.heads)
        k, v = (by_head(part, self.heads) for part in self.to_kv(memory).chunk(2, dim=-1))
        x = x + self.from_memory(joined(nn.functional.scaled_dot_product_attention(q, k, v)))
        return x + self.mlp(self.before_mlp(x))


class Decoder(nn.Module):
    """The decoder of a Transformer: `layers` of them and a norm. It says of each query what the memory tells of it.

    causal: a query sees itself and those before it alone, as where they are the words of a sentence shifted by one.
    Raises ArgumentError.
    """

    def __init__(self, width: int, *, layers: int = 1, heads: int = 4, causal: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads) for _ in range(layers))
        self.norm, self.causal = nn.LayerNorm(width), causal

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """queries (B, m, M), memory (B, n, M) -> (B, m, M)."""
        bias = unseen_after(queries) if self.causal else None
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            queries = layer.decode(queries, memory, bias)
        out: Tensor = self.norm(queries)
        return out


def by_head(x: Tensor, heads: int) -> Tensor:
    """(B, T, M) -> (B, H, T, M / H)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """(B, H, T, M / H) -> (B, T, M)."""
    return x.transpose(1, 2).flatten(2)


def unseen_after(x: Tensor) -> Tensor:
    """(T, T) for x (B, T, M): minus infinity where j is after i, else 0."""
    return x.new_full((x.shape[1], x.shape[1]), -torch.inf).triu(1)


def sinusoidal(places: int, width: int) -> Tensor:
    """(places, width) positions by the formula above."""
    pair = torch.arange(width) // 2 * 2
    angle = torch.arange(places)[:, None] / 10_000 ** (pair / width).double()  # (places, width)
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos()).float()
