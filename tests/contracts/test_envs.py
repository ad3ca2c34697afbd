"""What every environment of rltk whose states are numbered promises. Each registered id enters by itself.

MiniGrid's levels have states that are arrays, and no `mdp()` yet; what they promise is in tests/envs/minigrid.
"""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from contract_envs import ALL_IDS, CHANGING, ENDLESS, IDS, RANDOM_IDS, actions_of, allowed, every_id, every_mode, make
from gymnasium.utils.env_checker import check_env

import rltk
from rltk.envs.minigrid import MiniGridEnv
from rltk.envs.tabular import TabularEnv
from rltk.errors import ArgumentError, UnknownNameError


def obliging(env):
    """`env`, but without barred actions: other people's checkers draw them blindly."""
    step = env.step
    if not env.mdp().available.all():
        env.step = lambda action: step(allowed(env, action) if 0 <= action < env.action_space.n else action)
    return env


def episode(env, actions):
    """Every value that `step` returns for these actions, resetting where an episode ends."""
    out = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(allowed(env, action))
        out.append((np.array(observation).tolist(), reward, terminated, truncated, info["state"]))
        if terminated or truncated:
            observation, info = env.reset()
            out.append((np.array(observation).tolist(), info["state"]))
    return out


def test_there_are_ids():
    assert len(IDS) >= 10


def test_only_minigrids_levels_are_left_out():
    """An environment without a model must not slip through."""
    assert all(hasattr(make(name), "mdp") for name in IDS)
    assert all(type(make(name)) is MiniGridEnv for name in set(ALL_IDS) - set(IDS))


@pytest.mark.parametrize("name", ALL_IDS)
def test_every_environment_says_how_it_draws_and_pays(name):
    """Learners and evaluation read both."""
    metadata = gym.make(name).metadata
    assert isinstance(metadata["draw_law"], bool)
    assert metadata["reward_model"] in ("exact", "declared")


# Other people's checkers


@every_id
def test_gymnasium_checker(name, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # the checker opens a window as well
    check_env(obliging(make(name, render_mode="rgb_array")))


@every_id
@every_mode
def test_gymnasium_checker_by_mode(name, mode):
    check_env(obliging(make(name, observation=mode)), skip_render_check=True)


@every_id
@every_mode
def test_stable_baselines_checker(name, mode):
    from stable_baselines3.common.env_checker import check_env as check

    # Its warnings are advice on images: that small codes are no image.
    check(obliging(make(name, observation=mode)), warn=mode not in ("symbolic", "egocentric"), skip_render_check=True)


# The model


@every_id
def test_rows_are_distributions(name):
    mdp = make(name).mdp()
    row = np.repeat(np.arange(mdp.available.size), np.diff(mdp.row_start))
    sums = np.bincount(row, mdp.probability, minlength=mdp.available.size)
    np.testing.assert_allclose(sums, mdp.available.reshape(-1), rtol=0, atol=1e-9)
    assert mdp.start.sum() == pytest.approx(1.0)
    assert mdp.report().ends or name in ENDLESS


@every_id
def test_model_of_finds_the_model_and_the_limit(name):
    env = gym.make(name)
    mdp, limit, _ = rltk.model_of(env)
    assert mdp is env.unwrapped.mdp()
    assert limit == (env.spec.max_episode_steps or env.unwrapped.max_episode_steps)
    assert env.metadata["draw_law"] is (name not in CHANGING)
    assert env.metadata["reward_model"] == "exact"


# Seeds and states


@every_id
def test_same_seed_same_episode(name):
    one, two = make(name), make(name)
    assert str(one.reset(seed=7)) == str(two.reset(seed=7))  # a mask in info has no one truth
    actions = actions_of(one, 200)
    assert episode(one, actions) == episode(two, actions)
    one.reset(seed=7)
    assert np.array_equal(one.get_state()["stream"], make_seeded(name, 7).get_state()["stream"])


def make_seeded(name, seed):
    env = make(name)
    env.reset(seed=seed)
    return env


@pytest.mark.parametrize("name", RANDOM_IDS)
def test_other_seed_other_episode(name):
    one, two = make_seeded(name, 1), make_seeded(name, 2)
    actions = actions_of(one, 200)
    assert episode(one, actions) != episode(two, actions)


@every_id
def test_set_state_replays_exactly(name):
    env = make_seeded(name, 3)
    actions = actions_of(env, 120)
    episode(env, actions[:20])
    state = env.get_state()
    assert {key: (value.dtype.kind, value.shape) for key, value in state.items()} == {
        "state": ("i", ()),
        "elapsed": ("i", ()),
        "stream": ("u", (6,)),
        **({"total": ("i", ())} if name in CHANGING else {}),
    }
    first = episode(env, actions[20:])
    env.set_state(state, restore_rng=True)
    assert episode(env, actions[20:]) == first
    other = make(name)  # which was never reset
    other.set_state(state, restore_rng=True)
    assert episode(other, actions[20:]) == first


@every_id
def test_set_state_alone_shows_no_draw_to_come(name):
    env = make_seeded(name, 3)
    state = env.get_state()
    first = episode(env, actions_of(env, 60))
    before = env.get_state()["stream"]
    env.set_state(state)
    assert env.get_state()["state"] == state["state"]
    assert np.array_equal(env.get_state()["stream"], before)
    if name in RANDOM_IDS:
        assert episode(env, actions_of(env, 60)) != first


@every_id
def test_copies_live_their_own_lives(name):
    env = make_seeded(name, 5)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        expected = episode(copy.deepcopy(env), actions_of(env, 50))
        assert episode(twin, actions_of(env, 50)) == expected
    assert copy.deepcopy(env).mdp() is env.mdp()


@every_id
@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        {},
        {"state": 0},
        {"state": -1},
        {"state": 10**9},
        {"state": 0.5},
        {"state": [0]},
        {"elapsed": -1},
        {"stream": np.zeros(5, np.uint64)},
        {"stream": np.zeros(6, np.uint64)},
        {"extra": 1},
    ],
)
def test_set_state_refuses_rubbish(name, rubbish):
    env = make_seeded(name, 0)
    before = env.get_state()
    wrong = {**before, **rubbish} if rubbish and rubbish != {"state": 0} else rubbish
    with pytest.raises(ArgumentError):
        env.set_state(wrong, restore_rng=True)
    assert all(np.array_equal(before[key], env.get_state()[key]) for key in before)


@every_id
@pytest.mark.parametrize("action", [-1, 99, 1.0, "up", None, np.array([0, 1])])
def test_a_wrong_action_is_named(name, action):
    env = make_seeded(name, 0)
    with pytest.raises(ArgumentError, match="action"):
        env.step(action)


@every_id
def test_unknown_options_are_named(name):
    with pytest.raises(UnknownNameError, match="egocentric"):
        make(name, observation="pixels")
    with pytest.raises(ArgumentError, match="render_mode"):
        TabularEnv(make(name).mdp(), render_mode="ansi")


@every_id
def test_options_that_there_are_not_are_listed(name):
    for maker in (gym.make, gym.make_vec):
        with pytest.raises(ArgumentError, match=r"no option 'slipp'; its options are .*observation.*render_mode"):
            maker(name, slipp=0.1)


# Observations


@every_id
@every_mode
def test_observations_lie_in_their_space(name, mode):
    env = make(name, observation=mode)
    states = np.arange(0, env.mdp().n_states, 1 + env.mdp().n_states // 1000)
    table = env.observations(states)
    space = env.observation_space
    assert table.shape == (states.size, *space.shape)
    assert table.dtype == space.dtype
    assert all(row in space for row in table)
    if mode != "egocentric":  # the only mode that does not tell every state from every other
        assert len({row.tobytes() for row in table}) == states.size
    assert np.array_equal(env.observations(states[::-1][:7]), table[::-1][:7])
    observation, info = env.reset(seed=0)
    for action in actions_of(env, 60):
        assert np.array_equal(observation, env.observations([info["state"]])[0])
        observation, _, terminated, _, info = env.step(allowed(env, action))
        assert type(observation) is int if mode == "index" else observation.dtype == space.dtype
        if terminated:
            observation, info = env.reset()


@every_id
@every_mode
def test_what_is_handed_out_is_the_callers(name, mode):
    env, twin = make(name, observation=mode), make(name, observation=mode)
    observation, _ = env.reset(seed=0)
    expected, _ = twin.reset(seed=0)
    ends = [0, env.mdp().n_states - 1]
    for action in actions_of(env, 20):
        if mode != "index":
            observation[...] = 0
        env.observations(ends)[...] = 0
        for array in env.get_state().values():
            array[...] = 0
        assert np.array_equal(env.observations(ends), twin.observations(ends))
        action = allowed(env, action)
        (observation, *rest), (expected, *rest_expected) = env.step(action), twin.step(action)
        assert np.array_equal(observation, expected)
        assert str(rest) == str(rest_expected)
        if rest[1]:
            (observation, _), (expected, _) = env.reset(), twin.reset()


@every_id
def test_the_model_is_read_only(name):
    mdp = make(name).mdp()
    for array in (mdp.probability, mdp.reward, mdp.next_state, mdp.start):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


# Pictures


@every_id
def test_frames_show_the_agent(name):
    env = make(name, render_mode="rgb_array")
    env.reset(seed=0)
    before, where = env.render(), env.scene().agent
    assert before.dtype == np.uint8
    assert before.max() > 200
    assert before.mean() > 20
    state = env.get_state()
    for s in range(env.mdp().n_states):
        env.set_state({**state, "state": np.array(s)})
        scene = env.scene()
        assert scene.agent == tuple(env.layout.position(np.array([s]))[0])
        assert scene.states[scene.agent] == s
        if scene.agent != where:
            assert (env.render() != before).any()
            break


@every_id
def test_without_a_render_mode_it_warns(name):
    env = make_seeded(name, 0)
    with pytest.warns(UserWarning, match="render mode"):
        assert env.render() is None
