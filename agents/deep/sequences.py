"""The loss of a Q-network with memory: over sequences of an episode, as the memory went through them.

    L(w) = mean over the sequences' steps t of  loss( Q_w(o_0 ... o_t, a_t), R_t + gamma^k Q_w'(o_0 ... o_t+k, b) )

with R_t the discounted rewards of the next k = n_step steps, or of those that are left. A sequence that begins with its
episode is learnt from whole, since remembering nothing is right there; in any other the first `burn_in` steps only
bring the memory up to date, fewer where the steps before are lost, so that as many are learnt from.

Source: Kapturowski et al. (2019), "Recurrent experience replay in distributed reinforcement learning", section 2.3.
"""

from typing import Any

import torch
from torch import Tensor

from rltk.agents.deep.settings import Settings
from rltk.agents.deep.values import Values, best_actions, of_actions


def sequence_loss(network: Any, target: Any, values: Values, settings: Settings, batch: Any) -> tuple[Tensor, Tensor]:
    """(the loss (), each step's error (B, L), NaN where nothing is learnt from it) of a `rltk.replay.SequenceBatch`."""
    outputs = network.sequence(batch.observations, batch.starts)  # (B, L + 1, K, A, N)
    with torch.no_grad():
        later = target.sequence(batch.observations, batch.starts)  # (B, L + 1, K, A, N)
        best = best_actions(values.mean(outputs if settings.double else later), batch.masks)  # (B, L + 1, K)
        worth = of_actions(later, best)  # (B, L + 1, K, N)
        rewards, discounts, ahead = n_step_returns(batch, settings.gamma, settings.n_step)  # (B, L) each
        index = ahead[..., None, None].expand(*ahead.shape, *worth.shape[2:])
        worth = worth.gather(1, index)  # (B, L, K, N)
    chosen = of_actions(outputs[:, :-1], batch.actions[..., None].expand(*ahead.shape, outputs.shape[2]))
    heads = outputs.shape[2]
    rewards, discounts = (part[..., None].expand(*part.shape, heads) for part in (rewards, discounts))
    losses, errors = values.loss(chosen, worth, rewards, discounts)  # (B, L, K)
    steps = torch.arange(ahead.shape[1], device=ahead.device)
    # Of a sequence whose first steps the replay has lost, fewer go before.
    before = (batch.valid.sum(1, keepdim=True) - settings.sequence_length).clamp(0, settings.burn_in)  # (B, 1)
    learnt = batch.valid & (batch.starts[:, :1] | (steps >= before))  # (B, L)
    count = learnt.sum().clamp(min=1) * heads
    weighted = learnt.to(losses.dtype) if batch.weights is None else learnt * batch.weights[:, None]
    errors = torch.where(learnt, errors.abs().mean(-1), torch.nan)
    return (losses * weighted[..., None]).sum() / count, errors


def n_step_returns(batch: Any, gamma: float, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """(rewards, discounts, where to bootstrap), each (B, L): of up to n steps from each step on, none beyond the last
    valid one."""
    length = batch.rewards.shape[1]
    paid = torch.where(batch.valid, batch.rewards, 0)
    steps = torch.arange(length, device=paid.device)
    last = batch.valid.sum(1, keepdim=True)  # (B, 1) valid steps
    ahead = torch.minimum(steps + n, torch.maximum(last, steps[None] + 1))  # (B, L) the observation bootstrapped from
    total = torch.zeros_like(paid)
    for k in range(min(n, length)):
        shifted = torch.zeros_like(paid)
        shifted[:, : length - k] = paid[:, k:] if k else paid
        total += gamma**k * shifted
    ended = batch.terminated.gather(1, (ahead - 1).clamp(max=length - 1))  # the step that led there ended it
    discounts = gamma ** (ahead - steps).to(paid.dtype) * (~ended).to(paid.dtype)
    return total, discounts, ahead
