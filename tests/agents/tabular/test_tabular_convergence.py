"""Convergence on small random worlds to V^pi, Q^pi or Q*, with step sizes that decrease, as closely as theory says.

Near its fixed point x* a method is x <- x + alpha (-A (x - x*) + noise): A is what the expected update
takes away, state by state as often as it is visited, the noise that of one TD error. With a small constant alpha the
error settles with a covariance S for which A S + S A' = alpha B, B the noise's (the Lyapunov equation of stochastic
approximation; Kushner and Yin 2003, section 10.1). What is left of the beginning decays with exp(-alpha n min Re(A)).

With traces, or n steps, B is not known in closed form, and the spread of many seeds takes its place. Their mean is then
wrong by its standard error, and by what a constant step size biases, which is of order alpha (Kushner and Yin 2003,
section 10.1): 1e-3 here, ten times less than the standard error.

A mean of n returns is wrong by the deviation of one, over the root of n. Its square is exactly known, too:

    E[G^2 | s, a] = sum_s' T(s' | s, a) ( r^2 + 2 gamma r V(s') + gamma^2 E[G^2 | s'] )       nothing of s' at an end
"""

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov
from tabular_worlds import Fixed

from rltk.agents.tabular import (
    SARSA,
    TD,
    DoubleQLearning,
    ExpectedSARSA,
    FixedPolicy,
    MonteCarlo,
    MonteCarloControl,
    NStepSARSA,
    QLambda,
    QLearning,
    SARSALambda,
    learn_many,
)
from rltk.envs import TabularEnv
from rltk.runs import linear

STEPS, LAST = 4_000_000, 1e-3


def deviation(A, B, alpha):
    """(n,) the standard deviation that the error settles at."""
    covariance = solve_continuous_lyapunov(A, alpha * B)
    assert 0.75 * STEPS * alpha * np.linalg.eigvals(A).real.min() > 25  # e^-25 is left of the beginning
    return np.sqrt(np.diag(covariance))


def expected(learner, world):
    """(the fixed point (n,), what the error of each entry settles at)."""
    D = np.diag(world.frequency)
    eye = np.eye(world.pairs)
    if learner is TD:
        states = world.frequency.reshape(world.S, world.A).sum(axis=1)
        q = world.q_of(world.policy)
        value = (world.policy * q).sum(axis=1)
        second = world.target_variance(value).reshape(q.shape) + (q - value[:, None]) ** 2
        A = np.diag(states) @ (np.eye(world.S) - world.gamma * np.einsum("sa,sat->st", world.policy, world.goes_on))
        return value, deviation(A, np.diag(states * (world.policy * second).sum(axis=1)), LAST)
    if learner in (SARSA, ExpectedSARSA):
        q = world.q_of(world.policy)
        value = (world.policy * q).sum(axis=1)
        spread = (world.policy * (q - value[:, None]) ** 2).sum(axis=1) if learner is SARSA else 0.0
        B = D * world.target_variance(value, spread)
        return q.reshape(-1), deviation(D @ (eye - world.gamma * world.follows(world.policy)), B, LAST)
    best = world.best()
    q = world.q_of(best)
    B, P = D * world.target_variance(q.max(axis=1)), world.gamma * world.follows(best)
    if learner is QLearning:
        return q.reshape(-1), deviation(D @ (eye - P), B, LAST)
    half = D / 2  # of the two tables each moves every other step; q is their mean
    A = np.block([[half, -half @ P], [-half @ P, half]])
    one = np.block([[B / 2, np.zeros_like(B)], [np.zeros_like(B), B / 2]])
    covariance = solve_continuous_lyapunov(A, LAST * one)
    mean = np.hstack([eye, eye]) / 2
    deviation(A, one, LAST)
    return q.reshape(-1), np.sqrt(np.diag(mean @ covariance @ mean.T))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("learner", [TD, SARSA, ExpectedSARSA, QLearning, DoubleQLearning], ids=lambda cls: cls.name)
def test_it_converges_to_what_theory_says_and_as_closely(learner, seed):
    """To V^pi, Q^pi or Q* within five of the standard deviations that the last step size leaves, and no closer than
    such an error can be: its root mean square in those units is that of a standard normal (Watkins and Dayan 1992;
    Singh et al. 2000; Kushner and Yin 2003)."""
    world = Fixed(seed)
    fixed, settles = expected(learner, world)
    options = {"gamma": world.gamma, "alpha": linear(0.5, LAST, STEPS // 4), "seed": seed}
    if learner is TD:
        agent = TD(TabularEnv(world.mdp), world.policy, **options).learn(STEPS)
    else:
        agent = learner(TabularEnv(world.mdp), exploration=FixedPolicy(world.policy), **options).learn(STEPS)
    errors = (agent.table.reshape(-1) - fixed) / settles

    assert np.abs(errors).max() < 5
    assert 0.1 < np.sqrt(np.mean(errors**2)) < 3
    assert settles.max() < 0.1 * np.abs(fixed).max()


SEEDS, FEWER_STEPS = 40, 200_000
SHORTER = linear(0.5, LAST, FEWER_STEPS // 4)


def check_the_mean(tables, fixed):
    """The mean of the seeds' tables lies within five of its standard errors of `fixed`, and these are small."""
    errors = tables.std(axis=0, ddof=1) / np.sqrt(len(tables))

    assert errors.max() < 0.02 * np.abs(fixed).max()
    assert (np.abs(tables.mean(axis=0) - fixed) < 5 * errors + LAST * np.abs(fixed).max()).all()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("learner", "options"),
    [
        (SARSALambda, {"lambda_": 0.8, "traces": "accumulating"}),
        (SARSALambda, {"lambda_": 0.8, "traces": "replacing"}),
        (SARSALambda, {"lambda_": 0.8, "traces": "dutch"}),
        (QLambda, {"lambda_": 0.8, "traces": "replacing"}),
        (NStepSARSA, {"n": 3}),
    ],
    ids=lambda value: getattr(value, "name", "") if isinstance(value, type) else "-".join(map(str, value.values())),
)
def test_traces_and_several_steps_converge_to_what_theory_says(learner, options, seed):
    """To Q^pi whatever lambda, the traces and n (Singh et al. 2000), Q(lambda) to Q* (Munos et al. 2016)."""
    world = Fixed(seed)
    rule = {"gamma": world.gamma, "alpha": SHORTER, "exploration": FixedPolicy(world.policy)}
    many = learn_many(learner, TabularEnv(world.mdp), FEWER_STEPS, seeds=SEEDS, checkpoints=1, **rule, **options)

    check_the_mean(many.tables[:, 0], world.q_of(world.best() if learner is QLambda else world.policy))


def returns_squared(world, q):
    """(S, A): the mean square of the return that follows a state and an action."""
    value = (world.policy * q).sum(axis=1)
    first = (world.T * world.R**2).sum(axis=2) + 2 * world.gamma * (world.goes_on * world.R * value).sum(axis=2)
    eye = np.eye(world.pairs)
    return np.linalg.solve(eye - world.gamma**2 * world.follows(world.policy), first.reshape(-1)).reshape(q.shape)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("learner", [MonteCarlo, MonteCarloControl], ids=lambda cls: cls.name)
def test_means_of_returns_converge_as_closely_as_such_means_do(learner, seed):
    """To V^pi and Q^pi: first visits of different episodes are independent, so errors in units of what n of them leave
    are those of a standard normal (Sutton and Barto 2018, section 5.1)."""
    world = Fixed(seed)
    q = world.q_of(world.policy)
    value, square = (world.policy * q).sum(axis=1), returns_squared(world, q)
    env = TabularEnv(world.mdp)
    if learner is MonteCarlo:
        agent = MonteCarlo(env, world.policy, gamma=world.gamma, seed=seed).learn(FEWER_STEPS)
        fixed, variance = value, (world.policy * square).sum(axis=1) - value**2
    else:
        rule = FixedPolicy(world.policy)
        agent = MonteCarloControl(env, exploration=rule, gamma=world.gamma, seed=seed).learn(FEWER_STEPS)
        fixed, variance = q, square - q**2
    n = agent.memory.visits.reshape(fixed.shape)
    errors = (agent.table - fixed) / np.sqrt(variance / n)

    assert n.min() > 1000
    assert np.abs(errors).max() < 5
    assert 0.1 < np.sqrt(np.mean(errors**2)) < 3


@pytest.mark.parametrize("seed", range(2))
def test_on_policy_monte_carlo_control_finds_the_best_soft_policy(seed):
    """To the action values of the policy that no epsilon-soft one betters: greedy for them but for epsilon (Sutton and
    Barto 2018, section 5.4)."""
    world, epsilon = Fixed(seed), 0.3
    policy = world.policy
    for _ in range(20):
        q = world.q_of(policy)
        policy = epsilon / world.A + (1 - epsilon) * np.eye(world.A)[q.argmax(axis=1)]
    rule = {"gamma": world.gamma, "alpha": SHORTER, "epsilon": epsilon}
    many = learn_many(MonteCarloControl, TabularEnv(world.mdp), FEWER_STEPS, seeds=SEEDS, checkpoints=1, **rule)

    spread = many.tables[:, 0].std(axis=0).max()
    assert np.diff(np.sort(q, axis=1), axis=1).min() > 4 * spread  # no noise makes the worse action look better
    check_the_mean(many.tables[:, 0], q)
