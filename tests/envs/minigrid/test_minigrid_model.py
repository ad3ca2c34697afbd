"""A level's exact model, beside a slow search that steps the environment itself, and as the answer key."""

from collections import deque

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.envs.minigrid.cells import code_of
from rltk.envs.minigrid.level import CARRYING, DIRECTION, X, Y
from rltk.envs.minigrid.models.base import same_level
from rltk.envs.minigrid.models.states import bound
from rltk.envs.minigrid.models.still import StillModel
from rltk.envs.minigrid.things import thing_of
from rltk.errors import ArgumentError, ModelError, SizeError

# Small levels in which everything occurs: doors of all states, keys, boxes full and empty, balls, lava, all rules.
LEVELS = [
    ("MiniGrid-Empty-5x5-v0", {}, 0),
    ("MiniGrid-DoorKey-5x5-v0", {}, 0),
    ("MiniGrid-DoorKey-6x6-v0", {}, 3),
    ("MiniGrid-LavaGapS5-v0", {}, 1),
    ("MiniGrid-LavaCrossingS9N1-v0", {}, 2),
    ("MiniGrid-GoToDoor-5x5-v0", {}, 0),
    ("MiniGrid-GoToObject-6x6-N2-v0", {"size": 4}, 1),
    ("MiniGrid-Fetch-5x5-N2-v0", {}, 0),
    ("MiniGrid-PutNear-6x6-N2-v0", {}, 0),
    ("MiniGrid-MemoryS7-v0", {}, 4),
    ("MiniGrid-RedBlueDoors-6x6-v0", {}, 0),
    ("MiniGrid-Unlock-v0", {"max_steps": 50}, 0),
]


def made(name, options=None, seed=0):
    """The environment, after a reset."""
    env = gym.make(f"rltk/{name}", **(options or {})).unwrapped
    env.reset(seed=seed)
    return env


def key_of(env):
    """What tells a state from another: the board, the agent, what it carries."""
    body = env._core.levels.body[0]
    return env._core.cells[0].tobytes(), *body[[X, Y, DIRECTION, CARRYING]].tolist()


def by_stepping(env, most=20_000):
    """{state: [(next state or None, terminated, reward > 0, reward < 0) of each action]}, by `set_state` and `step`."""
    first = env.get_state()
    found, queue = {key_of(env): None}, deque([(key_of(env), first)])
    while queue:
        key, state = queue.popleft()
        row = []
        for action in range(env.action_space.n):
            env.set_state(state)
            _, reward, terminated, _, _ = env.step(action)
            there = None if terminated else key_of(env)
            row.append((there, terminated, reward > 0, reward < 0))
            if there is not None and there not in found:
                after = env.get_state()
                after["body"][4] = 0  # steps are no part of the state
                found[there] = None
                queue.append((there, after))
        found[key] = row
        assert len(found) < most
    env.set_state(first)
    return found


@pytest.mark.parametrize(("name", "options", "seed"), LEVELS, ids=[level[0] for level in LEVELS])
def test_the_model_is_what_stepping_finds(name, options, seed):
    """Every state, every transition, every ending: the reference steps the environment and compares whole boards."""
    env = made(name, options, seed)
    slow, model = by_stepping(env), env.model()
    mdp = model.mdp
    assert model.n_states == len(slow) <= bound(model.parts)
    number, queue = {key_of(env): 0}, [key_of(env)]
    next_state = mdp.form.next_state.reshape(-1, mdp.n_actions)
    ended, reward = mdp.form.terminated.reshape(next_state.shape), mdp.form.reward.reshape(next_state.shape)
    for key in queue:  # grows
        for action, (there, terminated, paid, charged) in enumerate(slow[key]):
            s = number[key]
            assert ended[s, action] == terminated
            assert reward[s, action] == paid - charged
            if there is not None and there not in number:
                number[there] = int(next_state[s, action])
                queue.append(there)
            assert there is None or number[there] == next_state[s, action]
    assert sorted(number.values()) == list(range(model.n_states))


@pytest.mark.parametrize(("name", "options", "seed"), LEVELS, ids=[level[0] for level in LEVELS])
def test_an_episode_says_its_state_and_shows_what_the_model_shows(name, options, seed):
    """`info["state"]` follows the model's arrows, and `observations` shows there what the environment shows."""
    env = made(name, options, seed)
    mdp, random, first = env.mdp(), np.random.default_rng(seed), env.get_state()
    next_state = mdp.form.next_state.reshape(-1, mdp.n_actions)
    state = 0
    for _ in range(400):
        action = int(random.integers(env.action_space.n))
        observation, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            env.set_state(first)
            state = 0
            continue
        state = int(next_state[state, action])
        assert info["state"] == state
        shown = env.observations([state])
        assert (shown["image"][0] == observation["image"]).all()
        assert shown["direction"][0] == observation["direction"]
        assert shown["mission"][0] == observation["mission"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["MiniGrid-DoorKey-8x8-v0", "MiniGrid-SimpleCrossingS9N2-v0", "MiniGrid-Unlock-v0"])
def test_the_optimum_is_the_shortest_way(name, seed):
    """V*(start) = gamma^(d - 1), d the length of the plan, which succeeds and no sooner; an agent that follows the
    solution is graded as optimal, exactly."""
    env = made(name, seed=seed)
    plan, solution = env.shortest_plan(), rltk.solve(env, gamma=0.99, tolerance=1e-9)

    assert solution.converged
    assert solution.start_value == pytest.approx(0.99 ** (len(plan) - 1), abs=1e-8)
    assert env.model().distance[0] == len(plan)
    graded = rltk.evaluate(solution, env)
    assert graded.exact
    assert graded.reward_model == "declared"
    assert graded.suboptimality == pytest.approx(0, abs=1e-8)
    assert graded.expected_length == pytest.approx(len(plan))
    for action in plan[:-1]:
        _, reward, terminated, _, _ = env.step(action)
        assert not terminated
    _, reward, terminated, _, _ = env.step(plan[-1])
    assert terminated
    assert reward == 1 - 0.9 * (len(plan) / env.max_steps)


def test_a_known_level():
    """DoorKey-8x8 from seed 0 has 9,152 states; 2,981 pictures tell them apart, more with the compass."""
    env = made("MiniGrid-DoorKey-8x8-v0")
    model = env.model()
    images, _ = model.images(np.arange(model.n_states))

    assert model.n_states == 9152
    assert len(np.unique(images.reshape(model.n_states, -1), axis=0)) == 2981
    assert 2981 < model.alias_classes().max() + 1 < 9152
    assert model.describe(0).startswith("agent at (")
    assert "yellow key" in model.describe(0)
    assert "yellow door locked" in model.describe(0)


def test_things_that_look_alike_are_one_state():
    """Two equal balls on five cells: exchanged, they are the same level."""
    env = made("MiniGrid-Empty-5x5-v0")
    for _ in range(2):
        x, y = np.argwhere(env._core.cells[0].T == 1)[3]
        env.grid.set(int(x), int(y), thing_of(code_of("ball", "blue")))
    assert env.model().n_states == len(by_stepping(env))


def test_what_is_too_large_or_moves_is_refused():
    """With the number, and what to do instead."""
    with pytest.raises(SizeError, match=r"up to \d.*e\+\d.* states(.|\n)*shortest_plan"):
        made("MiniGrid-ObstructedMaze-Full-v0").mdp()
    env = made("MiniGrid-DoorKey-8x8-v0")
    with pytest.raises(SizeError, match="more than 5,000 states"):
        StillModel(env._core.level(0), 7, most=5000)
    with pytest.raises(ModelError, match="obstacles move"):
        made("MiniGrid-Dynamic-Obstacles-5x5-v0").shortest_plan()
    with pytest.raises(ArgumentError, match="reset"):
        gym.make("rltk/MiniGrid-Empty-5x5-v0").unwrapped.mdp()


def test_a_level_without_a_way_has_no_plan():
    """A goal behind a wall: value 0 everywhere, no plan."""
    env = made("MiniGrid-Empty-5x5-v0")
    for place in ((2, 3), (3, 2)):
        env.grid.set(*place, thing_of(code_of("wall", "grey")))
    assert env.shortest_plan() is None
    assert env.model().distance.tolist() == [-1] * env.model().n_states
    assert rltk.solve(env, gamma=0.9).start_value == 0


def test_the_model_is_of_the_level_not_of_the_moment():
    """Steps and `set_state` within a level leave the model; another level has another."""
    env = made("MiniGrid-DoorKey-5x5-v0")
    model, begin = env.model(), env.get_state()
    for action in env.shortest_plan()[:-1]:
        env.step(action)
    assert env.model() is model
    env.set_state(begin)
    assert env.model() is model
    assert same_level(env._first, env._core.level(0))
    env.reset(seed=1)
    assert env.model() is not model


def test_the_same_level_again_keeps_its_model():
    """From the same seed, or a layout: `info["state"]` goes on; another level has its own."""
    env = made("MiniGrid-DoorKey-5x5-v0", seed=4)
    model = env.model()
    _, info = env.reset(seed=4)
    assert info["state"] == 0
    assert env.model() is model
    _, info = env.reset(seed=5)
    assert "state" not in info
    assert env.model() is not model
