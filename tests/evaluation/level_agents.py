"""Small agents that play levels, and a world whose levels are words."""

import numpy as np

import rltk
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError
from rltk.mdp import MDP, Criterion

KEY, DOOR, OPEN = 5, 4, 0  # as MiniGrid numbers what is seen


class Rules:
    """Picks up the key and opens the door when they are ahead, and wanders otherwise; sees the image alone."""

    criterion = Criterion(0.95)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        images = {"image": np.asarray(observation["image"])[None]}
        return int(self.action_probabilities(images)[0].argmax()), state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        ahead = observations["image"][:, 3, 5]  # (N, 3): kind, colour, state
        policy = np.tile([0.25, 0.15, 0.6, 0, 0, 0, 0], (len(ahead), 1))
        policy[ahead[:, 0] == KEY] = np.eye(7)[3]
        policy[(ahead[:, 0] == DOOR) & (ahead[:, 2] != OPEN)] = [0.1, 0, 0, 0, 0, 0.9, 0]
        return policy


class ByHeart:
    """Does what was best in what it saw on the levels trained on, mostly, and anything elsewhere."""

    criterion = Criterion(0.95)

    def __init__(self, env, seeds):
        self.known = {}
        for seed in seeds:
            env.reset(seed=seed)
            policy = rltk.solve(env, gamma=0.95).policy
            observations = env.unwrapped.observations(np.arange(policy.size))
            for seen, action in zip(self.seen(observations), policy, strict=True):
                self.known.setdefault(seen, action)

    @staticmethod
    def seen(observations):
        pairs = zip(observations["image"], observations["direction"], strict=True)
        return [image.tobytes() + bytes([direction]) for image, direction in pairs]

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        raise NotImplementedError

    def action_probabilities(self, observations, mask=None, deterministic=True):
        known = np.vstack([np.eye(7), np.full(7, 1 / 7)])[[self.known.get(one, 7) for one in self.seen(observations)]]
        return 0.9 * known + 0.1 / 7


class Plans:
    """Plays the plan of the level whose first observation it is shown; offers no probabilities."""

    criterion = Criterion(0.95)

    def __init__(self, env, seeds, wasted=0):
        self.plans = {}
        for seed in seeds:
            observation, _ = env.reset(seed=seed)
            self.plans[observation["image"].tobytes()] = [0] * wasted + env.unwrapped.shortest_plan().tolist()

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        left = self.plans[observation["image"].tobytes()] if episode_start[0] else state
        return left[0], left[1:]


class Walk(TabularEnv):
    """A walk to the right, as long as the seed or the layout, a number in words, says; -1 a step."""

    WORDS = ("none", "one", "two", "three")

    def __init__(self):
        super().__init__(self.of(1))

    @staticmethod
    def of(n):
        return MDP.from_function(lambda s, a: [(1.0, s + (a == 0), -1.0, s + (a == 0) == n)], 0, 2)

    def reset(self, *, seed=None, options=None):
        if options is not None and options["layout"] not in self.WORDS:
            raise ArgumentError(f"no such layout: {options['layout']}")
        self._mdp = self.of(self.WORDS.index(options["layout"]) if options else 1 + seed % 3)
        return super().reset(seed=seed)

    def observations(self, states):
        return np.asarray(states)


class Onwards:
    """Walks on, or stays where it is with the probability `idle`."""

    def __init__(self, idle=0.0, criterion=None):
        self.row, self.criterion = [1 - idle, idle], criterion or Criterion(1.0)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return 0, state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        return np.tile(self.row, (len(observations), 1))


class Spelt:
    """A layout that equals what it spells, and has no hash."""

    def __init__(self, word):
        self.word = word

    def __eq__(self, other):
        return self.word == other

    __hash__ = None
