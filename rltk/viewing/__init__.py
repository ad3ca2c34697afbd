"""Windows in which a person looks at agents: `watch` plays episodes under an agent, with its values laid over the map.

Names are loaded when they are first used, so `import rltk.viewing` reads neither pygame nor gymnasium.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

if TYPE_CHECKING:
    from rltk.viewing.player import Player
    from rltk.viewing.watching import Watched, watch

_HOMES = {"Player": "player", "Watched": "watching", "watch": "watching"}

__all__ = ["Player", "Watched", "watch"]

__getattr__, __dir__ = lazily(__name__, _HOMES)
