"""The exact model of levels in which obstacles move, beside a slow one in fractions and the environment itself."""

from collections import Counter
from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest
import scipy.stats

import rltk
from rltk.envs.minigrid.level import DIRECTION, X, Y
from rltk.envs.minigrid.models import obstacles
from rltk.errors import SizeError

TRIES = 101
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
LEVELS = [{}, {"n_obstacles": 1}, {"n_obstacles": 0}, {"size": 6, "n_obstacles": 2, "agent_start_pos": None}]


def made(seed=0, **options):
    """A small level, after a reset."""
    env = gym.make("rltk/MiniGrid-Dynamic-Obstacles-5x5-v0", **options).unwrapped
    env.reset(seed=seed)
    return env


def state_now(env):
    """(x, y, direction, the obstacles' places in their order)."""
    state = env.get_state()
    places = state["memory"][1:].reshape(-1, 2).tolist()
    return (*state["body"][[X, Y, DIRECTION]].tolist(), tuple(map(tuple, places)))


def states_of(model):
    """`state_now` of each state of a model, by number."""
    states = []
    for _, levels in model.batches(np.arange(model.n_states)):
        for body, memory in zip(levels.body, levels.memory, strict=True):
            places = tuple(map(tuple, memory[1:].reshape(-1, 2).tolist()))
            states.append((*body[[X, Y, DIRECTION]].tolist(), places))
    return states


def ways_of(size, agent, places, k=0):
    """[(probability, places)]: where the obstacles from the k-th on may be after they moved, in fractions."""
    if k == len(places):
        return [(Fraction(1), places)]
    x, y = places[k]
    around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    free = [
        (a, b)
        for a, b in around
        if 0 < a < size - 1 and 0 < b < size - 1 and (a, b) not in (*places, agent, (size - 2, size - 2))
    ]
    stays = Fraction(9 - len(free), 9) ** TRIES
    ways = [((1 - stays) / len(free), there) for there in free] + [(stays, (x, y))]
    return [
        (chance * further, after)
        for chance, there in ways
        for further, after in ways_of(size, agent, (*places[:k], there, *places[k + 1 :]), k + 1)
    ]


def outcomes_of(size, state, action):
    """{next state or "goal" or "crash": probability} as minigrid's `step` reads."""
    x, y, direction, places = state
    dx, dy = AHEAD[direction]
    ahead = x + dx, y + dy
    goal = (size - 2, size - 2)
    wall = not (0 < ahead[0] < size - 1 and 0 < ahead[1] < size - 1)
    if action == 2 and (wall or ahead in places):
        return {"crash": Fraction(1)}
    if action == 2 and ahead == goal:
        return {"goal": Fraction(1)}
    found = Counter()
    for chance, after in ways_of(size, (x, y), places):
        if action < 2:
            there = x, y, (direction + (1, 3)[action == 0]) % 4
        else:
            there = (*ahead, direction) if ahead not in after else (x, y, direction)
        found[(*there, after)] += chance
    return found


@pytest.mark.parametrize("options", LEVELS, ids=str)
def test_the_model_is_the_one_in_fractions(options):
    """Every state and action: the same outcomes, but for those less likely than a rounding error."""
    env = made(**options)
    model = env.model()
    states, form = states_of(model), model.mdp.form
    parts = form.next_state, form.probability, form.reward, form.terminated, form.success
    assert states[0] == state_now(env)
    assert len(set(states)) == len(states)
    random = np.random.default_rng(0)
    some = random.permutation(len(states))[:400]
    for s in some.tolist():
        for action in range(3):
            row = slice(*form.row_start[3 * s + action : 3 * s + action + 2].tolist())
            found = {}
            for t, p, reward, ended, success in zip(*(part[row] for part in parts), strict=True):
                assert (ended, success) == (reward != 0, reward == 1)
                found["goal" if reward > 0 else "crash" if reward < 0 else states[t]] = p
            expected = outcomes_of(env.width, states[s], action)
            assert {key for key, p in expected.items() if p > 1e-15} <= found.keys() <= expected.keys()
            for key, p in expected.items():
                assert found.get(key, 0.0) == pytest.approx(float(p), rel=1e-12, abs=2e-16)


def test_the_environment_draws_from_the_model():
    """A chi-squared test of 3,000 steps from each of a few states, and the state's number follows the steps."""
    env = made(seed=3)
    mdp, form = env.mdp(), env.mdp().form
    env.np_random = np.random.default_rng(7)
    state = 0
    for _ in range(6):
        here = env.get_state()
        counts = Counter()
        for _ in range(3_000):
            env.set_state(here)
            *_, info = env.step(1)
            counts[info["state"]] += 1
        row = slice(*form.row_start[3 * state + 1 : 3 * state + 3].tolist())
        expected = dict(zip(form.next_state[row].tolist(), form.probability[row].tolist(), strict=True))
        assert counts.keys() <= expected.keys()
        if len(expected) > 1:
            chance = scipy.stats.chisquare([counts[t] for t in expected], [3_000 * p for p in expected.values()]).pvalue
            assert chance > 1e-6
        state = info["state"]
    assert mdp.n_actions == 3


def test_the_optimum_is_reached_by_playing():
    """V* of the start lies within the spread of what the optimal policy gets in 2,000 episodes."""
    env = made(seed=1)
    solution = rltk.solve(env, gamma=0.95)
    level, returns = env.get_state(), []
    env.np_random = np.random.default_rng(11)
    for _ in range(2_000):
        env.set_state(level)
        state, discount = 0, 1.0
        while True:
            _, reward, terminated, truncated, info = env.step(int(solution.policy[state]))
            if terminated or truncated:
                returns.append(discount * np.sign(reward))
                break
            state, discount = info["state"], 0.95 * discount
    error = np.std(returns) / np.sqrt(len(returns))
    assert abs(np.mean(returns) - solution.start_value) < 4.5 * error
    grade = rltk.evaluate(solution, env, 0.95)
    assert grade.exact
    assert grade.suboptimality == pytest.approx(0.0, abs=1e-9)


def test_a_state_is_told_in_words():
    """Where the agent is and heads, and where each obstacle is."""
    env = made()
    words = env.model().describe(0)
    (x, y, _, places) = state_now(env)
    assert words == f"agent at ({x}, {y}) facing right; " + "; ".join(f"blue ball at {place}" for place in places)


def test_what_is_shown_in_a_state_is_what_the_environment_shows():
    """Along an episode."""
    env = made(seed=2)
    env.mdp()
    for action in (1, 0, 1, 1, 0, 0):
        observation, _, _, _, info = env.step(action)
        shown = env.observations([info["state"]])
        assert (shown["image"][0] == observation["image"]).all()
        assert shown["direction"][0] == observation["direction"]


def test_a_level_too_large_is_refused_with_its_number():
    """Before memory is taken."""
    for name, count in (("8x8", 4), ("16x16", 8)):
        env = gym.make(f"rltk/MiniGrid-Dynamic-Obstacles-{name}-v0").unwrapped
        env.reset(seed=0)
        with pytest.raises(SizeError, match=rf"about [\d.e+]+ states, in which {count} obstacles.*at most 30,000,000"):
            env.mdp()


def test_a_level_that_turns_out_too_large_is_refused(monkeypatch):
    """An estimate may be too low; room is taken only as far as it is needed."""
    monkeypatch.setattr(obstacles, "MOST_OUTCOMES", 20_000)
    with pytest.raises(SizeError, match="at most 20,000 fit"):
        made().mdp()


def test_the_answer_key_has_no_plan_but_both_optima():
    """V*, and what the best policy is paid in one episode."""
    key = rltk.answer_key("rltk/MiniGrid-Dynamic-Obstacles-5x5-v0", 2, gamma=0.95)
    for seed in range(2):
        env = made(seed)
        solution = rltk.solve(env, gamma=0.95)
        assert key.optimum[seed] == pytest.approx(solution.start_value, abs=2e-6)
        assert key.optimal_return[seed] == pytest.approx(rltk.evaluate(solution, env).paid_optimum)
        assert 0.85 < key.optimal_return[seed] < 1
    assert key.plans == (None, None)


def test_an_agent_is_graded_by_sampling_where_the_level_is_too_large():
    """And the reason says so."""
    env = gym.make("rltk/MiniGrid-Dynamic-Obstacles-16x16-v0", max_steps=20)
    env.reset(seed=0)

    class Turns:
        gamma = 0.9

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return 0, None

    grade = rltk.evaluate(Turns(), env, episodes=3)
    assert not grade.exact
    assert "8 obstacles" in grade.reason
    assert grade.value == 0
