"""The return as step pays it: against episodes that are played, and a dynamic programme written out in full."""

import gc
import json
import weakref

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.envs import TabularEnv
from rltk.evaluation.exact import LIMITED_WORK
from rltk.evaluation.paid import paid_by_the_clock
from rltk.mdp import MDP, Criterion

LEVELS = (
    "rltk/MiniGrid-DoorKey-5x5-v0",
    "rltk/MiniGrid-LavaCrossingS9N1-v0",
    "rltk/MiniGrid-GoToDoor-5x5-v0",  # "done" at the wrong door ends it
    "rltk/MiniGrid-Empty-Random-5x5-v0",
)


class ByState:
    """A policy (S, A) that sees the state's number."""

    acts_on_states = True

    def __init__(self, policy, criterion=None):
        self.policy, self.criterion = np.asarray(policy, dtype=float), criterion or Criterion(0.99)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return int(self.policy[observation].argmax()), state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        return self.policy[observations]


class ByTheClock(TabularEnv):
    """Any MDP, whose success on step t pays `worth(t)`."""

    metadata = {**TabularEnv.metadata, "reward_model": "declared"}  # noqa: RUF012

    def __init__(self, mdp, max_steps, worth):
        super().__init__(mdp)
        self.max_steps, self.worth = max_steps, worth

    def success_reward(self, t):
        return self.worth(t)


def begun(name, seed=0, **options):
    env = gym.make(name, **options)
    env.reset(seed=seed)
    return env


def played(env, policy, seed):
    """The undiscounted sum of what step pays in an episode of a deterministic policy (S,)."""
    env.reset(seed=seed)
    env.unwrapped.mdp()
    state, total, over = 0, 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(int(policy[state]))
        total, over, state = total + reward, terminated or truncated, info.get("state", -1)
    return total


def by_hand(mdp, worth, steps, policy=None):
    """The mean, under `policy` (S, A) or the best one, of what is paid in `steps` steps, one outcome at a time."""
    value = [0.0] * mdp.n_states
    for t in range(steps, 0, -1):
        now = []
        for s in range(mdp.n_states):
            q = []
            for a in range(mdp.n_actions):
                row = s * mdp.n_actions + a
                total = 0.0
                for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
                    reward = worth(t) if mdp.success[i] else mdp.reward[i]
                    onwards = 0.0 if mdp.terminated[i] else value[mdp.next_state[i]]
                    total += mdp.probability[i] * (reward + onwards)
                q.append(total)
            now.append(max(q) if policy is None else float(np.dot(policy[s], q)))
        value = now
    return float(mdp.start @ value)


def world(seed):
    """Twelve states, three actions, three outcomes each; entering 10 is a success and 11 a failure; rewards between."""
    random = np.random.default_rng(seed)
    there, chance = random.integers(0, 12, (12, 3, 3)), random.dirichlet(np.ones(3), (12, 3))
    pay = random.normal(0, 0.02, (12, 3, 3))

    def transition(s, a):
        return [(chance[s, a, i], there[s, a, i], pay[s, a, i], there[s, a, i] >= 10) for i in range(3)]

    return MDP.from_function(transition, dict.fromkeys(range(12), 1 / 12), 3, success=lambda s: s == 10)


@pytest.mark.parametrize("name", LEVELS)
def test_one_episode_tells_what_a_deterministic_policy_is_paid(name):
    """In deterministic levels an episode is exact: policies that do something at random in each state, some of them
    optimal but for that, so that they reach every ending."""
    env, random = begun(name), np.random.default_rng(1)
    reached = set()
    for seed in range(6):
        env.reset(seed=seed)
        optimal = rltk.solve(env, gamma=0.99)
        for wrong in (0.0, 0.02, 0.1, 1.0):
            n = optimal.mdp.n_states
            policy = np.where(random.random(n) < wrong, random.integers(0, optimal.mdp.n_actions, n), optimal.policy)
            result = rltk.evaluate(ByState(np.eye(optimal.mdp.n_actions)[policy]), env)
            assert result.paid_value == pytest.approx(played(env, policy, seed), abs=1e-12)
            reached.add((result.paid_value > 0, result.success_probability > 0))
    assert reached == {(True, True), (False, False)}


def test_success_on_the_last_step_is_paid_and_one_step_later_is_not():
    """A plan of d steps within limits of d - 1, d and d + 1."""
    name = "rltk/MiniGrid-DoorKey-5x5-v0"
    env = begun(name)
    steps = len(env.unwrapped.shortest_plan())
    for limit, pays in ((steps - 1, 0.0), (steps, 0.1), (steps + 1, 1 - 0.9 * steps / (steps + 1))):
        env = begun(name, max_steps=limit)
        solution = rltk.solve(env, gamma=0.99)
        result = rltk.evaluate(solution, env)
        assert result.paid_value == result.paid_optimum == pytest.approx(pays)
        assert played(env, solution.policy, 0) == pytest.approx(pays)


def test_a_wrapper_may_cut_the_episode_shorter():
    """What pays is the environment's clock; when it is over is the nearer of both limits."""
    env = begun("rltk/MiniGrid-Empty-5x5-v0")
    steps = len(env.unwrapped.shortest_plan())
    solution = rltk.solve(env, gamma=0.99)

    just = rltk.evaluate(solution, gym.wrappers.TimeLimit(env, steps))
    short = rltk.evaluate(solution, gym.wrappers.TimeLimit(env, steps - 1))

    assert just.paid_value == just.paid_optimum == env.unwrapped.success_reward(steps)
    assert (short.paid_value, short.paid_optimum) == (0, 0)


@pytest.mark.parametrize("name", LEVELS)
def test_the_optimum_is_the_shortest_plan_s(name):
    """From the start; and what is optimal under the declared reward is so as step pays, in deterministic levels."""
    env = begun(name)
    for seed in range(4):
        env.reset(seed=seed)
        best = env.unwrapped.success_reward(len(env.unwrapped.shortest_plan()))
        result = rltk.evaluate(rltk.solve(env, gamma=0.9), env)
        assert result.paid_optimum == result.paid_value == best
        uniform = ByState(env.unwrapped.mdp().uniform_policy())
        assert rltk.evaluate(uniform, env, deterministic=False).paid_value < best


def test_random_policies_on_a_level_equal_the_programme_by_hand():
    """On a level with lava, in 30 steps."""
    env = begun("rltk/MiniGrid-LavaGapS5-v0", 3, max_steps=30)
    mdp, worth = env.unwrapped.mdp(), env.unwrapped.success_reward
    policy = np.random.default_rng(0).dirichlet(np.ones(mdp.n_actions), mdp.n_states)
    result = rltk.evaluate(ByState(policy), env, deterministic=False)

    assert result.paid_value == pytest.approx(by_hand(mdp, worth, 30, policy), abs=1e-14)
    assert result.paid_optimum == pytest.approx(by_hand(mdp, worth, 30), abs=1e-14)
    assert 0.001 < result.paid_value < result.paid_optimum


@pytest.mark.parametrize("worth", [lambda t: 1 - 0.9 * t / 40, lambda t: t / 40, lambda t: -1.0, lambda t: t % 3])
def test_chance_other_rewards_and_any_clock_equal_the_programme_by_hand(worth):
    """Success that pays less the later, more the later, a loss, or to a rhythm; with gains and losses on the way."""
    for seed in range(4):
        mdp = world(seed)
        env = ByTheClock(mdp, 40, worth)
        policy = np.random.default_rng(seed).dirichlet(np.ones(3), mdp.n_states)
        result = rltk.evaluate(ByState(policy), env, deterministic=False)

        assert result.paid_value == pytest.approx(by_hand(mdp, worth, 40, policy), abs=1e-12)
        assert result.paid_optimum == pytest.approx(by_hand(mdp, worth, 40), abs=1e-12)


@pytest.mark.parametrize(("late", "goal", "worth"), [(5.0, 50, 1.0), (-1.0, 60, 0.0), (0.0, 40, 1.0), (-1.0, 40, 1.0)])
def test_what_lies_far_ahead_is_not_overlooked(late, goal, worth):
    """A walk of 40 steps whose later half pays: a gain that is worth more than success nearby; a loss that can't be
    helped; a success at its end."""

    def transition(s, a):
        if (s, a) == (0, 1) and goal == 50:
            return [(1.0, 50, 0.0, True)]
        return [(1.0, s + 1, late if s >= 20 else 0.0, s + 1 == 40)]

    mdp = MDP.from_function(transition, 0, 2, success=lambda s: s == goal)
    for pays in (lambda t: worth, lambda t: worth if t < 17 else 2 * worth):
        result = rltk.evaluate(ByState(mdp.uniform_policy()), ByTheClock(mdp, 50, pays))
        assert result.paid_optimum == pytest.approx(by_hand(mdp, pays, 50))


def test_a_policy_that_counts_its_steps_is_followed_by_the_clock():
    """A finite-horizon solution acts by the steps left; once they are over, as with one step to go."""
    mdp = world(5)
    criterion = Criterion(1.0, horizon=7)
    solution = rltk.solve(mdp, criterion=criterion)
    for limit in (5, 7, 12):
        worth = lambda t: 1 - 0.05 * t  # noqa: E731
        result = rltk.evaluate(solution, ByTheClock(mdp, limit, worth))
        here, total = mdp.start, 0.0
        for t in range(1, limit + 1):
            stage = solution.stages[min(max(7 - t + 1, 1), len(solution.stages)) - 1]
            after = np.zeros(mdp.n_states)
            for s in range(mdp.n_states):
                row = s * mdp.n_actions + stage[s]
                for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
                    mass = here[s] * mdp.probability[i]
                    total += mass * (worth(t) if mdp.success[i] else mdp.reward[i])
                    after[mdp.next_state[i]] += 0.0 if mdp.terminated[i] else mass
            here = after
        assert result.paid_value == pytest.approx(total, abs=1e-12)
        assert result.paid_optimum == pytest.approx(by_hand(mdp, worth, limit), abs=1e-12)


def test_what_is_not_known_is_left_out():
    """Where rewards are what step pays, without a limit, without success, where success goes on, with too much work."""
    mdp = world(0)
    worth = lambda t: 1.0  # noqa: E731
    exact = TabularEnv(mdp)
    assert paid_by_the_clock(exact, mdp, 10) is None
    assert rltk.evaluate(ByState(mdp.uniform_policy()), exact).paid_value is None
    assert paid_by_the_clock(ByTheClock(mdp, np.inf, worth), mdp, None) is None
    assert paid_by_the_clock(ByTheClock(mdp, None, worth), mdp, None) is None
    assert paid_by_the_clock(ByTheClock(mdp, None, worth), mdp, 10) is not None
    assert paid_by_the_clock(ByTheClock(mdp, LIMITED_WORK, worth), mdp, None) is None
    endless = MDP.from_function(lambda s, a: [(1.0, 1 - s, 0.0, False)], 0, 1, success=lambda s: s == 1)
    plain = MDP.from_function(lambda s, a: [(1.0, 0, 0.0, True)], 0, 1)
    for other in (endless, plain):
        assert paid_by_the_clock(ByTheClock(other, 10, worth), other, None) is None


def test_both_figures_are_shown_and_saved(tmp_path):
    """A row with its optimum, 80 columns; as JSON."""
    env = begun("rltk/MiniGrid-DoorKey-5x5-v0")
    result = rltk.evaluate(ByState(env.unwrapped.mdp().uniform_policy()), env, deterministic=False)
    text = str(result)

    assert f"return as step pays {result.paid_value:>13.6g}  optimum {result.paid_optimum:.6g}" in text
    assert "declared" in text
    assert max(map(len, text.splitlines())) <= 80
    saved = json.loads(result.save(tmp_path / "result.json").read_text())
    assert (saved["paid_value"], saved["paid_optimum"]) == (result.paid_value, result.paid_optimum)


def test_the_optimum_is_remembered_with_its_mdp_alone():
    """Asked for again, it is not worked out again; a level that is gone leaves nothing behind."""
    env = begun("rltk/MiniGrid-DoorKey-5x5-v0")
    agent = ByState(env.unwrapped.mdp().uniform_policy())
    first = rltk.evaluate(agent, env).paid_optimum
    gone = weakref.ref(env.unwrapped.mdp())
    assert rltk.evaluate(agent, env).paid_optimum == first
    env.reset(seed=1)
    gc.collect()
    assert gone() is None


class Blind:
    """Does anything, whatever it sees."""

    criterion = Criterion(0.99)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return 0, state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        count = len(observations[0] if isinstance(observations, tuple) else observations["image"])
        return np.full((count, 7), 1 / 7)


def test_states_that_look_alike_are_counted_in_observations_of_several_parts():
    """As the model's own classes say, over more states than a batch holds; the same in a tuple."""
    env = begun("rltk/MiniGrid-DoorKey-8x8-v0", 2)
    model = env.unwrapped.model()
    assert model.n_states > 4096
    _, inverse, count = np.unique(model.alias_classes(), return_inverse=True, return_counts=True)
    expected = (count[inverse] > 1).sum()

    assert rltk.evaluate(Blind(), env).aliased_states == expected > 0
    observed = env.unwrapped.observations
    env.unwrapped.observations = lambda states: tuple(observed(states).values())
    assert rltk.evaluate(Blind(), env).aliased_states == expected
    env.unwrapped.observations = lambda states: (*observed(states).values(), np.asarray(states))
    assert rltk.evaluate(Blind(), env).aliased_states == 0
    env.unwrapped.observations = lambda states: (*observed(states).values(), [object()] * len(states))
    assert rltk.evaluate(Blind(), env).aliased_states is None
