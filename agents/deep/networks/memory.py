"""Memories by name: the part of a network that makes features of this step from those of the steps before as well.

An agent that sees only a part of the world acts on more than it sees by keeping a state from step to step. Learning
goes through whole sequences at once, and both ways have to agree. `rltk.encoders.recurrence` says what a memory is and
holds LSTM, GRU and SRU, and `transformer` here one that looks back at the last k steps.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from rltk.encoders.recurrence import Memory
from rltk.errors import ArgumentError, UnknownNameError

MEMORIES = {
    "lstm": "rltk.encoders.recurrence.LSTM",
    "gru": "rltk.encoders.recurrence.GRU",
    "sru": "rltk.encoders.recurrence.SRU",
    "transformer": "rltk.agents.deep.networks.transformer.Transformer",
}


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
