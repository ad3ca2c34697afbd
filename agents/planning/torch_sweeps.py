"""Synchronous sweeps in PyTorch, for value iteration on a GPU.

    rows:     q = r + gamma sum_i w_i v(s'_i)            w_i = p_i, or 0 where the outcome ends; gathers, then sums
    compact:  q = x noise^T,  x(s, m) = r + gamma v      a gather, then a product with a small matrix

All numbers are float64: float32 stalls far above the usual tolerance. Rows of about the same length are filled up to
one and summed as a matrix, so that no sum depends on the order in which a device's threads arrive. Sweeps stay on the
device; of every `EVERY` of them one number triple comes back, the range of the changes and the size of the values.

Source: Puterman (1994), sections 6.3 and 6.6.3, as in `value_iteration`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Report
from rltk.errors import ArgumentError, SizeError
from rltk.mdp import MDP
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows

EVERY = 8


class Block(NamedTuple):
    """Rows of about the same length, filled up to K outcomes; what they are filled up with weighs nothing."""

    row: torch.Tensor  # (n,) int64
    reward: torch.Tensor  # (n,) float64
    next_state: torch.Tensor  # (n * K,) int32
    weight: torch.Tensor  # (n, K) float64


class RowTables(NamedTuple):
    """The general form on a device."""

    unavailable: torch.Tensor  # (S * A,) float64, all -inf: what a sweep fills in
    blocks: tuple[Block, ...]
    n_actions: int

    def sweep(self, value: torch.Tensor, gamma: float) -> torch.Tensor:
        """(S,) float64: T `value` (S,)."""
        q = self.unavailable.clone()  # (S * A,)
        for block in self.blocks:
            worth = value.index_select(0, block.next_state).view(block.weight.shape)  # (n, K)
            q.index_copy_(0, block.row, block.reward + gamma * (block.weight * worth).sum(1))
        return q.view(-1, self.n_actions).amax(1)


class MoveTables(NamedTuple):
    """The compact form on a device."""

    moves: torch.Tensor  # (S * M,) int32
    noise: torch.Tensor  # (M, A) float64: transposed
    reward: torch.Tensor  # (S, M) by move, or (S,) by the state entered
    terminated: torch.Tensor  # (S, M) by move, or (S,) by the state entered
    absorbing: torch.Tensor  # (S,) bool

    def sweep(self, value: torch.Tensor, gamma: float) -> torch.Tensor:
        """(S,) float64: T `value` (S,)."""
        shape = -1, self.noise.shape[0]
        worth = gamma * value  # (S,)
        if self.terminated.ndim == 1:
            worth = worth.masked_fill(self.terminated, 0.0)
        target = worth.index_select(0, self.moves).view(shape)  # (S, M)
        if self.terminated.ndim == 2:
            target = target.masked_fill(self.terminated, 0.0)
        if self.reward.ndim == 1:
            target = target + self.reward.index_select(0, self.moves).view(shape)
        else:
            target = target + self.reward
        q = target @ self.noise  # (S, A)
        return q.amax(1).masked_fill(self.absorbing, 0.0)


Tables = RowTables | MoveTables


def checked_device(device: Any) -> torch.device:
    """`device` as one that is there and computes in float64; an ArgumentError that says what to do otherwise."""
    try:
        asked = torch.device(device)
    except (RuntimeError, TypeError):
        raise ArgumentError(f'device is "cpu", "cuda" or "cuda:1"; it is {device!r}') from None
    if asked.type not in ("cpu", "cuda"):
        raise ArgumentError(f'device is "cpu" or "cuda" (float64 is needed for certified bounds); it is {device!r}')
    if asked.type == "cuda" and not torch.cuda.is_available():
        raise ArgumentError(
            f"device is {device!r}, but torch {torch.__version__} finds no CUDA device here. Leave device out to sweep "
            "on all CPU cores; for a GPU install its driver and a CUDA build of torch (https://pytorch.org)"
        )
    if asked.type == "cuda" and (asked.index or 0) >= torch.cuda.device_count():
        raise ArgumentError(f"device is {device!r}, but there are {torch.cuda.device_count()} CUDA devices, from 0")
    return asked


def tables_of(mdp: MDP, device: torch.device) -> Tables:
    """The arrays that a sweep needs, on `device`."""

    def placed(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, device=device)  # a copy: the MDP's arrays are read-only

    if isinstance(mdp.form, Moves):
        form = mdp.form
        return MoveTables(
            placed(form.moves.reshape(-1)),
            placed(np.ascontiguousarray(form.noise.T)),
            placed(form.reward),
            placed(form.terminated),
            placed(form.absorbing),
        )
    blocks = tuple(Block(*(placed(array) for array in arrays)) for arrays in _blocks(mdp.form))
    unavailable = torch.full((mdp.n_states * mdp.n_actions,), -np.inf, dtype=torch.float64, device=device)
    return RowTables(unavailable, blocks, mdp.n_actions)


def _blocks(rows: Rows) -> list[tuple[np.ndarray, ...]]:
    """Row numbers, rewards, next states and weights of the rows whose lengths lie between the same powers of 2."""
    lengths = np.diff(rows.row_start)
    reward = rows.expected_reward.reshape(-1)
    found: list[tuple[np.ndarray, ...]] = []
    for power in np.unique(np.ceil(np.log2(lengths[lengths > 0]))):
        row = np.flatnonzero((lengths > np.floor(2.0 ** (power - 1))) & (lengths <= 2**power))
        offset = np.arange(lengths[row].max())
        inside = offset < lengths[row, None]  # (n, K)
        at = np.where(inside, rows.row_start[row, None] + offset, rows.row_start[row, None])
        weight = np.where(inside & ~rows.terminated[at], rows.probability[at], 0.0)
        found.append((row, reward[row], rows.next_state[at].reshape(-1), weight))
    return found


def iterate(
    certifier: Certifier,
    value: np.ndarray,
    tolerance: float,
    max_sweeps: int,
    report: Report,
    device: torch.device,
) -> tuple[np.ndarray, int]:
    """(value (S,), sweeps): sweeps on `device` until the bounds are within the tolerance, or only rounding is left.

    SizeError where the device has too little memory.
    """
    try:
        tables = tables_of(certifier.mdp, device)
        return _iterate(tables.sweep, certifier, torch.tensor(value, device=device), tolerance, max_sweeps, report)
    except torch.OutOfMemoryError as error:
        raise SizeError(
            f"{certifier.mdp} does not fit into the memory of {device}: {error}. Leave device out to sweep on the CPU"
        ) from None


def _iterate(
    sweep: Callable[[torch.Tensor, float], torch.Tensor],
    certifier: Certifier,
    value: torch.Tensor,
    tolerance: float,
    max_sweeps: int,
    report: Report,
) -> tuple[np.ndarray, int]:
    sweeps, best, best_at = 0, np.inf, 0
    while sweeps < max_sweeps and sweeps - best_at <= 1000:
        before = value
        for _ in range(min(EVERY, max_sweeps - sweeps)):
            before, value = value, sweep(value, certifier.gamma)
            sweeps += 1
        least, most, largest = facts(before, value).tolist()
        half_width = certifier.shift_of(least, most, certifier.rounding(np.array([largest]))).half_width
        report(sweeps, half_width)
        if half_width <= tolerance:
            break
        if half_width < best:
            best, best_at = half_width, sweeps
    return value.cpu().numpy(), sweeps


def facts(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """(3,): the least and the most change of any state, and the largest size of a value before; all on the device."""
    change = after - before
    return torch.stack([change.amin(), change.amax(), before.abs().amax()])
