"""REINFORCE and actor-critic against the exact policy gradient, against the book's boxes, and against its corridor."""

import inspect
import re

import gymnasium as gym
import numpy as np
import pytest
from tabular_worlds import random_world

import rltk
from rltk.agents.tabular import REINFORCE, ActorCritic
from rltk.agents.tabular.actor_critic import actor_critic_update, reinforce_update
from rltk.agents.tabular.exploration import EpsilonGreedy, picked
from rltk.envs.tabular import TabularEnv
from rltk.errors import ArgumentError, LearningError
from rltk.mdp import MDP
from rltk.runs import Streams

ALPHA, BETA, GAMMA = 0.25, 0.5, 0.75
STREAM = np.zeros(6, dtype=np.uint64)


def layered():
    """Three layers of two states: every episode ends after at most three steps and meets no state twice. Ends lead to
    a state that has a value of its own."""
    random = np.random.default_rng(5)
    table = {}
    for s in range(6):
        after = [2, 3] if s < 2 else [4, 5]
        table[s] = {}
        for a in range(3):
            if (s, a) == (3, 1):
                continue
            weights = random.dirichlet(np.ones(3))
            ends = [True, s >= 4, s >= 4]
            places = [0, *after]
            table[s][a] = [
                (float(w), to, float(random.normal()), end) for w, to, end in zip(weights, places, ends, strict=True)
            ]
    return MDP.from_table(table, start=[0.25, 0.75, 0, 0, 0, 0])


def softmax(preference):
    weights = np.where(preference > -np.inf, np.exp(preference), 0.0)
    return weights / weights.sum(axis=-1, keepdims=True)


def exact_gradient(mdp, preference):
    """(S, A) the gradient of V(start): sum_s d(s) pi(b | s) [ q(s, b) - v(s) ], d the discounted visits (Sutton and
    Barto 2018, section 13.2, with the discount kept)."""
    policy = softmax(preference)
    chain = mdp.chain(policy)
    value, visits = chain.value(GAMMA), chain.occupancy(mdp.start, GAMMA)
    advantage = np.where(mdp.available, mdp.q(value, GAMMA) - value[:, None], 0.0)
    return visits[:, None] * policy * advantage


def episodes_of(mdp, policy):
    """All episodes: (probability, [(state, action, reward, next state, terminated), ...])."""
    open_episodes = [(float(p), s, []) for s, p in enumerate(mdp.start) if p > 0]
    while open_episodes:
        chance, s, steps = open_episodes.pop()
        for a in np.flatnonzero(policy[s]):
            row = s * mdp.n_actions + a
            for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
                step = (s, int(a), float(mdp.reward[i]), int(mdp.next_state[i]), bool(mdp.terminated[i]))
                likely = chance * policy[s, a] * float(mdp.probability[i])
                if step[-1]:
                    yield likely, [*steps, step]
                else:
                    open_episodes.append((likely, step[3], [*steps, step]))


def expected_update(learner, kernel, baseline):
    """(S, A) the expected change of the preferences by one episode, over alpha; exact but for rounding."""
    mdp = layered()
    preference = np.where(mdp.available, np.random.default_rng(1).normal(size=(6, 3)), -np.inf)
    policy = softmax(preference)
    total, chances = np.zeros((6, 3)), 0.0
    for chance, steps in episodes_of(mdp, policy):
        agent = learner(TabularEnv(mdp), beta=0.0, gamma=GAMMA)
        agent._reserve(len(steps))
        agent.memory.value[:] = mdp.chain(policy).value(GAMMA) if baseline == "exact" else baseline
        moved = preference.copy()
        for s, a, reward, t, terminated in steps:
            numbers = (ALPHA, GAMMA, (1.0, tuple(agent.habits)), STREAM)
            kernel(moved, tuple(agent.memory), s, a, reward, t, -1, terminated, terminated, *numbers)
        total += chance * np.where(mdp.available, moved - np.where(mdp.available, preference, 0.0), 0.0)
        chances += chance
    assert abs(chances - 1) < 1e-12
    return total / ALPHA, exact_gradient(mdp, preference)


@pytest.mark.parametrize("baseline", [0.0, 3.0, "exact"])
def test_reinforce_climbs_the_exact_gradient(baseline):
    """The expected update is alpha times the gradient of V(start), whatever the baseline (Sutton and Barto 2018,
    sections 13.3 and 13.4). Where no state is met twice in an episode, steps do not disturb each other, and it is so
    for every alpha."""
    update, gradient = expected_update(REINFORCE, reinforce_update, baseline)
    np.testing.assert_allclose(update, gradient, rtol=0, atol=1e-13)


def test_actor_critic_climbs_the_exact_gradient():
    """With the policy's own values as critic the TD error is the advantage on average, and the expected update is the
    gradient (section 13.5); with another critic it is another."""
    update, gradient = expected_update(ActorCritic, actor_critic_update, "exact")
    np.testing.assert_allclose(update, gradient, rtol=0, atol=1e-13)
    wrong, _ = expected_update(ActorCritic, actor_critic_update, 3.0)
    assert np.abs(wrong - gradient).max() > 0.1


def test_the_gradient_is_that_of_the_return():
    """The gradient that the updates are compared with is the derivative of the exact value, by differences."""
    mdp = layered()
    preference = np.where(mdp.available, np.random.default_rng(1).normal(size=(6, 3)), -np.inf)
    gradient = exact_gradient(mdp, preference)
    for s, a in np.argwhere(mdp.available):
        values = []
        for sign in (1, -1):
            moved = preference.copy()
            moved[s, a] += sign * 1e-5
            values.append(mdp.over_start(mdp.chain(softmax(moved)).value(GAMMA)))
        assert abs((values[0] - values[1]) / 2e-5 - gradient[s, a]) < 1e-9


# The book's boxes, in plain Python


def world(limit=None):
    """Five states."""
    return random_world(7, 5, ends=0.3, limit=limit)


def gradient_of_log(h, s, a):
    return np.where(h[s] > -np.inf, (np.arange(len(h[s])) == a) - softmax(h[s]), 0.0)


def literal_actor_critic(h, v, episode, _):
    """Sutton and Barto (2018), section 13.5, the box "One-step Actor-Critic (episodic)", for the newest step."""
    s, a, reward, t, terminated = episode[-1]
    error = reward + (0.0 if terminated else GAMMA * v[t]) - v[s]
    v[s] += BETA * error
    h[s] += ALPHA * GAMMA ** (len(episode) - 1) * error * gradient_of_log(h, s, a)


def literal_reinforce(truncated):
    """Section 13.4, the box "REINFORCE with Baseline (episodic)"; what a truncated episode does is ours."""

    def method(h, v, episode, over):
        if not over or (not episode[-1][4] and truncated == "discard"):
            return
        left = 0.0 if episode[-1][4] else v[episode[-1][3]]
        for t, (s, a, _, _, _) in enumerate(episode):
            rest = [reward for _, _, reward, _, _ in episode[t:]]
            total = sum(GAMMA**k * reward for k, reward in enumerate(rest)) + GAMMA ** len(rest) * left
            error = total - v[s]
            v[s] += BETA * error
            h[s] += ALPHA * GAMMA**t * error * gradient_of_log(h, s, a)

    return method


def run(env, seed, steps, method):
    """(preferences, values) after so many steps, by a learner's streams."""
    streams = Streams(seed)
    behaviour = streams.generator("behaviour")
    h, v, episode = np.where(env.mdp().available, 0.0, -np.inf), np.zeros(env.mdp().n_states), []
    state, _ = env.reset(seed=streams.seed("environment"))
    for _ in range(steps):
        action = picked.py_func(softmax(h[state]), behaviour.random())
        next_state, reward, terminated, truncated, _ = env.step(action)
        episode.append((state, action, reward, next_state, terminated))
        method(h, v, episode, terminated or truncated)
        state = next_state
        if terminated or truncated:
            state, episode = env.reset()[0], []
    return h, v


METHODS = {
    "actor-critic": (ActorCritic, {}, literal_actor_critic),
    "reinforce": (REINFORCE, {}, literal_reinforce("discard")),
    "reinforce, bootstrap": (REINFORCE, {"truncated": "bootstrap"}, literal_reinforce("bootstrap")),
}


def compare(learner, options, literal, backend="auto", steps=400, limit=4):
    agent = learner(world(limit), alpha=ALPHA, beta=BETA, gamma=GAMMA, seed=2, backend=backend, **options).learn(steps)
    h, v = run(world(limit), 2, steps, literal)
    np.testing.assert_allclose(agent.preference, h, rtol=0, atol=1e-12)
    np.testing.assert_allclose(agent.value, v, rtol=0, atol=1e-12)


@pytest.mark.parametrize("limit", [None, 4])
@pytest.mark.parametrize("name", METHODS)
def test_each_does_what_the_box_says(name, limit):
    """400 steps give the preferences and values that the box gives: with ends, truncated episodes, barred actions."""
    compare(*METHODS[name], limit=limit)


MUTANTS = {
    "an end bootstraps": ("actor-critic", actor_critic_update, "0.0 if terminated else gamma", "gamma"),
    "gamma^t goes on": ("actor-critic", actor_critic_update, "1.0 if over else gamma", "gamma"),
    "no gamma^t": ("actor-critic", actor_critic_update, "alpha * discount[0]", "alpha"),
    "the actor forgets alpha": ("actor-critic", actor_critic_update, "alpha * discount[0]", "discount[0]"),
    "a return bootstraps at its end": (
        "reinforce, bootstrap",
        reinforce_update,
        "0.0 if terminated else value",
        "value",
    ),
    "truncated ones are not discarded": (
        "reinforce",
        reinforce_update,
        "if terminated or settings[1] > 0.0",
        "if True",
    ),
    "the episode goes on": ("reinforce", reinforce_update, "    size[0] = 0", "    size[0] = 1"),
    "no gamma^t in reinforce": ("reinforce", reinforce_update, "discount *= gamma", "discount *= 1.0"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    """The comparison above fails for each of these changes of a kernel, and passes without."""
    method, kernel, old, new = MUTANTS[name]
    learner, options, literal = METHODS[method]
    for replacement, wrong in ((old, False), (new, True)):
        source = re.sub(r"@jit.*\n", "", inspect.getsource(kernel.py_func))
        assert source.count(old) == 1, f"{old!r} is not in the kernel: mend this test"
        namespace = dict(kernel.py_func.__globals__)
        exec(source.replace(old, replacement), namespace)
        changed = type("Changed", (learner,), {"update": staticmethod(namespace[kernel.py_func.__name__])})
        if wrong:
            with pytest.raises((AssertionError, IndexError)):
                compare(changed, options, literal, backend="gymnasium", steps=150)
        else:
            compare(changed, options, literal, backend="gymnasium", steps=150)


# What comes of it


class ShortCorridor(gym.Env):
    """Three places that look alike; in the second the actions are swapped. -1 a step, the end on the right (Sutton and
    Barto 2018, Example 13.1)."""

    observation_space, action_space = gym.spaces.Discrete(1), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return 0, {}

    def step(self, action):
        right = (action == 1) != (self.place == 1)
        self.place = max(0, self.place + (1 if right else -1))
        return 0, -1.0, self.place == 3, False, {}


@pytest.mark.parametrize(("alpha", "beta"), [(2.0**-12, 0.0), (2.0**-10, 2.0**-6)], ids=["plain", "baseline"])
def test_reinforce_finds_the_best_mixture_in_the_short_corridor(alpha, beta):
    """Sutton and Barto (2018), Example 13.1 and Figures 13.1 and 13.2: the best policy that can't tell the places apart
    goes right with probability 2 - sqrt(2) = 0.586; greedy ones never arrive. It begins at 0.27."""
    agent = REINFORCE(ShortCorridor(), alpha=alpha, beta=beta, gamma=1.0, seed=0)
    agent.preference[0] = [0.0, -1.0]
    agent.learn(120_000)
    right = agent.action_probabilities(np.zeros(1, dtype=int), deterministic=False)[0, 1]

    assert abs(right - (2 - np.sqrt(2))) < 0.08


@pytest.mark.parametrize("learner", [ActorCritic, REINFORCE])
def test_the_policy_becomes_nearly_optimal(learner):
    """On Russell and Norvig's 4x3 world at gamma 0.9 what is lost falls to a tenth of what the uniform policy loses."""
    env = gym.make("rltk/RussellNorvig4x3-v0")
    agent = learner(env, alpha=0.2, beta=0.1, gamma=0.9, seed=0).learn(200_000)
    result = rltk.evaluate(agent, env, deterministic=False)

    assert result.normalised_suboptimality < 0.1


@pytest.mark.parametrize("learner", [ActorCritic, REINFORCE])
def test_what_is_not_finite_stops_at_once(learner):
    """Two rewards of 1e308 make a return, and a TD error, that no float holds: the update after the second says so."""
    env = TabularEnv(
        MDP.from_table({0: {0: [(1.0, 1, 1e308, False)]}, 1: {0: [(1.0, 0, 1.7e308, True)]}}, start=[1, 0])
    )
    agent = learner(env, gamma=1.0, alpha=1.0, beta=1.0)
    if learner is ActorCritic:
        agent.memory.value[1] = -1e308
    with pytest.raises(LearningError, match=r"update of step 2 is not finite"):
        agent.learn(10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exploration": EpsilonGreedy(0.1)}, "REINFORCE explores by its own policy; leave exploration= out"),
        ({"epsilon": 0.1}, "REINFORCE explores by its own policy; leave epsilon= out"),
        ({"beta": 2.0}, "beta is a number in [0, 1]; it is 2.0"),
        ({"beta": rltk.runs.linear(1, 0, 10)}, "beta is a number in [0, 1]; it is Linear"),
        ({"truncated": "cut"}, "truncated is one of discard, bootstrap; it is 'cut'"),
    ],
)
def test_options_that_can_not_be_used(options, message):
    """Each says what was expected."""
    with pytest.raises(ArgumentError, match=re.escape(message)):
        REINFORCE(world(), **options)
