"""Off-policy Monte Carlo: learning what one policy is worth from the episodes of another, by importance sampling.

    rho_t = product over k >= t of pi(a_k | s_k) / b(a_k | s_k)           b the behaviour, pi the policy that is judged

    ordinary   V(s) = sum rho_t G_t / number of visits                    no bias, a variance that may be infinite
    weighted   V(s) = sum rho_t G_t / sum rho_t                           a bias that vanishes, far less variance

over the visits of s, or the first in each episode. Both are kept up to date visit by visit, back from the end:

    ordinary   N(s) <- N(s) + 1,       V(s) <- V(s) + (rho G - V(s)) / N(s)
    weighted   C(s) <- C(s) + rho,     V(s) <- V(s) + (G - V(s)) rho / C(s)

Control judges the greedy policy and is weighted. The action whose value is learnt is given, so Q(s_t, a_t) is weighed
by what follows it, and an episode is of use only from the last action on that is not greedy:

    C(s, a) <- C(s, a) + W,    Q(s, a) <- Q(s, a) + (G - Q(s, a)) W / C(s, a),    W <- W / b(a | s), or stop if a is
                                                                                  not argmax_b Q(s, b)

What a truncated episode teaches is an option (`episodes`).

Source: Precup, Sutton and Singh (2000); Sutton and Barto (2018), sections 5.5 (equations 5.3 to 5.6), 5.6 (5.7, 5.8)
and 5.7 (off-policy Monte Carlo control).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.averages import NoStepSize
from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.episodes import checked_truncated, note, steps_of, with_room
from rltk.agents.tabular.exploration import UCB
from rltk.agents.tabular.prediction import PredictionLearner
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.runs.checks import checked_flag


class WeighedSteps(NamedTuple):
    """`episodes.Steps`, and how much likelier an action is under the policy than under the behaviour."""

    states: np.ndarray  # (room,) int64
    actions: np.ndarray  # (room,) int64
    rewards: np.ndarray  # (room,) float64
    size: np.ndarray  # (1,) int64
    first: np.ndarray  # (S,) int64
    visits: np.ndarray  # (S,) float64: N or C
    flags: np.ndarray  # (3,) bool: only first visits, bootstrap truncated ones, weighted
    ratio: np.ndarray  # (S, A) float64: pi / b


@jit(_nrt=False)
def off_policy_monte_carlo_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Note the step; at an end update every state of the episode, in place. Returns the sum of the errors."""
    states, actions, rewards, size, first, visits, flags, ratio = memory
    note((states, actions, rewards, size, first, visits, flags), state, action, reward, state)
    if not over:
        return reward * 0.0  # what is not finite stops learning at once
    errors, target, weight = reward * 0.0, 0.0, 1.0
    if not terminated and flags[1]:
        target = value[next_state]
    for t in range(size[0] - 1, -1, -1):
        row = states[t]
        target = rewards[t] + gamma * target
        weight *= ratio[row, actions[t]]
        if (terminated or flags[1]) and (not flags[0] or first[row] == t):
            error = target - value[row] if flags[2] else weight * target - value[row]
            share = weight if flags[2] else 1.0
            visits[row] += share
            if share > 0.0:
                value[row] += error * share / visits[row]
            errors += share * error
    for t in range(size[0]):
        first[states[t]] = -1
    size[0] = 0
    return errors


class OffPolicyMonteCarlo(NoStepSize, PredictionLearner):
    """Learn a policy's state values from another's episodes: `OffPolicyMonteCarlo(env, policy, behaviour=uniform)`.

    behaviour: (S, A) probabilities, positive where the policy's are; the policy itself if None. weighted: weighted
    importance sampling, else ordinary. first_visit: only the first visit of a state in an episode counts. truncated:
    "discard" or "bootstrap". `PredictionLearner` owns the other options; there is no alpha.
    """

    name = "off-policy-monte-carlo"
    update = staticmethod(off_policy_monte_carlo_update)
    off_policy = True
    own_options = ("weighted", "first_visit", "truncated", *PredictionLearner.own_options)

    def __init__(
        self,
        env: Any,
        policy: Any = None,
        *,
        weighted: bool = True,
        first_visit: bool = True,
        truncated: str = "discard",
        **options: Any,
    ) -> None:
        self.weighted, self.first_visit = checked_flag("weighted", weighted), checked_flag("first_visit", first_visit)
        self.truncated = checked_truncated(truncated)
        super().__init__(env, policy, **options)

    def _new_memory(self) -> Any:
        uncovered = (self.policy > 0) & (self.behaviour == 0)
        if uncovered.any():
            state, action = np.argwhere(uncovered)[0]
            raise ArgumentError(
                f"behaviour: never takes action {action} in state {state}, which the policy takes; what follows can't "
                "be learnt. Give it a positive probability wherever the policy's is"
            )
        steps = steps_of(self.n_states, first_visit=self.first_visit, truncated=self.truncated, average=self.weighted)
        ratio = np.divide(self.policy, self.behaviour, out=np.zeros(self.policy.shape), where=self.behaviour > 0)
        return WeighedSteps(*steps, ratio)

    def _reserve(self, count: int) -> None:
        self.memory = with_room(self.memory, count)


class ChancySteps(NamedTuple):
    """The steps of the episode under way with the chance that each had, and the weights so far."""

    states: np.ndarray  # (room,) int64
    actions: np.ndarray  # (room,) int64
    rewards: np.ndarray  # (room,) float64
    chances: np.ndarray  # (room,) float64: b(a | s)
    size: np.ndarray  # (1,) int64
    weights: np.ndarray  # (S, A) float64: C
    policy: np.ndarray  # (A,) float64: room for the behaviour in one state
    bootstrap: np.ndarray  # (1,) bool: whether truncated episodes count


@jit(_nrt=False)
def first_greedy(q, state):
    """The first action of the highest value: ties are broken the same way each time, as the greedy policy is one."""
    best = 0
    for b in range(1, q.shape[1]):
        if q[state, b] > q[state, best]:
            best = b
    return best


@cache
def off_policy_monte_carlo_control_update(weigh: Callable[..., Any]) -> Callable[..., Any]:
    """The update for the behaviour whose probabilities the kernel `weigh` fills in (`exploration`)."""

    @jit(_nrt=False)
    def update(
        q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
    ):
        """Note the step; at an end update back to the last action that is not greedy. Returns the sum of the errors."""
        states, actions, rewards, chances, size, weights, policy, bootstrap = memory
        rate, habits = behaviour
        weigh(q[state], state, rate, habits, policy)
        at = size[0]
        states[at], actions[at], rewards[at], chances[at] = state, action, reward, policy[action]
        size[0] += 1
        errors = reward * 0.0  # what is not finite stops learning at once
        if not over:
            return errors
        if terminated or bootstrap[0]:
            target = 0.0 if terminated else q[next_state, first_greedy(q, next_state)]
            weight = 1.0
            for t in range(at, -1, -1):
                s, a = states[t], actions[t]
                target = rewards[t] + gamma * target
                weights[s, a] += weight
                error = target - q[s, a]
                q[s, a] += error * weight / weights[s, a]
                errors += error + 0.0 * q[s, a]  # weights of a long way may overflow
                if a != first_greedy(q, s):
                    break
                weight /= chances[t]
        size[0] = 0
        return errors

    return update


class OffPolicyMonteCarloControl(NoStepSize, ControlLearner):
    """Learn optimal action values from whole episodes of any soft behaviour: `OffPolicyMonteCarloControl(env)`.

    truncated: "discard" or "bootstrap". `ControlLearner` owns the other options; there is no alpha, and no UCB, whose
    choices have no probabilities to divide by.
    """

    name = "off-policy-monte-carlo-control"
    own_options = ("truncated",)

    def __init__(self, env: Any, *, truncated: str = "discard", **options: Any) -> None:
        if isinstance(options.get("exploration"), UCB):
            raise ArgumentError(
                f"{type(self).__name__} divides by the probability of each action, and UCB's choices have none; "
                "explore by EpsilonGreedy, Softmax or a FixedPolicy"
            )
        self.truncated = checked_truncated(truncated)
        super().__init__(env, **options)

    def _update(self) -> Callable[..., Any]:
        return off_policy_monte_carlo_control_update(self.exploration.weigh)

    def _new_memory(self) -> Any:
        steps = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
        kept = np.zeros(1, dtype=np.int64), np.zeros(self.table.shape), np.zeros(self.n_actions)
        return ChancySteps(*steps, *kept, np.array([self.truncated == "bootstrap"]))

    def _reserve(self, count: int) -> None:
        self.memory = with_room(self.memory, count)
