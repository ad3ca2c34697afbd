"""`rltk.envs.sb3.VecEnv` keeps Stable-Baselines3's contract, step for step that of its DummyVecEnv, and trains."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecNormalize

import rltk
from rltk.envs.sb3 import VecEnv
from rltk.errors import ArgumentError, SpaceError, UnknownNameError

EMPTY, FETCH, ROOMS = "rltk/MiniGrid-Empty-5x5-v0", "rltk/MiniGrid-Fetch-5x5-N2-v0", "rltk/FourRooms-v0"
KINDS = [
    (EMPTY, {"form": "flat", "max_steps": 9}),
    (FETCH, {"form": "flat", "mission": "tokens", "max_steps": 5}),
    (FETCH, {"form": "image", "observation": "symbolic", "max_steps": 5}),
    (FETCH, {"form": "dict", "mission": "number", "max_steps": 5}),
    ("rltk/MiniGrid-Dynamic-Obstacles-5x5-v0", {"form": "flat", "observation": "egocentric_rgb"}),
    (ROOMS, {"max_episode_steps": 20}),
    ("rltk/FrozenLake-v0", {"observation": "onehot"}),
    ("rltk/Blackjack-v0", {}),  # whose infos have action masks
    ("rltk/Taxi-v0", {"observation": "coords", "max_episode_steps": 20}),
]
every_kind = pytest.mark.parametrize(("name", "options"), KINDS, ids=[f"{name}-{len(o)}" for name, o in KINDS])


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same(found, expected):
    """Whether two observations or infos are the same."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    return np.array_equal(found, expected)


def kept(info):
    """An info without the seconds, which no two clocks agree on."""
    if "episode" in info:
        info = {**info, "episode": {**info["episode"], "t": 0}}
    return info


@every_kind
def test_lockstep_with_single_environments(name, options):
    """Same seeds, same actions: all that SB3's DummyVecEnv of monitored single environments gives, types included."""
    mine = VecEnv(name, 4, seed=7, **options)
    theirs = DummyVecEnv([lambda: Monitor(gym.make(name, disable_env_checker=True, **options))] * 4)
    theirs.seed(7)
    first, expected = mine.reset(), theirs.reset()
    assert same(first, expected)
    assert all(same(a, b) for a, b in zip(mine.reset_infos, theirs.reset_infos, strict=True))
    random, ends = np.random.default_rng(0), 0
    for step in range(150):
        actions = random.integers(mine.action_space.n, size=4)
        if "action_mask" in mine.reset_infos[0]:
            actions[:] = step % 2
        found, expected = mine.step(actions), theirs.step(actions)
        assert same(found[0], expected[0])
        for a, b in zip(found[1:3], expected[1:3], strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
        assert isinstance(found[3], list)
        for a, b in zip(found[3], expected[3], strict=True):
            assert same(kept(a), kept(b))
            assert type(a["TimeLimit.truncated"]) is bool
        assert all(same(a, b) for a, b in zip(mine.reset_infos, theirs.reset_infos, strict=True))
        ends += found[2].sum()
    assert ends > 3
    seeds = mine.seed(3), theirs.seed(3)
    assert seeds[0] == seeds[1]
    for _ in range(3):  # seeds are used once, then the streams go on
        assert same(mine.reset(), theirs.reset())
    assert mine.observation_space.shape == theirs.observation_space.shape


@every_kind
@pytest.mark.parametrize("copy", [True, False])
def test_what_is_handed_out_stays_as_it_is(name, options, copy):
    """SB3 keeps observations across steps, and adds to rewards; a batch that reuses its arrays is copied."""
    batch = gym.make_vec(
        name, num_envs=2, autoreset_mode="SameStep", vectorization_mode="vector_entry_point", copy=copy, **options
    )
    venv = VecEnv(batch, seed=0)
    seen = [[venv.reset()]]
    copies = [[np.copy(part) for part in _parts(seen[0][0])]]
    for _ in range(12):
        out = venv.step(np.zeros(2, dtype=int))
        seen.append(list(out[:3]))
        copies.append([np.copy(part) for given in out[:3] for part in _parts(given)])
    for given, copied in zip(seen, copies, strict=True):
        parts = [part for one in given for part in _parts(one)]
        assert all(np.array_equal(a, b) for a, b in zip(parts, copied, strict=True))


def _parts(given):
    return list(given.values()) if isinstance(given, dict) else [given]


# Training


@pytest.mark.parametrize("name", [EMPTY, ROOMS])
@pytest.mark.parametrize(
    ("algorithm", "options"),
    [(PPO, {"n_steps": 32, "batch_size": 32}), (A2C, {}), (DQN, {"learning_starts": 50, "train_freq": 4})],
)
def test_sb3_trains_as_it_stands(name, algorithm, options):
    """A few hundred steps of each, and episodes are counted."""
    model = algorithm("MlpPolicy", VecEnv(name, 4, seed=0), seed=0, device="cpu", **options).learn(800)
    assert model.num_timesteps >= 800
    if name == EMPTY:
        assert len(model.ep_info_buffer) > 0
        assert all(0 < info["l"] <= 100 for info in model.ep_info_buffer)


@pytest.mark.parametrize("mission", ["number", "tokens", "none"])
@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_a_dict_trains_with_multi_input_policy(algorithm, mission):
    """The image is flattened, not taken for pixels; the mission is one of its columns."""
    venv = VecEnv(FETCH, 4, seed=0, form="dict", mission=mission, max_steps=8)
    options = {"n_steps": 16} if algorithm is PPO else {"learning_starts": 20}
    model = algorithm("MultiInputPolicy", venv, seed=0, device="cpu", **options).learn(100)
    extractor = model.policy.features_extractor if algorithm is PPO else model.policy.q_net.features_extractor
    assert extractor.extractors["image"](torch.ones(1, 7, 7, 3)).shape == (1, 147)
    assert ("mission" in extractor.extractors) == (mission != "none")


def test_only_pixels_are_an_image():
    """What SB3 takes for an image is divided by 255."""
    assert is_image_space(gym.make(EMPTY, form="image").observation_space)  # minigrid's own bounds
    for observation in ("egocentric", "egocentric_onehot", "symbolic", "symbolic_onehot"):
        for form in ("image", "dict"):
            space = VecEnv(EMPTY, form=form, observation=observation).observation_space
            assert not is_image_space(space["image"] if form == "dict" else space)
    venv = VecEnv(EMPTY, 2, form="image", observation="egocentric_rgb")
    assert is_image_space(venv.observation_space)
    PPO("CnnPolicy", venv, n_steps=4, batch_size=8, n_epochs=1, device="cpu").learn(8)


def test_ppo_learns_the_way_to_the_goal():
    """On the empty 5 x 5 room, in a few seconds; `rltk.evaluate` grades it exactly, SB3's own evaluation agrees."""
    venv = VecEnv(EMPTY, 16, seed=0)
    model = PPO("MlpPolicy", venv, 1e-3, 32, 128, n_epochs=4, seed=0, device="cpu").learn(8_000)
    returns, lengths = evaluate_policy(model, VecEnv(EMPTY, 4, seed=1), 8, return_episode_rewards=True)
    assert min(returns) > 0.9
    env = gym.make(EMPTY, form="flat")
    env.reset(seed=0)
    graded = rltk.evaluate(model, env)
    assert graded.exact
    assert graded.success_probability == 1
    assert graded.expected_length == pytest.approx(lengths[0])
    assert graded.suboptimality == pytest.approx(0, abs=0.05)


def test_a_model_is_saved_and_loaded(tmp_path):
    """And goes on with another batch."""
    model = PPO("MlpPolicy", VecEnv(EMPTY, 2, seed=0), n_steps=16, batch_size=32, seed=0, device="cpu").learn(64)
    model.save(tmp_path / "model")
    again = PPO.load(tmp_path / "model", env=VecEnv(EMPTY, 2, seed=5), device="cpu")
    observation = again.env.reset()
    assert np.array_equal(
        again.predict(observation, deterministic=True)[0], model.predict(observation, None, None, True)[0]
    )
    again.learn(32)


# SB3's wrappers


def test_wrappers_go_on_top():
    """Normalisation, stacked frames, monitors; and all three train."""
    stacked = VecFrameStack(VecEnv(EMPTY, 2, seed=0, form="image"), 3)
    assert stacked.reset().shape == (2, 7, 7, 9)
    with pytest.warns(UserWarning, match="already wrapped with a `Monitor`"):
        monitored = VecMonitor(VecEnv(EMPTY, 2, seed=0, max_steps=5))
    monitored.reset()
    for _ in range(5):
        _, _, dones, infos = monitored.step(np.zeros(2, dtype=int))
    assert dones.all()
    assert infos[0]["episode"]["l"] == 5
    normalised = VecNormalize(VecEnv(EMPTY, 2, seed=0))
    for venv in (stacked, monitored, normalised):
        PPO("MlpPolicy", venv, n_steps=16, batch_size=16, device="cpu").learn(32)
    assert np.abs(normalised.reset()).max() <= 10
    DQN("MlpPolicy", VecNormalize(VecEnv(EMPTY, 2, seed=0, max_steps=6)), learning_starts=8, device="cpu").learn(60)


# The rest of the contract


def test_time_alone_is_told_from_an_end():
    """A truncated episode is bootstrapped, one that also ended is not."""
    venv = VecEnv("rltk/MiniGrid-Dynamic-Obstacles-5x5-v0", 3, seed=0, max_steps=1)
    random, seen = np.random.default_rng(0), set()
    venv.reset()
    for _ in range(60):
        _, rewards, dones, infos = venv.step(random.integers(3, size=3))
        assert dones.all()
        assert rewards.dtype == np.float32
        for reward, info in zip(rewards, infos, strict=True):
            assert info["TimeLimit.truncated"] == (reward == 0)  # a collision ends too, at the same step
            assert info["episode"]["r"] == reward
            assert info["episode"]["l"] == 1
            seen.add(info["TimeLimit.truncated"])
    assert seen == {True, False}


def test_attributes_are_the_batchs():
    """One for all environments."""
    venv = VecEnv(EMPTY, 3, render_mode="rgb_array", tile_size=8)
    venv.reset()
    assert venv.render_mode == "rgb_array"
    assert venv.metadata["render_modes"] == ["human", "rgb_array"]
    assert venv.get_attr("num_envs") == [3, 3, 3]
    assert venv.get_attr("num_envs", [0, 2]) == [3, 3]
    assert venv.has_attr("num_envs")
    assert not venv.has_attr("wings")
    assert venv.env_method("grid", 1, indices=1)[0].width == 5
    assert venv.env_is_wrapped(Monitor) == [True] * 3
    assert venv.env_is_wrapped(gym.wrappers.TimeLimit, 0) == [False]
    venv.set_attr("colour", "red")
    assert venv.get_attr("colour", 0) == ["red"]
    with pytest.raises(ArgumentError, match="in common"):
        venv.set_attr("colour", "blue", 1)
    assert [image.shape for image in venv.get_images()] == [(40, 40, 3)] * 3
    assert venv.render().shape == (80, 80, 3)
    venv.close()
    plain = VecEnv(EMPTY, 2)
    assert plain.render_mode is None
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert plain.get_images() == [None, None]


def test_other_batches_in_the_same_mode_do():
    """Gymnasium's own, of any environment with numbers for actions."""
    batch = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    venv = VecEnv(batch, seed=0)
    peer = DummyVecEnv([lambda: gym.make("CartPole-v1")] * 2)
    peer.seed(0)
    assert np.array_equal(venv.reset(), peer.reset())
    for step in range(60):
        found, expected = (env.step(np.full(2, int(step % 3 == 0))) for env in (venv, peer))
        assert all(np.array_equal(a, b) for a, b in zip(found[:3], expected[:3], strict=True))
        for i in np.flatnonzero(found[2]):
            assert np.array_equal(found[3][i]["terminal_observation"], expected[3][i]["terminal_observation"])


@pytest.mark.parametrize(
    ("env", "options", "error", "message"),
    [
        ("rltk/Nowhere-v0", {}, UnknownNameError, "Nowhere"),
        ("Acrobot-v1", {}, ArgumentError, "make_vec_env"),
        (3, {}, ArgumentError, "an id or a Gymnasium VectorEnv; found int"),
        (EMPTY, {"form": "dict", "mission": "text"}, SpaceError, "mission='number'"),
        (EMPTY, {"wings": 2}, ArgumentError, "no option 'wings'"),
        (EMPTY, {"num_envs": 0}, ArgumentError, "num_envs"),
    ],
)
def test_what_cannot_be_taken_is_named(env, options, error, message):
    """And how to mend it."""
    with pytest.raises(error, match=message):
        VecEnv(env, **options)


def test_batches_that_cannot_be_taken_are_named():
    """Another autoreset mode, other actions, options too late, steps too early."""
    batch = gym.make_vec(EMPTY, num_envs=2)
    with pytest.raises(ArgumentError, match="autoreset_mode='SameStep'"):
        VecEnv(batch)
    batch = gym.make_vec(EMPTY, num_envs=2, autoreset_mode="SameStep", form="flat")
    with pytest.raises(ArgumentError, match="made already: form"):
        VecEnv(batch, form="flat")
    with pytest.raises(ArgumentError, match="2 environments; found 3"):
        VecEnv(batch, 3)
    swings = SyncVectorEnv([lambda: gym.make("Pendulum-v1")], autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(SpaceError, match="Discrete"):
        VecEnv(swings)
    with pytest.raises(ArgumentError, match="step_async"):
        VecEnv(batch, 2).step_wait()
    venv = VecEnv(batch)
    venv.set_options([{"a": 1}, {}])
    with pytest.raises(ArgumentError, match="one dict of options"):
        venv.reset()


def test_ids_whose_batches_do_not_fit_are_named():
    """A batch of Gymnasium's own that knows no modes; a mode that is not asked for."""
    with pytest.raises(ArgumentError, match="make_vec_env"):
        VecEnv("CartPole-v1", 2)
    with pytest.raises(ArgumentError, match="autoreset_mode: leave it out"):
        VecEnv("rltk/MiniGrid-Empty-5x5-v0", 2, autoreset_mode="SameStep")


def test_it_is_loaded_on_demand():
    """`import rltk`, and its environments, bring no torch; the name is enough to bring it."""
    code = (
        "import sys, rltk, rltk.envs; heavy = {'torch', 'stable_baselines3', 'numba'}; "
        "assert not heavy & set(sys.modules); rltk.envs.sb3.VecEnv; assert heavy <= set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
