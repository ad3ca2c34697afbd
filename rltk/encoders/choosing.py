"""Which encoder: by name, by what the space looks like, a module of one's own, or a function that makes one.

Nothing given means a CNN where something in the space lies on a 2-D board, and else an MLP.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from gymnasium import spaces
from torch import nn

from rltk.encoders.encoder import Encoder, called
from rltk.encoders.plain import Plain
from rltk.encoders.planes import has_layout
from rltk.encoders.trunks import TRUNKS
from rltk.errors import ArgumentError, SpaceError, UnknownNameError


def encoder_of(
    encoder: str | nn.Module | Callable[..., nn.Module] | None,
    observation_space: spaces.Space[Any],
    options: Mapping[str, Any] | None = None,
) -> Any:
    """The module that `encoder` asks for, with `features_dim` and, of rltk's own, all that an `Encoder` has.

    encoder: None (chosen by the space), the name of a trunk ("mlp", "cnn" ...), a module with `features_dim` (used as
    it is: two networks that
    are given the same one share it), or a callable(plain space, **options) that makes one. A module of one's own gets
    plain observations, is tried on two of them, and must give (2, features_dim).

    Raises UnknownNameError, ArgumentError and SpaceError.
    """
    space, options = Plain(observation_space).space, dict(options or {})
    if encoder is None:
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
        encoder = "cnn" if any(map(has_layout, parts)) else "mlp"
    if isinstance(encoder, str):
        if encoder not in TRUNKS:
            raise UnknownNameError(f"there is no encoder {encoder!r}; there are {', '.join(TRUNKS)}")
        return called(Encoder, space, {"trunk": encoder, **options}, "the encoder")
    if isinstance(encoder, nn.Module):
        if options:
            raise ArgumentError(f"the encoder is made already, so it takes no options, but {options} were given")
        made: Any = encoder
    elif callable(encoder):
        made = called(encoder, space, options, "the encoder")
    else:
        raise ArgumentError(f"encoder is {encoder!r}, but a name, a torch module or a callable was expected")
    _check(made, space)
    return made


def config_of(encoder: Any) -> dict[str, Any]:
    """`encoder` as plain JSON: what its `config` says, or the mere name of a module that has none."""
    if isinstance(encoder, Encoder):
        return encoder.config()
    return {"encoder": "module", "name": type(encoder).__qualname__}


def encoder_from(config: Mapping[str, Any], observation_space: spaces.Space[Any]) -> Encoder:
    """A new encoder of the form that `config` describes. Raises ArgumentError at the mere name of a module."""
    options = dict(config)
    kind = options.pop("encoder", None)
    if kind not in TRUNKS:
        raise ArgumentError(
            f"{dict(config)} describes no encoder that can be rebuilt; expected is one of {', '.join(TRUNKS)} under "
            '"encoder". Give the module itself where a module of your own was saved: encoder=...'
        )
    made: Encoder = called(Encoder, observation_space, {"trunk": kind, **options}, "the encoder")
    return made


def _check(module: Any, space: spaces.Space[Any]) -> None:
    """ArgumentError or SpaceError where a module of one's own can't serve this space."""
    width = getattr(module, "features_dim", None)
    if not isinstance(module, nn.Module) or not isinstance(width, int) or width < 1:
        raise ArgumentError(
            f"the encoder is a {type(module).__name__} with features_dim {width!r}, but a torch module was expected "
            "that says how many features it gives: module.features_dim = 64"
        )
    if isinstance(module, Encoder) and form_of(module.observation_space) != form_of(space):
        raise SpaceError(
            f"the encoder was made for {form_of(module.observation_space)}, but observations are {form_of(space)}; "
            "make one for this environment's observation_space"
        )
    tensors = [*module.parameters(), *module.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    try:
        with in_eval_mode(module), torch.no_grad(), torch.random.fork_rng(devices=[]):
            features = module(_two(space, device))
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ArgumentError(
            f"{type(module).__name__} can't take a batch of {form_of(space)}: {type(error).__name__}: {error}. It gets "
            "plain observations: rltk.encoders.Plain(space).space says which"
        ) from error
    if not isinstance(features, torch.Tensor) or features.shape != (2, width):
        found = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
        raise ArgumentError(f"{type(module).__name__} gave {found} for two observations; (2, {width}) was expected")


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Inside, `module` is in eval mode; afterwards each of its parts is in the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _two(space: spaces.Space[Any], device: torch.device) -> torch.Tensor | dict[str, torch.Tensor]:
    """Two observations at the low end of the space."""
    if isinstance(space, spaces.Dict):
        return {name: _two(part, device) for name, part in space.spaces.items()}  # type: ignore[misc]
    dtype = getattr(torch, str(space.dtype))
    pair = torch.zeros(2, *(space.shape or ()), dtype=dtype, device=device)
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        pair += torch.as_tensor(space.start, device=device)
    return pair


def form_of(space: spaces.Space[Any]) -> str:
    """A plain space in words, without the bounds of its boxes: an environment may offer tighter ones."""
    if isinstance(space, spaces.Dict):
        return "{" + ", ".join(f"{name}: {form_of(part)}" for name, part in space.spaces.items()) + "}"
    return f"{space.dtype} {space.shape}" if isinstance(space, spaces.Box) else str(space)
