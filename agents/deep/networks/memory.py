"""What a memory is: the part of a network that makes features of this step from those of the steps before as well.

An agent that sees only a part of the world acts on more than it sees by keeping a state from step to step. Learning
goes through whole sequences at once, and both ways have to agree: `sequence` gives what `step` gives one after the
other. `recurrent` holds LSTM, GRU and SRU, and `transformer` one that looks back at the last k steps.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from rltk.errors import ArgumentError, UnknownNameError

State = Tensor | tuple[Tensor, ...]

MEMORIES = {
    "lstm": "rltk.agents.deep.networks.recurrent.LSTM",
    "gru": "rltk.agents.deep.networks.recurrent.GRU",
    "sru": "rltk.agents.deep.networks.recurrent.SRU",
    "transformer": "rltk.agents.deep.networks.transformer.Transformer",
}


class Memory(nn.Module, ABC):
    """Features (B, F) of a step -> (B, M), which may depend on the steps before; `features_dim` is M.

    A state is a tensor or a tuple of tensors whose first axis is the batch. `start` marks the first steps of episodes:
    what was before them is forgotten.
    """

    features_dim: int

    @abstractmethod
    def initial(self, batch: int) -> State:
        """The state of `batch` agents that have seen nothing, in the type and on the device of the weights."""

    def step(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """One step: x (B, F), start (B,) bool -> (B, M) and the next state."""
        out, state = self.sequence(x[:, None], state, start[:, None])
        return out[:, 0], state

    @abstractmethod
    def sequence(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """L steps: x (B, L, F), start (B, L) bool -> (B, L, M) and the state after them."""


def memory_of(memory: str | Memory, inputs: int, options: Mapping[str, Any] | None = None) -> Memory:
    """A memory named "lstm", "gru", "sru" or "transformer" for features of width `inputs`; or `memory` itself.

    Raises UnknownNameError and ArgumentError.
    """
    options = dict(options or {})
    if isinstance(memory, Memory):
        if options:
            raise ArgumentError(f"the memory is made already, so it takes no options, but {options} were given")
        return memory
    if memory not in MEMORIES:
        raise UnknownNameError(f"there is no memory {memory!r}; there are {', '.join(MEMORIES)}")
    module, _, name = MEMORIES[memory].rpartition(".")
    kind = getattr(import_module(module), name)
    try:
        inspect.signature(kind).bind(inputs, **options)
    except TypeError as error:
        raise ArgumentError(
            f"the memory {memory!r} can't be made with the options {options}: {error}; it takes "
            f"{inspect.signature(kind)}"
        ) from None
    made: Memory = kind(inputs, **options)
    return made


def check_widths(**widths: Any) -> None:
    """ArgumentError where one of them is no integer of at least 1."""
    for name, width in widths.items():
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise ArgumentError(f"{name} is {width!r}, but an integer of at least 1 was expected")
