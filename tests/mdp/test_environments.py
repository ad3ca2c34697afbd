"""`model_of`: the exact model behind an environment, through wrappers that leave it exact and no others."""

import copy
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers

from rltk.errors import ModelError
from rltk.mdp import MDP, model_of, sync_time_limit
from rltk.mdp.environments import mdp_from_env


class Corridor(gym.Env):
    """Four cells, the last is the goal; a P table; `wrong` spoils what step does."""

    observation_space = gym.spaces.Discrete(4)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, wrong=None, slip=0.25):
        self.wrong, self.s, self.steps = wrong, 0, 0
        self.P = {s: {a: self.outcomes(s, a, slip) for a in (0, 1)} for s in range(4)}
        self.initial_state_distrib = np.array([0.5, 0.5, 0, 0])

    @staticmethod
    def outcomes(s, a, slip):
        if s == 3:
            return [(1.0, 3, 0.0, True)]
        to = [max(s - 1, 0), s + 1]
        return [
            (1 - slip, to[a], float(to[a] == 3), to[a] == 3),
            (slip, to[1 - a], float(to[1 - a] == 3), to[1 - a] == 3),
        ]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.s = int(self.np_random.random() < (0.9 if self.wrong == "starts" else 0.5))
        if self.wrong == "start":
            self.s = 2
        return (np.eye(4)[self.s] if self.wrong == "observation" else self.s), {}

    def step(self, action):
        row = self.P[self.s][int(action)]
        u = self.np_random.random()
        often = row[-1 if self.wrong == "odds" else 0][0]
        _, t, r, done = row[0] if u < often else row[-1]
        if self.wrong == "reward" and (self.s, action) == (2, 1):
            r += 0.5
        if self.wrong == "outcome" and (self.s, action) == (0, 0):
            t = 2
        if self.wrong == "ending" and t == 3:
            done = False
        self.s = t
        self.steps += 1
        return t, r, done, self.wrong == "limit" and self.steps >= 200, {}


class Unchanged(gym.ObservationWrapper):
    stateless_observation = True

    def observation(self, observation):
        return observation * 2


class Sneaky(wrappers.OrderEnforcing):
    """Derived from a wrapper that changes nothing, and changes rewards."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, 2 * reward, *rest


def test_wrappers_that_change_nothing_are_passed():
    """Order enforcing, the passive checker, episode statistics, time limits and declared observation wrappers."""
    env = Corridor()
    mdp, limit, reason = model_of(env)
    wrapped = wrappers.OrderEnforcing(wrappers.PassiveEnvChecker(wrappers.RecordEpisodeStatistics(Unchanged(env))))

    assert limit is None
    assert "own model" in reason
    assert model_of(wrapped)[0] is mdp
    assert MDP.from_env(wrapped) is mdp
    assert mdp.start.tolist() == [0.5, 0.5, 0, 0]


def test_nested_time_limits_give_the_shortest():
    """Two limits: the episode stops at the first, in whichever order they are put on."""
    for first, second in [(30, 50), (50, 30)]:
        env = wrappers.TimeLimit(wrappers.OrderEnforcing(wrappers.TimeLimit(Corridor(), first)), second)
        assert model_of(env)[1] == 30


CHANGERS = {
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda r: 2 * r),
    "TransformAction": lambda env: wrappers.TransformAction(env, lambda a: 1 - a, env.action_space),
    "TransformObservation": lambda env: wrappers.TransformObservation(env, lambda o: 0, env.observation_space),
    "TimeAwareObservation": lambda env: wrappers.TimeAwareObservation(wrappers.TimeLimit(env, 20)),
    "StickyAction": lambda env: wrappers.StickyAction(env, 0.5),
    "Sneaky": Sneaky,
}


@pytest.mark.parametrize("name", CHANGERS)
def test_any_other_wrapper_ends_the_search_with_its_name(name):
    """It may change T, R or what is seen, so whoever asks samples and can say why; a class derived from a harmless
    wrapper is not harmless for that. `from_env` refuses, with and without the check."""
    env = wrappers.TimeLimit(CHANGERS[name](Corridor()), 20)
    mdp, limit, reason = model_of(env)

    assert mdp is None
    assert limit == 20
    assert f"the wrapper {name} may change" in reason
    for check in (True, False):
        with pytest.raises(ModelError, match=name):
            MDP.from_env(env, check=check)


@pytest.mark.parametrize("wrong", ["reward", "outcome", "ending"])
def test_a_table_that_is_not_what_step_does_is_refused(wrong):
    """One reward, one outcome that the table gives probability zero, one ending: state and action are named."""
    mdp, _, reason = model_of(Corridor(wrong))

    assert mdp is None
    place = {"reward": "state 2, action 1", "outcome": "state 0, action 0", "ending": "state"}[wrong]
    assert f"is not what step does: from {place}" in reason
    assert MDP.from_env(Corridor(wrong), check=False).n_states == 4


def test_starts_and_observations_are_checked_too():
    """A start of probability 0, and an observation that is not the state's number."""
    assert "started in state 2" in model_of(Corridor("start"))[2]
    assert "needs the state's number as observation" in model_of(Corridor("observation"))[2]


def test_probabilities_are_checked():
    """The right outcomes, the first with the probability of the last; starts at 0.9 where the table says 0.5."""
    reason = model_of(Corridor("odds"))[2]
    assert "is not what it does" in reason
    assert "too often or too seldom" in reason
    assert "it starts in state" in model_of(Corridor("starts"))[2]
    assert model_of(Corridor("odds", slip=0.5))[0] is not None


class Ring(gym.Env):
    """500 states in a ring, two actions; P says `told`, step slips with `done`."""

    observation_space = gym.spaces.Discrete(500)
    action_space = gym.spaces.Discrete(2)
    initial_state_distrib = np.full(500, 1 / 500)

    def __init__(self, told, done):
        self.done, self.s = done, 0
        self.P = {
            s: {a: [(1 - told, (s + 1 + a) % 500, 0.0, False), (told, s, -1.0, False)] for a in (0, 1)}
            for s in range(500)
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = int(self.np_random.integers(500))
        return self.s, {}

    def step(self, action):
        slips = self.np_random.random() < self.done
        self.s = self.s if slips else (self.s + 1 + int(action)) % 500
        return self.s, -float(slips), False, False, {}


def test_a_large_tables_wrong_slip_shows_over_all_rows():
    """A dozen draws a row say little about any one of 1,000 rows; together they tell 0.15 from 0.1."""
    assert model_of(Ring(0.1, 0.1))[0] is not None
    assert model_of(Ring(0.002, 0.002))[0] is not None  # outcomes that are expected less than once
    assert "outcomes of probability" in model_of(Ring(0.1, 0.15))[2]


def test_a_true_table_is_never_refused_by_chance(monkeypatch):
    """At the level used, one in a million: 300 differently seeded true tables pass at a level of one in a thousand."""
    monkeypatch.setattr("rltk.mdp.environments._FALSE_ALARM", 1e-3)
    monkeypatch.setattr("rltk.mdp.environments._RANDOM_DRAWS", 500)
    monkeypatch.setattr("rltk.mdp.environments._LONG_EPISODE", 0)
    monkeypatch.setattr("rltk.mdp.environments._CHECKED_PAIRS", 60)
    refused = [slip for slip in np.linspace(0.001, 0.999, 300) if model_of(Corridor(slip=slip))[0] is None]
    assert len(refused) <= 3


def test_a_table_without_its_starts_is_refused():
    """A uniform start would be a guess; without the check it is taken."""
    env = Corridor()
    del env.initial_state_distrib
    assert "set `initial_state_distrib`" in model_of(env)[2]
    assert MDP.from_env(env, check=False).start.tolist() == [0.25] * 4


def test_a_time_limit_inside_step_is_refused():
    """The model can't see it; as a TimeLimit it is known."""
    assert "TimeLimit" in model_of(Corridor("limit"))[2]
    assert model_of(wrappers.TimeLimit(Corridor(), 200))[1] == 200


def test_a_table_changed_in_place_is_read_again():
    """The same table gives the same MDP; rewards a hundred times as large, or other starts, give another one."""
    env = gym.make("FrozenLake-v1", is_slippery=False)
    table = env.unwrapped.P
    before = model_of(env)[0]
    assert model_of(env)[0] is before
    for rows in table.values():
        for a, outcomes in rows.items():
            rows[a] = [(p, s, 100 * r, done) for p, s, r, done in outcomes]
    after = model_of(env)[0]
    assert env.unwrapped.P is table
    assert after.reward.max() == 100 * before.reward.max() == 100
    env.unwrapped.initial_state_distrib = np.roll(env.unwrapped.initial_state_distrib, 1)
    assert model_of(env)[0].start.tolist() == [0.0, 1.0] + [0.0] * 14


def test_a_table_changed_in_place_is_checked_again():
    """Rewards that `step` does not pay are refused, though the table before them was not."""
    env = Ring(0.1, 0.1)
    assert model_of(env)[0] is not None
    env.P[3][0][0] = (0.9, 4, 5.0, False)
    assert "from state 3, action 0" in model_of(env)[2]


def test_a_table_that_is_no_mdp_is_refused():
    """Rows of 0.99, or outcomes of three entries: the reason is the table's fault, with state and action."""
    env = Corridor()
    env.P[1][0] = [(0.99, 0, 0.0, False)]
    assert "T(s' | s=1, a=0): the probabilities sum to 0.99" in model_of(env)[2]
    env.P[1][0] = [(1.0, 0, 0.0)]
    with pytest.raises(ModelError, match="state 1, action 0: the outcome is"):
        mdp_from_env(env, check=False)
    env = Corridor()
    env.initial_state_distrib = [0.5, 0.4, 0, 0]
    assert "start sums to 0.9" in model_of(env)[2]


def test_environments_without_a_model():
    """No P and no mdp(): the reason says so, for anything at all."""
    assert "offers neither mdp() nor a P table" in model_of(gym.make("CartPole-v1"))[2]
    assert model_of(None)[0] is None
    with pytest.raises(ModelError, match="CartPole-v1 has no exact model"):
        MDP.from_env(gym.make("CartPole-v1"))


def test_an_environments_own_model_comes_first():
    """`mdp()` is asked, and its refusal is the reason."""

    class Own(Corridor):
        def mdp(self):
            if self.wrong:
                raise ModelError("this level has no model")
            return MDP.from_table(self.P)

    assert model_of(Own())[0].n_states == 4
    assert model_of(Own("yes")) == (None, None, "this level has no model")


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("FrozenLake-v1", {}, 16),
        ("FrozenLake-v1", {"is_slippery": False}, 16),
        ("FrozenLake8x8-v1", {}, 64),
        ("CliffWalking-v1", {}, 48),
        ("CliffWalking-v1", {"is_slippery": True}, 48),
        ("Taxi-v4", {}, 500),
        ("Taxi-v4", {"is_rainy": True}, 500),
    ],
)
def test_gymnasiums_tables_are_what_they_do(name, options, size):
    """Gymnasium's own three tables pass the check; the caller's environment keeps its state and its random numbers,
    and the model is made once."""
    env = gym.make(name, **options)
    env.reset(seed=4)
    inner = env.unwrapped
    state, stream = inner.s, copy.deepcopy(inner.np_random.bit_generator.state)
    mdp, limit, _ = model_of(env)

    assert mdp.n_states == size
    assert limit == env.spec.max_episode_steps
    assert inner.s == state
    assert inner.np_random.bit_generator.state == stream
    assert model_of(env)[0] is mdp
    inner.P = copy.deepcopy(inner.P)  # another table that says the same
    assert model_of(env)[0] is mdp


def test_frozen_lakes_optimum():
    """FrozenLake 4x4 at gamma 0.99 is worth 0.5420259320 from its start (facts/planning.md: solved exactly from P)."""
    mdp = MDP.from_env(gym.make("FrozenLake-v1"))
    value = np.zeros(16)
    for _ in range(3_000):
        value = mdp.backup(value, 0.99)

    assert mdp.start @ value == pytest.approx(0.5420259320, abs=1e-9)


def test_taxi_with_a_fickle_passenger_leaves_its_table():
    """The passenger changes the destination on the way, which P does not hold: refused. Rain is in the table, so Taxi
    in the rain passes."""
    assert "is not what step does" in model_of(gym.make("Taxi-v4", fickle_passenger=True))[2]
    assert model_of(gym.make("Taxi-v4", is_rainy=True))[0] is not None


def test_a_random_map_is_checked_against_itself():
    """`FrozenLake-v1` with `desc=None, map_name=None` draws a map when it is made; made anew it is another."""
    mdp, _, reason = model_of(gym.make("FrozenLake-v1", desc=None, map_name=None))

    assert mdp is not None, reason


def test_an_environment_that_can_not_be_copied_is_made_anew_or_refused():
    """An open window can't be copied: with a spec it is made anew, without one the reason says so."""
    env = gym.make("FrozenLake-v1")
    env.unwrapped.window = iter_that_can_not_be_copied()
    assert model_of(env)[0] is not None

    bare = Corridor()
    bare.window = iter_that_can_not_be_copied()
    assert "could not be copied" in model_of(bare)[2]


def iter_that_can_not_be_copied():
    return (n for n in range(3))


def test_a_batched_environments_own_limit_and_statistics():
    """A batched environment counts its own steps; Gymnasium's statistics of a batch change nothing."""

    class Batch(gym.vector.VectorEnv):
        num_envs, max_episode_steps = 2, 17
        metadata: ClassVar = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}

        def mdp(self):
            return MDP.from_table(Corridor().P)

    mdp, limit, _ = model_of(wrappers.vector.RecordEpisodeStatistics(Batch()))
    assert mdp.n_states == 4
    assert limit == 17


def test_time_limits_can_be_told_of_steps_already_done():
    """After `set_state` each limit on the way counts on from there."""
    env = wrappers.TimeLimit(wrappers.OrderEnforcing(wrappers.TimeLimit(Corridor(), 10)), 20)
    env.reset(seed=0)
    sync_time_limit(env, 9)

    assert env.step(0)[3]  # the tenth step
    assert (env._elapsed_steps, env.env.env._elapsed_steps) == (10, 10)
