"""What stands on a cell, in one byte.

| code | thing | colour | state |
| --- | --- | --- | --- |
| 0 | nothing is seen | | |
| 1 | empty | | |
| 2 + colour | wall | 0 to 5 | |
| 8 + colour | floor | 0 to 5 | |
| 14 + 3 colour + state | door | 0 to 5 | 0 open, 1 closed, 2 locked |
| 32 + colour | key | 0 to 5 | |
| 38 + colour | ball | 0 to 5 | |
| 44 + colour | goal | 0 to 5 | |
| 50 | lava | | |
| 51 + 13 colour + held | box | 0 to 5 | held: 0 nothing, 1 + colour a key, 7 + colour a ball |

MiniGrid shows a cell as three numbers, (object, colour, state), which say nothing of what a box holds; the code does.
Everything else is a table from the code: `TRIPLES`, `FLAGS`, and `PALETTE`, the triple packed for the view.

Source: minigrid 3.2.0, core/constants.py (numbers and names) and core/world_object.py (what each thing lets one do).
"""

import numpy as np

from rltk.errors import ArgumentError

COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
RED, GREEN, BLUE, PURPLE, YELLOW, GREY = range(6)
N_COLOURS = 6
# MiniGrid draws colours from their names in alphabetical order.
DRAWN_COLOURS = np.array([COLOURS.index(name) for name in sorted(COLOURS)])

TYPES = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava", "agent")
STATES = ("open", "closed", "locked")
OPEN, CLOSED, LOCKED = range(3)

UNSEEN, EMPTY, WALL, FLOOR, DOOR, KEY, BALL, GOAL, LAVA, BOX = 0, 1, 2, 8, 14, 32, 38, 44, 50, 51
N_HELD = 1 + 2 * N_COLOURS  # what a box may hold: nothing, a key or a ball of each colour
HELD_KEY, HELD_BALL = 1, 1 + N_COLOURS
N_CODES = BOX + N_COLOURS * N_HELD
OUTSIDE = WALL + GREY  # what lies around the board looks like this

# Bits of FLAGS.
SEE_THROUGH, WALKABLE, CARRIABLE, IS_GOAL, IS_LAVA, IS_DOOR, IS_BOX = (1 << bit for bit in range(7))
_ALLOWS = {
    "empty": SEE_THROUGH | WALKABLE,
    "wall": 0,
    "floor": SEE_THROUGH | WALKABLE,
    "key": SEE_THROUGH | CARRIABLE,
    "ball": SEE_THROUGH | CARRIABLE,
    "box": SEE_THROUGH | CARRIABLE | IS_BOX,
    "goal": SEE_THROUGH | WALKABLE | IS_GOAL,
    "lava": SEE_THROUGH | WALKABLE | IS_LAVA,
}
_COLOURED = {"wall": WALL, "floor": FLOOR, "key": KEY, "ball": BALL, "goal": GOAL}


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """(TRIPLES, FLAGS), of 256 rows each: a byte can index them without a check."""
    triples, flags = np.zeros((256, 3), dtype=np.uint8), np.zeros(256, dtype=np.uint8)

    def enter(code: int, kind: str, colour: int, state: int, allows: int) -> None:
        triples[code] = TYPES.index(kind), colour, state
        flags[code] = allows

    enter(EMPTY, "empty", 0, 0, _ALLOWS["empty"])
    enter(LAVA, "lava", RED, 0, _ALLOWS["lava"])
    for colour in range(N_COLOURS):
        for kind, first in _COLOURED.items():
            enter(first + colour, kind, colour, 0, _ALLOWS[kind])
        for state in range(len(STATES)):
            allows = IS_DOOR | (SEE_THROUGH | WALKABLE if state == OPEN else 0)
            enter(DOOR + len(STATES) * colour + state, "door", colour, state, allows)
        for held in range(N_HELD):
            enter(BOX + N_HELD * colour + held, "box", colour, 0, _ALLOWS["box"])
    return triples, flags


TRIPLES, FLAGS = _tables()
# A triple in the low three bytes of a word: one look-up a cell of the view instead of three.
PALETTE = (TRIPLES.astype(np.uint32) << np.array([0, 8, 16], dtype=np.uint32)).sum(axis=1, dtype=np.uint32)


def code_of(kind: str, colour: str | None = None, state: int = OPEN, contains: int = UNSEEN) -> int:
    """The code of a thing by its name, such as `code_of("door", "red", LOCKED)`.

    contains: the code of the key or ball in a box. ArgumentError for what there is not.
    """
    if kind in ("unseen", "empty", "lava"):
        return {"unseen": UNSEEN, "empty": EMPTY, "lava": LAVA}[kind]
    if kind not in (*_COLOURED, "door", "box"):
        raise ArgumentError(f"no thing is called {kind!r}; there are {', '.join(TYPES[1:-1])}")
    if colour not in COLOURS:
        raise ArgumentError(f"the colour of a {kind} is one of {', '.join(COLOURS)}; found {colour!r}")
    number = COLOURS.index(colour)
    if kind == "door":
        if state not in range(len(STATES)):
            raise ArgumentError(f"the state of a door: 0 open, 1 closed, 2 locked; found {state!r}")
        return DOOR + len(STATES) * number + state
    if kind == "box":
        return BOX + N_HELD * number + held_of(contains)
    return _COLOURED[kind] + number


def held_of(code: int) -> int:
    """What a box's code says of its contents `code`: a key, a ball, or nothing (0 or `EMPTY`)."""
    if code in (UNSEEN, EMPTY):
        return 0
    if KEY <= code < KEY + N_COLOURS:
        return HELD_KEY + code - KEY
    if BALL <= code < BALL + N_COLOURS:
        return HELD_BALL + code - BALL
    raise ArgumentError(f"a box holds nothing, a key or a ball; found the code {code}")


def contents_of(code: int) -> int:
    """The code of what the box `code` holds; `EMPTY` where it holds nothing."""
    held = (code - BOX) % N_HELD
    if held == 0:
        return EMPTY
    return KEY + held - HELD_KEY if held < HELD_BALL else BALL + held - HELD_BALL
