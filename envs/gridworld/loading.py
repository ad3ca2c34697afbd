"""Where maps come from: text, a file, or a name that is shipped."""

from pathlib import Path

from rltk.envs.gridworld.map import GridMap
from rltk.envs.gridworld.parse import parse_map
from rltk.envs.map_text import decoded
from rltk.errors import ArgumentError, MapError, UnknownNameError

MAPS = Path(__file__).parent / "maps"

MapSource = str | Path | GridMap


def shipped_maps() -> list[str]:
    """The names of the maps that come with rltk."""
    return sorted(path.stem for path in MAPS.glob("*.map"))


def load_map(source: MapSource) -> GridMap:
    """A map from its text (anything with a newline), a file's path, a shipped map's name, or as it is.

    Raises MapError (with line and column) for a map that is wrong, UnknownNameError where there is none.
    """
    if isinstance(source, GridMap):
        return source
    if not isinstance(source, str | Path):
        raise ArgumentError(f"map: a text, a path or a shipped map's name; found {type(source).__name__}")
    if isinstance(source, str) and "\n" in source:
        return parse_map(source)
    path = MAPS / f"{source}.map" if str(source) in shipped_maps() else Path(source)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, ValueError):
        raise UnknownNameError(
            f"map: there is no file {str(source)!r} and no shipped map of that name; shipped are "
            f"{', '.join(shipped_maps())}. A map given as text has a newline at the end of each line"
        ) from None
    except OSError as error:
        raise MapError(f"{path}: can't be read as a map ({error.strerror or error})") from None
    text = decoded(content, str(path))
    return parse_map(text, str(path) if path.parent != MAPS else path.name)
