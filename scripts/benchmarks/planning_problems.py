"""The problems on which planners are measured, in the one form that every peer takes, numbered at random.

A problem is T as a sparse (S * A, S) matrix, row s * A + a holding T( . | s, a), the mean rewards R (S, A) and the
terminal states, which lead to themselves and pay nothing. Solvers that know no endings read it as it stands; ours is
told that entering a terminal state ends. A natural numbering helps a solver that sweeps in it (a goal that is the
last state is found at once going down), so every problem is renumbered by a random permutation of its states.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from rltk.envs.gridworld import compile_map
from rltk.envs.gridworld.maze import maze_map
from rltk.mdp import MDP, jit
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows

WALLS = 0.2
SLIP = 0.2
# North, east, south, west: a quarter turn is one further.
AHEAD = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], dtype=np.int64)


class Compact(NamedTuple):
    """What `MDP.from_moves` takes; rewards and endings belong to the state that is entered."""

    moves: np.ndarray  # (S, M) int32
    noise: np.ndarray  # (A, M) float64
    reward: np.ndarray  # (S,) float64


@dataclass(frozen=True, eq=False)
class Problem:
    """An MDP as arrays that belong to no solver. `compact` holds the same MDP where that form can."""

    transition: sp.csr_array  # (S * A, S) float64, row s * A + a
    reward: np.ndarray  # (S, A) float64
    terminal: np.ndarray  # (S,) bool
    compact: Compact | None = None

    @property
    def n_states(self) -> int:
        return self.reward.shape[0]

    @property
    def n_actions(self) -> int:
        return self.reward.shape[1]

    @property
    def n_outcomes(self) -> int:
        return self.transition.nnz

    @property
    def pays_the_goal(self) -> bool:
        """Whether reward is the probability of ending: then values are probabilities too."""
        entering = self.transition @ self.terminal
        entering.reshape(self.reward.shape)[self.terminal] = 0.0
        return bool(self.terminal.any() and np.abs(entering - self.reward.reshape(-1)).max() < 1e-15)

    def rows(self) -> MDP:
        """A new MDP in the general form, with nothing worked out beforehand: T, R and endings alone."""
        count = np.diff(self.transition.indptr)
        form = Rows(
            self.n_states,
            self.n_actions,
            self.transition.indptr.astype(np.int64),
            self.transition.indices.astype(np.int32),
            self.transition.data.copy(),
            np.repeat(self.reward.reshape(-1), count),
            self.terminal[self.transition.indices],
        )
        return MDP(form)

    def moves(self) -> MDP:
        """A new MDP in the compact form. ValueError where the problem has none."""
        if self.compact is None:
            raise ValueError("this problem has no compact form")
        return MDP.from_moves(*self.compact, self.terminal)

    def renumbered(self, place: np.ndarray) -> "Problem":
        """The same problem with state s called `place[s]`; place: (S,), a permutation."""
        state = np.argsort(place)  # which state stands at a place
        rows = (state[:, None] * self.n_actions + np.arange(self.n_actions)).reshape(-1)
        moved = self.transition[rows]
        transition = sp.csr_array((moved.data, place[moved.indices], moved.indptr), shape=moved.shape)
        transition.sort_indices()
        compact = self.compact
        if compact is not None:
            compact = Compact(place[compact.moves[state]].astype(np.int32), compact.noise, compact.reward[state])
        return Problem(transition, self.reward[state], self.terminal[state], compact)


@dataclass(frozen=True)
class Case:
    """A problem of some size by name: `build(size, rng)` makes it; `tiny` is a size that takes no time."""

    name: str
    build: Callable[[int, np.random.Generator], Problem]
    size: int
    tiny: int = 8

    def problem(self, seed: int) -> Problem:
        """The problem of this seed, numbered at random."""
        rng = np.random.default_rng(seed)
        problem = self.build(self.size, rng)
        return problem.renumbered(rng.permutation(problem.n_states).astype(np.int32))

    def small(self) -> "Case":
        """The same family at its least size: to compile for, and to test with."""
        return replace(self, size=self.tiny)


def of_successors(successors: np.ndarray, probability: np.ndarray, reward: np.ndarray) -> Problem:
    """A problem without endings. successors, probability: (S, A, K); reward: (S, A)."""
    n_states, n_actions, width = successors.shape
    start = np.arange(0, successors.size + 1, width)
    arrays = (np.array(probability, dtype=np.float64).reshape(-1), successors.astype(np.int32).reshape(-1), start)
    transition = sp.csr_array(arrays, shape=(n_states * n_actions, n_states))
    transition.sum_duplicates()
    return Problem(transition, reward, np.zeros(n_states, dtype=bool))


def of_moves(moves: np.ndarray, noise: np.ndarray, reward: np.ndarray, terminal: np.ndarray) -> Problem:
    """A problem in both forms. moves: (S, M); noise: (A, M); reward, terminal: (S,), of the state entered."""
    width = int((noise > 0).sum(axis=1).max())
    used = np.argsort(noise == 0, axis=1, kind="stable")[:, :width]  # (A, K): the moves that an action can make
    successors = moves[:, used]  # (S, A, K)
    successors[terminal] = np.flatnonzero(terminal)[:, None, None]
    weight = np.take_along_axis(noise, used, axis=1)  # (A, K)
    mean = np.where(terminal[:, None], 0.0, (weight * reward[successors]).sum(axis=2))
    problem = of_successors(successors, np.broadcast_to(weight, successors.shape), mean)
    return replace(problem, terminal=terminal, compact=Compact(moves, noise, reward))


# Grids


def slippery(slip: float = SLIP) -> np.ndarray:
    """(4, 4) float64: action a goes ahead, or to each side with half of `slip`."""
    return (1 - slip) * np.eye(4) + slip / 2 * (np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1))


def open_cells(size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) bool: a fifth of the cells are walls. Row by row, so that nothing larger is ever held."""
    free = np.empty((size, size), dtype=bool)
    for row in free:
        row[:] = rng.random(size) >= WALLS
    return free


@jit
def grid_moves(free, ahead):
    """(S, 4) int32: where the four moves lead between the `free` (H, W) cells, numbered row by row.

    Only three rows of numbers are held at a time, so that a grid of 10^8 cells costs little but its answer.
    """
    height, width = free.shape
    moves = np.empty((np.count_nonzero(free), 4), dtype=np.int32)
    numbers = np.full((3, width), -1, dtype=np.int32)  # of rows r - 1, r, r + 1 at places (r + k) % 3
    numbered = 0
    for row in range(-1, height):
        below = numbers[(row + 1) % 3]
        for column in range(width):
            below[column] = -1
            if row + 1 < height and free[row + 1, column]:
                below[column] = numbered
                numbered += 1
        if row < 0:
            continue
        for column in range(width):
            own = numbers[row % 3, column]
            if own < 0:
                continue
            for m in range(4):
                r, c = row + ahead[m, 0], column + ahead[m, 1]
                inside = r >= 0 and r < height and c >= 0 and c < width
                target = numbers[r % 3, c] if inside else -1
                moves[own, m] = target if target >= 0 else own
    return moves


def random_goals(moves: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(S,) bool: `count` random states that are no dead ends, for a goal that nothing reaches asks nothing."""
    terminal = np.zeros(moves.shape[0], dtype=bool)
    while np.count_nonzero(terminal) < min(count, moves.shape[0]):
        state = int(rng.integers(moves.shape[0]))
        terminal[state] = np.count_nonzero(moves[state] != state) >= min(2, moves.shape[0] - 1)
    return terminal


def grid(size: int, rng: np.random.Generator) -> Problem:
    """Four actions, 0.8 ahead and 0.1 to each side, a fifth of walls, 1 for entering the one goal."""
    moves = grid_moves(open_cells(size, rng), AHEAD)
    terminal = random_goals(moves, 1, rng)
    return of_moves(moves, slippery(), terminal.astype(np.float64), terminal)


def uneven_grid(size: int, rng: np.random.Generator) -> Problem:
    """The same where each cell has a slip of its own between 0 and 0.4: no two states behave alike."""
    moves = grid_moves(open_cells(size, rng), AHEAD)
    terminal = random_goals(moves, 1, rng)
    slip = rng.uniform(0.0, 0.4, moves.shape[0])
    share = np.stack([1 - slip, slip / 2, slip / 2], axis=1)  # ahead, right, left
    turns = (np.arange(4)[:, None] + np.array([0, 1, 3])) % 4
    successors = moves[:, turns]  # (S, 4, 3)
    successors[terminal] = np.flatnonzero(terminal)[:, None, None]
    reward = (share[:, None, :] * terminal[successors]).sum(axis=2)
    reward[terminal] = 0.0
    problem = of_successors(successors, np.broadcast_to(share[:, None, :], successors.shape), reward)
    return replace(problem, terminal=terminal)


def paying_grid(size: int, rng: np.random.Generator) -> Problem:
    """The slippery grid where nothing ends and entering each cell, or staying in it, pays U(0, 1)."""
    moves = grid_moves(open_cells(size, rng), AHEAD)
    return of_moves(moves, slippery(), rng.random(moves.shape[0]), np.zeros(moves.shape[0], dtype=bool))


def maze(size: int, rng: np.random.Generator) -> Problem:
    """A perfect maze of size x size rooms, slip 0.2, 1 for the goal at its far end."""
    form = compile_map(maze_map(size, int(rng.integers(2**31)), SLIP))[0].form
    assert isinstance(form, Moves)
    assert form.reward.ndim == form.terminated.ndim == 1
    return of_moves(np.array(form.moves), np.array(form.noise), np.array(form.reward), np.array(form.terminated))


def cliff(size: int, rng: np.random.Generator) -> Problem:
    """Cliff walking on size x 3 size cells: -1 a step; the cliff along the south pays -100 and leads to the start.

    Source: Sutton and Barto (2018), Example 6.6, with longer sides.
    """
    height, width = size, 3 * size
    moves = grid_moves(np.ones((height, width), dtype=bool), AHEAD)
    start, goal = (height - 1) * width, height * width - 1
    fallen = (moves > start) & (moves < goal)
    successors = np.where(fallen, start, moves)[:, :, None]
    reward = np.where(fallen, -100.0, -1.0)
    terminal = np.zeros(moves.shape[0], dtype=bool)
    terminal[goal] = True
    successors[goal], reward[goal] = goal, 0.0
    return replace(of_successors(successors, np.ones(successors.shape), reward), terminal=terminal)


# Others


def garnet(size: int, rng: np.random.Generator) -> Problem:
    """`size` states, four actions, eight random successors each, Dirichlet probabilities, U(0, 1) rewards.

    Source: Archibald, McKinnon and Thomas (1995), "On the generation of Markov decision processes".
    """
    shape = (size, 4, 8)
    successors = rng.integers(size, size=shape)
    return of_successors(successors, rng.dirichlet(np.ones(8), shape[:2]), rng.random(shape[:2]))


def chain(size: int, rng: np.random.Generator) -> Problem:
    """`size` states in a row, two actions that go their way with 0.9 and the other way else; the last one pays 1."""
    own = np.arange(size)
    moves = np.stack([np.maximum(own - 1, 0), np.minimum(own + 1, size - 1)], axis=1).astype(np.int32)
    terminal = own == size - 1
    return of_moves(moves, np.array([[0.9, 0.1], [0.1, 0.9]]), terminal.astype(np.float64), terminal)


def door_and_key(size: int, rng: np.random.Generator) -> Problem:
    """Two rooms in a size x size square: find the key, take it, open the door, reach the far corner, which pays 1.

    A state is (row, column, heading, stage): the key lies there, is held, or was held and the door is open. Actions:
    turn left, turn right, go ahead, pick up, open. The rules are those of MiniGrid's DoorKey without dropping.
    """
    wall = int(rng.integers(2, size - 2))
    door = (int(rng.integers(1, size - 1)), wall)
    key = (int(rng.integers(1, size - 1)), int(rng.integers(1, wall)))
    goal = (size - 2, size - 2)
    if key == (1, 1):
        key = (2, 1)

    def blocked(cell: tuple[int, int], stage: int) -> bool:
        if cell == door:
            return stage < 2
        return 0 in cell or size - 1 in cell or cell[1] == wall or (cell == key and stage == 0)

    def transition(state: tuple[int, ...], action: int) -> list[tuple[float, tuple[int, ...], float, bool]]:
        row, column, heading, stage = state
        ahead = (row + int(AHEAD[heading, 0]), column + int(AHEAD[heading, 1]))
        if action < 2:
            heading = (heading + (1 if action else 3)) % 4
        elif action == 2 and not blocked(ahead, stage):
            row, column = ahead
        elif (action == 3 and stage == 0 and ahead == key) or (action == 4 and stage == 1 and ahead == door):
            stage += 1
        over = (row, column) == goal
        return [(1.0, (row, column, heading, stage), float(over), over)]

    mdp = MDP.from_function(transition, (1, 1, 1, 0), 5)
    terminal = np.zeros(mdp.n_states, dtype=bool)
    terminal[mdp.next_state[mdp.terminated]] = True
    reward = np.where(terminal[:, None], 0.0, mdp.expected_reward())
    arrays = (np.array(mdp.probability), np.array(mdp.next_state), np.array(mdp.row_start))
    shape = (mdp.n_states * mdp.n_actions, mdp.n_states)
    rows_of_ended = np.repeat(np.repeat(terminal, mdp.n_actions), np.diff(mdp.row_start))
    arrays[1][rows_of_ended] = np.repeat(np.arange(mdp.n_states), mdp.n_actions)[rows_of_ended]
    return Problem(sp.csr_array(arrays, shape=shape), reward, terminal)


CASES = {
    case.name: case
    for case in (
        Case("grid 100^2", grid, 100),
        Case("grid 300^2", grid, 300),
        Case("grid 1000^2", grid, 1000),
        Case("uneven grid 1000^2", uneven_grid, 1000),
        Case("paying grid 300^2", paying_grid, 300),
        Case("paying grid 1000^2", paying_grid, 1000),
        Case("garnet 100k x 4 x 8", garnet, 100_000, 30),
        Case("maze 300^2", maze, 300),
        Case("chain 100k", chain, 100_000),
        Case("chain 1M", chain, 1_000_000),
        Case("cliff 100 x 300", cliff, 100, 4),
        Case("door and key 16^2", door_and_key, 16),
        Case("door and key 64^2", door_and_key, 64),
    )
}
QUICK = Case("grid 30^2", partial(grid), 30)


def case_called(name: str) -> Case:
    """The case of that name."""
    return QUICK if name == QUICK.name else CASES[name]
