"""Data for representation learners: what is in it, how levels are held out, files of it, and what is refused."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

import rltk
from rltk.errors import ArgumentError, CheckpointError, ModelError, SpaceError
from rltk.experiments import (
    Transitions,
    every_transition,
    load_transitions,
    pictures_of,
    recorded,
    save_transitions,
)

DOOR = "rltk/MiniGrid-DoorKey-5x5-v0"


def made(count=4, levels=(0, 0, 1, 1), **changes):
    """Observations 0, 1, 2 ... of one number each; each goes to the next within its level."""
    given = {
        "observation_space": spaces.Box(-9, 9, (1,), np.float32),
        "observations": np.arange(count, dtype=np.float32)[:, None],
        "level": np.array(levels),
        "origin": np.array([0, 2]),
        "action": np.array([0, 1]),
        "reward": np.array([0.5, 1.0], np.float32),
        "next": np.array([1, 3]),
        "terminated": np.array([False, True]),
        "n_actions": 2,
        "targets": {"value": np.arange(count, dtype=np.float32)},
    }
    return Transitions(**{**given, **changes})


def same(one, other):
    """Whether two data hold the same, bit for bit."""
    assert one.observation_space == other.observation_space
    for name in ("level", "origin", "action", "reward", "next", "terminated", "weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    pair = one.observations, other.observations
    for a, b in zip(*(list(x.values()) if isinstance(x, dict) else [x] for x in pair), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.targets.keys() == other.targets.keys()
    for name in one.targets:
        np.testing.assert_array_equal(one.targets[name], other.targets[name])


def test_pictures_of_floats_that_nobody_scaled_are_refused():
    """Bytes turned into floats, in a space without bounds. Scaled ones pass, and so do bounds that say 0..255."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 40, 36, 3)).astype(np.float32)
    free = spaces.Box(-np.inf, np.inf, (40, 36, 3), np.float32)
    with pytest.raises(SpaceError, match="divide them by 255"):
        made(observation_space=free, observations=pixels)
    both = spaces.Dict({"seen": free, "row": spaces.Box(-9, 9, (1,), np.float32)})
    with pytest.raises(SpaceError, match="divide them by 255"):
        made(observation_space=both, observations={"seen": pixels, "row": np.zeros((4, 1), np.float32)})
    made(observation_space=free, observations=pixels / 255)
    with pytest.raises(SpaceError, match="divide them by 255"):
        made(observation_space=spaces.Box(0, 1, (40, 36, 3), np.float32), observations=pixels)
    made(observation_space=spaces.Box(0, 255, (40, 36, 3), np.float32), observations=pixels)
    made(observation_space=spaces.Box(0, 200, (40, 36, 3), np.float32), observations=np.minimum(pixels, 200))
    made(observation_space=spaces.Box(-np.inf, np.inf, (7, 7, 3), np.float32), observations=pixels[:, :7, :7])


def test_every_transition_is_the_model_and_its_answers():
    """Each outcome of FrozenLake with its probability; V*, Q* and the observation of each state."""
    env = gym.make("rltk/FrozenLake-v0", observation="coords")
    data, mdp, solution = every_transition(env, gamma=0.9), rltk.MDP.from_env(env), rltk.solve(env, gamma=0.9)

    transition = np.zeros((mdp.n_states, mdp.n_actions, mdp.n_states))
    np.add.at(transition, (data.origin, data.action, data.next), data.weight)
    for state, action in np.ndindex(mdp.n_states, mdp.n_actions):
        rows = mdp.rows
        at = slice(*rows.row_start[state * mdp.n_actions + action :][:2])
        expected = np.bincount(rows.next_state[at], rows.probability[at], mdp.n_states)
        np.testing.assert_allclose(transition[state, action], expected)
    np.testing.assert_allclose(data.targets["value"], solution.value, rtol=1e-6)
    np.testing.assert_allclose(data.targets["q"], solution.q, rtol=1e-6)
    np.testing.assert_array_equal(data.observations, env.unwrapped.observations(np.arange(mdp.n_states)))
    assert data.n_levels == 1


def test_every_transition_of_several_levels():
    """Levels lie one behind the other; the caller's environment stays where it was."""
    env = gym.make(DOOR)
    env.reset(seed=5)
    before = env.unwrapped.mdp()
    data = every_transition(env, [3, 8])

    assert data.n_levels == 2
    assert env.unwrapped.mdp().equals(before)
    alone = [every_transition(DOOR, [seed]) for seed in (3, 8)]
    same(data, Transitions.joined(alone))
    assert (data.level[data.origin] == data.level[data.next]).all()
    one = data.of_levels([1])
    np.testing.assert_array_equal(one.targets["q"], alone[1].targets["q"])
    np.testing.assert_array_equal(one.origin, alone[1].origin)


def test_what_is_held_out_is_whole_levels():
    shown = np.arange(4, dtype=np.float32)[:, None]
    data = Transitions.joined([made(observations=shown + 4 * i) for i in range(5)])  # ten levels
    train, test = data.split(0.3, seed=1)

    assert (train.n_levels, test.n_levels) == (7, 3)
    assert not set(train.level) & set(test.level)
    assert len(train) + len(test) == len(data)
    same(train, data.split(0.3, seed=1)[0])
    assert not np.array_equal(train.level, data.split(0.3, seed=2)[0].level)
    assert data.split(4)[1].n_levels == 4
    for part in (train, test):  # numbers still point at what they pointed at
        np.testing.assert_array_equal(part.observations[part.next], part.observations[part.origin] + 1)
    for wrong in (0.0, 1.0, 0, 10, 0.01):
        with pytest.raises(ArgumentError, match="held_out"):
            data.split(wrong)


def test_levels_that_show_the_same_are_held_out_together():
    """Else what is held out would have been learnt from under another number."""
    train, test = Transitions.joined([made(), made()]).split(1)
    assert (train.n_levels, test.n_levels) == (2, 2)
    assert not set(train.observations.ravel()) & set(test.observations.ravel())
    for wrong in (True, None, "2"):
        with pytest.raises(ArgumentError, match="how many"):
            made().split(wrong)


def test_distances_are_between_all_states():
    """Those of the metric itself; parts of the data keep theirs."""
    data = every_transition("rltk/FrozenLake-v0", gamma=0.9, distances=True)
    expected = rltk.mdp.bisimulation_metric(rltk.MDP.from_env(gym.make("rltk/FrozenLake-v0")), 0.9)
    np.testing.assert_allclose(data.distance, expected, atol=1e-5)
    with pytest.raises(ArgumentError, match="distance has the shape"):
        made(distance=np.zeros((3, 4)))


def test_recorded_is_what_happened():
    """Steps of CartPole by chance: each observation follows from the one before; episodes are levels."""
    data = recorded(None, gym.make("CartPole-v1"), 200, seed=3)

    assert (len(data), data.n_observations, data.n_actions) == (200, 200 + data.n_levels, 2)
    twin = gym.make("CartPole-v1")
    for row in range(len(data)):
        env = twin.unwrapped
        env.reset(seed=0)
        env.state = tuple(data.observations[data.origin[row]].astype(np.float64))
        reached, reward, terminated, _, _ = env.step(int(data.action[row]))
        np.testing.assert_allclose(reached, data.observations[data.next[row]], atol=1e-4)
        assert (reward, terminated) == (data.reward[row], data.terminated[row])
    same(data, recorded(None, gym.make("CartPole-v1"), 200, seed=3))
    assert set(data.action) == {0, 1}


def test_an_agent_is_recorded_with_its_memory_and_its_masks():
    """It is asked as it learnt to be asked; a Dict is kept part by part; actions count from 0."""

    class Agent:
        def predict(self, observation, state=None, episode_start=None, deterministic=False, action_masks=None):
            assert (state is None) == bool(episode_start[0])
            assert action_masks is not None
            return np.flatnonzero(action_masks)[-1], 0 if state is None else state + 1

    data = recorded(Agent(), gym.make("Taxi-v4"), 30, deterministic=True)
    assert len(data) == 30
    minigrid = recorded(None, gym.make(DOOR), 20)
    assert set(minigrid.observations) == {"direction", "image", "mission"}
    assert len(minigrid.observations["image"]) == minigrid.n_observations


def test_an_environment_may_go_on_in_the_same_array():
    class Line(gym.Env):
        observation_space, action_space = spaces.Box(0, 99, (1,), np.float32), spaces.Discrete(2, start=5)

        def reset(self, *, seed=None, options=None):
            self.at = np.zeros(1, np.float32)
            return self.at, {}

        def step(self, action):
            assert action in (5, 6)
            self.at += 1
            return self.at, 0.0, bool(self.at[0] == 4), False, {}

    data = recorded(None, Line(), 8)
    assert data.observations[:5, 0].tolist() == [0, 1, 2, 3, 4]
    assert data.action.max() <= 1


@pytest.mark.parametrize("lone", [True, False])
def test_files_give_the_same_bits(lone, tmp_path):
    data = made() if lone else recorded(None, gym.make(DOOR), 12)
    save_transitions(data, tmp_path / "data")
    same(load_transitions(tmp_path / "data"), data)
    save_transitions(made(), tmp_path / "data")  # takes the place of what was there
    same(load_transitions(tmp_path / "data"), made())


def test_files_that_are_none(tmp_path):
    with pytest.raises(CheckpointError, match="no data"):
        load_transitions(tmp_path)
    folder = save_transitions(made(), tmp_path / "data")
    arrays = next(folder.rglob("*.safetensors"))
    arrays.write_bytes(arrays.read_bytes()[:-3])
    with pytest.raises(CheckpointError):
        load_transitions(folder)


def test_pictures_in_folders(tmp_path):
    """In the order of their names, as bytes; a folder is a level."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for i in range(2):
            Image.fromarray(np.full((6, 8, 3), 10 * i + ord(folder), np.uint8)).save(tmp_path / folder / f"{i}.png")
    data = pictures_of(tmp_path)

    assert data.observations.shape == (4, 6, 8, 3)
    assert data.observations[:, 0, 0, 0].tolist() == [97, 107, 98, 108]
    assert data.level.tolist() == [0, 0, 1, 1]
    assert len(data) == 0
    Image.fromarray(np.zeros((5, 8, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(ArgumentError, match="one size"):
        pictures_of(tmp_path)
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(ArgumentError, match=r"c\.png"):
        pictures_of(tmp_path)
    with pytest.raises(ArgumentError, match="no pictures"):
        pictures_of(tmp_path / "none")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0, "levels": ()}, "no observation"),
        ({"observations": np.full((4, 1), np.nan, np.float32)}, "nan"),
        ({"observations": np.zeros((3, 1), np.float32)}, "shape"),
        ({"origin": np.array([0, 4])}, "origin has 0 to 4"),
        ({"next": np.array([-1, 2])}, "next has -1"),
        ({"action": np.array([0, 2])}, "action has 0 to 2"),
        ({"origin": np.array([0.0, 2.0])}, "origin is of float64"),
        ({"reward": np.array([0.0, np.inf], np.float32)}, "finite"),
        ({"terminated": np.array([True])}, "terminated has the shape"),
        ({"weight": np.array([1.0, -1.0])}, "below 0"),
        ({"targets": {"value": np.zeros(3)}}, "'value'"),
        ({"targets": {"value": np.array(1.0)}}, "'value'"),
        ({"targets": {"value": np.array([0, 1, 2, np.nan])}}, "'value'"),
    ],
)
def test_data_that_do_not_fit(changes, message):
    with pytest.raises(ArgumentError, match=message):
        made(**changes)


def test_worlds_that_give_no_data():
    with pytest.raises(ModelError, match="record episodes"):
        every_transition("CartPole-v1")
    with pytest.raises(ArgumentError, match="levels"):
        every_transition(DOOR, 0)
    with pytest.raises(SpaceError, match="Discrete"):
        recorded(None, gym.make("Pendulum-v1"), 5)
    with pytest.raises(ArgumentError, match="single"):
        recorded(None, gym.make_vec("CartPole-v1", num_envs=2), 5)
    with pytest.raises(ArgumentError, match="steps"):
        recorded(None, gym.make("CartPole-v1"), 0)
    with pytest.raises(ArgumentError, match="one space"):
        Transitions.joined([made(), made(n_actions=3)])
