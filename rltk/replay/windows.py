"""Windows of up to n steps: a transition waits here until its n rewards are there, or its episode is over.

    R = sum_{k < K} gamma^k r_k,    discount = gamma^K, or 0 where the last step terminated,    K <= n

A window never reaches over the end of an episode: all that wait enter then, with fewer steps. After a truncation they
bootstrap from the episode's true last observation. Sums are in float64, in the order of the steps, with gamma^k as
Python's `gamma**k`; they are rounded once, to float32, when they enter the replay.

Source: Sutton and Barto (2018), section 7.1, equation 7.1; Watkins (1989).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rltk.replay.storage import Form


class Steps(NamedTuple):
    """What enters the replay, or the windows: M steps. Observations are numbers, counted over all ever shown."""

    origins: np.ndarray  # (M,) int64
    lasts: np.ndarray  # (M,) int64
    actions: np.ndarray  # (M,) int64
    rewards: np.ndarray  # (M,) float64
    discounts: np.ndarray  # (M,) float64
    extras: dict[str, Any]  # (M, ...) each

    def only(self, chosen: Any) -> "Steps":
        """The steps that an index or a mask chooses."""
        return Steps(
            self.origins[chosen],
            self.lasts[chosen],
            self.actions[chosen],
            self.rewards[chosen],
            self.discounts[chosen],
            {name: value[chosen] for name, value in self.extras.items()},
        )


class Windows:
    """The open windows of `num_envs` environments: a small ring of n for each."""

    def __init__(self, num_envs: int, n_step: int, gamma: float, extras: dict[str, Form]) -> None:
        self.n_step = n_step
        self._powers = np.array([gamma**k for k in range(n_step + 1)])
        self._ages = np.arange(n_step - 1, -1, -1)  # oldest first
        shape = (num_envs, n_step)
        self._origins = np.zeros(shape, np.int64)
        self._actions = np.zeros(shape, np.int64)
        self._rewards = np.zeros(shape, np.float64)
        self._extras = {name: np.zeros((*shape, *form.shape), form.dtype) for name, form in extras.items()}
        self._newest = np.zeros(num_envs, np.int64)  # the column of the newest window
        self._open = np.zeros(num_envs, np.int64)
        newest = np.arange(n_step)[:, None]
        self._orders = (newest - self._ages) % n_step  # (n, n): the columns, oldest first, where the newest is given

    @staticmethod
    def forms(n_step: int, extras: dict[str, Form]) -> dict[str, Form]:
        """What the windows keep for an environment."""
        words = Form((3 * n_step + 2,), np.dtype(np.int64))
        return {"words": words, **{name: Form((n_step, *form.shape), form.dtype) for name, form in extras.items()}}

    def step(
        self,
        envs: np.ndarray,
        steps: Steps,
        terminated: np.ndarray,
        ended: np.ndarray,
    ) -> Steps:
        """Take one step (M,) of each of `envs` (M,) and hand out what is complete, env by env, the oldest first."""
        column = (self._newest[envs] + 1) % self.n_step
        self._newest[envs] = column
        self._origins[envs, column] = steps.origins
        self._actions[envs, column] = steps.actions
        self._rewards[envs, column] = 0.0
        for name, kept in self._extras.items():
            kept[envs, column] = steps.extras[name]
        self._open[envs] += 1
        columns = self._orders[column]  # (M, n)
        # Columns that are not open take in numbers that nobody reads.
        self._rewards[envs[:, None], columns] += self._powers[self._ages] * steps.rewards[:, None]
        leaving = self._complete(envs, columns, steps.lasts, terminated, ended)
        self._open[envs] = np.where(ended, 0, np.minimum(self._open[envs], self.n_step - 1))
        return leaving

    def step_one(
        self, origin: int, action: Any, reward: Any, terminated: Any, ended: Any, extras: Any
    ) -> Iterator[tuple[int, int, float, float, dict[str, Any]]]:
        """`step` of the only environment: (origin, action, reward, discount, extras) of each that is complete."""
        column, count = (self._newest.item(0) + 1) % self.n_step, self._open.item(0) + 1
        self._newest[0] = column
        self._open[0] = 0 if ended else min(count, self.n_step - 1)
        self._origins[0, column] = origin
        self._actions[0, column] = action
        rewards, order = self._rewards[0], self._orders[column]
        rewards[column] = 0.0
        for name, kept in self._extras.items():
            kept[0, column] = extras[name]
        rewards[order] += self._powers[self._ages] * reward
        for age in range(count - 1, -1 if ended else self.n_step - 2, -1):
            at = 0, (column - age) % self.n_step
            discount = 0.0 if terminated else self._powers.item(age + 1)
            yield (
                *(self._origins.item(at), self._actions.item(at), self._rewards.item(at), discount),
                {name: kept[at] for name, kept in self._extras.items()},
            )

    def cut(self, envs: np.ndarray, lasts: np.ndarray) -> Steps:
        """Close the windows of `envs` (M,) where they stand, at observations `lasts`, as if truncated there."""
        columns = self._orders[self._newest[envs]]
        always = np.ones(len(envs), bool)
        leaving = self._complete(envs, columns, lasts, ~always, always)
        self._open[envs] = 0
        return leaving

    def _complete(
        self, envs: np.ndarray, columns: np.ndarray, lasts: np.ndarray, terminated: np.ndarray, ended: np.ndarray
    ) -> Steps:
        is_open = self._ages < self._open[envs][:, None]  # (M, n)
        i, j = np.nonzero(is_open & (ended[:, None] | (self._ages == self.n_step - 1)))
        at = envs[i], columns[i, j]
        return Steps(
            self._origins[at],
            lasts[i],
            self._actions[at],
            self._rewards[at],
            np.where(terminated[i], 0.0, self._powers[self._ages[j] + 1]),
            {name: kept[at] for name, kept in self._extras.items()},
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is kept, not copied: what a state holds and `restore` overwrites."""
        extras = {f"extras/{name}": kept for name, kept in self._extras.items()}
        return {
            "origins": self._origins,
            "actions": self._actions,
            "rewards": self._rewards,
            "newest": self._newest,
            "open": self._open,
            **extras,
        }
