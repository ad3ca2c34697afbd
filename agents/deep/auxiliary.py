"""Objectives beside DQN's own loss: the encoder learns from both.

    L(w) = L_TD(w) + sum_k w_k L_k(encoder, batch)

over the same batches from the replay. The objectives' heads learn along, and are of no use to the agent.

Source: Jaderberg et al. (2017), "Reinforcement learning with unsupervised auxiliary tasks", section 3; Laskin, Srinivas
and Abbeel (2020), "CURL", section 4.
"""

from typing import Any

from torch import Tensor, nn

from rltk.agents.deep.settings import Settings
from rltk.errors import ArgumentError

_KNOWN = ("observations", "next_observations", "actions", "rewards", "terminated")  # in a replay


def auxiliary_of(settings: Settings, encoder: nn.Module, n_actions: int) -> nn.Module | None:
    """The weighted sum of objectives that `settings` ask for; None where they ask for none.

    Raises UnknownNameError, ArgumentError, and SpaceError where the observations lack what one of them needs.
    """
    if settings.mode != "auxiliary":
        return None
    from rltk.objectives import objectives_of

    wanted: Any = settings.objectives
    taught: Any = encoder
    made: Any = objectives_of(wanted, taught, actions=n_actions)
    unknown = [name for name in made.needs if name not in _KNOWN]
    if unknown:
        raise ArgumentError(
            f"objectives: they need {unknown[0]}, which an agent that learns does not know; pretrain the encoder by it"
        )
    if settings.n_step > 1 and set(made.needs) & {"next_observations", "actions"}:
        raise ArgumentError(
            f"objectives: {', '.join(made.names)} are about single steps, but the replay sums up n_step="
            f"{settings.n_step} of them; leave n_step out"
        )
    if settings.batch_size < made.least:
        raise ArgumentError(f"batch_size is {settings.batch_size}, but the objectives need {made.least} or more")
    return made


def auxiliary_loss(objective: Any, encoder: nn.Module, batch: Any) -> Tensor:
    """What the objectives add to the loss of a batch from the replay."""
    from rltk.objectives import Batch

    data = Batch(
        observations=batch.observations,
        next_observations=batch.next_observations,
        actions=batch.actions,
        rewards=batch.rewards,
        terminated=batch.discounts == 0,
    )
    total: Tensor = objective(encoder, data).total
    return total
