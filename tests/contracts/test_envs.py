"""What every environment of rltk whose states are numbered promises. Each registered id enters by itself.

MiniGrid's levels have states that are arrays, and no `mdp()` yet; what they promise is in tests/envs/minigrid.
"""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from scipy.stats import chisquare

import rltk
from rltk.envs.minigrid import MiniGridEnv
from rltk.envs.tabular import MODES, TabularEnv
from rltk.errors import ArgumentError, UnknownNameError

ALL_IDS = sorted(name for name in gym.registry if name.startswith("rltk/"))
IDS = [name for name in ALL_IDS if "family" not in gym.spec(name).kwargs]  # MiniGrid's have a family of levels
ENDLESS = ("rltk/SuttonBarto5x5-v0", "rltk/JacksCarRental-v0", "rltk/Bandit-v0")  # they go on for ever in the book
CHANGING = ("rltk/BlockingMaze-v0", "rltk/ShortcutMaze-v0")  # what they are depends on the steps done so far
RANDOM_IDS = ("rltk/FrozenLake-v0", "rltk/FourRooms-v0", "rltk/GridWorld-v0", "rltk/RussellNorvig4x3-v0")

every_id = pytest.mark.parametrize("name", IDS)
every_mode = pytest.mark.parametrize("mode", MODES)


def make(name, **options):
    return gym.make(name, **options).unwrapped


def actions_of(env, count, seed=0):
    return np.random.default_rng(seed).integers(env.action_space.n, size=count).tolist()


def allowed(env, actions):
    """`actions`, one or (N,), with those that are barred where their environment stands replaced by one that is not."""
    available = env.mdp().available[env.get_state()["state"]]
    if available.ndim == 1:
        return actions if available[actions] else int(np.flatnonzero(available)[actions % available.sum()])
    rows = zip(actions, available, strict=True)
    return np.array([a if can[a] else np.flatnonzero(can)[a % can.sum()] for a, can in rows])


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


def suspicious_rows(env, mdp, draws, seed):
    """(p-values of the rows with several outcomes) of `env`'s frequencies against `mdp`; asserts that nothing was seen
    that `mdp` says can't happen."""
    env.reset(seed=seed)
    state = env.get_state()
    chances = []
    pairs = np.argwhere(mdp.available)
    if len(pairs) > 4000:  # few rows seen often say more than many seen a few times
        pairs = np.random.default_rng(seed).permutation(pairs)[:600]
        draws = 50
    for s, a in pairs:
        row = slice(*mdp.row_start[s * mdp.n_actions + a : s * mdp.n_actions + a + 2])
        noisy = mdp.reward_noise is not None and mdp.reward_noise[row].any()
        paid = [None] * len(mdp.reward[row]) if noisy else mdp.reward[row]
        known = list(zip(mdp.next_state[row], paid, mdp.terminated[row], strict=True))
        counts = np.zeros(len(known))
        state["state"] = np.array(s)
        for _ in range(draws):
            env.set_state(state)
            _, reward, terminated, _, info = env.step(int(a))
            seen = (info["state"], None if noisy else reward, terminated)
            assert seen in known, f"state {s}, action {a} led to {seen}"
            counts[known.index(seen)] += 1
        expected = mdp.probability[row] * draws / mdp.probability[row].sum()
        counts, expected = common(counts, expected)
        if len(expected) > 1:
            chances.append(chisquare(counts, expected).pvalue)
    return np.array(chances)


def common(counts, expected, least=5):
    """Both with neighbours added up until each is expected `least` times: chi-square's tail is wrong for rarer ones."""
    if expected.min() >= least:
        return counts, expected
    ends, total = [], 0.0
    for i, one in enumerate(expected):
        total += one
        if total >= least and expected[i + 1 :].sum() >= least:
            ends.append(i + 1)
            total = 0.0
    starts = [0, *ends]
    return np.add.reduceat(counts, starts), np.add.reduceat(expected, starts)


def rejected(chances, level=0.001):
    """Holm's correction: whether any of these p-values is too small for chance at this level over all of them."""
    ordered = np.sort(chances)
    return bool((ordered <= level / (len(ordered) - np.arange(len(ordered)))).any()) if ordered.size else False


@every_id
def test_the_simulator_draws_from_T(name):
    env = make(name)
    mdp = env.mdp()
    pairs = int(mdp.available.sum())
    chances = suspicious_rows(env, mdp, draws=max(3, min(300, 30_000 // pairs)), seed=1)
    assert not rejected(chances)


def test_a_wrong_T_would_be_found():
    env = make("rltk/RussellNorvig4x3-v0", slip=0.26)
    assert rejected(suspicious_rows(env, make("rltk/RussellNorvig4x3-v0").mdp(), draws=300, seed=1))


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


# Batches


def same(found, expected):
    """Whether two infos are the same: keys, types, shapes and values."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            same(found[key], value)
        elif value.dtype == object:
            assert [None if v is None else np.array(v).tolist() for v in found[key]] == [
                None if v is None else np.array(v).tolist() for v in value
            ]
        else:
            assert (found[key].dtype, found[key].shape) == (value.dtype, value.shape), key
            assert np.array_equal(found[key], value), key


@every_id
@pytest.mark.parametrize("autoreset", list(AutoresetMode))
def test_a_batch_is_its_single_environments(name, autoreset):
    options = {"max_episode_steps": 9, "observation": "coords"}
    batch = gym.make_vec(name, num_envs=4, autoreset_mode=autoreset, **options)
    peer = SyncVectorEnv([lambda: gym.make(name, **options)] * 4, autoreset_mode=autoreset)
    assert batch.metadata["autoreset_mode"] is autoreset
    assert batch.observation_space == peer.observation_space
    assert batch.action_space == peer.action_space
    assert batch.max_episode_steps == 9

    def check(found, expected):
        assert len(found) == len(expected)
        for mine, theirs in zip(found[:-1], expected[:-1], strict=True):
            assert mine.dtype == theirs.dtype
            assert np.array_equal(mine, theirs)
        same(found[-1], expected[-1])

    check(batch.reset(seed=11), peer.reset(seed=11))
    ends = np.zeros(4, dtype=bool)
    random = np.random.default_rng(0)
    for step in range(150):
        if autoreset is AutoresetMode.DISABLED and ends.any():
            seeds = [100 + step, None, 200 + step, None]
            found = batch.reset(seed=seeds, options={"reset_mask": ends.copy()})
            check(found, peer.reset(seed=seeds, options={"reset_mask": ends.copy()}))
        actions = allowed(batch, random.integers(batch.single_action_space.n, size=4))
        found, expected = batch.step(actions), peer.step(actions)
        check(found, expected)
        ends = found[2] | found[3]
    check(batch.reset(seed=[1, None, 3, None]), peer.reset(seed=[1, None, 3, None]))
    check(batch.reset(), peer.reset())


@every_id
@every_mode
def test_a_batch_observes_in_every_mode(name, mode):
    batch = gym.make_vec(name, num_envs=3, observation=mode)
    observations, infos = batch.reset(seed=0)
    for _ in range(20):
        assert observations in batch.observation_space
        assert observations.dtype == batch.observation_space.dtype
        assert np.array_equal(observations, batch.observations(infos["state"]))
        observations, *_, infos = batch.step(allowed(batch, batch.action_space.sample()))


@every_id
def test_a_batch_hands_out_copies(name):
    batch = gym.make_vec(name, num_envs=3, autoreset_mode="SameStep", max_episode_steps=3)
    kept = []
    batch.reset(seed=0)
    for action in range(12):
        found = batch.step(allowed(batch, np.full(3, action % batch.single_action_space.n)))
        assert not any(np.shares_memory(new, old) for new in found[:-1] for old in kept)
        kept += [*found[:-1], *(v for v in found[-1].values() if isinstance(v, np.ndarray) and v.dtype != object)]
        for array in kept:
            array[...] = 0
    twin = gym.make_vec(name, num_envs=3, autoreset_mode="SameStep", max_episode_steps=3)
    twin.reset(seed=0)
    for action in range(12):
        twin.step(allowed(twin, np.full(3, action % twin.single_action_space.n)))
    assert all(np.array_equal(twin.get_state()[k], v) for k, v in batch.get_state().items())


@every_id
def test_a_batch_replays_exactly(name):
    batch = gym.make_vec(name, num_envs=3, max_episode_steps=5)
    batch.reset(seed=0)
    actions = np.random.default_rng(0).integers(batch.single_action_space.n, size=(40, 3))
    for action in actions[:13]:
        batch.step(allowed(batch, action))
    state = batch.get_state()
    first = [[np.array(part).tolist() for part in batch.step(allowed(batch, action))[:4]] for action in actions]
    after = batch.get_state()
    batch.set_state(state, restore_rng=True)
    assert [[np.array(part).tolist() for part in batch.step(allowed(batch, action))[:4]] for action in actions] == first
    batch.set_state(state)
    assert np.array_equal(batch.get_state()["stream"], after["stream"])
    with pytest.raises(ArgumentError, match="stream"):
        batch.set_state({**state, "stream": state["stream"] * 0})
