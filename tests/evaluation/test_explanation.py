"""Suboptimality in parts: against fractions, by hand, and over MDPs that hold the clock in their states."""

from fractions import Fraction
from itertools import product
from math import inf, isnan

import gymnasium as gym
import mdp_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps

import rltk
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, CriterionError, ModelError
from rltk.mdp import MDP, Criterion


class Policy:
    """The smallest exact agent: a policy (S, A) over what it observes, whether asked for greedy actions or not."""

    def __init__(self, policy, criterion):
        self.policy, self.criterion = np.asarray(policy, dtype=float), criterion

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return int(self.policy[observation].argmax()), state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        return self.policy[observations]


def check_the_parts(agent, env, solution=None):
    """The parts add up to what `evaluate` reports; none is negative beyond what the bounds on V* leave open."""
    explanation = rltk.explain(agent, env, solution=solution)
    graded = rltk.evaluate(agent, env, solution=solution)

    assert explanation.suboptimality == graded.suboptimality
    assert explanation.loss.sum() == pytest.approx(graded.optimum - graded.value, rel=1e-9, abs=1e-9)
    assert (explanation.loss >= -explanation.error * explanation.visits - 1e-12).all()
    np.testing.assert_allclose(explanation.action_loss.sum(axis=1), explanation.loss)
    np.testing.assert_allclose(-explanation.advantage * explanation.visits, explanation.loss, atol=1e-12)
    return explanation


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_part_equals_the_exact_one(data):
    """Visits times V* - Q*, state by state and action by action, in fractions (Kakade and Langford 2002, lemma 6.1)."""
    outcomes, _ = data.draw(mdps(max_states=4))
    policy = data.draw(reference.policies(outcomes))
    gamma = data.draw(st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(7, 8)]))
    n = len(outcomes)
    best = [Fraction(-(10**9))] * n
    for choice in product(*outcomes):
        Q, r, _ = reference.chain(outcomes, [{a: Fraction(1)} for a in choice])
        best = [max(x, y) for x, y in zip(best, reference.fixed_point(Q, r, gamma), strict=True)]
    P, _, _ = reference.chain(outcomes, policy)
    visits = reference.fixed_point(reference.transposed(P), [Fraction(1, n)] * n, gamma)
    q = reference.q(outcomes, best, gamma)
    lost = [[visits[s] * p * (best[s] - q[s][a]) for a, p in policy[s].items()] for s in range(n)]

    env = TabularEnv(MDP.from_table(reference.as_table(outcomes)))
    agent = Policy(reference.as_policy(policy, env.action_space.n), Criterion(float(gamma)))
    explanation = check_the_parts(agent, env)

    np.testing.assert_allclose(explanation.loss, [float(sum(parts)) for parts in lost], atol=2e-6)
    for s in range(n):
        taken = explanation.action_loss[s, list(policy[s])]
        np.testing.assert_allclose(taken, [float(part) for part in lost[s]], atol=2e-6)
        assert q[s][int(explanation.best_action[s])] >= best[s] - Fraction(1, 10**5)


@pytest.mark.parametrize("gamma", [0.9, 0.99, 1.0])
@pytest.mark.parametrize(
    "env_id", ["rltk/FourRooms-v0", "rltk/CliffWalking-v0", "rltk/RussellNorvig4x3-v0", "rltk/FrozenLake-v0"]
)
def test_the_parts_add_up(env_id, gamma):
    """Random policies, Q* softened, and that greedy but for some states: on worlds that slip and worlds that do not."""
    env = gym.make(env_id)
    mdp, stream = env.unwrapped.mdp(), np.random.default_rng(0)
    solution = rltk.solve(mdp, gamma=gamma)
    likely = np.exp((solution.q - solution.value[:, None]) / 0.3)
    softened = 0.98 * likely / likely.sum(axis=1, keepdims=True) + 0.02 / mdp.n_actions
    # An even mixture with the uniform policy ends surely, which gamma 1 needs.
    random = 0.5 * stream.dirichlet(np.ones(mdp.n_actions), mdp.n_states) + 0.5 / mdp.n_actions
    spoilt = np.eye(mdp.n_actions)[solution.policy]
    spoilt[::3] = 0.9 * spoilt[::3] + 0.1 / mdp.n_actions
    for policy in (random, softened, spoilt):
        explanation = check_the_parts(Policy(policy, Criterion(gamma)), env)
        lossless = gamma == 1 and env_id == "rltk/FourRooms-v0"  # where steps cost nothing all who end are optimal
        assert (explanation.suboptimality > 1e-4) == explanation.proved == (not lossless)
        assert explanation.share.sum() == pytest.approx(float(not lossless))
    greedy = stream.integers(mdp.n_actions, size=mdp.n_states)
    if gamma < 1:
        check_the_parts(Policy(np.eye(mdp.n_actions)[greedy], Criterion(gamma)), env)


def test_the_parts_add_up_with_a_rough_answer_key():
    """The sum holds whatever V is; `error` says how far below zero a rough one may push a part."""
    env = gym.make("rltk/FrozenLake-v0")
    rough = rltk.solve(env, gamma=0.99, tolerance=0.05, method="value-iteration")
    agent = Policy(env.unwrapped.mdp().uniform_policy(), Criterion(0.99))

    explanation = check_the_parts(agent, env, rough)

    assert explanation.error > 0.05
    assert explanation.suboptimality == pytest.approx(rough.start_value - rltk.evaluate(agent, env).value)


def corridor(n, reward=1.0, stay=0.0):
    """States 0 to n in a line: action 0 goes on, action 1 stays and pays `stay`; entering n ends and pays `reward`."""

    def transition(s, a):
        return [(1.0, s + 1, reward * (s + 1 == n), s + 1 == n)] if a == 0 else [(1.0, s, stay, False)]

    return MDP.from_function(transition, 0, ["on", "stay"])


def test_a_corridor_by_hand():
    """An agent that dawdles: with probability 1/2 it stays, at state 1 alone. gamma 1/2, three steps to go: V* is 1/4,
    1/2, 1; state 1 has d(1) = 1/2 / (1 - 1/4) visits, each giving away 1/2 (1/2 - 1/4) = 1/8."""
    policy = [[1, 0], [0.5, 0.5], [1, 0], [1, 0]]
    explanation = check_the_parts(Policy(policy, Criterion(0.5)), TabularEnv(corridor(3)))

    np.testing.assert_allclose(explanation.visits[:2], [1, 2 / 3])
    np.testing.assert_allclose(explanation.advantage[:3], [0, -1 / 8, 0], atol=1e-7)
    np.testing.assert_allclose(explanation.loss[:3], [0, 1 / 12, 0], atol=1e-7)
    (lost,) = explanation.worst()
    assert lost == (1, 1, 1, explanation.loss[1], explanation.visits[1], "stay", 0.5, "on")
    assert explanation.summary == "100% of the loss is in 1 of 4 states."


def test_who_never_ends_loses_where_it_gets_caught():
    """At gamma 1, staying in state 2 for ever costs nothing a step and the goal's 1 in all: charged to state 2, where
    visits are infinite, for as often as the agent gets there."""
    env = TabularEnv(corridor(4))
    explanation = rltk.explain(Policy([[1, 0], [1, 0], [0, 1], [1, 0], [1, 0]], Criterion(1.0)), env)

    np.testing.assert_allclose(explanation.loss, [0, 0, 1, 0, 0], atol=1e-6)
    assert explanation.visits[2] == inf
    assert explanation.suboptimality == pytest.approx(explanation.loss.sum(), abs=1e-9)
    (lost,) = explanation.worst()
    assert (lost.state, lost.action, lost.best) == (2, "stay", "on")
    assert "never gets out" in str(explanation)


def test_two_traps_share_the_loss_by_how_often_one_gets_in():
    """From state 0 a fair coin leads to trap 1 or to state 2, thence 1 in 4 to trap 3; the other way all end with 1."""
    table = {
        0: {0: [(0.5, 1, 0, False), (0.5, 2, 0, False)], 1: [(1, 4, 1, True)]},
        1: {0: [(1, 1, 0, False)], 1: [(1, 4, 1, True)]},
        2: {0: [(0.25, 3, 0, False), (0.75, 4, 1, True)], 1: [(1, 4, 1, True)]},
        3: {0: [(1, 3, 0, False)], 1: [(1, 4, 1, True)]},
        4: {0: [(1, 4, 0, True)], 1: [(1, 4, 0, True)]},
    }
    env = TabularEnv(MDP.from_table(table, start=[1, 0, 0, 0, 0]))
    explanation = rltk.explain(Policy([[1, 0]] * 5, Criterion(1.0)), env)

    assert explanation.suboptimality == pytest.approx(0.5 + 0.125)
    np.testing.assert_allclose(explanation.loss, [0, 0.5, 0, 0.125, 0], atol=1e-6)
    assert explanation.summary == "80% of the loss is in 1 of 5 states."
    caught = TabularEnv(MDP.from_table(table, start=[0, 0.25, 0, 0.75, 0]))
    explanation = rltk.explain(Policy([[1, 0]] * 5, Criterion(1.0)), caught)
    np.testing.assert_allclose(explanation.loss, [0, 0.25, 0, 0.75, 0], atol=1e-6)  # who starts in a trap came in too


def test_an_infinite_loss_is_said_to_be_one():
    """Paying -1 for ever at gamma 1: the loss is infinite where the agent is caught, shares are no numbers, and there
    is nothing to draw."""
    explanation = rltk.explain(Policy([[1, 0], [0, 1], [1, 0]], Criterion(1.0)), TabularEnv(corridor(2, stay=-1.0)))

    assert explanation.suboptimality == inf
    np.testing.assert_allclose(explanation.loss, [0, inf, 0], atol=1e-6)
    assert isnan(explanation.worst()[0].share)
    assert str(explanation).endswith("The loss is infinite in 1 of 3 states.")
    with pytest.raises(CriterionError, match="gamma < 1"):
        explanation.figure()


def test_the_step_into_a_hopeless_place_bears_the_whole_loss():
    """State 1 pays -1 and leads to state 3, which pays -1 for ever, whatever one does: nothing more is lost there, and
    the loss, infinite, is all state 0's."""
    table = {
        0: {0: [(1, 1, 1, False)], 1: [(1, 2, 1, True)]},
        1: {0: [(1, 3, -1, False)], 1: [(1, 3, -1, False)]},
        2: {0: [(1, 2, 0, True)], 1: [(1, 2, 0, True)]},
        3: {0: [(1, 3, -1, False)], 1: [(1, 3, -1, False)]},
    }
    env = TabularEnv(MDP.from_table(table, start=[1, 0, 0, 0]))
    explanation = rltk.explain(Policy([[1, 0]] * 4, Criterion(1.0)), env)

    np.testing.assert_array_equal(explanation.loss, [inf, 0, 0, 0])
    assert explanation.worst()[0].best == 1


def test_what_has_no_value_can_not_be_split():
    """+1, -1, +1, ... has no total; a reward for ever has no finite optimum: refused, with the way out."""
    swinging = {0: {0: [(1, 1, 1, False)], 1: [(1, 0, 0, True)]}, 1: {0: [(1, 0, -1, False)], 1: [(1, 0, -1, False)]}}
    with pytest.raises(CriterionError, match="gamma < 1"):
        rltk.explain(Policy([[1, 0], [1, 0]], Criterion(1.0)), TabularEnv(MDP.from_table(swinging)))
    with pytest.raises(CriterionError, match=r"the optimum (inf|nan)"):
        rltk.explain(Policy([[1, 0]] * 3, Criterion(1.0)), TabularEnv(corridor(2, stay=1.0)))


def expanded(mdp, gamma, n):
    """The MDP whose states are (k steps to go, s): a horizon without a horizon. `k` from n down to 1."""
    S, table = mdp.n_states, {}
    for k in range(1, n + 1):
        for s in range(S):
            rows = {}
            for a in np.flatnonzero(mdp.available[s]).tolist():
                span = slice(mdp.row_start[s * mdp.n_actions + a], mdp.row_start[s * mdp.n_actions + a + 1])
                columns = (mdp.probability[span], mdp.next_state[span], mdp.reward[span], mdp.terminated[span])
                rows[a] = [
                    (p, max(k - 2, 0) * S + t, r, bool(done) or k == 1) for p, t, r, done in zip(*columns, strict=True)
                ]
            table[(k - 1) * S + s] = rows
    start = np.zeros(n * S)
    start[(n - 1) * S :] = mdp.start
    return MDP.from_table(table, start)


@pytest.mark.parametrize("gamma", [0.9, 1.0])
@pytest.mark.parametrize("n", [1, 4, 25])
def test_a_horizon_is_split_step_by_step(gamma, n):
    """The same agent in the MDP that holds the clock: its states' losses, summed over the clock, are the same."""
    env = gym.make("rltk/FrozenLake-v0")
    mdp = env.unwrapped.mdp()
    policy = np.random.default_rng(1).dirichlet(np.ones(4), 16)
    explanation = check_the_parts(Policy(policy, Criterion(gamma, horizon=n)), env)
    clocked = rltk.explain(Policy(np.tile(policy, (n, 1)), Criterion(gamma)), TabularEnv(expanded(mdp, gamma, n)))

    np.testing.assert_allclose(clocked.loss.reshape(n, 16).sum(axis=0), explanation.loss, atol=1e-6)
    np.testing.assert_allclose(clocked.visits.reshape(n, 16).sum(axis=0), explanation.visits, atol=1e-9)


def test_an_agent_that_follows_the_clock_loses_nothing():
    """The solution of a horizon is the optimum of each step: nothing is lost, and that is what is said."""
    env = gym.make("rltk/FrozenLake-v0")
    solution = rltk.solve(env, criterion=Criterion(1.0, horizon=30))
    explanation = rltk.explain(solution, env)

    np.testing.assert_allclose(explanation.loss, 0, atol=1e-12)
    assert explanation.worst() == []
    assert "Nothing is lost" in str(explanation)
    assert explanation.visits.sum() > 5


def test_the_average_reward_is_split_by_share_of_time():
    """Two states: stay in 0 for 1, move to 1 and back for 0 and 4, so 2 a step at best; an agent that stays loses all
    of 1 there. A lazy one that stays with probability 1/2 splits as the lemma for gains says (g* - g by hand)."""
    table = {
        0: {0: [(1, 0, 1, False)], 1: [(1, 1, 0, False)]},
        1: {0: [(1, 0, 4, False)], 1: [(1, 1, 0, False)]},
    }
    env = TabularEnv(MDP.from_table(table, start=[1, 0]))
    average = Criterion(1.0, kind="average")
    still = check_the_parts(Policy([[1, 0], [1, 0]], average), env)
    np.testing.assert_allclose(still.loss, [1, 0], atol=1e-6)
    np.testing.assert_allclose(still.visits, [1, 0], atol=1e-12)
    lazy = check_the_parts(Policy([[0.5, 0.5], [0.5, 0.5]], average), env)
    assert lazy.suboptimality == pytest.approx(2 - (0.5 * 0.5 + 0.5 * 2), abs=1e-6)
    # h(1) - h(0) = 2: staying in 0 gives away 2 + h(0) - 1 - h(0) = 1, staying in 1 gives away 2
    np.testing.assert_allclose(lazy.loss, [0.5 * 0.5 * 1, 0.5 * 0.5 * 2], atol=1e-6)


def test_the_average_reward_of_episodes_is_split_too():
    """Where episodes end and follow each other: FrozenLake's mean reward a step."""
    env = gym.make("rltk/FrozenLake-v0")
    uniform = env.unwrapped.mdp().uniform_policy()
    explanation = check_the_parts(Policy(uniform, Criterion(1.0, kind="average")), env)
    assert explanation.visits.sum() == pytest.approx(1)
    assert explanation.proved


def test_an_optimal_agent_has_nothing_to_explain():
    """The solution itself, at every gamma: no state is accused."""
    for gamma in (0.9, 1.0):
        env = gym.make("rltk/FourRooms-v0")
        explanation = rltk.explain(rltk.solve(env, gamma=gamma), env)
        assert explanation.worst() == []
        assert not explanation.proved
        assert explanation.summary.startswith("Nothing is lost")


def test_where_nothing_is_known_exactly_there_is_no_split():
    """A foreign environment, and an agent that does not say what it would do: ModelError with the reason."""
    with pytest.raises(ModelError, match=r"`evaluate` samples"):
        rltk.explain(Policy(np.eye(2), Criterion(0.9)), gym.make("CartPole-v1"))

    class Silent:
        criterion = Criterion(0.9)

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return 0, state

    with pytest.raises(ModelError, match="action_probabilities"):
        rltk.explain(Silent(), gym.make("rltk/FrozenLake-v0"))
    with pytest.raises(ArgumentError, match="predict"):
        rltk.explain(object(), gym.make("rltk/FrozenLake-v0"))
    nameless = Silent()
    nameless.criterion = None
    with pytest.raises(CriterionError, match=r"criterion=0\.99"):
        rltk.explain(nameless, gym.make("rltk/FrozenLake-v0"))
