"""What options of layers are checked for: an ArgumentError names the option, what it was and what was expected."""

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from rltk.errors import ArgumentError


def sizes(**options: int) -> None:
    """ArgumentError, by name, where one of `options` is no integer of at least 1."""
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ArgumentError(f"{name} is {value!r}, but an integer of at least 1 was expected")


def widths(name: str, given: Sequence[int], *, least: int = 0) -> tuple[int, ...]:
    """`given` as ints of at least 1, `least` of them or more. Raises ArgumentError that calls them `name`."""
    try:
        checked = tuple(index(width) for width in given)
    except TypeError:
        checked = (0,)
    if any(width < 1 for width in checked) or len(checked) < least:
        raise ArgumentError(f"{name} is {given!r}, but widths of layers were expected, such as (64, 64)")
    return checked


def chosen(name: str, value: Any, among: Iterable[str]) -> None:
    """ArgumentError where `value` is none of the names `among`."""
    if value not in (names := tuple(among)):
        raise ArgumentError(f"{name} is {value!r}, but one of {', '.join(names)} was expected")


def shared(width: int, heads: int) -> None:
    """ArgumentError where `heads` can't share `width` evenly."""
    sizes(width=width, heads=heads)
    if width % heads:
        raise ArgumentError(f"width {width} can't be shared by {heads} heads; give a multiple of {heads}")
