"""The words for what stands on a cell: `WORDS` from words to code (`cells.py`), `words_of` back.

    empty, lava, "red key", "blue ball", "purple floor", "grey wall", "green goal"
    "yellow door open", "yellow door closed", "yellow door locked"
    "green box", "green box with red key", "green box with blue ball"

A door of which no state is said is closed; walls of which no colour is said are grey, goals green.
"""

from functools import cache
from typing import Any

import numpy as np

from rltk.envs.minigrid import cells
from rltk.errors import ArgumentError

EXPECTED = (
    "a colour and a thing, such as 'red key', 'blue ball', 'yellow door locked' (or open, closed), 'green box', "
    f"'green box with red key', 'green goal', 'purple floor', 'grey wall', or 'lava' or 'empty'; "
    f"colours are {', '.join(cells.COLOURS)}"
)


def _name(code: int) -> str:
    """A thing's colour and kind."""
    kind, colour, _ = cells.TRIPLES[code].tolist()
    return f"{cells.COLOURS[colour]} {cells.TYPES[kind]}"


def _words(code: int) -> str:
    if code == cells.EMPTY or code == cells.LAVA:
        return "empty" if code == cells.EMPTY else "lava"
    if cells.FLAGS[code] & cells.IS_DOOR:
        return f"{_name(code)} {cells.STATES[cells.TRIPLES[code, 2]]}"
    if cells.FLAGS[code] & cells.IS_BOX and cells.contents_of(code) != cells.EMPTY:
        return f"{_name(code)} with {_name(cells.contents_of(code))}"
    return _name(code)


_OF_CODE = ("", *(_words(code) for code in range(1, cells.N_CODES)))
WORDS = {words: code for code, words in enumerate(_OF_CODE) if code}
WORDS |= {f"{colour} door": WORDS[f"{colour} door closed"] for colour in cells.COLOURS}
WORDS |= {"wall": WORDS["grey wall"], "goal": WORDS["green goal"]}


def words_of(code: int) -> str:
    """The words for a code from 1 to `cells.N_CODES` - 1."""
    return _OF_CODE[code]


@cache
def _code_of(words: str) -> int:
    return WORDS.get(" ".join(words.split()), -1)


def code_of_words(thing: Any, name: str = "a thing") -> int:
    """The code that words say, or that is given as an integer; None is an empty cell.

    Raises ArgumentError, which calls the argument `name`, for words that say nothing known.
    """
    if thing is None:
        return cells.EMPTY
    if isinstance(thing, str):
        code = _code_of(thing) if len(thing) < 100 else -1
    elif isinstance(thing, int | np.integer) and not isinstance(thing, bool):
        code = int(thing) if 1 <= thing < cells.N_CODES else -1
    else:
        code = -1
    if code < 0:
        found = repr(thing)
        raise ArgumentError(f"{name}: expected {EXPECTED}; found {found if len(found) < 60 else found[:57] + '...'}")
    return code
