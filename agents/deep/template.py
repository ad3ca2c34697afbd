"""A deep learner of your own: copy this file, change the loss, and train.

The one here is DQN with a softened maximum, SARSA's expected form under an epsilon-greedy policy's limit:

    L(w) = mean huber( Q_w(s, a) - [ r + gamma (1 - terminated) ((1 - u) max_b Q_w'(s', b) + u mean_b Q_w'(s', b)) ] )

with u = 0.05, and both max and mean over the actions that there are in s'. A loss takes a `rltk.replay.Batch`, whose
tensors are on the learner's device, and returns (the loss (), each transition's error (B,)). A batch's `discounts` are
gamma, or gamma^n after n steps, or 0 where the episode terminated.

Replay, exploration, target network, checkpoints, `predict`, exact evaluation and torch.compile come from `DQN`:

    import gymnasium as gym, rltk
    from my_dqn import SoftenedDQN

    env = gym.make("rltk/FourRooms-v0")
    agent = SoftenedDQN(env, seed=0, backend="compiled").learn(20_000, progress_bar=True)
    print(rltk.evaluate(agent, env))
    agent.save("my_agent")
    agent = SoftenedDQN.load("my_agent", env).learn(20_000)

For other networks than an encoder's, give `encoder=` a torch module of your own with `features_dim`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from rltk.agents.deep.dqn import DQN

WEIGHT = 0.05


class SoftenedDQN(DQN):
    """DQN with a softened maximum. Its form of the loss is for plain values: one head, no memory."""

    name = "softened_dqn"

    def loss(self, batch: Any) -> tuple[Tensor, Tensor]:
        """(the loss (), each transition's error (B,)) of a batch. The equation at the top of this file."""
        values = self.network(batch.observations)[:, 0, :, 0]  # (B, A) of the only head's only number
        chosen = values.gather(1, batch.actions[:, None])[:, 0]  # (B,)
        with torch.no_grad():
            target = batch.rewards + batch.discounts * softened(
                self.target(batch.next_observations)[:, 0, :, 0], batch.next_masks
            )  # (B,)
        losses = huber_loss(chosen, target, reduction="none")  # (B,)
        weighted = losses if batch.weights is None else batch.weights * losses  # weights: of prioritised replay
        return weighted.mean(), (chosen - target).detach()


def softened(values: Tensor, masks: Tensor | None) -> Tensor:
    """(B,) of values (B, A): most of the maximum and a little of the mean, over the actions that masks (B, A) allow."""
    if masks is None:
        masks = torch.ones_like(values, dtype=torch.bool)
    best = values.masked_fill(~masks, -torch.inf).amax(1)
    mean = (values * masks).sum(1) / masks.sum(1)
    return (1 - WEIGHT) * best + WEIGHT * mean
