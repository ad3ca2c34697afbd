"""What control by a linear Q on features is worth, exactly.

    q_a(s) = w_a' phi(s) + b_a,  least squares to Q*(., a);   suboptimality = sum_s mu(s) [ V*(s) - V^pi(s) ]

for the greedy policy of q, and softened: with probability epsilon an available action at random, or in proportion to
exp(q / temperature). A greedy policy's return is brittle, for one wrong action in a corridor can cost it all; softened
policies and the share of optimal actions tell how near it was. mu is a named distribution over states.

Source: Sutton and Barto (2018), sections 2.2 and 13.1; the return of a policy, Puterman (1994), section 6.1.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from rltk.errors import ArgumentError
from rltk.evaluation.exact import answer_key, policy_occupancy, policy_value
from rltk.evaluation.representation.checks import checked_features, checked_states
from rltk.evaluation.representation.probes import least_squares
from rltk.evaluation.representation.targets import Targets
from rltk.mdp import first_best

Weighting = Literal["start", "uniform", "optimal"]


@dataclass(frozen=True)
class Control:
    """A policy beside the optimum, over one distribution of states. normalised: the suboptimality as a share of what
    separates the uniform policy from the optimum, nan where nothing does. agreement: how often it acts optimally."""

    value: float
    optimum: float
    suboptimality: float
    normalised: float
    agreement: float


def linear_q(features: Any, targets: Targets, train: Any) -> np.ndarray:
    """(S, A): Q* fitted on the states `train` by least squares on [`features` (S, F), 1], an action at a time; -inf
    where an action is not available, the mean of Q* where no state of `train` has it available."""
    features = checked_features(features, targets.value.size)
    train = checked_states(train, targets.value.size, "train")
    q = np.where(targets.available, targets.value.mean(), -np.inf)
    for a in range(q.shape[1]):
        states = train[targets.available[train, a]]
        if states.size:
            fitted = least_squares(features[states], targets.q[states, a][:, None]).predict(features)[:, 0]
            q[:, a] = np.where(targets.available[:, a], fitted, -np.inf)
    return q


def greedy(q: np.ndarray) -> np.ndarray:
    """(S, A) probabilities: the best action of `q` (S, A), the first of those that tie."""
    policy = np.zeros(q.shape)
    policy[np.arange(len(q)), first_best(q)] = 1.0
    return policy


def epsilon_greedy(q: np.ndarray, epsilon: float) -> np.ndarray:
    """(S, A) probabilities: with probability `epsilon` any available action (above -inf) at random, else `greedy`."""
    if not isinstance(epsilon, int | float | np.number) or not 0 <= epsilon <= 1:
        raise ArgumentError(f"epsilon is a probability, 0 to 1; it is {epsilon!r}")
    available = np.isfinite(q)
    return (1 - epsilon) * greedy(q) + epsilon * available / available.sum(axis=1, keepdims=True)


def softmax(q: np.ndarray, temperature: float) -> np.ndarray:
    """(S, A) probabilities in proportion to exp(q / temperature); a temperature in the units of `q`, above 0."""
    if not isinstance(temperature, int | float | np.number) or not 0 < temperature < np.inf:
        raise ArgumentError(f"temperature is a positive number in the units of q; it is {temperature!r}")
    weights = np.exp((q - q.max(axis=1, keepdims=True)) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def state_distribution(targets: Targets, weighting: Weighting, states: Any = None) -> np.ndarray:
    """(S,) summing to 1: where episodes start, all states alike, or the (discounted) visits of an optimal policy; only
    on `states` (n,) where they are given. ArgumentError where none of these has any weight."""
    mdp, criterion = targets.mdp, targets.criterion
    if weighting == "start":
        weight = mdp.start
    elif weighting == "uniform":
        weight = np.ones(mdp.n_states)
    elif weighting == "optimal":
        policy = answer_key(mdp, criterion).policy
        weight = policy_occupancy(mdp.chain(policy), mdp.start, criterion)
    else:
        raise ArgumentError(f"weighting is one of {get_args(Weighting)}; it is {weighting!r}")
    if states is not None:
        chosen = checked_states(states, mdp.n_states, "states")
        weight = np.where(np.isin(np.arange(mdp.n_states), chosen), weight, 0.0)
    weight = np.maximum(weight, 0.0)  # rounding may leave a trace below 0 of a state that is never visited
    if not weight.sum() > 0:
        raise ArgumentError(f"none of the {len(chosen):,} states has any weight under {weighting!r}; ask for 'uniform'")
    return weight / weight.sum()


def control(targets: Targets, policy: Any, distribution: Any) -> Control:
    """`policy` (S,) actions or (S, A) probabilities, graded exactly over `distribution` (S,)."""
    mdp, criterion = targets.mdp, targets.criterion
    mu = np.asarray(distribution, dtype=np.float64)
    if mu.shape != targets.value.shape or not (mu >= 0).all() or not abs(mu.sum() - 1) <= 1e-6:
        raise ArgumentError(
            f"a distribution has a probability for each of {targets.value.size} states and sums to 1; "
            f"found shape {mu.shape}, sum {mu.sum():.6g}"
        )
    probabilities = mdp.policy_probabilities(policy)
    value = float(mu @ policy_value(mdp.chain(probabilities), criterion, mdp.start))
    key = answer_key(mdp, criterion)
    optimum, uniform = float(mu @ key.optimum), float(mu @ key.uniform)
    tell = optimum - uniform > 1e-9 * max(abs(optimum), abs(uniform))
    return Control(
        value,
        optimum,
        optimum - value,
        (optimum - value) / (optimum - uniform) if tell else np.nan,
        float(mu @ (probabilities * targets.optimal).sum(axis=1)),
    )
