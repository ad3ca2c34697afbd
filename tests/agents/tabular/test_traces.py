"""TD(lambda), its true online and off-line forms, SARSA(lambda) and Q(lambda) against literal dense references, the
lambda-return itself, and mutants."""

import inspect
from functools import partial

import numpy as np
import pytest
from tabular_episodes import ALPHA, GAMMA, A, S, feed, world
from tabular_episodes import episodes as made_episodes

from rltk.agents.tabular import (
    SARSA,
    TD,
    LambdaReturn,
    QLambda,
    QLearning,
    SARSALambda,
    TDLambda,
    TrueOnlineTDLambda,
    lambda_return,
    sarsa_lambda,
    td_lambda,
    traces,
)
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError
from rltk.mdp import MDP

KINDS = ("accumulating", "replacing", "dutch")
episodes = partial(made_episodes, n=30, most=9)


def td_lambda_reference(experience, lambda_, kind, alpha=ALPHA):
    """TD(lambda) with a trace for every state, always (Sutton and Barto 2018, section 12.2; 1998, Figure 7.7)."""
    V = np.zeros(S)
    for S_, _, rewards, terminated in experience:
        e = np.zeros(S)
        for t, r in enumerate(rewards):
            ended = terminated and t == len(rewards) - 1
            delta = r + GAMMA * V[S_[t + 1]] * (not ended) - V[S_[t]]
            e *= GAMMA * lambda_
            e[S_[t]] = {"accumulating": e[S_[t]] + 1, "replacing": 1, "dutch": (1 - alpha) * e[S_[t]] + 1}[kind]
            V += alpha * delta * e
    return V


def sarsa_lambda_reference(experience, lambda_, kind, alpha=ALPHA):
    """SARSA(lambda) (Sutton and Barto 1998, Figure 7.11)."""
    Q = np.zeros((S, A))
    for S_, A_, rewards, terminated in experience:
        e = np.zeros((S, A))
        for t, r in enumerate(rewards):
            ended = terminated and t == len(rewards) - 1
            s, a = S_[t], A_[t]
            delta = r + GAMMA * Q[S_[t + 1], A_[t + 1]] * (not ended) - Q[s, a]
            e[s, a] = {"accumulating": e[s, a] + 1, "replacing": 1, "dutch": (1 - alpha) * e[s, a] + 1}[kind]
            Q += alpha * delta * e
            e *= GAMMA * lambda_
    return Q


def q_lambda_reference(experience, lambda_, kind, alpha=ALPHA):
    """Watkins's Q(lambda) (Sutton and Barto 1998, Figure 7.14): a' counts as greedy where it ties for the maximum."""
    Q = np.zeros((S, A))
    for S_, A_, rewards, terminated in experience:
        e = np.zeros((S, A))
        for t, r in enumerate(rewards):
            ended = terminated and t == len(rewards) - 1
            s, a, after = S_[t], A_[t], S_[t + 1]
            greedy = Q[after, A_[t + 1]] == Q[after].max()
            delta = r + GAMMA * Q[after].max() * (not ended) - Q[s, a]
            e[s, a] = {"accumulating": e[s, a] + 1, "replacing": 1, "dutch": (1 - alpha) * e[s, a] + 1}[kind]
            Q += alpha * delta * e
            e *= GAMMA * lambda_ * greedy
    return Q


REFERENCES = {TDLambda: td_lambda_reference, SARSALambda: sarsa_lambda_reference, QLambda: q_lambda_reference}
every_method = pytest.mark.parametrize("method", REFERENCES, ids=lambda cls: cls.name)


def check_reference(method, lambda_, kind, update=None):
    """The same table as the dense reference's, fed the same steps."""
    for seed in (0, 1):
        agent = method(world(), gamma=GAMMA, lambda_=lambda_, traces=kind, cut=0.0)
        expected = REFERENCES[method](episodes(seed), lambda_, kind)
        np.testing.assert_allclose(feed(agent, episodes(seed), update), expected, rtol=0, atol=1e-12)


@every_method
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lambda_", [0.0, 0.5, 1.0])
def test_sparse_traces_leave_the_table_that_dense_ones_do(method, kind, lambda_):
    """Terminated and truncated episodes, to 1e-12 with cut = 0."""
    check_reference(method, lambda_, kind)


@pytest.mark.parametrize(
    ("method", "one_step"), [(TDLambda, TD), (TrueOnlineTDLambda, TD), (SARSALambda, SARSA), (QLambda, QLearning)]
)
def test_lambda_0_is_the_one_step_method(method, one_step):
    """Traces that last for one step (Sutton and Barto 2018, section 12.2)."""
    ours = feed(method(world(), gamma=GAMMA, lambda_=0.0), episodes(3))
    theirs = feed(one_step(world(), gamma=GAMMA), episodes(3))

    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


# The lambda-return, written out


def n_step_return(S_, rewards, terminated, t, end, bootstrap):
    """G_t:end, bootstrapping from `bootstrap(end)` unless that is where the episode terminated."""
    G = sum(GAMMA ** (i - t) * rewards[i] for i in range(t, end))
    over = terminated and end == len(rewards)
    return G if over else G + GAMMA ** (end - t) * bootstrap(end)


def truncated_lambda_return(S_, rewards, terminated, t, h, lambda_, bootstrap):
    """G^lambda_t:h, the sum of equation 12.9 (12.3 at h = T) of Sutton and Barto (2018), term by term."""
    G = [n_step_return(S_, rewards, terminated, t, end, bootstrap) for end in range(t + 1, h + 1)]
    mixed = sum((1 - lambda_) * lambda_ ** (n - 1) * G[n - 1] for n in range(1, h - t))
    return mixed + lambda_ ** (h - t - 1) * G[-1]


def online_lambda_return(experience, lambda_, alpha=ALPHA):
    """The online lambda-return algorithm (Sutton and Barto 2018, section 12.4): at every horizon h all updates of the
    episode are made anew from where it began; the n-step returns bootstrap from the weights of their time, w_k^k."""
    w0 = np.zeros(S)
    for S_, _, rewards, terminated in experience:
        weights = [w0]  # w_k^k
        for h in range(1, len(rewards) + 1):
            w = w0.copy()
            for t in range(h):
                bootstrap = lambda end: weights[end - 1][S_[end]]  # noqa: B023, E731
                G = truncated_lambda_return(S_, rewards, terminated, t, h, lambda_, bootstrap)
                w[S_[t]] += alpha * (G - w[S_[t]])
            weights.append(w)
        w0 = weights[-1]
    return w0


def check_true_online(update=None):
    for lambda_ in (0.0, 0.4, 0.9, 1.0):
        agent = TrueOnlineTDLambda(world(), gamma=GAMMA, lambda_=lambda_, cut=0.0)
        expected = online_lambda_return(episodes(2), lambda_)
        np.testing.assert_allclose(feed(agent, episodes(2), update), expected, rtol=0, atol=1e-12)


def test_true_online_td_lambda_is_the_online_lambda_return():
    """Exactly, at every lambda (van Seijen and Sutton 2014, Theorem 1; Sutton and Barto 2018, section 12.5)."""
    check_true_online()


def offline_lambda_return(experience, lambda_, alpha=ALPHA):
    """The off-line lambda-return algorithm (Sutton and Barto 2018, equation 12.4)."""
    V = np.zeros(S)
    for S_, _, rewards, terminated in experience:
        begun, T = V.copy(), len(rewards)
        for t in range(T):
            bootstrap = lambda end: begun[S_[end]]  # noqa: B023, E731
            G = truncated_lambda_return(S_, rewards, terminated, t, T, lambda_, bootstrap)
            V[S_[t]] += alpha * (G - V[S_[t]])
    return V


def check_lambda_return(update=None):
    for lambda_ in (0.0, 0.4, 0.9, 1.0):
        agent = LambdaReturn(world(), gamma=GAMMA, lambda_=lambda_)
        expected = offline_lambda_return(episodes(2), lambda_)
        np.testing.assert_allclose(feed(agent, episodes(2), update), expected, rtol=0, atol=1e-12)


def test_the_off_line_lambda_return_is_its_sum():
    """The recursion computes equation 12.3's sum over all n."""
    check_lambda_return()


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("method", [TDLambda, TrueOnlineTDLambda], ids=lambda cls: cls.name)
def test_td_lambda_makes_the_off_line_updates_where_steps_are_small(method, lambda_):
    """With alpha -> 0 the values stand still within an episode, and the sums of both views' updates are equal (Sutton
    and Barto 1998, section 7.4); at lambda = 1 they are those of every-visit Monte Carlo. First order in alpha: a
    change is off by at most (steps of the episode)^2 alpha times the largest error squared, so 1e-5 at alpha = 1e-8."""
    alpha = 1e-8
    for episode in episodes(4):
        changes = []
        for agent in (method(world(), gamma=GAMMA, lambda_=lambda_, cut=0.0), LambdaReturn(world(), gamma=GAMMA)):
            agent.lambda_ = lambda_
            agent.memory = agent._new_memory()
            agent.table[:] = [1.0, -1.0, 2.0, 0.0, 0.5]
            before = agent.table.copy()
            changes.append((feed(agent, [episode], alpha=alpha) - before) / alpha)
        np.testing.assert_allclose(*changes, rtol=0, atol=1e-5)
        if lambda_ == 1.0 and episode[3]:
            S_, _, rewards, _ = episode
            by_hand = np.zeros(S)
            for t in range(len(rewards)):
                G = sum(GAMMA ** (i - t) * rewards[i] for i in range(t, len(rewards)))
                by_hand[S_[t]] += G - before[S_[t]]
            np.testing.assert_allclose(changes[0], by_hand, rtol=0, atol=1e-5)


# Where traces end


@pytest.mark.parametrize("method", [TDLambda, TrueOnlineTDLambda, SARSALambda, QLambda], ids=lambda cls: cls.name)
def test_an_episode_s_end_ends_its_traces(method):
    """What the next episode brings teaches nothing to the states of the last, terminated or truncated; and a truncated
    step bootstraps where a terminated one does not."""
    tables = {}
    for terminated in (True, False):
        agent = method(world(), gamma=0.5, lambda_=1.0)
        agent.table[2] = 8.0
        first = ([0, 2], [1, 1], [1.0], terminated)
        tables[terminated] = feed(agent, [first], alpha=0.5)[0].max()
        assert agent.memory.size[0] == 0
        assert not agent.memory.trace.any()
        before = agent.table[0].copy()
        feed(agent, [([3, 4], [0, 0], [100.0], True)], alpha=0.5)
        assert (agent.table[0] == before).all()
    assert tables == {True: 0.5, False: 2.5}  # 0.5 * 1; 0.5 * (1 + 0.5 * 8)


def test_q_lambda_ends_its_traces_where_behaviour_explores():
    """0 -> 1 -> 2: in state 1 action 0 is greedy. Taken, its reward reaches state 0 through the trace; had action 2
    been taken, it says nothing about what is before (Sutton and Barto 2018, section 12.10)."""
    for action, reached in ((0, True), (2, False)):
        agent = QLambda(world(), gamma=1.0, lambda_=1.0, cut=0.0)
        agent.table[1] = [1.0, 0.0, 0.0]
        q = feed(agent, [([0, 1, 2], [0, action, 0], [0.0, 5.0], True)], alpha=0.5)
        assert q[0, 0] == (0.5 + 0.5 * (4.0 if reached else 0.0))
        assert q[1, action] == (3.0 if reached else 2.5)


@pytest.mark.parametrize("cut", [0.3, 0.01, 1e-4])
def test_what_a_cut_forgets_is_bounded_and_traces_are_short(cut):
    """At most alpha cut |delta| a state and step. With alpha = 1e-7 the errors of both runs are the same to first
    order, so the tables differ by no more than that, summed over the steps; and there are no more traces at a time
    than log(cut) / log(gamma lambda), and one."""
    random = np.random.default_rng(0)
    n, factor = 400, 0.9 * 0.8
    env = TabularEnv(MDP.from_arrays(np.full((50, 1, 50), 1 / 50), np.zeros((50, 1))))
    walk = random.integers(50, size=n + 1).tolist(), [0] * (n + 1), random.normal(size=n).tolist(), False
    cropped, whole = (TDLambda(env, gamma=0.9, lambda_=0.8, traces="replacing", cut=c) for c in (cut, 0.0))
    seen = []

    def counting(table, memory, *step):
        error = td_lambda.td_lambda_update(table, memory, *step)
        seen.append((abs(error), int(memory[2][0])))

    difference = np.abs(feed(cropped, [walk], counting, alpha=1e-7) - feed(whole, [walk], alpha=1e-7))
    assert 0 < difference.max() <= 1.01 * 1e-7 * cut * sum(error for error, _ in seen)
    assert max(count for _, count in seen) <= np.log(cut) / np.log(factor) + 1


CHAIN = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, True)]}}
LOOP = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, False)]}}


@pytest.mark.parametrize("method", [*REFERENCES, TrueOnlineTDLambda, LambdaReturn], ids=lambda cls: cls.name)
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_chain_of_three_states_analytically(method, backend):
    """0 -> 1 -> 2 paying 1, 2, 4: ended after 2, V = (3, 4, 4) at gamma = 1/2; a ring, cut short every two steps, is
    worth (24, 34, 40) / 7 as if it were never cut."""
    options = {"gamma": 0.5, "alpha": 0.5, "lambda_": 0.8, "backend": backend}
    ended = method(TabularEnv(MDP.from_table(CHAIN, [1, 0, 0])), **options).learn(600)
    ring = method(TabularEnv(MDP.from_table(LOOP), max_episode_steps=2), **options).learn(3000)

    np.testing.assert_allclose(ended.table.ravel(), [3, 4, 4], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ring.table.ravel(), [24 / 7, 34 / 7, 40 / 7], rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", [TDLambda, TrueOnlineTDLambda, LambdaReturn], ids=lambda cls: cls.name)
def test_values_converge_to_those_of_the_policy(method):
    """On a random MDP with step sizes 20 / (100 + t): over 30 seeds the mean lies within 5 of its standard errors of
    the exact value, and the root mean square error falls with the root of the steps, from 4,000 to 64,000: by four."""
    random = np.random.default_rng(5)
    T = random.dirichlet(np.ones(4), (4, 2))
    env = TabularEnv(MDP.from_arrays(T, random.normal(size=(4, 2)), terminated=[False, False, False, True]))
    agents = [method(env, gamma=GAMMA, lambda_=0.7, alpha=lambda t: 20 / (100 + t), seed=seed) for seed in range(30)]
    truth = agents[0].true_value()
    error = np.array([[agent.learn(n).value.copy() - truth for n in (4_000, 60_000)] for agent in agents])

    standard = error[:, 1].std(axis=0, ddof=1) / np.sqrt(30)
    assert (np.abs(error[:, 1].mean(axis=0)) <= 5 * standard).all()
    rms = np.sqrt((error**2).mean(axis=(0, 2)))
    assert rms[1] < rms[0] / 2


def test_arguments_are_checked():
    """ArgumentError that names the argument."""
    for method in REFERENCES:
        with pytest.raises(ArgumentError, match="traces is one of accumulating, replacing, dutch"):
            method(world(), traces="dutchh")
        with pytest.raises(ArgumentError, match="lambda_"):
            method(world(), lambda_=1.5)
        with pytest.raises(ArgumentError, match="cut"):
            method(world(), cut=-1.0)


def reference_check(method, kind="accumulating"):
    return lambda update=None: check_reference(method, 0.8, kind, update)


TD_ = (td_lambda, "td_lambda_update", reference_check(TDLambda))
TRUE = (td_lambda, "true_online_td_lambda_update", check_true_online)
SARSA_ = (sarsa_lambda, "sarsa_lambda_update", reference_check(SARSALambda))
Q_ = (sarsa_lambda, "q_lambda_update", reference_check(QLambda))
OFF = (lambda_return, "lambda_return_update", check_lambda_return)
MUTANTS = {
    "TD: no terminal mask": (TD_, "0.0 if terminated else gamma * v", "gamma * v"),
    "TD: traces kept": (TD_, "error, 0.0 if over else gamma", "error, gamma"),
    "TD: traces kept where cut": (TD_, "error, 0.0 if over", "error, 0.0 if terminated"),
    "TD: gamma not in the trace": (TD_, "else gamma * settings[0]", "else settings[0]"),
    "true online: no terminal mask": (TRUE, "ahead = 0.0 if terminated else value", "ahead = value"),
    "true online: traces kept": (TRUE, "(error + drift), 0.0 if over else gamma", "(error + drift), gamma"),
    "true online: no drift": (TRUE, "(error + drift)", "error"),
    "true online: not taken back": (TRUE, "value[state] -= alpha * drift", "pass"),
    "true online: foreseen too late": (TRUE, "np.nan if over else ahead", "value[next_state]"),
    "true online: not dutch": (TRUE, "1.0 - alpha * trace[", "1.0 - 0 * trace["),
    "SARSA: no terminal mask": (SARSA_, "0.0 if terminated else gamma * q", "gamma * q"),
    "SARSA: traces kept": (SARSA_, "error, 0.0 if over else gamma", "error, gamma"),
    "SARSA: another next action": (SARSA_, "q[next_state, next_action])", "q[next_state, action])"),
    "Q: no terminal mask": (Q_, "0.0 if terminated else gamma * best", "gamma * best"),
    "Q: another next action": (
        Q_,
        "greedy = not terminated and q[next_state, next_action]",
        "greedy = q[state, action]",
    ),
    "Q: traces never cut": (Q_, "if greedy and not over", "if not over"),
    "Q: traces kept at an end": (Q_, "greedy and not over", "greedy"),
    "Q: traces always cut": (Q_, "== best  #", "> best  #"),
    "off-line: no terminal mask": (OFF, "0.0 if terminated else value[next_state]", "value[next_state]"),
    "off-line: steps kept": (OFF, "size[0] = 0", "pass"),
    "off-line: lambda the wrong way": (OFF, "(1.0 - lambda_[0]) *", "lambda_[0] *"),
}


def mutant(module, old, new):
    """The names of the module, uncompiled, with one thing changed."""
    source, names = inspect.getsource(module), {}
    assert source.count(old) >= 1, f"the source no longer holds {old!r}: bring this list up to date"
    exec(
        source.replace(old, new).replace(
            "import jit\n", "import jit\njit = lambda kernel=None, **options: kernel or (lambda k: k)\n"
        ),
        names,
    )
    return names


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    """Each small fault in the source leaves another table than the reference: the check can fail."""
    (module, kernel, check), old, new = MUTANTS[name]
    with pytest.raises((AssertionError, IndexError)):
        check(mutant(module, old, new)[kernel])


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("trace[row] += 1.0", "trace[row] = 1.0", "accumulating"),
        ("trace[row] = 1.0\n", "trace[row] += 1.0\n", "replacing"),
        ("(1.0 - alpha) * trace", "trace", "dutch"),
        ("size[0] = kept", "pass", "accumulating"),
        ("            trace[row] = 0.0", "            pass", "accumulating"),
    ],
)
def test_mutants_of_the_traces_are_caught(old, new, kind):
    """The same for the traces' own kernels."""
    names = mutant(td_lambda, "import", "import")
    names.update({name: mutant(traces, old, new)[name] for name in ("visit", "teach")})
    with pytest.raises((AssertionError, IndexError)):
        check_reference(TDLambda, 0.8, kind, names["td_lambda_update"])
