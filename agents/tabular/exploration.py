"""How a learner behaves while it learns: one action from one random word, whatever the rule.

    epsilon-greedy    pi(a | s) = epsilon / |A(s)| + (1 - epsilon) [a is greedy] / #greedy
    softmax           pi(a | s) = exp(Q(s, a) / tau) / sum_b exp(Q(s, b) / tau)
    UCB               argmax_a  Q(s, a) + c sqrt(ln N(s) / N(s, a)),  what was never tried first
    a fixed policy    pi(a | s) as given

over the available actions A(s); ties are broken at random. Each spends one word of the learner's "behaviour" stream a
choice, however it turns out, so every loop that follows these rules draws the same actions. Optimistic values are a
matter of the table: `initial_value`.

A rule has two kernels, `choose(row, state, rate, habits, u)` and `weigh(row, state, rate, habits, out)`. row: (A,) the
action values of the state, -inf where an action is not available. rate: the rule's epsilon, tau or c now. habits: the
arrays that it keeps, a tuple, which `choose` may change. u: in [0, 1). out: (A,), filled with the probabilities.

Source: Sutton and Barto (2018), sections 2.2 (epsilon-greedy), 2.6 (optimistic values), 2.7 (UCB), 2.8 and 13.1
(softmax); Auer, Cesa-Bianchi and Fischer (2002) for UCB1.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.runs import Schedule, schedules
from rltk.runs.checks import checked_rate

LOWEST = -np.finfo(np.float64).max  # what is below it, -inf, is not available


class NoHabits(NamedTuple):
    """A rule that keeps nothing."""

    nothing: np.ndarray  # (0,)


class Exploration:
    """A rule of behaviour with one rate, a number or a schedule, a callable of the timestep (`rltk.runs.linear`)."""

    name: ClassVar[str]
    rate_name: ClassVar[str] = "rate"
    highest: ClassVar[float] = np.inf
    choose: ClassVar[Callable[..., Any]]
    weigh: ClassVar[Callable[..., Any]]

    def __init__(self, rate: float | Schedule) -> None:
        self.rate = checked_rate(self.rate_name, rate, self.highest)

    def mean(self) -> Callable[..., Any]:
        """A kernel, mean(row, state, rate, habits, room): the mean of `row` under this rule. room: (A,) to work in."""
        return weighed_mean(self.weigh)

    def habits(self, available: np.ndarray) -> Any:
        """A new tuple of the arrays that the kernel keeps; `available` (S, A) bool says what can be done where."""
        return NoHabits(np.zeros(0))

    def probabilities(self, q: np.ndarray, states: np.ndarray, rate: float, habits: Any) -> np.ndarray:
        """(N, A) float64: the policy in (N,) `states` whose action values are `q` (N, A)."""
        out = np.empty(q.shape)
        weigh_rows(self.weigh)(q, states, rate, tuple(habits), out)
        return out

    def config(self) -> dict[str, Any]:
        """The rule as plain JSON."""
        return {"name": self.name, "rate": schedules.config_of(self.rate)}


@cache
def weigh_rows(weigh: Callable[..., Any]) -> Callable[..., None]:
    """A kernel that weighs the actions of many states."""

    @jit(_nrt=False)
    def rows(q, states, rate, habits, out):
        for i in range(states.size):
            weigh(q[i], states[i], rate, habits, out[i])

    return rows


@cache
def weighed_mean(weigh: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel: the mean of a row under the policy that `weigh` fills in."""

    @jit(inline="always")
    def mean(row, state, rate, habits, room):
        weigh(row, state, rate, habits, room)
        total = 0.0
        for a in range(row.size):
            total += room[a] * row[a] if room[a] > 0.0 else 0.0  # what can't be taken has the value -inf
        return total

    return mean


@jit(inline="always")
def epsilon_greedy(row, state, epsilon, habits, u):
    """The action that u in [0, 1) picks. `row`: (A,) float64; an unavailable action has -inf."""
    explore = u < epsilon
    best, ties = best_of(row)
    if ties == 0 and not explore:  # most often so, and what a processor foresees
        return best
    # Counts instead of branches: which action is best is what it can't foresee.
    least = LOWEST if explore else row[best]  # the candidates are worth at least this
    count = 0
    for a in range(row.size):
        count += row[a] >= least
    share = (u if explore else u - epsilon) / (epsilon if explore else 1.0 - epsilon)
    k = min(int(share * count), count - 1)  # rounding must not step past the last
    action, seen = 0, 0
    for a in range(row.size):
        seen += row[a] >= least
        action += seen <= k
    return action


@jit(inline="always")
def best_of(row):
    """(the first action of the largest value of `row` (A,), how many others share that value)."""
    best, ties, highest = 0, 0, row[0]
    for a in range(1, row.size):
        better = row[a] > highest
        ties = 0 if better else ties + (row[a] == highest)
        best = a if better else best
        highest = row[a] if better else highest
    return best, ties


@jit(inline="always")
def highest_of(row):
    """The largest value of `row` (A,)."""
    highest = row[0]
    for a in range(1, row.size):
        highest = max(highest, row[a])
    return highest


@jit(inline="always")
def weigh_epsilon_greedy(row, state, epsilon, habits, out):
    """The equation above."""
    n_available, n_greedy, best = 0, 0, highest_of(row)
    for a in range(row.size):
        n_available += row[a] >= LOWEST
        n_greedy += row[a] == best
    explored, exploited = epsilon / n_available, (1.0 - epsilon) / n_greedy
    for a in range(row.size):
        out[a] = (explored if row[a] >= LOWEST else 0.0) + (exploited if row[a] == best else 0.0)


@jit(inline="always")
def mean_epsilon_greedy(row, state, epsilon, habits, room):
    """The mean of `row` under the equation above: epsilon times that of all actions, and else the best."""
    total, count = 0.0, 0
    for a in range(row.size):
        count += row[a] >= LOWEST
        total += row[a] if row[a] >= LOWEST else 0.0
    explored = epsilon * (total / count) if epsilon > 0.0 else 0.0
    return explored + (1.0 - epsilon) * highest_of(row)


class EpsilonGreedy(Exploration):
    """Explore with probability epsilon, else take a best action: `EpsilonGreedy(0.1)`, `EpsilonGreedy(linear(...))`."""

    name = "epsilon-greedy"
    rate_name = "epsilon"
    highest = 1.0
    choose = staticmethod(epsilon_greedy)
    weigh = staticmethod(weigh_epsilon_greedy)

    def __init__(self, epsilon: float | Schedule = 0.1) -> None:
        super().__init__(epsilon)

    def mean(self) -> Callable[..., Any]:
        """As `Exploration.mean`, without the policy's probabilities, which it can do without."""
        return mean_epsilon_greedy if self.weigh is weigh_epsilon_greedy else super().mean()


@jit
def softmax(row, state, temperature, habits, u):
    """The action that u picks where each is as likely as exp(value / temperature); at temperature 0 a greedy one."""
    out = np.empty(row.size)
    weigh_softmax(row, state, temperature, habits, out)
    return picked(out, u)


@jit(_nrt=False)
def weigh_softmax(row, state, temperature, habits, out):
    """The equation above."""
    best, total = highest_of(row), 0.0
    for a in range(row.size):
        out[a] = weight(row[a], best, temperature)
        total += out[a]
    for a in range(row.size):
        out[a] /= total


@jit(_nrt=False)
def picked(probabilities, u):
    """The first action at which the probabilities, summed up, exceed u; the last possible one takes what is left."""
    chosen, total = 0, 0.0
    for a in range(probabilities.size):
        if probabilities[a] > 0.0:
            chosen = a
            total += probabilities[a]
            if u < total:
                break
    return chosen


@jit(_nrt=False)
def weight(value, best, temperature):
    """exp((value - best) / temperature), which no large value overflows; in the limit of temperature 0, too."""
    if value == best:
        return 1.0
    return np.exp((value - best) / temperature) if temperature > 0.0 else 0.0


class Softmax(Exploration):
    """Better actions more often: `Softmax(temperature=0.1)`, in units of the values."""

    name = "softmax"
    rate_name = "temperature"
    choose = staticmethod(softmax)
    weigh = staticmethod(weigh_softmax)

    def __init__(self, temperature: float | Schedule = 1.0) -> None:
        super().__init__(temperature)


class Counts(NamedTuple):
    """How often each action was chosen in each state."""

    counts: np.ndarray  # (S, A) int64


@jit
def upper_confidence(row, state, c, habits, u):
    """The action with the highest upper confidence bound, u deciding among equals; counts it as chosen."""
    out = np.empty(row.size)
    weigh_upper_confidence(row, state, c, habits, out)
    action = picked(out, u)
    (counts,) = habits
    counts[state, action] += 1
    return action


@jit(_nrt=False)
def weigh_upper_confidence(row, state, c, habits, out):
    """The equation above: what would be chosen next."""
    (counts,) = habits
    total, best, ties = 0, -np.inf, 0
    for a in range(row.size):
        total += counts[state, a]
    for a in range(row.size):
        bound = row[a]
        if bound > -np.inf:
            count = counts[state, a]
            bound = np.inf if count == 0 else bound + c * np.sqrt(np.log(total) / count)
        out[a] = bound
        if bound > best:
            best, ties = bound, 1
        elif bound == best:
            ties += 1
    for a in range(row.size):
        out[a] = 1.0 / ties if out[a] == best else 0.0


class UCB(Exploration):
    """Optimism in the face of uncertainty: `UCB(c=2.0)`, in units of the values."""

    name = "ucb"
    rate_name = "c"
    choose = staticmethod(upper_confidence)
    weigh = staticmethod(weigh_upper_confidence)

    def __init__(self, c: float | Schedule = 2.0) -> None:
        super().__init__(c)

    def habits(self, available: np.ndarray) -> Any:
        """Counts of every action in every state."""
        return Counts(np.zeros(available.shape, dtype=np.int64))


class Policy(NamedTuple):
    """The probabilities of a policy."""

    policy: np.ndarray  # (S, A) float64


@jit(_nrt=False)
def follow(row, state, rate, habits, u):
    """The action that u picks from the policy."""
    (policy,) = habits
    return picked(policy[state], u)


@jit(_nrt=False)
def weigh_policy(row, state, rate, habits, out):
    """The policy itself."""
    (policy,) = habits
    for a in range(out.size):
        out[a] = policy[state, a]


class FixedPolicy(Exploration):
    """Behave as `policy` says: (S, A) probabilities, or (S,) actions. There is no rate."""

    name = "fixed"
    choose = staticmethod(follow)
    weigh = staticmethod(weigh_policy)

    def __init__(self, policy: Any) -> None:
        super().__init__(0.0)
        try:
            self.policy = np.asarray(policy)
        except ValueError as error:  # rows of different lengths
            raise ArgumentError(f"policy: an array of probabilities or actions was expected ({error})") from None

    def habits(self, available: np.ndarray) -> Any:
        """The policy; ArgumentError where it is none over these states and actions."""
        return Policy(self.table(available))

    def table(self, available: np.ndarray) -> np.ndarray:
        """(S, A) the probabilities; ArgumentError where these are none, or of an action that is not `available`."""
        table = self._probabilities(*available.shape)
        if (table[~available] > 0).any():
            state, action = np.argwhere((table > 0) & ~available)[0]
            raise ArgumentError(f"policy: takes action {action} in state {state}, where it is not available")
        return table

    def _probabilities(self, n_states: int, n_actions: int) -> np.ndarray:
        policy = self.policy
        if policy.dtype.kind not in "biuf":
            raise ArgumentError(f"policy: probabilities or whole actions were expected; found {policy.dtype}")
        if policy.shape == (n_states,) and np.issubdtype(policy.dtype, np.integer):
            if ((policy < 0) | (policy >= n_actions)).any():
                raise ArgumentError(f"policy: actions are numbers from 0 to {n_actions - 1}; found {policy.tolist()}")
            return np.eye(n_actions)[policy]
        shaped = policy.shape == (n_states, n_actions)
        if not shaped or not ((policy >= 0).all() and np.allclose(policy.sum(axis=1), 1, rtol=0, atol=1e-9)):
            raise ArgumentError(
                f"policy: ({n_states}, {n_actions}) probabilities, each row of sum 1, or ({n_states},) whole actions; "
                f"found {'one of shape ' + str(policy.shape) if not shaped else 'rows that are no distributions'}"
            )
        return policy.astype(np.float64)

    def config(self) -> dict[str, Any]:
        """The rule as plain JSON."""
        return {"name": self.name, "policy": self.policy.tolist()}


EXPLORATIONS: dict[str, type[Exploration]] = {rule.name: rule for rule in (EpsilonGreedy, Softmax, UCB, FixedPolicy)}


def exploration_from(config: dict[str, Any]) -> Exploration:
    """The rule that `config` describes (`Exploration.config`)."""
    rule = EXPLORATIONS[config["name"]]
    return rule(np.array(config["policy"])) if rule is FixedPolicy else rule(schedules.from_config(config["rate"]))
