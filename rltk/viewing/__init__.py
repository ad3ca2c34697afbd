"""Windows in which a person looks at agents: `watch` plays episodes under an agent, with its values laid over the map.

Names are loaded when they are first used, so `import rltk.viewing` reads neither pygame nor gymnasium.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltk.viewing.player import Player
    from rltk.viewing.watching import Watched, watch

_HOMES = {"Player": "player", "Watched": "watching", "watch": "watching"}

__all__ = ["Player", "Watched", "watch"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.viewing' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"rltk.viewing.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
