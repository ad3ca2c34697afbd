"""`rltk bench encoders`: an encoder with an objective beside bare torch modules of the same shapes.

Ours reads observations as they come, bytes and ids, and makes the autoencoder's loss and its gradients. The peer is the
same layers written out in torch, and its inputs are read beforehand: floats for the first layer, ids for the loss. So
what composition and reading cost is the whole difference. The feature table's peer is the bare forward pass over all
states, in batches too, whose features are put together. Updates are of 256 observations. CPU time, one thread, in
turns; on a GPU, whose work CPU time does not show, seconds on the clock, and rows in bfloat16 besides.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rltk.encoders import Encoder, feature_table
from rltk.objectives import Batch, objectives_of
from rltk.scripts.benchmarks.table import Row, in_turns
from rltk.scripts.benchmarks.timing import clock_of, device_rows, microseconds, one_thread

_BATCH, _UPDATES, _STATES, _TABLE_BATCH = 256, 4, 6_144, 1_024
_WIDTH = 64  # of tokens and of the decoder's places
_COUNTS = (11, 6, 4)  # MiniGrid's objects, colours and states
_HIGH = np.broadcast_to(np.array(_COUNTS, np.uint8) - 1, (7, 7, 3))
_BOARD = spaces.Box(np.zeros((7, 7, 3), np.uint8), _HIGH, dtype=np.uint8)
_PICTURE = spaces.Box(0, 255, (84, 84, 3), np.uint8)
_VECTOR = spaces.Box(-1, 1, (147,), np.float32)
_SEQUENCE = spaces.Box(-1, 1, (16, 32), np.float32)


@dataclass(frozen=True)
class Case:
    """`bare` makes the encoder's layers by hand; they read what `read` makes of our encoder's observations."""

    what: str
    space: spaces.Box
    trunk: str
    options: dict[str, Any]
    bare: Callable[[], nn.Module]
    features: int


def bench_encoders(rounds: int, device: str = "cpu") -> Iterator[Row]:
    """One row a case for an update, one for the feature table."""
    with one_thread():
        yield from device_rows(device)
        for case in CASES:
            yield _update_row(case, rounds, device, half=False)
            if device == "cuda":
                yield _update_row(case, rounds, device, half=True)
        for case in CASES:
            yield _table_row(case, rounds, device)


# The peers, written out


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(147, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())


def _small_cnn() -> nn.Module:
    layers = [nn.Conv2d(sum(_COUNTS), 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 49, 128), nn.ReLU())


def _picture_cnn() -> nn.Module:
    layers = [nn.Conv2d(3, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 49, 512), nn.ReLU())


class _BareTransformer(nn.Module):
    """Patches by a convolution, two layers of torch's own, the mean over places."""

    def __init__(self, channels: int, patch: int, places: int, features: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, _WIDTH, patch, patch)
        self.positions = nn.Parameter(torch.zeros(places, _WIDTH))
        layer = nn.TransformerEncoderLayer(
            _WIDTH, 4, 4 * _WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(_WIDTH), enable_nested_tensor=False)
        self.readout = nn.Linear(_WIDTH, features)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT + self.positions
        features: Tensor = self.readout(self.layers(tokens).mean(1))
        return features


class _BareLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Linear(32, _WIDTH)
        self.lstm = nn.LSTM(_WIDTH, _WIDTH, batch_first=True)
        self.readout = nn.Linear(_WIDTH, 128)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.readout(self.lstm(self.tokens(x))[0][:, -1])
        return features


CASES = (
    Case("147 numbers, mlp 64x64", _VECTOR, "mlp", {}, _mlp, 64),
    Case("7x7x3 symbols, cnn", _BOARD, "cnn", {}, _small_cnn, 128),
    Case("84x84x3 pixels, cnn", _PICTURE, "cnn", {}, _picture_cnn, 512),
    Case("7x7x3 symbols, transformer", _BOARD, "transformer", {}, lambda: _BareTransformer(21, 1, 49, 128), 128),
    Case("84x84x3 pixels, transformer", _PICTURE, "transformer", {}, lambda: _BareTransformer(3, 7, 144, 512), 512),
    Case("16x32 numbers, lstm", _SEQUENCE, "lstm", {}, _BareLSTM, 128),
)


def _update_row(case: Case, rounds: int, device: str, *, half: bool) -> Row:
    """Microseconds of a loss and its gradients."""
    torch.manual_seed(0)
    encoder = Encoder(case.space, case.trunk, token_width=_WIDTH, **case.options).to(device)
    objective = objectives_of("autoencoder", encoder).to(device)
    shown = _samples(case.space, _BATCH).to(device)
    batch = Batch(shown)
    bare = case.bare().to(device)
    decoder = _BareDecoder(encoder, case.features).to(device)
    part = encoder.parts[0]
    with torch.no_grad():
        read, ids = _read(encoder, shown), part.ids(shown) if part.values else None
        numbers = part.scaled(shown) if part.numbers else None

    mine, theirs = ([*one.parameters(), *other.parameters()] for one, other in ((encoder, objective), (bare, decoder)))

    def precision() -> AbstractContextManager[Any]:
        return torch.autocast(device, torch.bfloat16) if half else nullcontext()

    def ours(count: int) -> None:
        for _ in range(count):
            with precision():
                loss = objective(encoder, batch).total
            _backward(loss, mine)

    def peers(count: int) -> None:
        for _ in range(count):
            with precision():
                loss = decoder(bare(read), ids, numbers)
            _backward(loss, theirs)

    clock = clock_of(device)
    ours(1)
    peers(1)
    pair = in_turns(rounds, partial(microseconds, ours, _UPDATES, clock), partial(microseconds, peers, _UPDATES, clock))
    kind = ", bfloat16" if half else ""
    return _row(f"update, {case.what}{kind}; peer: torch", *pair)


def _table_row(case: Case, rounds: int, device: str) -> Row:
    """Microseconds a thousand states: the table, checks and copies included, beside the bare forward pass."""
    torch.manual_seed(0)
    encoder = Encoder(case.space, case.trunk, token_width=_WIDTH, **case.options)
    shown = _samples(case.space, _STATES)
    array, read = shown.numpy(), _read(encoder, shown).to(device)
    bare = case.bare().to(device).eval()

    def ours(count: int) -> None:
        feature_table(encoder, array, device=device)

    def peers(count: int) -> None:
        with torch.inference_mode():
            torch.cat([bare(part) for part in read.split(_TABLE_BATCH)]).cpu()

    clock, thousands = clock_of(device), _STATES // 1000
    ours(1)
    peers(1)
    pair = in_turns(
        rounds, partial(microseconds, ours, thousands, clock), partial(microseconds, peers, thousands, clock)
    )
    return _row(f"table, {case.what}; peer: torch", *pair)


class _BareDecoder(nn.Module):
    """The autoencoder's decoder and loss by hand."""

    def __init__(self, encoder: Encoder, features: int) -> None:
        super().__init__()
        (part,) = encoder.parts
        self.values, self.places = part.values, part.places
        self.layers = nn.Sequential(nn.Linear(features, part.places * _WIDTH), nn.ReLU())
        self.head = nn.Linear(_WIDTH, sum(part.values) + part.numbers)

    def forward(self, features: Tensor, ids: Tensor | None, numbers: Tensor | None) -> Tensor:
        said = self.head(self.layers(features).unflatten(1, (self.places, _WIDTH)))
        if ids is None:
            assert numbers is not None
            return 0.5 * (said - numbers).square().sum(-1).mean()
        logits = said.split(self.values, dim=-1)
        costs = [
            nn.functional.cross_entropy(one.flatten(0, 1), ids[..., channel].flatten())
            for channel, one in enumerate(logits)
        ]
        return torch.stack(costs).sum()


def _read(encoder: Encoder, shown: Tensor) -> Tensor:
    """What the first layer of the trunk, or of the patches, gets."""
    (part,) = encoder.parts
    read: Tensor = encoder.stem(shown) if encoder.trunk.stem == "flat" else part.read(shown)
    return read.contiguous()


def _samples(space: spaces.Box, count: int) -> Tensor:
    space.seed(0)
    return torch.from_numpy(np.stack([space.sample() for _ in range(count)]))


def _backward(loss: Tensor, weights: list[nn.Parameter]) -> None:
    for weight in weights:
        weight.grad = None
    loss.backward()


def _row(what: str, ours: float, peer: float) -> Row:
    return Row(what, f"{ours:,.0f} us", f"{peer:,.0f} us", f"{ours / peer:.3g}x time")
