"""What every tabular learner in `LEARNERS` keeps: the same bits on both loops, however learning is cut into pieces."""

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.agents.tabular import CONTROL, LEARNERS, SARSA, TD, ExpectedSARSA, PredictionLearner, QLearning
from rltk.agents.tabular.template import Softened
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, CheckpointError, LearningError
from rltk.mdp import MDP
from rltk.runs import exponential, linear


def _discrete_ids():
    envs = [gym.make(name) for name in gym.registry if name.startswith("rltk/")]
    lawful = [env for env in envs if env.metadata["draw_law"]]
    return [env.spec.id for env in lawful if isinstance(env.observation_space, gym.spaces.Discrete)]


IDS = _discrete_ids()
# Of the episode under way, or of all steps: what lies beyond them does not count.
ROOM = ("states", "actions", "rewards", "chances", "next_states", "ends")
every_learner = pytest.mark.parametrize("learner", [*LEARNERS.values(), Softened], ids=lambda cls: cls.name)
ANYWHERE = [learner for learner in (*LEARNERS.values(), Softened) if learner.begin is None]
on_any_env = pytest.mark.parametrize("learner", ANYWHERE, ids=lambda cls: cls.name)  # not in states of their choice
RATES = {"alpha": linear(0.5, 0.01, 2000), "epsilon": exponential(1.0, 0.05, 1500)}


def rates(learner):
    """Schedules on all rates that the learner takes."""
    return {name: rate for name, rate in RATES.items() if name in learner.options()}


def same(first, second):
    """The same table, memory, habits, counters, streams and recent returns, to the bit."""
    assert first.table.tobytes() == second.table.tobytes()
    assert (first.timestep, first.episodes) == (second.timestep, second.episodes)
    a, b = first.state(), second.state()
    for kept in ("memory", "habits"):
        assert a[kept].keys() == b[kept].keys()
        for name, array in a[kept].items():
            used = slice(None)
            if array.shape != b[kept][name].shape:  # room for an episode grows as it is asked for
                used = slice(int(a[kept]["size"][0]))
            assert array[used].tobytes() == b[kept][name][used].tobytes()
    assert a["recent_returns"].tobytes() == b["recent_returns"].tobytes()
    assert a["recent_lengths"].tobytes() == b["recent_lengths"].tobytes()
    assert str(a["streams"]) == str(b["streams"])
    assert {k: v for k, v in a["episode"].items() if k != "actions"} == {
        k: v for k, v in b["episode"].items() if k != "actions"
    }


@pytest.mark.parametrize("name", IDS)
def test_both_loops_leave_the_same_bits_on_every_environment(name):
    """The draw law: the compiled loop and Gymnasium's `step` see the same episodes, with schedules on both rates, past
    ends and time limits; a method that looks ahead as well as one that does not."""
    assert len(IDS) >= 10
    for learner in (QLearning, SARSA):
        agents = [
            learner(gym.make(name, max_episode_steps=60), seed=3, backend=backend, **RATES).learn(3000)
            for backend in ("compiled", "gymnasium")
        ]

        assert agents[0].backend == "compiled"
        assert agents[0].episodes >= 50
        same(*agents)


@every_learner
def test_both_loops_agree_for_every_learner(learner):
    """The same for every learner, the template's too, on a slippery lake where time runs out at odd places."""
    agents = [
        learner(gym.make("rltk/FrozenLake-v0", max_episode_steps=17), seed=5, backend=backend, **rates(learner)).learn(
            4000
        )
        for backend in ("compiled", "gymnasium")
    ]

    same(*agents)


@every_learner
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_however_learning_is_cut_the_bits_are_the_same(learner, backend):
    """learn(n) twice is learn(2 n); odd pieces, a callback at every 7 steps or never, a progress bar change nothing."""
    # A solve is cubic in the features, 416 in four rooms: least squares learns on the lake, which has 64.
    world = "rltk/FrozenLake-v0" if learner.name in ("lspi", "lstd") else "rltk/FourRooms-v0"

    def make():
        return learner(gym.make(world), seed=1, backend=backend, **rates(learner))

    whole = make().learn(2000)
    for agent in (
        make().learn(1).learn(999).learn(737).learn(263),
        make().learn(2000, lambda progress: None, callback_every=7),
        make().learn(2000, [lambda progress: True], callback_every=100_000, progress_bar=True),
    ):
        same(agent, whole)


def test_callbacks_come_when_due_and_can_stop():
    """At every multiple of `callback_every` and at the end; False stops at that step."""
    env = gym.make("rltk/FrozenLake-v0")
    seen = []
    agent = QLearning(env).learn(2500, lambda progress: seen.append(progress.timestep), callback_every=1000)
    assert seen == [1000, 2000, 2500]
    agent.learn(2000, lambda progress: progress.timestep < 3000, callback_every=250)
    assert agent.timestep == 3000
    stopped = QLearning(gym.make("rltk/FrozenLake-v0")).learn(3000)
    assert agent.q.tobytes() == stopped.q.tobytes()


def line_with_a_limit():
    """Two states: 0 -> 1 pays 1, 1 -> 0 pays 0, for ever; a time limit of one step cuts every episode."""
    return MDP.from_table({0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 0, 0.0, False)]}})


def settled(learner):
    """Options under which `learner` leaves a value exactly at the target that never changes."""
    options = {"alpha": 0.5, "beta": 0.5, "truncated": "bootstrap", "kappa": 0.0, "ridge": 0.0}
    options |= {"threshold": 1e-12, "every": 100}
    return {name: value for name, value in options.items() if name in learner.options()}


@every_learner
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_truncated_step_bootstraps_and_a_terminated_one_does_not(learner, backend):
    """Two states, analytically: cut short at each step, V(0) = 1 / (1 - gamma^2) as if never cut; ended at the first
    step, V(0) = 1 (Pardo et al. 2018, "Time limits in reinforcement learning")."""
    endless = MDP.from_arrays(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), np.array([[1.0], [0.0]]), start=[0.5, 0.5])
    ending = MDP.from_arrays(
        np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), np.array([[1.0], [0.0]]), start=[0.5, 0.5], terminated=[False, True]
    )
    options = {"gamma": 0.5, "backend": backend, **settled(learner)}
    cut = learner(gym.wrappers.TimeLimit(TabularEnv(endless), 1), **options).learn(600)
    over = learner(gym.wrappers.TimeLimit(TabularEnv(ending), 3), **options).learn(600)

    near = 0.04 if learner.name.startswith("off-policy") else 1e-9  # a mean of all targets forgets the first slowly
    np.testing.assert_allclose(cut.value, [1 / (1 - 0.25), 0.5 / (1 - 0.25)], atol=near)
    assert cut.episodes == 600
    assert over.value[0] == pytest.approx(1.0, abs=1e-9)


@every_learner
def test_a_chain_of_three_is_worth_its_discounted_rewards(learner):
    """0 -> 1 -> 2 -> end pays 1, 2 and 4; at gamma 1/2 the states are worth 1 + 2/2 + 4/4 = 3, 2 + 4/2 = 4, and 4."""
    chain = MDP.from_table(
        {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 2, 4.0, True)]}}, start=[1, 0, 0]
    )
    agent = learner(TabularEnv(chain), gamma=0.5, **settled(learner)).learn(900)

    np.testing.assert_allclose(agent.value, [3.0, 4.0, 4.0], atol=1e-9)
    assert agent.episodes == 300 or learner.begin is not None


@every_learner
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
@pytest.mark.parametrize("reward", [1e308, -1e308])
def test_what_overflows_is_named_with_its_step(learner, backend, reward):
    """Rewards that overflow the table stop learning with the step's number, not with a table of NaN for an answer."""
    mdp = MDP.from_table({0: {0: [(1, 1, 0, False)]}, 1: {0: [(1, 0, reward, False)]}})
    options = {name: 1.0 if name == "alpha" else value for name, value in settled(learner).items()}
    agent = learner(TabularEnv(mdp, max_episode_steps=100), gamma=1.0, backend=backend, **options)
    with pytest.raises(LearningError, match=r"step \d+ (is|are) not finite") as caught:
        agent.learn(1000)
    assert isinstance(caught.value, ArithmeticError)
    with pytest.raises(LearningError, match="load an earlier checkpoint"):
        agent.learn(1)


@on_any_env
@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf])
def test_a_reward_that_is_no_number_is_named_with_its_step(learner, reward):
    """A foreign environment that pays NaN at its 1,234th step in all."""

    class Broken(gym.Wrapper):
        count = 0

        def step(self, action):
            observation, pay, terminated, truncated, info = super().step(action)
            self.count += 1
            return observation, reward if self.count == 1234 else pay, terminated, truncated, info

    with pytest.raises(LearningError, match="step 1234 "):
        learner(Broken(gym.make("FrozenLake-v1"))).learn(5000)


class Shifted(gym.Env):
    """Three observations from 10 on, two actions from -1 on: action -1 goes down, 0 up; the top ends and pays 1."""

    observation_space = gym.spaces.Discrete(3, start=10)
    action_space = gym.spaces.Discrete(2, start=-1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(2))
        return 10 + self.at, {}

    def step(self, action):
        assert action in (-1, 0)
        self.at = max(self.at - 1, 0) if action == -1 else self.at + 1
        return 10 + self.at, float(self.at == 2), self.at == 2, False, {}


def test_spaces_that_do_not_start_at_zero(tmp_path):
    """Observations and actions are numbered from the space's start, in learning, predicting and resuming."""
    agent = QLearning(Shifted(), gamma=0.5, alpha=0.5, epsilon=0.5).learn(1000)

    np.testing.assert_allclose(agent.q[:2], [[0.25, 0.5], [0.25, 1.0]], atol=1e-6)
    assert agent.predict(10, deterministic=True) == (0, None)
    actions, state = agent.predict(np.array([11, 10]), state=7, deterministic=True)
    assert actions.tolist() == [0, 0]
    assert state == 7
    for wrong in (0, 13, 10.0, np.array([10, 99])):
        with pytest.raises(ArgumentError, match="Discrete"):
            agent.predict(wrong)
    agent.save(tmp_path / "agent")
    again = QLearning.load(tmp_path / "agent", Shifted()).learn(500)
    same(again, agent.learn(500))


def test_predict_takes_one_and_many():
    """One observation gives an int, an array an array; behaving, the shares are those of `action_probabilities`."""
    agent = QLearning(gym.make("rltk/FrozenLake-v0"), epsilon=0.4, seed=2).learn(3000)
    action, state = agent.predict(3, deterministic=True)
    assert isinstance(action, int)
    assert state is None
    many, _ = agent.predict(np.full(20_000, 3))
    wanted = agent.action_probabilities(np.array([3]), deterministic=False)[0]
    assert np.abs(np.bincount(many, minlength=4) / 20_000 - wanted).max() < 0.02
    greedy = agent.action_probabilities(np.arange(16))
    np.testing.assert_array_equal(greedy.argmax(axis=1), agent.predict(np.arange(16), deterministic=True)[0])
    barred = agent.action_probabilities(np.array([3]), mask=[[False, True, False, False]], deterministic=False)
    np.testing.assert_array_equal(barred, [[0, 1, 0, 0]])


@pytest.mark.parametrize("learner", CONTROL.values(), ids=CONTROL)
def test_unavailable_actions_are_never_taken(learner):
    """Where the MDP bars an action its value is -inf and stays so; nobody tries it (`step` would refuse)."""
    mdp = MDP.from_table({0: {1: [(1, 1, 1, False)], 2: [(1, 0, 0, False)]}, 1: {0: [(1, 0, 2, True)]}})
    for backend in ("compiled", "gymnasium"):
        agent = learner(TabularEnv(mdp, max_episode_steps=9), gamma=0.5, backend=backend, **rates(learner)).learn(2000)

        assert (np.isneginf(getattr(agent, "q", agent.table)) == ~mdp.available).all()
        assert rltk.evaluate(agent, agent.env).suboptimality == pytest.approx(0, abs=1e-6)
        agent = QLearning(agent.env, gamma=0.5, alpha=0.5, epsilon=1.0, backend=backend).learn(2000)
        np.testing.assert_allclose(agent.q[mdp.available], [2.0, 1.0, 2.0], atol=1e-6)


class Halved(gym.ObservationWrapper):
    """Shows half the state's number: two states look alike."""

    stateless_observation = True

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gym.spaces.Discrete((int(env.observation_space.n) + 1) // 2)

    def observation(self, observation):
        return observation // 2


def test_a_table_over_what_is_observed_not_over_states():
    """Behind a wrapper that shows half the state's number the learner keeps a table of that size, learns by `step`, and
    is graded exactly as the policy over observations that it is (found in review: it was to run on states)."""
    env = Halved(gym.make("rltk/FrozenLake-v0"))
    agent = QLearning(env, seed=0).learn(3000)
    result = rltk.evaluate(agent, env)

    assert agent.q.shape == (8, 4)
    assert agent.backend == "gymnasium"
    assert result.exact
    assert result.aliased_states == 16
    np.testing.assert_array_equal(result.policy[0::2], result.policy[1::2])
    with pytest.raises(ArgumentError, match="state's number"):
        QLearning(env, backend="compiled")


def lake(**options):
    return QLearning(gym.make("rltk/FrozenLake-v0"), **options)


@pytest.mark.parametrize(
    ("name", "steps", "options"),
    [
        ("rltk/FourRooms-v0", 400_000, {"alpha": linear(0.5, 0.001, 400_000)}),
        ("rltk/FrozenLake-v0", 3_000_000, {"alpha": exponential(0.5, 1e-4, 3_000_000), "epsilon": 1.0}),
        ("rltk/GridWorld-v0", 200_000, {"alpha": 0.5}),
    ],
)
def test_q_learning_comes_within_one_percent_of_the_optimum(name, steps, options):
    """Exactly graded: less than 1% of what separates the uniform policy from the optimum is lost (Watkins and Dayan
    1992: Q-learning converges to Q*)."""
    env = gym.make(name)
    options = {"epsilon": linear(1.0, 0.1, steps), **options}
    agent = QLearning(env, gamma=0.99, seed=0, **options).learn(steps)
    result = rltk.evaluate(agent, env)

    assert result.exact
    assert -1e-6 < result.normalised_suboptimality < 0.01


def test_the_state_of_another_learner_or_environment_is_refused():
    """A state says whose it is; a table of another shape or an episode that stands nowhere is no state of this one."""
    agent = lake().learn(100)
    state = agent.state()
    with pytest.raises(CheckpointError, match="softened"):
        Softened(gym.make("rltk/FrozenLake-v0")).restore(state)
    with pytest.raises(CheckpointError, match="another environment"):
        QLearning(gym.make("rltk/FrozenLake8x8-v0")).restore(state)
    with pytest.raises(CheckpointError, match="99"):
        lake().restore({**state, "episode": {**state["episode"], "state": 99}})


@on_any_env
def test_spaces_that_do_not_start_at_zero_serve_every_learner(learner):
    """Observations and actions are rows from the space's start on, in every method."""
    agent = learner(Shifted(), gamma=0.5).learn(1000)

    assert agent.value.shape == (3,)
    assert agent.predict(np.array([10, 11]))[0].min() >= -1
    assert np.isfinite(agent.table).all()
    if learner.name in CONTROL:
        assert agent.predict(11, deterministic=True)[0] == 0


def test_a_prediction_acts_as_its_policy_says():
    """`predict` and `action_probabilities` are the policy; `evaluate` grades it; values approach what it is worth."""
    policy = np.tile([0.1, 0.2, 0.3, 0.4], (16, 1))
    env = gym.make("rltk/FrozenLake-v0")
    agent = TD(env, policy, gamma=0.9, alpha=linear(0.2, 0.001, 200_000)).learn(300_000)
    true = rltk.evaluate(agent, env)

    assert issubclass(TD, PredictionLearner)
    np.testing.assert_array_equal(agent.action_probabilities([3, 7]), policy[:2])
    assert true.value == pytest.approx(agent.true_value()[0], rel=1e-9)
    assert agent.error() < 0.1 * np.sqrt(np.mean(agent.true_value() ** 2))
    assert agent.error([0, 4]) == pytest.approx(np.sqrt(np.mean((agent.value - agent.true_value())[[0, 4]] ** 2)))


def test_expected_sarsa_expects_what_it_explores_by():
    """Under another rule the same method compiles another kernel: softmax at temperature 0 is greedy, so Q-learning."""
    from rltk.agents import EpsilonGreedy, Softmax

    options = {"gamma": 0.9, "alpha": 0.5, "seed": 3}
    env = gym.make("rltk/FourRooms-v0")
    greedy = QLearning(env, exploration=Softmax(0.0), **options).learn(2000)
    cold = ExpectedSARSA(env, exploration=Softmax(0.0), **options).learn(2000)
    soft = ExpectedSARSA(env, exploration=EpsilonGreedy(0.5), **options).learn(2000)

    np.testing.assert_allclose(cold.q, greedy.q, rtol=0, atol=1e-12)
    assert not np.allclose(soft.q, greedy.q)
