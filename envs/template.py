"""An environment to copy: say how states follow each other, and rltk derives everything else.

From one function come the exact MDP, and so the optimum; the simulator that samples it; the batched simulator; the
observation modes; the pictures. Copy this file, change it, and keep its test, `tests/envs/test_template.py`.

The world: a stairway. Climbing succeeds with probability 0.8 and else sends you back to the foot; resting costs time
but makes the next climb sure. Reaching the top ends the episode and pays 1; every action costs 0.01.
"""

from typing import Any

import gymnasium as gym
import numpy as np

import rltk
from rltk.drawing import Cell
from rltk.envs.tabular import Layout, TabularEnv

CLIMB, REST = 0, 1
State = tuple[int, bool]  # how high, and whether rested; any hashable value will do


def stairway(height: int) -> rltk.MDP:
    """The MDP of a stairway with `height` steps. Only states that can be reached are counted."""

    def transition(state: State, action: int) -> list[tuple[float, State, float, bool]]:
        """Every outcome as (probability, next state, reward, whether it ends the episode)."""
        step, rested = state
        if action == REST:
            return [(1.0, (step, True), -0.01, False)]
        top = step + 1 == height
        up = (step + 1, False), 1.0 - 0.01 if top else -0.01, top
        return [(1.0, *up)] if rested else [(0.8, *up), (0.2, (0, False), -0.01, False)]

    def at_the_top(state: State) -> bool:
        return state[0] == height

    return rltk.MDP.from_function(transition, start=(0, False), actions=["climb", "rest"], success=at_the_top)


class StairwayEnv(TabularEnv):
    """A stairway of `height` steps. The other options, such as `observation=`, are those of `TabularEnv`."""

    def __init__(self, *, height: int = 6, **options: Any) -> None:
        mdp = stairway(height)
        # A picture is optional: without `layout=` the states stand row by row in a grid.
        steps = np.array([mdp.label(state)[0] for state in range(mdp.n_states)])
        rested = np.array([mdp.label(state)[1] for state in range(mdp.n_states)])
        cells = np.full((height + 1, 2), Cell.FLOOR, dtype=np.uint8)  # the left column is tired, the right one rested
        cells[0] = Cell.GOAL, Cell.WALL
        layout = Layout(cells, (height - steps) * 2 + rested, actions=((-1, 0), (0, 1)))
        super().__init__(mdp, layout=layout, **options)


if __name__ == "__main__":
    gym.register("Stairway-v0", entry_point=StairwayEnv, max_episode_steps=200)
    print(rltk.solve(gym.make("Stairway-v0"), gamma=0.99))
