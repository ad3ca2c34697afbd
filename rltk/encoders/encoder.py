"""What an encoder is: a torch module from the observations of one space to features.

    features = readout(trunk(stem(observations)))          (B, features_dim)

The stem reads any plain observation as places with numbers (`parts`, `stem`), the trunk makes of these what it can, the
readout brings it into one row. Each trunk works with each space that has what it declares to need; what stands between
them is a list of tensors, one a part, so no pair of them has a class of its own.
"""

from collections.abc import Callable
from typing import Any, cast

from gymnasium import spaces
from torch import Tensor, nn

from rltk.encoders.flat import Flat
from rltk.encoders.options import sizes
from rltk.encoders.parts import Part, Shape, parts_of
from rltk.encoders.plain import Plain
from rltk.encoders.readout import Readout
from rltk.encoders.stem import AsPlanes, AsTokens
from rltk.encoders.trunks import TRUNKS, Trunk
from rltk.encoders.trunks.convolutions import is_large
from rltk.encoders.trunks.own import Own
from rltk.encoders.trunks.trunk import places_of
from rltk.errors import ArgumentError, UnknownNameError

STEMS = ("flat", "planes", "tokens")


class Encoder(nn.Module):
    """`stem`, `trunk`, `readout`. The constructor is that of Stable-Baselines3's feature extractors.

    trunk: the name of one (`rltk.encoders.TRUNKS`), a Trunk class, or any torch module that makes (B, n, d) or (B, d)
    of (B, N, D). options: the trunk's own. features_dim: how many features; None for 512 where there is a picture and
    else 128, or what the trunk gives where the readout is "none". stem: "flat", "planes", "tokens"; readout: "none",
    "flatten", "mean", "class", "last"; None for the ones that go with the trunk. token_width: D, of the stem "tokens".
    pictures: True says that numbers on boards are pixels, to be divided by 255, False that they are not; None asks the
    space. channels: "first", "last", or None for the axis that looks like it.

    `observation_space` is the plain form of the space, `parts` what it consists of.
    Raises SpaceError where the trunk needs what the space does not have, ArgumentError and UnknownNameError.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        trunk: str | type[Trunk] | nn.Module = "mlp",
        *,
        features_dim: int | None = None,
        stem: str | None = None,
        readout: str | None = None,
        token_width: int = 64,
        pictures: bool | None = None,
        channels: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.observation_space = Plain(observation_space).space
        make = _trunk_class(trunk, options)
        wanted = make.stem if stem is None else stem
        if wanted not in STEMS:
            raise UnknownNameError(f"there is no stem {wanted!r}; there are {', '.join(STEMS)}")
        if features_dim is not None:
            sizes(features_dim=features_dim)
        sizes(token_width=token_width)
        parts = parts_of(self.observation_space, pictures=pictures, channels=channels)
        self.stem: Any
        if wanted == "flat":
            self.stem = Flat(self.observation_space, pictures=pictures, channels=channels)
            shapes = [Shape(1, self.stem.width)]
        else:
            self.stem = AsTokens(parts, token_width) if wanted == "tokens" else AsPlanes(parts)
            shapes = self.stem.shapes
        self.trunk = _made(trunk, make, shapes, options, flat=wanted == "flat")
        kind = readout or (make.readout if features_dim is None or make.readout != "none" else "flatten")
        large = any(is_large(part.raw) for part in parts)
        self.readout = Readout(kind, self.trunk.shapes, features_dim or (512 if large else 128))
        self.features_dim = self.readout.features_dim
        self._parts = nn.ModuleList(parts)
        self._config = {
            "features_dim": features_dim,
            "stem": stem,
            "readout": readout,
            "token_width": token_width,
            "pictures": pictures,
            "channels": channels,
        }
        self._name = next((name for name, one in TRUNKS.items() if one is make), None)

    @property
    def parts(self) -> list[Part]:
        """What an observation consists of; their places, in turn, are the N places."""
        return cast(list[Part], list(self._parts))

    @property
    def places(self) -> int:
        """N, the places of an observation."""
        return sum(part.places for part in self.parts)

    def forward(self, observations: Tensor | dict[str, Tensor], hidden: Tensor | None = None) -> Tensor:
        """A batch of plain observations, its first axis B, -> (B, features_dim). hidden: as `tokens` takes it."""
        features: Tensor = self.readout(self.trunk(self.stem(observations, hidden)))
        return features

    def tokens(self, observations: Tensor | dict[str, Tensor], hidden: Tensor | None = None) -> Tensor:
        """What the trunk gives, as one sequence (B, n, d). hidden: (B, N) bool, places that are shown as zeros.

        Place i stands where place i of the observation is if `trunk.keeps_places`.
        """
        return places_of(self.trunk(self.stem(observations, hidden)))

    def both(self, observations: Tensor | dict[str, Tensor], hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(`tokens`, `forward`) of one pass through the trunk."""
        tensors = self.trunk(self.stem(observations, hidden))
        return places_of(tensors), self.readout(tensors)

    def config(self) -> dict[str, Any]:
        """Plain JSON that `encoder_from(config, observation_space)` makes an encoder of the same form of."""
        if self._name is None:
            return {"encoder": "module", "name": type(getattr(self.trunk, "module", self.trunk)).__qualname__}
        return {"encoder": self._name, **self._config, **self.trunk.config()}


def _trunk_class(trunk: Any, options: dict[str, Any]) -> type[Trunk]:
    if isinstance(trunk, str):
        if trunk not in TRUNKS:
            raise UnknownNameError(f"there is no trunk {trunk!r}; there are {', '.join(TRUNKS)}")
        return TRUNKS[trunk]
    if isinstance(trunk, type) and issubclass(trunk, Trunk):
        return trunk
    if not isinstance(trunk, nn.Module):
        raise ArgumentError(f"trunk is {trunk!r}, but a name, a Trunk class or a torch module was expected")
    if options:
        raise ArgumentError(f"the trunk is made already, so it takes no options, but {options} were given")
    return Own


def _made(trunk: Any, make: Callable[..., Any], shapes: list[Shape], options: dict[str, Any], *, flat: bool) -> Trunk:
    if make is Own:
        return Own(shapes, trunk, flat=flat)
    made: Trunk = called(make, shapes, options, "the trunk")
    return made


def called(make: Callable[..., Any], first: Any, options: dict[str, Any], what: str) -> Any:
    """make(first, **options). Options that it does not take are an ArgumentError; its own errors stay as they are."""
    import inspect

    try:
        signature = inspect.signature(make)
    except ValueError:  # of some builtins
        return make(first, **options)
    try:
        signature.bind(first, **options)
    except TypeError as error:
        raise ArgumentError(f"{what} can't be made with the options {options}: {error}; it takes {signature}") from None
    return make(first, **options)
