"""The optimisers that DQN can be told by name, and their state as plain arrays, for checkpoints."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from rltk.errors import ArgumentError, CheckpointError

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


def optimiser_of(
    name: str, parameters: Iterable[torch.nn.Parameter], learning_rate: float, options: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """The optimiser called `name`. ArgumentError for options that it does not take."""
    # One call of compiled code for all parameters, where torch has it.
    quick = {} if name == "rmsprop" or "foreach" in options else {"fused": True}
    try:
        return OPTIMISERS[name](list(parameters), lr=learning_rate, **{**quick, **options})  # type: ignore[call-arg]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"optimizer_kwargs: {name} does not take {dict(options)}: {error}") from None


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """What the optimiser remembers of each parameter: {number: {name: array or number}}."""
    kept = optimiser.state_dict()["state"]
    return {str(number): {name: _plain(value) for name, value in own.items()} for number, own in kept.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put back what `optimiser_state` gave. CheckpointError where it is of other parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for number, own in state.items():
        wrong = not number.isdigit() or int(number) >= len(parameters)
        shapes = {value.shape for value in own.values() if isinstance(value, np.ndarray) and value.ndim}
        if wrong or any(shape != tuple(parameters[int(number)].shape) for shape in shapes):
            raise CheckpointError(f"the saved optimiser's parameter {number} does not fit this network")
    groups = optimiser.state_dict()["param_groups"]
    tensors = {int(number): {name: _tensor(value) for name, value in own.items()} for number, own in state.items()}
    optimiser.load_state_dict({"state": tensors, "param_groups": groups})


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy().copy() if isinstance(value, torch.Tensor) else value


def _tensor(value: Any) -> Any:
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
