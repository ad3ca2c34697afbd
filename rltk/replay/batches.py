"""What a replay hands out: a batch of transitions, a batch of sequences, and its arrays as they lie."""

from typing import Any, NamedTuple

import numpy as np
import torch

Observations = torch.Tensor | dict[str, torch.Tensor]


class Batch(NamedTuple):
    """B transitions, on the replay's device; `positions` says where they lie.

    An n-step target is rewards + discounts * value(next_observations): the discount is 0 where the episode terminated.
    """

    observations: Observations  # (B, ...)
    actions: torch.Tensor  # (B,) int64
    rewards: torch.Tensor  # (B,) float32: discounted sums of up to n rewards
    next_observations: Observations  # (B, ...)
    discounts: torch.Tensor  # (B,) float32: gamma^k after k steps
    next_masks: torch.Tensor | None  # (B, A) bool: which actions there are next
    weights: torch.Tensor | None  # (B,) float32: of importance sampling, where priorities are kept
    positions: np.ndarray  # (B,) int64
    extras: dict[str, torch.Tensor]  # (B, ...) each


class SequenceBatch(NamedTuple):
    """B sequences of up to L steps of one episode each; a shorter one is padded on the right.

    The last observation of a sequence is where its last step led to; what lies beyond it is repeats of that one.
    """

    observations: Observations  # (B, L + 1, ...)
    actions: torch.Tensor  # (B, L) int64
    rewards: torch.Tensor  # (B, L) float32
    terminated: torch.Tensor  # (B, L) bool
    valid: torch.Tensor  # (B, L) bool: the steps that are no padding
    starts: torch.Tensor  # (B, L + 1) bool: the observations that began an episode
    masks: torch.Tensor | None  # (B, L + 1, A) bool: which actions there are
    weights: torch.Tensor | None  # (B,) float32: of importance sampling, where priorities are kept
    positions: np.ndarray  # (B, L) int64; beyond the last step repeats of its own
    extras: dict[str, torch.Tensor]  # (B, L, ...) each


class Arrays(NamedTuple):
    """The replay's own NumPy arrays, not copies, for compiled code; `origin` and `last` point into `observations`."""

    observations: Any  # (slots, ...), or a dict of such
    origin: np.ndarray  # (capacity,) int32
    last: np.ndarray  # (capacity,) int32
    actions: np.ndarray  # (capacity,) int64
    rewards: np.ndarray  # (capacity,) float32
    discounts: np.ndarray  # (capacity,) float32
    masks: np.ndarray | None = None  # (slots, A) uint8: which actions there are, where masks are kept
