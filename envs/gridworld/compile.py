"""From a map to an MDP in the compact form: deterministic moves, and the noise that mixes them.

States are the cells that are no wall, row by row (and walls that a caller counts in). `moves` (S, M) has a column for
each direction that an action or a slip can take; `noise` (A, M) holds 1 - slip on the action's own direction and shares
slip among the others.
"""

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell
from rltk.envs.gridworld.map import DIRECTIONS, GridMap
from rltk.envs.tabular.layout import Layout
from rltk.mdp import MDP
from rltk.mdp.labels import Cells
from rltk.mdp.validation import refuse_size

_BYTES_A_CELL = 100  # at the most crowded moment of compiling a map of four directions


def compile_map(grid: GridMap, besides: NDArray[np.bool_] | None = None) -> tuple[MDP, Layout]:
    """The exact MDP of `grid` and what its states look like. SizeError where it would not fit in memory.

    besides: (H, W) bool, walls that are states all the same: whoever stands there can leave, nobody can enter.
    """
    refuse_size(f"the MDP of a map of {grid.shape[0]:,} x {grid.shape[1]:,}", _BYTES_A_CELL * grid.cells.size, "")
    kinds = np.array([symbol.kind for symbol in grid.legend], dtype=np.uint8)[grid.cells]
    free = kinds != Cell.WALL
    standing = free if besides is None else free | besides
    symbols = grid.cells[standing]  # (S,) the legend's entry of each state
    directions, noise = _noise(grid)
    moves, blocked = _moves(free, standing, directions)
    ends = _of_symbols(grid, "terminal")[symbols]
    if _pays_by_state(grid):
        reward = grid.step_reward + _enter_rewards(grid)[symbols]
    else:
        places = np.full(len(grid.legend), -1, dtype=np.int32)
        places[symbols] = np.arange(symbols.size, dtype=np.int32)  # of the one cell, where a symbol has only one
        reward = _effects(grid, symbols, places, directions, moves, blocked)
    start = _of_symbols(grid, "start")[symbols] / np.count_nonzero(_of_symbols(grid, "start")[symbols])
    cells = np.flatnonzero(standing).astype(np.int32)
    labels = grid.shape if standing.all() else Cells(cells, grid.shape)
    mdp = MDP.from_moves(
        moves,
        noise,
        reward,
        ends,
        start,
        success=_of_symbols(grid, "success")[symbols],
        state_labels=labels,
        action_labels=grid.actions.__getitem__,
    )
    return mdp, _layout(grid, kinds, cells)


def _noise(grid: GridMap) -> tuple[list[tuple[int, int]], NDArray[np.float64]]:
    """The M directions and the (A, M) probabilities with which actions take them."""
    moving = [DIRECTIONS[action] for action in grid.actions if action != "stay"]
    rows = []
    for action in grid.actions:
        row, column = DIRECTIONS[action]
        if action == "stay":
            rows.append({(0, 0): 1.0})
            continue
        sides = [(column, -row), (-column, row)]
        others = sides if grid.slip_to == "sides" else [other for other in moving if other != (row, column)]
        chances = {(row, column): 1.0 - grid.slip}
        if grid.slip > 0:
            chances.update(dict.fromkeys(others, grid.slip / len(others)))
        rows.append(chances)
    directions = list(dict.fromkeys(direction for chances in rows for direction in chances))
    noise = np.array([[chances.get(direction, 0.0) for direction in directions] for chances in rows])
    return directions, noise


def _moves(
    free: NDArray[np.bool_], standing: NDArray[np.bool_], directions: list[tuple[int, int]]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """(S, M) the state that each direction leads to, and (S, M) whether wall or edge held the agent back.

    free, standing: (H, W), the cells that can be entered, and those that are states.
    """
    height, width = free.shape
    own = np.arange(np.count_nonzero(standing), dtype=np.int32)
    padded = np.full((height + 2, width + 2), -1, dtype=np.int32)
    padded[1:-1, 1:-1][free] = own if standing is free else own[free[standing]]
    moves = np.empty((own.size, len(directions)), dtype=np.int32)
    blocked = np.empty(moves.shape, dtype=bool)
    for m, (row, column) in enumerate(directions):
        target = padded[1 + row : 1 + row + height, 1 + column : 1 + column + width][standing]
        blocked[:, m] = target < 0
        moves[:, m] = np.where(target < 0, own, target)
    return moves, blocked


def _of_symbols(grid: GridMap, name: str) -> NDArray[np.bool_]:
    return np.array([getattr(symbol, name) for symbol in grid.legend], dtype=bool)


def _enter_rewards(grid: GridMap) -> NDArray[np.float64]:
    return np.array([symbol.enter.reward for symbol in grid.legend])


def _pays_by_state(grid: GridMap) -> bool:
    """Whether the state entered says what is paid. A cell that pays and goes on does not: held back on it, the agent
    is found in it again but has not entered it."""
    present = np.bincount(grid.cells.reshape(-1), minlength=len(grid.legend)) > 0
    plain = all(
        symbol.leave is None and symbol.enter.to is None and (symbol.terminal or symbol.enter.reward == 0)
        for symbol, there in zip(grid.legend, present, strict=True)
        if there
    )
    return plain and grid.bump_reward == 0


def _effects(
    grid: GridMap,
    symbols: NDArray[np.uint8],
    places: NDArray[np.int32],
    directions: list[tuple[int, int]],
    moves: NDArray[np.int32],
    blocked: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """(S, M) rewards; `moves` is changed where entering or leaving puts the agent elsewhere."""
    index = {symbol.character: i for i, symbol in enumerate(grid.legend)}
    entered = np.array([-1 if s.enter.to is None else places[index[s.enter.to]] for s in grid.legend], dtype=np.int32)
    enter_rewards = _enter_rewards(grid)
    reward = np.full(moves.shape, grid.step_reward)
    for m, direction in enumerate(directions):
        if direction == (0, 0):
            continue
        held = blocked[:, m]
        target = symbols[moves[:, m]]
        reward[:, m] += np.where(held, grid.bump_reward, enter_rewards[target])
        elsewhere = ~held & (entered[target] >= 0)
        moves[elsewhere, m] = entered[target[elsewhere]]
    for i, symbol in enumerate(grid.legend):
        if symbol.leave is None:
            continue
        here = symbols == i
        if symbol.leave.to is None:
            reward[here] += symbol.leave.reward
        else:
            reward[here] = grid.step_reward + symbol.leave.reward
            moves[here] = places[index[symbol.leave.to]]
    return reward


def _layout(grid: GridMap, kinds: NDArray[np.uint8], cells: NDArray[np.int32]) -> Layout:
    labels = [
        (int(row), int(column), symbol.label)
        for i, symbol in enumerate(grid.legend)
        if symbol.label
        for row, column in np.argwhere(grid.cells == i)
    ]
    directions = [None if action == "stay" else DIRECTIONS[action] for action in grid.actions]
    return Layout(kinds, cells, actions=directions, labels=labels)
