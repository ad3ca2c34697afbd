"""What a person may give a tabular learner by mistake: a typed error that names it, never a crash, never silence."""

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.agents.tabular import (
    LEARNERS,
    LSTD,
    TD,
    ActorCritic,
    DoubleQLearning,
    DynaQ,
    MonteCarlo,
    NStepTD,
    OffPolicyMonteCarlo,
    OffPolicyMonteCarloControl,
    QLearning,
    SARSALambda,
    TDLambda,
    TrueOnlineTDLambda,
)
from rltk.agents.tabular.template import Softened
from rltk.envs import TabularEnv, TabularVectorEnv
from rltk.errors import ArgumentError, LearningError, RltkError, SizeError, SpaceError
from rltk.mdp import MDP

RAGGED = [[1], [2, 3]]
ODD = {
    **{repr(odd): odd for odd in ("x", "", b"a", float("nan"), np.float64("nan"), float("inf"), -1, -0.5, {}, 1j)},
    **{"10**400": 10**400, "10**40": 10**40, "complex": np.complex128(1), "ragged": RAGGED, "object": object()},
    "words": np.full((16, 4), "a"),
    "a rate that is a word": lambda step: "a",
    "a rate that is none": lambda step: None,
    "a rate out of range": lambda step: -7.0,
}
# What is a number of a kind where the option takes numbers.
FINE = {("seed", "10**400")} | {(option, "10**40") for option in ("seed", "kappa", "ridge", "threshold")}
every_learner = pytest.mark.parametrize("learner", [*LEARNERS.values(), Softened], ids=lambda cls: cls.name)

ANYWHERE = [learner for learner in (*LEARNERS.values(), Softened) if learner.begin is None]
on_any_env = pytest.mark.parametrize("learner", ANYWHERE, ids=lambda cls: cls.name)  # not in states of their choice


@pytest.fixture(scope="module")
def env():
    return gym.make("rltk/FrozenLake-v0")


@every_learner
def test_no_option_takes_what_it_can_not_use(learner, env):
    """Each option of each learner with each of these: an error of rltk's when it is made, or when it would learn."""
    for option in learner.options():
        if option == "initial_value":
            continue
        for name, odd in ODD.items():
            if (option, name) in FINE:
                continue
            with pytest.raises(RltkError) as caught:
                learner(env, **{option: odd}).learn(3)
            assert caught.value.args[0], (option, name)


@pytest.mark.parametrize(
    ("learner", "option", "odd", "message"),
    [
        (QLearning, "exploration", 0.1, "exploration: a rule of behaviour such as EpsilonGreedy"),
        (QLearning, "exploration", QLearning, "exploration: a rule of behaviour"),
        (QLearning, "backend", np.array(["auto", "auto"]), "backend is one of auto, compiled, gymnasium"),
        (QLearning, "epsilon", np.complex128(0.5), r"epsilon is a number in \[0, 1\] or a schedule"),
        (MonteCarlo, "first_visit", "no", "first_visit is True or False; it is 'no'"),
        (OffPolicyMonteCarlo, "weighted", 1, "weighted is True or False; it is 1"),
        (TDLambda, "traces", np.array(["dutch", "dutch"]), "traces is one of accumulating, replacing, dutch"),
        (TD, "policy", RAGGED, "policy: an array of probabilities or actions"),
        (TD, "policy", np.full((16, 4), "a"), "policy: probabilities or whole actions"),
        (TD, "policy", np.full((16, 4), 0.25 + 0j), "policy: probabilities or whole actions"),
        (DynaQ, "n", 10**40, "n is a whole number, at most"),
        (NStepTD, "n", 10**12, "a window of n = 1,000,000,000,000 steps would take 22,351.7 GiB"),
        (LSTD, "features", "x", "features: "),
        (LSTD, "features", RAGGED, "features: "),
        (ActorCritic, "no_such", 1, "its options are gamma, alpha, initial_value, seed, backend, beta$"),
    ],
)
def test_each_error_says_what_was_expected(learner, option, odd, message, env):
    """By name, with what would do."""
    with pytest.raises(RltkError, match=message):
        learner(env, **{option: odd})


def test_features_of_lstd_may_be_a_function_of_the_observations(env):
    """As those of the linear learners."""
    found = LSTD(env, features=lambda states: np.stack([states, np.ones(16)], axis=1), seed=1).learn(300)
    given = LSTD(env, features=np.stack([np.arange(16), np.ones(16)], axis=1), seed=1).learn(300)
    assert found.value.tobytes() == given.value.tobytes()


def test_equations_without_a_solution():
    """Features that are alike and a ridge that rounding swallows: LearningError says how to mend it."""
    stay = MDP.from_arrays(np.ones((1, 1, 1)), np.ones((1, 1)))
    agent = LSTD(TabularEnv(stay), features=[[1.0, 1.0]], ridge=1e-300, gamma=0.5)
    with pytest.raises(LearningError, match=r"LSTD: the equations after step 10 .* larger ridge"):
        agent.learn(10)


@pytest.mark.parametrize("learner", [QLearning, ActorCritic], ids=lambda cls: cls.name)
@pytest.mark.parametrize("deterministic", [True, False])
def test_masks(learner, deterministic, env):
    """(N, A) for each observation or (A,) for all; one of another shape used to leave probabilities that were none."""
    agent = learner(env, seed=0).learn(500)
    for mask in (np.array([1, 0, 0, 1], dtype=np.int8), [[True, False, False, True]] * 3):
        policy = agent.action_probabilities([0, 5, 7], mask, deterministic=deterministic)
        np.testing.assert_allclose(policy.sum(axis=1), 1)
        assert (policy[:, 1:3] == 0).all()
    for mask in (np.ones((2, 4)), np.ones((3, 3)), "x", [1, 1, 1]):
        with pytest.raises(ArgumentError, match=r"mask: \(3, 4\) bool"):
            agent.action_probabilities([0, 5, 7], mask, deterministic=deterministic)
    with pytest.raises(ArgumentError, match="mask: it leaves no action of those that are available in observation 1"):
        agent.action_probabilities([0, 5], [[1, 1, 1, 1], [0, 0, 0, 0]], deterministic=deterministic)


def test_errors_of_a_prediction_over_states_that_are_none(env):
    """Numbers or flags, at least one."""
    agent = TD(env).learn(100)
    assert agent.error(np.arange(16) == 0) == agent.error([0])
    for states in ("a", [99], [-1], [True] * 3, 1.5, []):
        with pytest.raises(ArgumentError, match="states: "):
            agent.error(states)


class Says(gym.Wrapper):
    """Observes what it is told."""

    def __init__(self, env, said):
        super().__init__(env)
        self.said = said

    def step(self, action):
        return self.said, *self.env.step(action)[1:]


@pytest.mark.parametrize("said", [16, -1, None, "3", 2.7, np.array([3])])
def test_observations_that_are_none(said, env):
    """They were rounded to a state, or crashed."""
    with pytest.raises(SpaceError, match=r"the environment observed .* which is not in Discrete"):
        QLearning(Says(env, said)).learn(5)


@pytest.mark.parametrize("learner", [TDLambda, TrueOnlineTDLambda, SARSALambda], ids=lambda cls: cls.name)
def test_a_trace_that_overflows_stops_at_once(learner):
    """State 0 is met again and again before state 1 is: an error that is finite, times a long trace, is not."""
    mdp = MDP.from_arrays(np.full((2, 1, 2), 0.5), np.zeros((2, 1)))
    traces = {} if learner is TrueOnlineTDLambda else {"traces": "accumulating"}
    agent = learner(TabularEnv(mdp), gamma=1.0, lambda_=1.0, initial_value=-1e308, **traces)
    errors = []
    for _ in range(4):
        agent.table[1] = -1e308
        step = 0, 0, 1.6e308, 1, 0, False, False
        errors.append(agent._update()(agent.table, tuple(agent.memory), *step, 1.0, 1.0, (0.1, ()), np.zeros(6)))
        if not np.isfinite(errors[-1]):
            break
        assert np.isfinite(agent.table).all()
    assert np.isfinite(agent.table).all() == np.isfinite(errors[-1])


def test_large_values_of_two_tables_have_a_mean():
    """The sum of both would be infinite."""
    agent = DoubleQLearning(gym.make("rltk/FrozenLake-v0"), initial_value=1.5e308, gamma=0.0).learn(50)
    assert np.isfinite(agent.q).all()


def test_weights_of_a_long_way_that_overflow_stop_learning():
    """0.5 a step: after 1,100 greedy steps the weight is infinite, and q no number; that is said, at the episode's end.

    Off-policy Monte Carlo control, two actions that lead on along one way and pay nothing.
    """
    n = 1200
    T = np.zeros((n + 1, 2, n + 1))
    T[np.arange(n), :, np.arange(1, n + 1)] = 1.0
    T[n, :, n] = 1.0
    start, terminated = np.eye(n + 1)[0], np.arange(n + 1) == n
    mdp = MDP.from_arrays(T, np.zeros((n + 1, 2)), start=start, terminated=terminated)
    agent = OffPolicyMonteCarloControl(TabularEnv(mdp), epsilon=1.0, seed=0)
    agent.table[:, 1] = -1.0
    agent._reserve(n)
    memory, error = tuple(agent.memory), 0.0
    for state in range(n):
        end = state == n - 1
        step = state, 0, 0.0, state + 1, -1, end, end
        error = agent._update()(agent.table, memory, *step, 0.0, 1.0, (1.0, tuple(agent.habits)), np.zeros(6))
    assert not np.isfinite(agent.q).all()
    assert not np.isfinite(error)


def test_a_window_that_does_not_fit_is_refused(env):
    """Before any memory is taken."""
    with pytest.raises(SizeError, match="Take a smaller n"):
        NStepTD(env, n=10**15)


def lake(**options):
    return QLearning(gym.make("rltk/FrozenLake-v0"), **options)


@pytest.mark.parametrize(
    ("error", "says", "make"),
    [
        (SpaceError, 'observation="index"', lambda: QLearning(gym.make("rltk/FourRooms-v0", observation="coords"))),
        (SpaceError, "Discrete observations", lambda: QLearning(gym.make("CartPole-v1"))),
        (SpaceError, "Discrete", lambda: QLearning(gym.make("Pendulum-v1"))),
        (SpaceError, "SAC", lambda: QLearning(ContinuousActions())),
        (SpaceError, r"gym\.make", lambda: QLearning("rltk/FourRooms-v0")),
        (SpaceError, "vector", lambda: QLearning(TabularVectorEnv(MDP.from_table({0: {0: [(1, 0, 0.0, False)]}}), 2))),
        (ArgumentError, "alpha", lambda: lake(alpha=1.5)),
        (ArgumentError, "alpha", lambda: lake(alpha="fast")),
        (ArgumentError, "epsilon", lambda: lake(epsilon=-0.1)),
        (ArgumentError, "epsilon", lambda: lake(epsilon=float("nan"))),
        (ArgumentError, "epsilon", lambda: lake(epsilon=True)),
        (ArgumentError, r"1\.2", lambda: lake(gamma=1.2)),
        (ArgumentError, "initial_value", lambda: lake(initial_value=float("inf"))),
        (ArgumentError, "initial_value", lambda: lake(initial_value="high")),
        (ArgumentError, "backend", lambda: lake(backend="fast")),
        (ArgumentError, "draw law", lambda: QLearning(gym.make("FrozenLake-v1"), backend="compiled")),
        (RltkError, "seed", lambda: lake(seed=-1)),
        (RltkError, "seed", lambda: lake(seed=0.5)),
        (ArgumentError, "total_timesteps", lambda: lake().learn(0)),
        (ArgumentError, "total_timesteps", lambda: lake().learn(10.0)),
        (ArgumentError, "total_timesteps", lambda: lake().learn(True)),
        (ArgumentError, "callback_every", lambda: lake().learn(10, callback_every=0)),
    ],
)
def test_wrong_arguments_are_told_what_and_how_to_mend(error, says, make):
    """The project's own error types, naming the argument or the way out."""
    with pytest.raises(error, match=says):
        make()


class ContinuousActions(gym.Env):
    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Box(-1, 1, (1,))


@pytest.mark.parametrize("name", ["alpha", "epsilon"])
def test_a_schedule_that_leaves_its_range_is_refused(name):
    """Rates lie in [0, 1], schedules of them too; the timestep is named."""
    agent = QLearning(gym.make("FrozenLake-v1"), **{name: lambda step: 2.0 if step == 3 else 0.5})
    with pytest.raises(ArgumentError, match=f"{name} at timestep 3"):
        agent.learn(10)


def test_an_unknown_agent_or_option_is_told_what_there_is():
    """rltk's own errors, which list the known names; `hasattr` still answers False."""
    with pytest.raises(RltkError, match="QLearning"):
        rltk.agents.Sarsa  # noqa: B018
    assert not hasattr(rltk.agents, "Sarsa")
    for learner in LEARNERS.values():
        assert getattr(rltk.agents, learner.__name__) is learner
    with pytest.raises(ArgumentError, match="'learning_rate'; its options are gamma, alpha"):
        QLearning(gym.make("FrozenLake-v1"), learning_rate=0.1)


@pytest.mark.parametrize(
    ("says", "options"),
    [
        ("give policy=, not exploration=", {"exploration": None}),
        ("leave behaviour= out", {"behaviour": np.full((16, 4), 0.25)}),
        ("its options are gamma, alpha, initial_value", {"epsilon": 0.1}),
        (r"\(16, 4\) probabilities", {"policy": [[0.5, 0.5]]}),
    ],
)
def test_a_prediction_is_told_what_it_takes(says, options):
    """A policy instead of an exploration."""
    with pytest.raises(ArgumentError, match=says):
        TD(gym.make("rltk/FrozenLake-v0"), **options)


class Outside(gym.Env):
    """Two states by its word; `step` observes what it was told to."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, observed):
        self.observed = observed

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return self.observed, 0.0, False, False, {}


@on_any_env
@pytest.mark.parametrize("observed", [-1, 2, 10**9])
def test_an_observation_outside_its_space_is_refused(learner, observed):
    """A kernel does not check its indices: such an observation would write beside the table (found in review)."""
    with pytest.raises(SpaceError, match=str(observed)):
        learner(Outside(observed)).learn(10)
