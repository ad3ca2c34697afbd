"""Actor-critic and REINFORCE: learning a softmax policy by the gradient of what it is worth.

    pi(a | s) proportional to exp h(s, a)                     h: the table of preferences

    one-step actor-critic   delta = r + gamma V(s') - V(s),    V(s) <- V(s) + beta delta
                            h(s, b) <- h(s, b) + alpha I delta ([b = a] - pi(b | s)),    I = gamma^t at time t
    REINFORCE with baseline the same with delta = G_t - V(s_t), at the end of the episode

[b = a] - pi(b | s) is the gradient of ln pi(a | s). The baseline V takes nothing from the mean of the gradient, and
much of its variance.

Source: Williams (1992); Sutton and Barto (2018), sections 13.4 and 13.5.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from rltk.agents.tabular.episodes import checked_truncated
from rltk.agents.tabular.exploration import Softmax, weigh_softmax
from rltk.agents.tabular.learner import TabularLearner
from rltk.agents.tabular.memory import lengthened
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.runs.checks import checked_number, masked


class Critic(NamedTuple):
    """The critic, and what is passed from step to step."""

    value: np.ndarray  # (S,) float64
    policy: np.ndarray  # (A,) float64: room for the policy in one state
    discount: np.ndarray  # (1,) float64: gamma^t
    beta: np.ndarray  # (1,) float64: the critic's step size


@jit(_nrt=False)
def climb(preference, state, action, step, policy):
    """Add `step` times the gradient of ln pi(action | state) to the preferences, in place.

    Returns 0, or nan where a preference is not finite any more.
    """
    weigh_softmax(preference[state], state, 1.0, (policy,), policy)
    check = 0.0
    for b in range(policy.size):
        if preference[state, b] > -np.inf:
            preference[state, b] += step * ((1.0 if b == action else 0.0) - policy[b])
            check += 0.0 * preference[state, b]
    return check


@jit(_nrt=False)
def actor_critic_update(
    preference,
    memory,
    state,
    action,
    reward,
    next_state,
    next_action,
    terminated,
    over,
    alpha,
    gamma,
    behaviour,
    stream,
):
    """Move critic and actor one step, in place, and return the TD error."""
    value, policy, discount, beta = memory
    error = reward + (0.0 if terminated else gamma * value[next_state]) - value[state]
    value[state] += beta[0] * error
    check = climb(preference, state, action, alpha * discount[0] * error, policy)
    discount[0] = 1.0 if over else gamma * discount[0]
    return error + check


class PolicyGradient(TabularLearner):
    """What actor-critic and REINFORCE share: `agent.preference` (S, A) and the critic `agent.value` (S,).

    alpha: the actor's step size; beta: the critic's. It behaves as it learns; its policy is stochastic to the end, and
    `deterministic` takes its likeliest action. `TabularLearner` owns the other options.
    """

    own_options: ClassVar[tuple[str, ...]] = ("beta",)

    def __init__(self, env: Any, *, beta: float = 0.1, **options: Any) -> None:
        for name in ("exploration", "epsilon"):
            if name in options:
                raise ArgumentError(f"{type(self).__name__} explores by its own policy; leave {name}= out")
        self.beta = checked_number("beta", beta)
        super().__init__(env, exploration=Softmax(1.0), **options)

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(name for name in super().options() if name != "exploration")

    @property
    def preference(self) -> np.ndarray:
        """(S, A) float64: the preferences h, -inf where an action is barred."""
        return self.table

    @property
    def value(self) -> np.ndarray:
        """(S,) float64: the critic's values."""
        return self.memory.value

    def _new_table(self) -> np.ndarray:
        return np.where(self.available, self.initial_value, -np.inf)

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the policy in (N,) observations; its likeliest actions where deterministic."""
        index = self._indices(observations)
        preference = masked(self.table[index], mask)
        if not deterministic:
            return self.exploration.probabilities(preference, index, 1.0, self.habits)
        probabilities = np.zeros(preference.shape)
        probabilities[np.arange(len(index)), preference.argmax(axis=1)] = 1.0
        return probabilities

    def config(self) -> dict[str, Any]:
        """The hyper-parameters as plain JSON."""
        return {name: value for name, value in super().config().items() if name != "exploration"}


class ActorCritic(PolicyGradient):
    """One-step actor-critic: `ActorCritic(env, alpha=0.1, beta=0.1)`."""

    name = "actor-critic"
    update = staticmethod(actor_critic_update)

    def _new_memory(self) -> Any:
        counters = np.ones(1), np.array([self.beta])
        return Critic(np.zeros(self.n_states), np.zeros(self.n_actions), *counters)


class CriticAndSteps(NamedTuple):
    """The baseline, and the episode under way."""

    value: np.ndarray  # (S,) float64
    policy: np.ndarray  # (A,) float64
    settings: np.ndarray  # (2,) float64: beta; 1 where truncated episodes bootstrap
    states: np.ndarray  # (room,) int64
    actions: np.ndarray  # (room,) int64
    rewards: np.ndarray  # (room,) float64
    size: np.ndarray  # (1,) int64


@jit(_nrt=False)
def reinforce_update(
    preference,
    memory,
    state,
    action,
    reward,
    next_state,
    next_action,
    terminated,
    over,
    alpha,
    gamma,
    behaviour,
    stream,
):
    """Note the step; at an end climb from every step of the episode, first to last. Returns the sum of the errors."""
    value, policy, settings, states, actions, rewards, size = memory
    at = size[0]
    states[at], actions[at], rewards[at] = state, action, reward
    size[0] += 1
    if not over:
        return reward * 0.0
    errors, discount = reward * 0.0, 1.0  # an infinite reward stops learning at once
    if terminated or settings[1] > 0.0:
        target = 0.0 if terminated else value[next_state]
        for t in range(size[0] - 1, -1, -1):
            target = rewards[t] + gamma * target
            rewards[t] = target  # the return from here on
        for t in range(size[0]):
            error = rewards[t] - value[states[t]]
            value[states[t]] += settings[0] * error
            errors += error + climb(preference, states[t], actions[t], alpha * discount * error, policy)
            discount *= gamma
    size[0] = 0
    return errors


class REINFORCE(PolicyGradient):
    """REINFORCE with a learnt baseline: `REINFORCE(env, alpha=0.1, beta=0.1)`; beta = 0 is plain REINFORCE.

    truncated: "discard" or "bootstrap", what an episode that was cut short teaches.
    """

    name = "reinforce"
    update = staticmethod(reinforce_update)
    own_options = ("beta", "truncated")

    def __init__(self, env: Any, *, truncated: str = "discard", **options: Any) -> None:
        self.truncated = checked_truncated(truncated)
        super().__init__(env, **options)

    def _new_memory(self) -> Any:
        settings = np.array([self.beta, float(self.truncated == "bootstrap")])
        room = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
        return CriticAndSteps(
            np.zeros(self.n_states), np.zeros(self.n_actions), settings, *room, np.zeros(1, dtype=np.int64)
        )

    def _reserve(self, count: int) -> None:
        self.memory = lengthened(self.memory, ("states", "actions", "rewards"), int(self.memory.size[0]) + count)
