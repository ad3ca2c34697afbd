"""One-step methods as a whole: beside slow, literal agents written from the book, and beside what theory says."""

import gymnasium as gym
import numpy as np
import pytest

from rltk.agents.tabular import SARSA, TD, DoubleQLearning, ExpectedSARSA, QLearning
from rltk.envs import TabularEnv
from rltk.mdp import MDP
from rltk.runs import Streams

# Slow, literal agents. They draw the words that the learners draw, from the same named streams.


class Literal:
    """The loop of the book's boxes, on any environment by its `step`; subclasses are the methods' boxes."""

    def __init__(self, env, *, gamma, alpha, epsilon, seed):
        self.env, self.gamma, self.alpha, self.epsilon = env, gamma, alpha, epsilon
        streams = Streams(seed)
        self.word, self.coin = streams.generator("behaviour").random, streams.generator("method").random
        self.state, _ = env.reset(seed=streams.seed("environment"))
        self.available = env.unwrapped.mdp().available
        self.q = {s: {int(a): 0.0 for a in np.flatnonzero(row)} for s, row in enumerate(self.available)}
        self.action = None

    def choose(self, q, s):
        """Epsilon-greedy from one word u: exploring if u < epsilon, and then u / epsilon picks among all actions;
        else (u - epsilon) / (1 - epsilon) picks among the best."""
        u, actions = self.word(), list(q[s])
        best = [a for a in actions if q[s][a] == max(q[s].values())]
        if u < self.epsilon:
            return actions[min(int(u / self.epsilon * len(actions)), len(actions) - 1)]
        return best[min(int((u - self.epsilon) / (1 - self.epsilon) * len(best)), len(best) - 1)]

    def policy(self, s):
        best = [a for a in self.q[s] if self.q[s][a] == max(self.q[s].values())]
        return {
            a: self.epsilon / len(self.q[s]) + ((1 - self.epsilon) / len(best) if a in best else 0) for a in self.q[s]
        }

    def run(self, steps):
        s = self.state
        for _ in range(steps):
            a = self.act(s)
            s2, r, terminated, truncated, _ = self.env.step(a)
            self.learn(s, a, r, s2, terminated)
            s = s2
            if terminated or truncated:
                s, _ = self.env.reset()
                self.action = None
        return self

    def act(self, s):
        return self.choose(self.q, s)

    def table(self):
        q = np.full(self.available.shape, -np.inf)
        for s, row in self.q.items():
            for a, value in row.items():
                q[s, a] = value
        return q


class LiteralQLearning(Literal):
    """Sutton and Barto (2018), section 6.5's box."""

    def learn(self, s, a, r, s2, terminated):
        future = 0 if terminated else max(self.q[s2].values())
        self.q[s][a] += self.alpha * (r + self.gamma * future - self.q[s][a])


class LiteralSARSA(Literal):
    """Section 6.4's box: A' is chosen before the update, and taken after it."""

    def act(self, s):
        return self.choose(self.q, s) if self.action is None else self.action

    def learn(self, s, a, r, s2, terminated):
        self.action = None if terminated else self.choose(self.q, s2)
        future = 0 if terminated else self.q[s2][self.action]
        self.q[s][a] += self.alpha * (r + self.gamma * future - self.q[s][a])


class LiteralExpectedSARSA(Literal):
    """Section 6.6, equation 6.9."""

    def learn(self, s, a, r, s2, terminated):
        future = 0 if terminated else sum(p * self.q[s2][b] for b, p in self.policy(s2).items())
        self.q[s][a] += self.alpha * (r + self.gamma * future - self.q[s][a])


class LiteralDoubleQLearning(Literal):
    """Section 6.7's box; it behaves by the mean of both tables, where the box adds them, which is the same."""

    def __init__(self, env, **options):
        super().__init__(env, **options)
        self.tables = [{s: dict(row) for s, row in self.q.items()} for _ in range(2)]

    def learn(self, s, a, r, s2, terminated):
        one, two = self.tables if self.coin() < 0.5 else self.tables[::-1]
        future = 0 if terminated else two[s2][max(one[s2], key=one[s2].get)]
        one[s][a] += self.alpha * (r + self.gamma * future - one[s][a])
        self.q[s][a] = (self.tables[0][s][a] + self.tables[1][s][a]) / 2


BARRED = MDP.from_table(
    {
        0: {0: [(0.3, 1, 2.0, False), (0.7, 2, -1.0, False)], 2: [(1.0, 1, 0.5, False)]},
        1: {1: [(0.5, 0, 0.0, False), (0.5, 2, 4.0, True)], 2: [(0.1, 1, 1.0, True), (0.9, 0, 1.0, False)]},
        2: {0: [(1.0, 2, -2.0, False)], 1: [(0.5, 0, 8.0, True), (0.5, 1, 0.0, False)], 2: [(1, 0, 0, False)]},
    }
)
WORLDS = {
    "a lake where time runs out": lambda: gym.make("rltk/FrozenLake-v0", max_episode_steps=17),
    "a cliff": lambda: gym.make("rltk/CliffWalking-v0", max_episode_steps=50),
    "barred actions": lambda: TabularEnv(BARRED, max_episode_steps=11),
}
PAIRS = {
    QLearning: LiteralQLearning,
    SARSA: LiteralSARSA,
    ExpectedSARSA: LiteralExpectedSARSA,
    DoubleQLearning: LiteralDoubleQLearning,
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("learner", PAIRS, ids=lambda learner: learner.name)
def test_a_learner_is_the_book_s_box_to_the_last_digits(learner, world):
    """The compiled loop, and a literal agent that draws the same words: the same table after 4,000 steps."""
    options = {"gamma": 0.9, "alpha": 0.3, "epsilon": 0.2, "seed": 11}
    slow = PAIRS[learner](WORLDS[world](), **options).run(4000)
    fast = learner(WORLDS[world](), **options).learn(4000)

    assert fast.backend == "compiled"
    assert fast.episodes > 50
    np.testing.assert_allclose(fast.q, slow.table(), rtol=0, atol=1e-12 * max(1, np.abs(fast.q[fast.q > -1e9]).max()))


@pytest.mark.parametrize("world", WORLDS)
def test_td_is_the_book_s_box_to_the_last_digits(world):
    """TD(0), section 6.1's box, following a policy: the first action at which the probabilities exceed the word."""
    env, gamma, alpha = WORLDS[world](), 0.9, 0.3
    available = env.unwrapped.mdp().available
    random = np.random.default_rng(0)
    policy = random.random(available.shape) * available
    policy /= policy.sum(axis=1, keepdims=True)
    streams, value = Streams(11), [0.0] * len(available)
    word = streams.generator("behaviour").random
    s, _ = env.reset(seed=streams.seed("environment"))
    for _ in range(4000):
        u, a, total = word(), 0, policy[s][0]
        while u >= total and a < max(np.flatnonzero(policy[s])):
            a += 1
            total += policy[s][a]
        s2, r, terminated, truncated, _ = env.step(a)
        value[s] += alpha * (r + gamma * value[s2] * (not terminated) - value[s])
        s = env.reset()[0] if terminated or truncated else s2

    fast = TD(WORLDS[world](), policy, gamma=gamma, alpha=alpha, seed=11).learn(4000)
    np.testing.assert_allclose(fast.value, value, rtol=0, atol=1e-12 * max(1, np.abs(value).max()))


def lefts(learner, steps, seeds, **options):
    """(seeds,) the share of the last 100 episodes, or of all, in which it went left: those of two steps."""
    shares = []
    for seed in range(seeds):
        agent = learner(gym.make("rltk/MaximizationBias-v0"), gamma=1.0, seed=seed, **options).learn(steps)
        shares.append(np.mean(agent.state()["recent_lengths"] == 2))
    return np.array(shares)


def test_double_q_learning_has_no_maximisation_bias():
    """Sutton and Barto (2018), Figure 6.5, alpha 0.1, epsilon 0.1: Q-learning goes left, which loses 0.1, much more
    often than right at first, and more than the 5% that exploring makes inevitable after 200 episodes still; double
    Q-learning goes left less often than right from the start."""
    options = {"alpha": 0.1, "epsilon": 0.1}
    early = {learner: lefts(learner, 100, 400, **options) for learner in (QLearning, DoubleQLearning)}
    late = {learner: lefts(learner, 400, 400, **options) for learner in (QLearning, DoubleQLearning)}

    def error(first, second):
        return np.sqrt((first.var() + second.var()) / first.size)

    assert early[QLearning].mean() > 0.5
    assert early[DoubleQLearning].mean() < 0.5
    for share in (early, late):
        gap = share[QLearning].mean() - share[DoubleQLearning].mean()
        assert gap > 5 * error(share[QLearning], share[DoubleQLearning])
    assert late[QLearning].mean() > 0.05 + 5 * late[QLearning].std() / 20
    assert late[QLearning].mean() < early[QLearning].mean()
