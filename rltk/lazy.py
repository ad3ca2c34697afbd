"""Names of a package that are loaded when they are first used (PEP 562), so that importing it reads little.

_HOMES = {"Streams": "streams", "linear": "schedules"}
__getattr__, __dir__ = lazily(__name__, _HOMES)
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from rltk.errors import UnknownAttributeError


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of `package`, which hands out the names in `homes`.

    homes: name -> the module below `package` that defines it; a module's own name, "sb3" or "a.b" for "b", gives the
    module. Whoever asks for another name gets an UnknownAttributeError that lists those there are.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise UnknownAttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(homes)}")
        home = import_module(f"{package}.{homes[name]}")
        value = home if homes[name].rpartition(".")[2] == name else getattr(home, name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: sorted(homes)
