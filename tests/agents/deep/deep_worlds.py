"""Small environments whose observations tell where an episode stands, so that tests can see what was remembered."""

import gymnasium as gym
import numpy as np


class Clock(gym.Env):
    """Observes (episode, step, action before); ends after a number of steps drawn anew for each episode.

    It terminates after an even number of steps and is truncated after an odd one. The reward is the step plus a tenth
    of the action.
    """

    observation_space = gym.spaces.Box(-1e6, 1e6, (3,), np.float32)

    def __init__(self, longest=7, start=0, masked=False, first=0):
        self.action_space = gym.spaces.Discrete(3, start=start)
        self.longest, self.masked, self.episode = longest, masked, first - 1

    def _info(self):
        return {"action_mask": np.arange(3) != self.at % 3} if self.masked else {}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.length = int(self.np_random.integers(1, self.longest + 1))
        self.at, self.last = 0, 0
        return self._seen(), self._info()

    def _seen(self):
        return np.array([self.episode, self.at, self.last], dtype=np.float32)

    def step(self, action):
        assert self.action_space.contains(action)
        if self.masked:
            assert (action - self.action_space.start) != self.at % 3, "a masked action was taken"
        self.at += 1
        self.last = int(action) - int(self.action_space.start)
        over = self.at >= self.length
        terminated = over and self.length % 2 == 0
        return self._seen(), self.at + 0.1 * self.last, terminated, over and not terminated, self._info()


class Mixed(gym.Env):
    """A Dict with a bit of everything, text among it."""

    observation_space = gym.spaces.Dict(
        {
            "place": gym.spaces.Discrete(5, start=-2),
            "sizes": gym.spaces.MultiDiscrete([2, 3]),
            "bits": gym.spaces.MultiBinary(4),
            "numbers": gym.spaces.Box(-1, 1, (2, 2), np.float64),
            "words": gym.spaces.Text(20),
            "pair": gym.spaces.Tuple((gym.spaces.Discrete(3), gym.spaces.Box(0, 1, (1,), np.float32))),
        }
    )
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.at = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.at += 1
        return self.observation_space.sample(), float(action), self.at >= 10, False, {}
