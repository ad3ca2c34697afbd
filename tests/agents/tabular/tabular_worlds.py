"""Small random worlds, and what is exactly true of them."""

import numpy as np

from rltk.envs import TabularEnv
from rltk.mdp import MDP


def random_world(seed, n_states, ends, limit=None):
    """An environment of so many states and three actions, with bars, chance and, `ends` of the time, ends."""
    random = np.random.default_rng(seed)
    table = {}
    for s in range(n_states):
        table[s] = {}
        for a in range(3):
            if a > 0 and random.random() < 0.2:
                continue
            chance = float(random.random())
            table[s][a] = [
                (p, int(random.integers(n_states)), float(random.normal()), bool(random.random() < ends))
                for p in (chance, 1 - chance)
            ]
    return TabularEnv(MDP.from_table(table), max_episode_steps=limit)


class Fixed:
    """A small random MDP, a policy that is followed in it, and the (state, action) pairs' long-run frequencies."""

    gamma = 0.8

    def __init__(self, seed):
        random = np.random.default_rng(seed)
        self.S, self.A = 4, 2
        T = random.dirichlet(np.full(self.S, 0.7), size=(self.S, self.A))
        ends = random.random((self.S, self.A, self.S)) < 0.15
        self.R = random.normal(size=(self.S, self.A, self.S))
        self.start = np.full(self.S, 1 / self.S)
        self.mdp = MDP.from_arrays(T, self.R, terminated=ends, start=self.start)
        self.policy = random.dirichlet(np.full(self.A, 3.0), size=self.S)
        self.T, self.goes_on = T, T * ~ends  # (S, A, S)
        self.pairs = self.S * self.A
        returns = self.goes_on.reshape(self.pairs, self.S)
        ended = 1 - returns.sum(axis=1, keepdims=True)
        chain = ((returns + ended * self.start)[:, :, None] * self.policy[None]).reshape(self.pairs, self.pairs)
        matrix = np.vstack([chain.T - np.eye(self.pairs), np.ones(self.pairs)])
        self.frequency = np.linalg.lstsq(matrix, np.append(np.zeros(self.pairs), 1.0), rcond=None)[0]

    def q_of(self, policy):
        """(S, A): what it is worth to take an action and follow `policy` from then on."""
        mean = (self.T * self.R).sum(axis=2).reshape(-1)
        follows = (self.goes_on[..., None] * policy).reshape(self.pairs, self.pairs)
        return np.linalg.solve(np.eye(self.pairs) - self.gamma * follows, mean).reshape(self.S, self.A)

    def best(self):
        """The greedy policy, by policy iteration."""
        policy = self.policy
        for _ in range(20):
            policy = np.eye(self.A)[self.q_of(policy).argmax(axis=1)]
        return policy

    def target_variance(self, value, spread=0.0):
        """(S * A,): of r + gamma V(s'), and of what is drawn there besides, `spread` (S,)."""
        target = self.R + self.gamma * (self.goes_on > 0) * value
        mean = (self.T * target).sum(axis=2, keepdims=True)
        drawn = self.gamma**2 * (self.goes_on * spread).sum(axis=2)
        return ((self.T * (target - mean) ** 2).sum(axis=2) + drawn).reshape(-1)

    def follows(self, policy):
        return (self.goes_on[..., None] * policy).reshape(self.pairs, self.pairs)
