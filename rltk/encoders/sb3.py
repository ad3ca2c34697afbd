"""Encoders for Stable-Baselines3: `PPO("MlpPolicy", env, policy_kwargs=sb3_kwargs("my.safetensors", frozen=True))`.

Stable-Baselines3 makes a features extractor for each network that wants its own, of what it was given here; each gets a
fresh encoder. It shows observations otherwise than the environment does, and this is what is made of that:

    pictures are divided by 255       not here: `normalize_images` is False, and our stems scale by themselves
    pictures are laid out as C, H, W  they are turned back, so that an encoder made for H, W, C reads them
    indices become one-hots           our stems take floats for one-hots
    all numbers become floats         our stems compare symbols as floats as well
    policies of actor-critics draw    they do not touch weights that were loaded
      orthogonal weights for all

The weights are part of the keyword arguments and so of what SB3 saves: the file may be gone when a model is loaded.

Source: Stable-Baselines3 2.9, common/preprocessing.py, common/policies.py, common/vec_env/vec_transpose.py.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rltk.encoders.choosing import encoder_from, encoder_of, form_of
from rltk.encoders.encoder import Encoder
from rltk.encoders.saving import load_encoder
from rltk.encoders.trunks import TRUNKS
from rltk.errors import ArgumentError, SpaceError


def sb3_kwargs(
    encoder: str | Path | Mapping[str, Any] | Encoder | None = None, *, frozen: bool = False, **options: Any
) -> dict[str, Any]:
    """`policy_kwargs` for Stable-Baselines3's PPO, A2C, DQN and the rest, with any of its policies.

    encoder: the name of a trunk ("cnn" ...), with `options`, or a configuration (`encoder.config()`), for new weights;
    a file of `save_encoder`, or an Encoder, for its weights; None for what suits the space. frozen: the encoder stays
    in eval mode and as it is; False learns it on.

    Raises CheckpointError and UnknownNameError at once, SpaceError when SB3 makes the policy.
    """
    made: dict[str, Any] = {"frozen": bool(frozen)}
    if isinstance(encoder, str | Path) and encoder not in TRUNKS:
        if not Path(encoder).exists():
            raise ArgumentError(
                f"there is neither an encoder nor a file {str(encoder)!r}; there are {', '.join(TRUNKS)}, and files "
                "that rltk.encoders.save_encoder wrote"
            )
        encoder = load_encoder(encoder)
    if isinstance(encoder, Encoder):
        if options:
            raise ArgumentError(f"the encoder is made already, so it takes no options, but {options} were given")
        made |= {"config": encoder.config(), "space": encoder.observation_space}
        made["weights"] = {name: tensor.detach().cpu().clone() for name, tensor in encoder.state_dict().items()}
    elif isinstance(encoder, Mapping):
        made["config"] = {**encoder, **options}
    elif encoder is None or isinstance(encoder, str):
        made |= {"config": None if encoder is None else {"encoder": encoder}, "options": options}
    else:
        raise ArgumentError(f"encoder is {encoder!r}, but a name, a configuration, a file or an Encoder was expected")
    return {"features_extractor_class": Extractor, "features_extractor_kwargs": made, "normalize_images": False}


class Extractor(nn.Module):
    """A features extractor of Stable-Baselines3, `encoder` inside. Its arguments are those that `sb3_kwargs` makes."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        *,
        config: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        space: spaces.Space[Any] | None = None,
        weights: Mapping[str, Tensor] | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        own = _laid_out_as_before(observation_space) if space is None else space
        self.encoder: Encoder
        if config is None:
            self.encoder = encoder_of(None, own, options)
        else:
            self.encoder = encoder_from({**config, **(options or {})}, own)
        if weights is not None:
            self.encoder.load_state_dict(dict(weights))
        self._is_loaded, self.frozen = weights is not None, frozen
        self._turns = _turns(observation_space, self.encoder.observation_space)
        if frozen:
            self.requires_grad_(False).train(False)

    @property
    def features_dim(self) -> int:
        """How many features it gives."""
        return self.encoder.features_dim

    def forward(self, observations: Any) -> Tensor:
        """A batch of observations as SB3 has preprocessed them -> (B, features_dim)."""
        if isinstance(observations, dict):
            turned: Any = {name: _turned(part, self._turns[name]) for name, part in observations.items()}
        else:
            turned = _turned(observations, self._turns[""])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features: Tensor = self.encoder(turned)
        return features

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and not self.frozen)

    def apply(self, fn: Callable[[nn.Module], Any]) -> Self:
        """By this, SB3's policies draw new weights."""
        return self if self._is_loaded else super().apply(fn)


def _laid_out_as_before(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """`space` with its pictures laid out as before SB3 turned them to C, H, W."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict([(name, _laid_out_as_before(part)) for name, part in space.spaces.items()])
    if not isinstance(space, spaces.Box) or not _may_be_turned(space):
        return space
    low, high = (bound.transpose(1, 2, 0) for bound in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype.type)


def _may_be_turned(space: spaces.Box) -> bool:
    """Whether SB3 would have made this of a picture H, W, C: it turns those whose first side is not the shortest."""
    from stable_baselines3.common.preprocessing import is_image_space

    sides = space.shape
    return is_image_space(space) and sides[0] == min(sides) and sides[1] > sides[0]


def _turns(given: spaces.Space[Any], own: spaces.Space[Any]) -> dict[str, tuple[int, ...] | None]:
    """How the axes of each part's batch are permuted so that the encoder can read it; None where they are right."""
    if isinstance(given, spaces.Dict) != isinstance(own, spaces.Dict):
        raise _unfit(given, own)
    givens = given.spaces if isinstance(given, spaces.Dict) else {"": given}
    owns = own.spaces if isinstance(own, spaces.Dict) else {"": own}
    if set(owns) != set(givens):
        raise _unfit(given, own)
    turns: dict[str, tuple[int, ...] | None] = {}
    for name, mine in owns.items():
        sides, wanted = givens[name].shape or (), mine.shape or ()
        turns[name] = None
        if form_of(givens[name]) == form_of(mine):
            continue
        if not isinstance(givens[name], spaces.Box) or len(sides) != 3 or givens[name].dtype != mine.dtype:
            raise _unfit(given, own)
        if (sides[1], sides[2], sides[0]) == wanted:
            turns[name] = (0, 2, 3, 1)
        elif (sides[2], sides[0], sides[1]) == wanted:
            turns[name] = (0, 3, 1, 2)
        else:
            raise _unfit(given, own)
    return turns


def _unfit(given: spaces.Space[Any], own: spaces.Space[Any]) -> SpaceError:
    return SpaceError(
        f"the encoder was made for {form_of(own)}, but Stable-Baselines3 shows it {form_of(given)}; make one for this "
        "environment's observation_space"
    )


def _turned(part: Tensor, order: tuple[int, ...] | None) -> Tensor:
    return part if order is None else part.permute(order)
