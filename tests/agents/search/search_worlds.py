"""Worlds to search in: a grid, a coin to be guessed, and two that can't be enumerated."""

import gymnasium as gym
import numpy as np

from rltk.mdp import MDP


def grid(n, slip=0.0, step=-1.0):
    """An open n x n grid from the upper left to the lower right corner; every step pays `step`, the last one too."""
    states = np.arange(n * n).reshape(n, n)
    row, column = np.indices((n, n))
    ways = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    moves = np.stack(
        [states[np.clip(row + r, 0, n - 1), np.clip(column + c, 0, n - 1)].reshape(-1) for r, c in ways], axis=1
    )
    noise = np.eye(4) * (1 - 2 * slip) + slip * (np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1))
    terminated, start = np.zeros(n * n, dtype=bool), np.zeros(n * n)
    terminated[-1], start[0] = True, 1.0
    return MDP.from_moves(moves, noise, np.full(n * n, step), terminated, start)


def distance(n):
    """(n * n,) how many steps the goal of `grid` is away at least."""
    row, column = np.divmod(np.arange(n * n), n)
    return (n - 1 - row) + (n - 1 - column)


def coins(rounds):
    """Guess a fair coin, `rounds` times, for 1 each: worth rounds / 2, to who can't see the coming draws."""

    def transition(state, action):
        return [(0.5, state + 1, float(action == side), state + 1 == rounds) for side in (0, 1)]

    return MDP.from_function(transition, 0, 2)


class CountingEnv(gym.Env):
    """Count on from 0 without an end. Adding 1 pays nothing; "stop" pays 1 at a multiple of 3 above 3, else 0.

    It fails to count with probability `slip`. The state has no bound, so no table holds it.
    """

    observation_space = gym.spaces.Box(0, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)
    n_actions = 2

    def __init__(self, slip=0.25):
        self.slip, self.count = slip, None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 1
        return self._seen(), {"state": self.count}

    def step(self, action):
        if action == 1:
            return self._seen(), float(self.count > 3 and self.count % 3 == 0), True, False, {"state": self.count}
        self.count += int(self.np_random.random() >= self.slip)
        return self._seen(), 0.0, False, False, {"state": self.count}

    def _seen(self):
        return np.array([float(self.count)])

    def get_state(self):
        return {"count": self.count, "rng": self.np_random.bit_generator.state}

    def set_state(self, state, restore_rng=False):
        self.count = state["count"]
        if restore_rng:
            self.np_random.bit_generator.state = state["rng"]

    def successors(self, state, action):
        if action == 1:
            return [(1.0, state, float(state > 3 and state % 3 == 0), True)]
        return [(1 - self.slip, state + 1, 0.0, False), (self.slip, state, 0.0, False)]


def counting_value(gamma, slip=0.25):
    """The optimum of `CountingEnv` from 1, by hand: to 6, v(n) = gamma ((1 - slip) v(n + 1) + slip v(n)), stop."""
    return (gamma * (1 - slip) / (1 - gamma * slip)) ** 5
