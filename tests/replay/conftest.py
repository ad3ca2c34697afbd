"""A slow replay: Python lists, sums written out, and every transition kept for ever with its whole observations."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from rltk.replay import Replay

SPACE = gym.spaces.Dict({"where": gym.spaces.Box(-np.inf, np.inf, (2,)), "count": gym.spaces.Discrete(1 << 30)})


class SlowReplay:
    def __init__(self, capacity, num_envs, n_step, gamma):
        self.capacity, self.n_step, self.gamma = capacity, n_step, gamma
        self.slots = capacity + capacity // 8 + 2 * num_envs * (n_step + 1)
        self.shown = 0
        self.entered = []
        self.current = [None] * num_envs
        self.waiting = [[] for _ in range(num_envs)]  # (origin, action, note, rewards so far)

    def begin(self, observations, envs):
        numbers = self.show(len(envs))
        for env in envs:
            if self.current[env] is not None:
                self.leave(env, self.current[env][0], self.current[env][1], terminated=False, all_of_them=True)
        for env, number, observation in zip(envs, numbers, observations, strict=True):
            self.current[env] = (number, observation)

    def add(self, actions, rewards, observations, terminated, truncated, notes, envs):
        numbers = self.show(len(envs))
        for i, env in enumerate(envs):
            self.waiting[env].append((self.current[env], actions[i], notes[i], []))
            for *_, so_far in self.waiting[env]:
                so_far.append(rewards[i])
            over = terminated[i] or truncated[i]
            self.leave(env, numbers[i], observations[i], terminated=terminated[i], all_of_them=over)
            self.current[env] = None if over else (numbers[i], observations[i])

    def show(self, count):
        self.shown += count
        return range(self.shown - count, self.shown)

    def leave(self, env, last, observation, terminated, all_of_them):
        while self.waiting[env] and (all_of_them or len(self.waiting[env][0][3]) == self.n_step):
            (origin, seen), action, note, rewards = self.waiting[env].pop(0)
            total = 0.0
            for k, reward in enumerate(rewards):
                total += self.gamma**k * reward
            discount = 0.0 if terminated else self.gamma ** len(rewards)
            if self.shown - origin <= self.slots - self.capacity:
                row = seen, action, np.float32(total), observation, np.float32(discount), note
                self.entered.append((origin, last, row))

    def alive(self):
        """The numbers of those whose row and origin are there, and whose successors' origins are."""
        first = max(0, len(self.entered) - self.capacity)
        for number, (origin, *_) in enumerate(self.entered):
            if origin < self.shown - self.slots:
                first = max(first, number + 1)
        return range(first, len(self.entered))


class Twins:
    """A replay and its slow twin, fed with the same random episodes."""

    def __init__(self, seed, *, capacity, num_envs, n_step, gamma=0.9, lockstep=False, end=0.2, make=Replay):
        self.chance = np.random.default_rng(seed)
        extras = {"note": ((2,), np.int16)}
        self.replay = make(SPACE, capacity, num_envs=num_envs, n_step=n_step, gamma=gamma, n_actions=3, extras=extras)
        self.slow = SlowReplay(capacity, num_envs, n_step, gamma)
        self.num_envs, self.lockstep, self.end = num_envs, lockstep, end
        self.names = itertools.count(1)

    def play(self, steps):
        for _ in range(steps):
            self.begin([env for env in range(self.num_envs) if self.slow.current[env] is None])
            envs = list(range(self.num_envs))
            if not self.lockstep:
                envs = self.chance.permutation(envs)[: self.chance.integers(0, self.num_envs + 1)].tolist()
                if self.chance.random() < 0.05:  # Someone starts anew in the middle of an episode.
                    self.begin(envs)
            self.add(envs)

    def observations(self, count):
        return [next(self.names) for _ in range(count)]

    @staticmethod
    def shown(names):
        """Observations and masks that are functions of a number, so that one can be told from all others."""
        names = np.asarray(names, np.int64)
        return {"where": np.stack([names, -names], axis=-1).astype(np.float32), "count": names}, names[..., None] >> [
            0,
            1,
            2,
        ] & 1

    def begin(self, envs):
        names = self.observations(len(envs))
        observations, masks = self.shown(names)
        self.replay.begin(observations, masks, envs=envs)
        self.slow.begin(names, envs)

    def add(self, envs):
        count, chance = len(envs), self.chance
        names, actions, rewards = self.observations(count), chance.integers(0, 3, count), chance.normal(size=count)
        terminated, truncated = chance.random((2, count)) < self.end / 2
        notes = chance.integers(-9, 9, (count, 2))
        observations, masks = self.shown(names)
        whole = self.lockstep and chance.random() < 0.5
        self.replay.add(
            actions, rewards, observations, terminated, truncated, masks, {"note": notes}, None if whole else envs
        )
        self.slow.add(actions.tolist(), rewards.tolist(), names, terminated, truncated, notes.tolist(), envs)

    def compare(self):
        """Every transition that can be drawn, and what is handed out of it, is the slow twin's."""
        alive = self.slow.alive()
        assert self.replay.alive == alive
        assert len(self.replay) == len(alive)
        if not alive:
            return
        batch = self.replay.batch(np.array(alive) % self.replay.capacity)
        rows = [row for *_, row in self.slow.entered[alive.start :]]
        seen, actions, rewards, lasts, discounts, notes = map(np.array, zip(*rows, strict=True))
        for found, names in ((batch.observations, seen), (batch.next_observations, lasts)):
            expected, _ = self.shown(names)
            assert {name: value.numpy().tobytes() for name, value in found.items()} == {
                name: value.tobytes() for name, value in expected.items()
            }
        np.testing.assert_array_equal(batch.next_masks, self.shown(lasts)[1])
        np.testing.assert_array_equal(batch.actions, actions)
        assert batch.rewards.numpy().tobytes() == rewards.tobytes()
        assert batch.discounts.numpy().tobytes() == discounts.tobytes()
        np.testing.assert_array_equal(batch.extras["note"], notes)


@pytest.fixture
def twins():
    return Twins
