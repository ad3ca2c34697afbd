"""The racetrack: drive a car around a turn as fast as you can, and not off the track.

    (up, right) <- (up, right) + action,      each kept within 0 to 4
    cell <- cell + (-up, right)

A state is the car's cell and its velocity. An action changes either component by -1, 0 or 1, and fails with probability
`noise`: then neither changes. A car may stand only on the starting line; elsewhere a change that would stop it changes
nothing. On its way the car passes the cells nearest to the straight line (halves away from where it was): the first
that is a finish ends the episode; off the track it is put on the starting line again, anywhere, standing. A step
costs 1.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Exercise 5.12, Figure 5.5, whose
two tracks these are. The book bars changes beyond the limits on velocity; here they are cut off, so that every action
can be taken everywhere.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell, Scene, Token
from rltk.envs.gridworld.parse import parse_map
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.layout import AGENT, Mark
from rltk.envs.tabular.options import check_number
from rltk.envs.tabular.outcomes import Outcomes, mdp_from_outcomes, uniform_over
from rltk.errors import MapError, UnknownNameError
from rltk.mdp import MDP

LEFT = """
###.............G
##..............G
##..............G
#...............G
................G
................G
..........#######
.........########
.........########
.........########
.........########
.........########
.........########
.........########
#........########
#........########
#........########
#........########
#........########
#........########
#........########
#........########
##.......########
##.......########
##.......########
##.......########
##.......########
##.......########
##.......########
###......########
###......########
###SSSSSS########
"""
RIGHT = """
################...............G
#############..................G
############...................G
###########....................G
###########....................G
###########....................G
###########....................G
############...................G
#############..................G
##############................##
##############.............#####
##############............######
##############..........########
##############.........#########
#############..........#########
############...........#########
###########............#########
##########.............#########
#########..............#########
########...............#########
#######................#########
######.................#########
#####..................#########
####...................#########
###....................#########
##.....................#########
#......................#########
.......................#########
.......................#########
SSSSSSSSSSSSSSSSSSSSSSS#########
"""
TRACKS = {"left": LEFT, "right": RIGHT}
SPEEDS = 5  # 0 to 4 either way
N_VELOCITIES = SPEEDS**2
UP, RIGHTWARDS = np.divmod(np.arange(N_VELOCITIES), SPEEDS)  # of each velocity
CHANGES = tuple((up, right) for up in (-1, 0, 1) for right in (-1, 0, 1))  # of each action
_CRASHED = -1
_SPEED = 2  # beside AGENT, the bit of the two speeds in symbolic observations


class Track:
    """A track's cells and the numbers of its states: cell by cell its 25 velocities, then the finish cells."""

    def __init__(self, track: str) -> None:
        if not isinstance(track, str) or (track not in TRACKS and "\n" not in track):
            raise UnknownNameError(
                f"track: one of {', '.join(map(repr, TRACKS))}, or a map's text of several lines; found {track!r}"
            )
        grid = parse_map(TRACKS.get(track, track), "track")
        self.kinds = np.array([symbol.kind for symbol in grid.legend], dtype=np.uint8)[grid.cells]  # (H, W)
        self.road = np.flatnonzero((self.kinds == Cell.FLOOR) | (self.kinds == Cell.START))  # (C,) as row * W + column
        self.finish = np.flatnonzero(self.kinds == Cell.GOAL)  # (F,)
        if not self.finish.size or not (self.kinds == Cell.START).any():
            raise MapError("track: a starting line (S) and a finish (G) are needed; mark at least one cell of each")
        self.standing = np.flatnonzero(self.kinds.ravel()[self.road] == Cell.START) * N_VELOCITIES  # states
        self.n_rolling = self.road.size * N_VELOCITIES
        self.n_states = self.n_rolling + self.finish.size
        self.first_state = np.full(self.kinds.size, _CRASHED)  # (H * W,) of each cell
        self.first_state[self.road] = np.arange(self.road.size) * N_VELOCITIES
        self.first_state[self.finish] = self.n_rolling + np.arange(self.finish.size)

    def cells_of(self, states: NDArray[Any]) -> NDArray[Any]:
        """(N,) the cell, row * W + column, of each of (N,) states."""
        finished = np.maximum(states - self.n_rolling, 0)
        rolling = np.minimum(states, self.n_rolling - 1) // N_VELOCITIES
        return np.where(states >= self.n_rolling, self.finish[finished], self.road[rolling])

    def speeds_of(self, states: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(N,) speed upwards and (N,) to the right of (N,) states; 0 at the finish."""
        velocity = np.where(states >= self.n_rolling, 0, states % N_VELOCITIES)
        return UP[velocity], RIGHTWARDS[velocity]

    def driven(self) -> NDArray[Any]:
        """(C, 25) the state that a step at each velocity leads to from each road cell, or -1 off the track."""
        width = self.kinds.shape[1]
        row, column = (part[:, None] for part in np.divmod(self.road, width))
        longest = np.maximum(UP, RIGHTWARDS)
        reached = self.first_state[self.road][:, None] + np.arange(N_VELOCITIES)
        on_the_way = np.ones(reached.shape, dtype=bool)
        for step in range(1, SPEEDS):
            share = np.minimum(step / np.maximum(longest, 1), 1.0)
            r = row - np.floor(UP * share + 0.5).astype(int)
            c = column + np.floor(RIGHTWARDS * share + 0.5).astype(int)
            inside = (r >= 0) & (c < width)
            first = np.where(inside, self.first_state[np.clip(r * width + c, 0, self.kinds.size - 1)], _CRASHED)
            over = (first == _CRASHED) | (first >= self.n_rolling)
            reached = np.where(on_the_way, np.where(over, first, first + np.arange(N_VELOCITIES)), reached)
            on_the_way &= ~over
        return reached


def racetrack_mdp(track: str = "left", noise: float = 0.1) -> MDP:
    """The MDP. State (cell, up, right) has the number 25 cell + 5 up + right, the road's cells counted row by row; the
    finish cells follow. Action 3 (up + 1) + right + 1 changes the velocity by (up, right).

    track: "left" or "right" (the book's), or a map's text with S for the starting line, G for the finish, # off the
    track. Raises UnknownNameError, MapError, or ArgumentError for a noise that is no probability.
    """
    return _mdp_of(Track(track), check_number("noise", noise, 0.0, 1.0))


def _mdp_of(track: Track, noise: float) -> MDP:
    up, right = np.array(CHANGES).T
    wanted = np.clip(UP[:, None] + up, 0, SPEEDS - 1) * SPEEDS + np.clip(RIGHTWARDS[:, None] + right, 0, SPEEDS - 1)
    same = np.arange(N_VELOCITIES)[:, None]
    may_stand = np.isin(track.road, track.road[track.standing // N_VELOCITIES])
    velocity = np.where(may_stand[:, None, None], wanted, np.where(wanted == 0, same, wanted))  # (C, 25, A)
    driven = track.driven()
    changed = driven[np.arange(track.road.size)[:, None, None], velocity]
    unchanged = np.broadcast_to(driven[:, :, None], changed.shape)
    groups = [
        outcomes
        for entered, chance in ((changed, 1.0 - noise), (unchanged, noise))
        for outcomes in _entering(track, entered.reshape(track.n_rolling, -1), chance)
    ]
    finals = list(range(track.n_rolling, track.n_states))
    return mdp_from_outcomes(
        track.n_states,
        len(CHANGES),
        groups,
        start=uniform_over(track.standing, track.n_states),
        final=finals,
        success=finals,
        action_labels=CHANGES.__getitem__,
    )


def _entering(track: Track, entered: NDArray[Any], chance: float) -> tuple[Outcomes, Outcomes]:
    """The outcomes of entering the states `entered` (25 C, A): those on the track, and those off it."""
    state, action = np.nonzero(entered != _CRASHED)
    on = Outcomes(state, action, entered[state, action], chance, -1.0)
    state, action = np.nonzero(entered == _CRASHED)
    n = track.standing.size
    back = np.tile(track.standing, state.size)
    return on, Outcomes(np.repeat(state, n), np.repeat(action, n), back, chance / n, -1.0)


class RacetrackLayout(Layout):
    """The track, with a speedometer at its left for the speed upwards and one below it for that to the right."""

    mark_bits = AGENT | _SPEED

    def __init__(self, track: Track) -> None:
        self._track = track
        height, width = track.kinds.shape
        cells = np.full((max(height, SPEEDS) + 1, max(width, SPEEDS) + 1), Cell.WALL, dtype=np.uint8)
        cells[:height, 1 : width + 1] = track.kinds
        self._dials = cells.shape[0] - 2, 1  # where a speed of 0 stands: its row at the left, its column below
        dial = np.arange(SPEEDS)
        cells[self._dials[0] - dial, 0] = cells[-1, self._dials[1] + dial] = Cell.MARK
        row, column = np.divmod(track.cells_of(np.arange(track.n_states)), width)
        labels = [(self._dials[0] - speed, 0, str(speed)) for speed in range(SPEEDS)]
        labels += [(cells.shape[0] - 1, self._dials[1] + speed, str(speed)) for speed in range(SPEEDS)]
        super().__init__(
            cells,
            (row * cells.shape[1] + column + 1).astype(np.int32),
            sizes=(*cells.shape, SPEEDS, SPEEDS),
            actions=tuple((-up, right) if (up, right) != (0, 0) else None for up, right in CHANGES),
            labels=labels,
        )

    def coords(self, states: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.concatenate([self.position(states), np.stack(self._track.speeds_of(states), axis=-1)], axis=-1)

    def marks(self, states: NDArray[np.integer]) -> list[Mark]:
        up, right = self._track.speeds_of(states)
        row, column = self._dials
        dials = [(_SPEED, row - up, np.zeros_like(up)), (_SPEED, np.full_like(up, self.shape[0] - 1), column + right)]
        return super().marks(states) + dials

    def cell_states(self, state: int) -> NDArray[np.int32]:
        """(H, W): the state with the velocity of `state` in each cell."""
        up, right = (int(speed[0]) for speed in self._track.speeds_of(np.array([state])))
        of_cells = self._track.first_state.copy()
        of_cells[self._track.road] += up * SPEEDS + right
        height, width = self._track.kinds.shape
        states = np.full(self.shape, -1, dtype=np.int32)
        states[:height, 1 : width + 1] = of_cells.reshape(height, width)
        return states

    def tokens(self, state: int) -> tuple[Token, ...]:
        up, right = (int(speed[0]) for speed in self._track.speeds_of(np.array([state])))
        row, column = self._dials
        return Token(row - up, 0), Token(self.shape[0] - 1, column + right)

    def scene(self, state: int) -> Scene:
        up, right = (int(speed[0]) for speed in self._track.speeds_of(np.array([state])))
        return replace(super().scene(state), heading=(-up, right) if up or right else None)


class RacetrackEnv(TabularEnv):
    """A racetrack. track: "left", "right" or a map's text. noise: the probability that a change of velocity fails.

    The other options are those of `TabularEnv`.
    """

    def __init__(self, *, track: str = "left", noise: float = 0.1, **options: Any) -> None:
        super().__init__(racetrack_mdp(track, noise), layout=RacetrackLayout(Track(track)), **options)


class RacetrackVectorEnv(TabularVectorEnv):
    """The batched form of `RacetrackEnv`, with the options of `TabularVectorEnv`."""

    def __init__(self, num_envs: int = 1, *, track: str = "left", noise: float = 0.1, **options: Any) -> None:
        super().__init__(racetrack_mdp(track, noise), num_envs, layout=RacetrackLayout(Track(track)), **options)
