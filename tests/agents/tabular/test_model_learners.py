"""Dyna-Q, Dyna-Q+ and prioritised sweeping against the book's boxes written out, and against the book's figures."""

import inspect
import re

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.agents.tabular import DynaQ, DynaQPlus, PrioritisedDynaQ
from rltk.agents.tabular.dyna_q import dyna_q_update, meet
from rltk.agents.tabular.exploration import epsilon_greedy
from rltk.agents.tabular.prioritised_sweeping import error_of, lead, prioritised_sweeping_update, queue
from rltk.envs.tabular import TabularEnv
from rltk.errors import ArgumentError, LearningError
from rltk.evaluation import suboptimality_curves
from rltk.mdp import MDP
from rltk.runs import Streams

ALPHA, GAMMA, EPSILON = 0.25, 0.9, 0.5


def world(seed=0, n_states=6, n_actions=3, limit=None, chance=False):
    """A random world; without chance each state and action leads to one place. Some steps end the episode, in a state
    that has a value of its own, and some actions are barred."""
    random = np.random.default_rng(seed)
    table = {}
    for s in range(n_states):
        table[s] = {}
        for a in range(n_actions):
            if a > 0 and random.random() < 0.2:
                continue
            outcomes = 2 if chance else 1
            table[s][a] = [
                (1 / outcomes, int(random.integers(n_states)), float(random.normal()), bool(random.random() < 0.2))
                for _ in range(outcomes)
            ]
    return TabularEnv(MDP.from_table(table), max_episode_steps=limit)


# The book's boxes, in plain Python


def run(env, seed, steps, method):
    """Act epsilon-greedily for so many steps by a learner's streams, and call `method` after each of them."""
    streams = Streams(seed)
    behaviour, own = streams.generator("behaviour"), streams.generator("method")
    q = np.where(env.mdp().available, 0.0, -np.inf)
    state, _ = env.reset(seed=streams.seed("environment"))
    for _ in range(steps):
        action = epsilon_greedy.py_func(q[state], state, EPSILON, (), behaviour.random())
        next_state, reward, terminated, truncated, _ = env.step(action)
        method(q, own, state, action, reward, next_state, terminated)
        state = env.reset()[0] if terminated or truncated else next_state
    return q


def target(q, reward, next_state, terminated):
    return reward if terminated else reward + GAMMA * max(q[next_state])


def literal_dyna(n, kappa=None):
    """Sutton and Barto (2018), section 8.2, the box "Tabular Dyna-Q", (d) to (f); section 8.3 and its footnote for the
    bonus and for actions not tried before."""
    model, states, taken, tried, clock = {}, [], {}, {}, [0]

    def step(q, random, s, a, r, t, terminated):
        clock[0] += 1
        q[s, a] += ALPHA * (target(q, r, t, terminated) - q[s, a])
        if s not in taken:
            states.append(s)
            taken[s] = []
            if kappa is not None:
                for b in np.flatnonzero(q[s] > -np.inf):
                    taken[s].append(b)
                    model[s, b] = (0.0, s, False)
        if a not in taken[s]:
            taken[s].append(a)
        model[s, a], tried[s, a] = (r, t, terminated), clock[0]
        for _ in range(n):
            ss = states[random.integers(len(states))]
            aa = taken[ss][random.integers(len(taken[ss]))]
            rr, tt, ended = model[ss, aa]
            if kappa is not None:
                rr += kappa * np.sqrt(clock[0] - tried.get((ss, aa), 0))
            q[ss, aa] += ALPHA * (target(q, rr, tt, ended) - q[ss, aa])

    return step


def literal_prioritised_sweeping(n, threshold):
    """Sutton and Barto (2018), section 8.4, the box "Prioritized sweeping for a deterministic environment"."""
    model, waiting = {}, {}

    def insert(q, s, a):
        r, t, terminated = model[s, a]
        priority = abs(target(q, r, t, terminated) - q[s, a])
        if priority > threshold:
            waiting[s, a] = max(priority, waiting.get((s, a), 0.0))

    def step(q, random, s, a, r, t, terminated):
        model[s, a] = (r, t, terminated)
        insert(q, s, a)
        for _ in range(n):
            if not waiting:
                break
            ss, aa = max(waiting, key=waiting.get)
            del waiting[ss, aa]
            q[ss, aa] += ALPHA * (target(q, *model[ss, aa]) - q[ss, aa])
            for (before, by), (_, to, ended) in list(model.items()):
                if to == ss and not ended:
                    insert(q, before, by)

    return step


METHODS = {
    "dyna-q": (DynaQ, {"n": 7}, lambda: literal_dyna(7)),
    "dyna-q without planning": (DynaQ, {"n": 0}, lambda: literal_dyna(0)),
    "dyna-q-plus": (DynaQPlus, {"n": 7, "kappa": 0.03}, lambda: literal_dyna(7, 0.03)),
    "prioritised": (PrioritisedDynaQ, {"n": 4, "threshold": 0.01}, lambda: literal_prioritised_sweeping(4, 0.01)),
    "prioritised, nearly all": (
        PrioritisedDynaQ,
        {"n": 9, "threshold": 1e-3},
        lambda: literal_prioritised_sweeping(9, 1e-3),
    ),
}
SETTINGS = {"alpha": ALPHA, "gamma": GAMMA, "epsilon": EPSILON}


def compare(learner, options, literal, backend="auto", steps=400, **kind):
    agent = learner(world(**kind), seed=3, backend=backend, **options, **SETTINGS).learn(steps)
    expected = run(world(**kind), 3, steps, literal())
    np.testing.assert_allclose(agent.q, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [{}, {"limit": 5}, {"chance": True, "limit": 9}], ids=["ends", "limit", "chance"])
@pytest.mark.parametrize("name", METHODS)
def test_each_does_what_the_box_says(name, kind):
    """400 steps in a world whose rewards are all different give the table that the box gives, terminated and truncated
    episodes, barred actions, and models that turn out wrong included."""
    compare(*METHODS[name], **kind)


def mutant(kernel, old, new):
    """`kernel` in plain Python with `old` replaced; the tests run it in the stepping loop."""
    source = re.sub(r"@jit.*\n", "", inspect.getsource(kernel.py_func))
    assert source.count(old) == 1, f"{old!r} is not in the kernel: mend this test"
    namespace = dict(kernel.py_func.__globals__)
    exec(source.replace(old, new), namespace)
    return namespace[kernel.py_func.__name__]


MUTANTS = {
    "memories that ended bootstrap": ("dyna-q", dyna_q_update, "model_terminated[s, a], False,", "False, False,"),
    "what ended is noted as going on": (
        "dyna-q",
        dyna_q_update,
        "= terminated, clock[0]",
        "= False, clock[0]",
    ),
    "a memory bootstraps from its own state": ("dyna-q", dyna_q_update, "r, model_next[s, a], -1", "r, s, -1"),
    "no bonus": ("dyna-q-plus", dyna_q_update, "if kappa[0] >= 0.0", "if kappa[0] > 1.0"),
    "a bonus that does not grow": ("dyna-q-plus", dyna_q_update, "np.sqrt(clock[0] - max(last[s, a], 0))", "1.0"),
    "a step that ended leads on": ("prioritised", prioritised_sweeping_update, "not terminated)", "True)"),
    "nobody looks who depends on it": ("prioritised", prioritised_sweeping_update, "while before >= 0", "while False"),
    "the wrong end of the queue's row": ("prioritised", prioritised_sweeping_update, "top % n_actions", "0"),
    "old priorities stay": ("prioritised", prioritised_sweeping_update, "priority[top] = 0.0", "pass"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    """The comparison above fails for each of these changes of a kernel, and passes without."""
    method, kernel, old, new = MUTANTS[name]
    learner, options, literal = METHODS[method]
    for replacement, wrong in ((old, False), (new, True)):
        changed = type("Changed", (learner,), {"update": staticmethod(mutant(kernel, old, replacement))})
        if wrong:
            with pytest.raises(AssertionError, match="Not equal to tolerance"):
                compare(changed, options, literal, backend="gymnasium", steps=150)
        else:
            compare(changed, options, literal, backend="gymnasium", steps=150)


def test_a_pair_waits_once_with_its_highest_priority():
    """Queueing again lower changes nothing, higher moves up; what is at or below the threshold does not wait."""
    agent = PrioritisedDynaQ(world(), threshold=0.5)
    memory = tuple(agent.memory)
    for row, need in ((0, 2.0), (4, 3.0), (0, 1.0), (7, 0.5), (0, 4.0)):
        queue(memory, row, need)

    assert agent.memory.size[0] == 2
    assert agent.memory.heap[0] == 0
    assert agent.memory.priority[[0, 4, 7]].tolist() == [4.0, 3.0, 0.0]


def test_the_list_of_what_leads_to_a_state_follows_the_model():
    """Whatever order outcomes are noted and revised in, the list of each state is what the model says."""
    random = np.random.default_rng(0)
    agent = PrioritisedDynaQ(world(n_states=5, n_actions=4))
    memory, model = tuple(agent.memory), {}
    for _ in range(300):
        row, to, going_on = int(random.integers(20)), int(random.integers(5)), bool(random.random() < 0.7)
        lead(memory, row, to, going_on)
        model[row] = to if going_on else None
        for state in range(5):
            found, at = [], agent.memory.first[state]
            while at >= 0:
                found.append(int(at))
                at = agent.memory.following[at]
            assert sorted(found) == [row for row, leads in sorted(model.items()) if leads == state]


def test_the_update_of_a_memory_is_the_bellman_operator():
    """In a world without chance r + gamma max Q(s') - Q(s, a) by the model is (T Q)(s, a) - Q(s, a), exactly."""
    env = world(2)
    mdp, q = env.mdp(), np.where(env.mdp().available, np.random.default_rng(0).normal(size=(6, 3)), -np.inf)
    agent, exact = PrioritisedDynaQ(env, gamma=GAMMA), mdp.q(q.max(axis=1), GAMMA)
    for row in range(18):
        for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
            lead(tuple(agent.memory), row, mdp.next_state[i], not mdp.terminated[i])
            agent.memory.reward[row] = mdp.reward[i]
            assert error_of(q, tuple(agent.memory), row, GAMMA) == exact.flat[row] - q.flat[row]


@pytest.mark.parametrize("learner", [DynaQ, PrioritisedDynaQ])
def test_planning_solves_a_known_world(learner):
    """When every state and action was met, the table comes to Q*: after t more updates of each, within
    (1 - alpha (1 - gamma))^t of the first error; here to 1e-9, with room to spare."""
    env = world(1, limit=4)
    options = {"threshold": 0.0} if learner is PrioritisedDynaQ else {}
    agent = learner(env, gamma=0.5, alpha=0.5, epsilon=1.0, n=100, seed=0, **options).learn(3000)
    optimum = rltk.solve(env.mdp(), gamma=0.5, tolerance=1e-12)

    reached = agent.q != 0
    assert reached.mean() > 0.8
    np.testing.assert_allclose(agent.q[reached], optimum.q[reached], atol=1e-9)


@pytest.mark.parametrize(("learner", "n", "step"), [(DynaQ, 0, 2), (DynaQ, 3, 1), (DynaQPlus, 3, 1)])
def test_what_is_not_finite_stops_at_once(learner, n, step):
    """A reward of 1e308 for ever, undiscounted: the second update overflows, be it of a step or of a memory."""
    env = TabularEnv(MDP.from_table({0: {0: [(1.0, 0, 1e308, False)]}}))
    with pytest.raises(LearningError, match=rf"update of step {step} is not finite"):
        learner(env, gamma=1.0, alpha=1.0, n=n).learn(10)


def test_prioritised_sweeping_stops_at_once():
    """The same, where the first update is that of the queue."""
    env = TabularEnv(MDP.from_table({0: {0: [(1.0, 0, 1e308, False)]}}))
    with pytest.raises(LearningError, match=r"update of step 1 is not finite"):
        PrioritisedDynaQ(env, gamma=1.0, alpha=1.0, n=3).learn(10)


@pytest.mark.parametrize(
    ("learner", "options", "message"),
    [
        (DynaQ, {"n": -1}, "n is a whole number, at least 0; it is -1"),
        (DynaQPlus, {"kappa": -1e-3}, "kappa is a number, at least 0; it is -0.001"),
        (DynaQPlus, {"kappa": rltk.runs.linear(1, 0, 10)}, "kappa is a number, at least 0; it is Linear"),
        (PrioritisedDynaQ, {"n": 0}, "n is a whole number, at least 1; it is 0"),
        (PrioritisedDynaQ, {"threshold": np.inf}, "threshold is a number, at least 0; it is inf"),
    ],
)
def test_options_that_can_not_be_used(learner, options, message):
    """Each says what was expected."""
    with pytest.raises(ArgumentError, match=re.escape(message)):
        learner(world(), **options)


# The book's figures


def episode_lengths(n, episodes=12, seeds=20):
    """(seeds, episodes) steps, with the settings of Example 8.1: alpha 0.1, gamma 0.95, epsilon 0.1."""
    lengths = []
    for seed in range(seeds):
        env = gym.wrappers.RecordEpisodeStatistics(gym.make("rltk/DynaMaze-v0"), buffer_length=10_000)
        agent = DynaQ(env, n=n, alpha=0.1, gamma=0.95, epsilon=0.1, seed=seed)
        while agent.episodes < episodes:
            agent.learn(200)
        lengths.append(list(env.length_queue)[:episodes])
    return np.array(lengths, dtype=float)


def test_planning_finds_the_way_in_a_few_episodes():
    """Sutton and Barto (2018), Example 8.1 and Figure 8.2: with 50 planning steps the optimal way of 14 steps is found
    in about three episodes, while without planning episodes are still long then. The first episode is the same for
    both from the same seed: nothing is known in it, and it is a random walk, whose expected length T gives."""
    planning, plain = episode_lengths(50), episode_lengths(0)
    mdp = gym.make("rltk/DynaMaze-v0").unwrapped.mdp()
    walk = mdp.over_start(mdp.chain(mdp.uniform_policy()).length())

    assert (planning[:, 0] == plain[:, 0]).all()
    assert abs(planning[:, 0].mean() - walk) < 4 * planning[:, 0].std(ddof=1) / np.sqrt(len(planning))
    assert planning[:, 3:8].mean() < 25  # 14 steps, and epsilon's detours
    assert plain[:, 3:8].mean() > 150
    assert planning[:, 1].mean() < plain[:, 1].mean() / 4


def test_curiosity_notices_the_shortcut():
    """Sutton and Barto (2018), Example 8.3 and Figure 8.5: after the shortcut opens, Dyna-Q+ takes it and Dyna-Q,
    whose model says that there is none, does not."""
    finds = {}
    for learner, options in ((DynaQ, {}), (DynaQPlus, {"kappa": 1e-3})):
        losses = []
        for seed in range(8):
            env = gym.make("rltk/ShortcutMaze-v0")
            agent = learner(env, n=50, alpha=1.0, gamma=0.95, epsilon=0.1, seed=seed, **options).learn(6000)
            policy = agent.action_probabilities(np.arange(agent.n_states)).argmax(axis=1)
            losses.append(float(suboptimality_curves(policy, env.unwrapped.mdp(), 0.95)))
        finds[learner] = np.mean(np.array(losses) < 1e-9)

    assert finds[DynaQ] <= 0.25
    assert finds[DynaQPlus] >= 0.75


def updates_until_optimal(learner, seed):
    """Updates of any kind until the greedy policy takes the shortest way, on what a random walk meets."""
    env = gym.make("rltk/DynaMaze-v0")
    agent = learner(env, n=5, alpha=0.5, gamma=0.95, epsilon=1.0, seed=seed)
    loss = np.inf
    while loss > 1e-9:
        agent.learn(25)
        policy = agent.action_probabilities(np.arange(agent.n_states)).argmax(axis=1)
        loss = suboptimality_curves(policy, env, 0.95)
        assert agent.timestep < 20_000
    return agent.updates if learner is PrioritisedDynaQ else agent.timestep * (agent.n + 1)


def test_priorities_save_updates():
    """Sutton and Barto (2018), Example 8.4: on mazes prioritised sweeping needs far fewer updates than Dyna-Q to find
    the shortest way, by a factor of 5 to 10 in the book; here of at least 3, in the median of six seeds. Both have the
    same experience."""
    by_chance = [updates_until_optimal(DynaQ, seed) for seed in range(6)]
    by_need = [updates_until_optimal(PrioritisedDynaQ, seed) for seed in range(6)]

    assert np.median(by_chance) > 3 * np.median(by_need)


def test_every_action_of_a_state_that_was_met_is_recalled_by_the_curious():
    """Plain Dyna-Q recalls what was taken; Dyna-Q+ what could have been taken, too (section 8.3, footnote 1)."""
    for learner, expected in ((DynaQ, [2]), (DynaQPlus, [0, 2])):
        env = TabularEnv(MDP.from_table({0: {0: [(1.0, 0, 0.0, False)], 2: [(1.0, 0, 0.0, False)]}}))
        agent = learner(env)
        meet(agent.q, tuple(agent.memory), 0, 2)
        count = agent.memory.n_actions[0]
        assert agent.memory.actions[0, :count].tolist() == expected
