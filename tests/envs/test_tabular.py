"""Any MDP as an environment: options, limits, layouts, and what is refused."""

import sys

import gymnasium as gym
import numpy as np
import pytest

from rltk.drawing import Cell
from rltk.envs import GridWorldEnv, Layout, TabularEnv, TabularVectorEnv, TaxiEnv
from rltk.envs.tabular import Observations
from rltk.errors import ArgumentError, DisplayError, SizeError, UnknownNameError
from rltk.mdp import MDP


def chain(n=5):
    """Left and right on a line whose right end ends the episode and pays 1."""
    states = np.arange(n)
    moves = np.stack([np.maximum(states - 1, 0), np.minimum(states + 1, n - 1)], axis=1)
    return MDP.from_moves(moves, np.eye(2), states == n - 1, states == n - 1, states == 0)


def test_before_the_first_reset_there_is_nothing():
    env = TabularEnv(chain())
    for call in (lambda: env.step(0), env.scene, env.get_state):
        with pytest.raises(ArgumentError, match="reset"):
            call()
    batch = TabularVectorEnv(chain(), 2)
    for call in (lambda: batch.step(np.zeros(2, int)), batch.get_state):
        with pytest.raises(ArgumentError, match="reset"):
            call()
    with pytest.raises(ArgumentError, match="reset_mask"):
        batch.reset(options={"reset_mask": np.array([True, False])})


def test_a_reset_without_a_seed_goes_on_with_the_stream():
    env = TabularEnv(MDP.from_moves(np.zeros((50, 1), int), [[1.0]], 0.0))
    first = [env.reset(seed=3)[0], *(env.reset()[0] for _ in range(20))]
    assert len(set(first)) > 5
    assert [env.reset(seed=3)[0], *(env.reset()[0] for _ in range(20))] == first


def test_a_limit_truncates_and_never_terminates():
    env = TabularEnv(chain(), max_episode_steps=4)
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(4)] == [(False, False)] * 3 + [(False, True)]
    env.reset()
    assert [env.step(1)[2:4] for _ in range(4)][-1] == (True, True)  # as Gymnasium's TimeLimit has it


def test_the_limit_counts_from_the_state_that_was_set():
    env = TabularEnv(chain(), max_episode_steps=4)
    env.reset(seed=0)
    env.set_state({**env.get_state(), "elapsed": np.array(3)})
    assert env.step(0)[3]


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, "ten"])
def test_a_wrong_limit_is_named(limit):
    with pytest.raises(ArgumentError, match="max_episode_steps"):
        TabularEnv(chain(), max_episode_steps=limit)


@pytest.mark.parametrize("size", [0, -3, 1.5, True, 2])
def test_a_wrong_view_size_is_named(size):
    with pytest.raises(ArgumentError, match="view_size"):
        TabularEnv(chain(), observation="egocentric", view_size=size)


def test_a_layout_of_another_world_is_refused():
    with pytest.raises(ArgumentError, match="places 4 states"):
        TabularEnv(chain(5), layout=Layout.of_mdp(chain(4)))


def test_observations_of_wrong_states_are_refused():
    env = TabularEnv(chain())
    for wrong in ([5], [-1], [0.0], [[0, 1]], 3, ["a"]):
        with pytest.raises(ArgumentError, match="states"):
            env.observations(wrong)
    assert env.observations([]).shape == (0,)


def test_without_a_picture_states_stand_in_a_grid():
    layout = Layout.of_mdp(chain(5))
    assert layout.cells.tolist() == [
        [Cell.START, Cell.FLOOR, Cell.FLOOR],
        [Cell.FLOOR, Cell.PIT, Cell.WALL],  # not declared a success, so not drawn as one
    ]
    assert layout.coords(np.array([4])).tolist() == [[1, 1]]
    labelled = MDP.from_moves(np.zeros((6, 1), int), [[1.0]], 0.0, state_labels=(1, 2, 3))
    assert Layout.of_mdp(labelled).coords(np.array([5])).tolist() == [[0, 1, 2]]


def test_what_an_observation_holds():
    env = gym.make("rltk/RussellNorvig4x3-v0").unwrapped  # ...G / .#.H / S...
    symbolic, near, coords, onehot = (
        gym.make("rltk/RussellNorvig4x3-v0", observation=mode, view_size=3).unwrapped.observations([7])[0]
        for mode in ("symbolic", "egocentric", "coords", "onehot")
    )
    assert symbolic[..., 0].tolist() == [
        [Cell.FLOOR, Cell.FLOOR, Cell.FLOOR, Cell.GOAL],
        [Cell.FLOOR, Cell.WALL, Cell.FLOOR, Cell.PIT],
        [Cell.START, Cell.FLOOR, Cell.FLOOR, Cell.FLOOR],
    ]
    assert np.argwhere(symbolic[..., 1]).tolist() == [[2, 0]]
    wall, floor = Cell.WALL, Cell.FLOOR
    assert near[..., 0].tolist() == [[wall, floor, wall], [wall, Cell.START, floor], [wall, wall, wall]]
    assert np.argwhere(near[..., 1]).tolist() == [[1, 1]]
    assert coords.tolist() == [2, 0]
    assert np.flatnonzero(onehot).tolist() == [7]
    assert env.mdp().label(7) == (2, 0)


def test_the_taxis_observation_tells_who_is_where():
    env = gym.make("rltk/Taxi-v0", observation="symbolic").unwrapped
    agent, passenger, destination, aboard = 1, 2, 4, 8
    waiting, riding = env.observations([((0 * 5 + 0) * 5 + 0) * 4 + 1, ((0 * 5 + 0) * 5 + 4) * 4 + 1])
    assert waiting[0, 0, 1] == agent | passenger
    assert riding[0, 0, 1] == agent | aboard
    assert waiting[0, 4, 1] == destination
    assert waiting[0, 1, 2] == 2  # a wall on its right
    assert waiting[0, 2, 2] == 8  # and on this one's left


def test_an_egocentric_view_of_the_taxi_is_a_window_of_the_whole():
    whole = gym.make("rltk/Taxi-v0", observation="symbolic").unwrapped
    window = gym.make("rltk/Taxi-v0", observation="egocentric", view_size=5).unwrapped
    states = np.arange(500)
    for state, seen in zip(states, window.observations(states), strict=True):
        row, column = whole.layout.position(np.array([state]))[0]
        padded = np.pad(whole.observations([state])[0], ((2, 2), (2, 2), (0, 0)))
        padded[..., 0][np.pad(np.zeros((5, 5), bool), 2, constant_values=True)] = Cell.WALL
        assert np.array_equal(seen, padded[row : row + 5, column : column + 5])


def test_a_table_and_no_table_give_the_same(monkeypatch):
    layout = gym.make("rltk/Taxi-v0").unwrapped.layout
    states = np.random.default_rng(0).integers(500, size=40)
    for mode in ("onehot", "coords", "symbolic", "egocentric", "rgb"):
        kept = Observations(layout, mode).of(states)
        monkeypatch.setattr("rltk.envs.tabular.observations.TABLE_LIMIT", 0)
        computed = Observations(layout, mode)
        assert np.array_equal(computed.of(states), kept)
        assert np.array_equal(computed.one(int(states[0])), kept[0])
        assert computed.of([]).shape == (0, *kept.shape[1:])
        monkeypatch.undo()


def test_an_absurd_observation_is_refused_with_its_size():
    with pytest.raises(SizeError, match=r"\(8000, 8000, 3\), 183 MiB"):
        gym.make("rltk/GridWorld-v0", map=("." * 999 + "S\n") + ("." * 1000 + "\n") * 999, observation="rgb")


def test_unknown_modes_are_listed():
    with pytest.raises(UnknownNameError, match="index, onehot, coords, symbolic, egocentric, rgb"):
        TabularVectorEnv(chain(), 2, observation="text")


@pytest.mark.parametrize("kind", [TabularEnv, TabularVectorEnv])
def test_what_is_no_mdp_is_refused(kind):
    for wrong in ("x", 3, None):
        with pytest.raises(ArgumentError, match=r"mdp: an rltk\.MDP.*found"):
            kind(wrong)


def test_unknown_options_come_with_those_there_are():
    with pytest.raises(ArgumentError, match=r"TaxiEnv has no option 'slip'; its options are observation, view_size"):
        TaxiEnv(slip=0.1)
    with pytest.raises(ArgumentError, match=r"no option 'a', 'b'; its options are map, slip, max_episode_steps"):
        GridWorldEnv(a=1, b=2)
    with pytest.raises(ArgumentError, match=r"no option 'seed'; its options are mdp, num_envs, layout"):
        TabularVectorEnv(chain(), seed=1)


@pytest.mark.parametrize(
    ("rows", "columns", "cell"), [(4, 4, 9), (3, 4, 12), (1, 7, 36), (5, 5, 8), (8, 8, 8), (2, 9, 18)]
)
def test_pictures_are_large_enough_for_sb3s_cnn(rows, columns, cell):
    """CnnPolicy wants 36 pixels a side, or more."""
    text = "\n".join(["S" + "." * (columns - 2) + "G"] + ["." * columns] * (rows - 1)) + "\n"
    env = GridWorldEnv(text, observation="rgb")
    assert env.observation_space.shape == (cell * rows, cell * columns, 3)
    assert min(env.observation_space.shape[:2]) >= 36
    assert env.reset(seed=0)[0].shape == env.observation_space.shape


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"autoreset_mode": "sometimes"}, "autoreset_mode"),
        ({"render_mode": "human"}, "render_mode"),
    ],
)
def test_wrong_options_of_a_batch_are_named(options, what):
    with pytest.raises(ArgumentError, match=what):
        TabularVectorEnv(chain(), **options)


@pytest.mark.parametrize("actions", [[0], [0, 5], [0, -1], [0.0, 1.0], [[0, 1]], "no", None])
def test_wrong_actions_of_a_batch_change_nothing(actions):
    batch = TabularVectorEnv(chain(), 2)
    batch.reset(seed=0)
    before = batch.get_state()
    with pytest.raises(ArgumentError, match="action"):
        batch.step(actions)
    assert all(np.array_equal(before[key], value) for key, value in batch.get_state().items())


@pytest.mark.parametrize(
    "mask", [np.zeros(2, bool), np.ones(3, bool), np.ones(2), [True, True]], ids=["none", "shape", "dtype", "list"]
)
def test_a_wrong_reset_mask_is_named(mask):
    batch = TabularVectorEnv(chain(), 2)
    batch.reset(seed=0)
    with pytest.raises(ArgumentError, match="reset_mask"):
        batch.reset(options={"reset_mask": mask})


def test_seeds_of_a_batch_are_as_many_as_it():
    with pytest.raises(ArgumentError, match="one for each of 2"):
        TabularVectorEnv(chain(), 2).reset(seed=[1, 2, 3])


def test_an_ended_episode_with_autoreset_disabled_wants_a_reset():
    batch = TabularVectorEnv(chain(2), 2, autoreset_mode="Disabled")
    batch.reset(seed=0)
    batch.step(np.array([1, 0]))
    with pytest.raises(ArgumentError, match="environment 0 has ended"):
        batch.step(np.array([0, 0]))


def test_without_copies_the_buffers_are_reused():
    batch = TabularVectorEnv(chain(), 2, copy=False)
    batch.reset(seed=0)
    first, second = batch.step(np.array([1, 1])), batch.step(np.array([1, 0]))
    assert np.shares_memory(first[0], second[0])
    assert np.shares_memory(first[1], second[1])
    assert second[0].tolist() == [2, 0]


@pytest.mark.parametrize("autoreset", ["NextStep", "SameStep"])
def test_with_and_without_copies_it_says_the_same(autoreset):
    options = {"num_envs": 5, "autoreset_mode": autoreset, "max_episode_steps": 6}
    copies, buffers = (TabularVectorEnv(chain(3), copy=copy, **options) for copy in (True, False))
    copies.reset(seed=0), buffers.reset(seed=0)
    for actions in np.random.default_rng(0).integers(2, size=(60, 5)):
        for one, other in zip(copies.step(actions)[:4], buffers.step(actions)[:4], strict=True):
            assert np.array_equal(one, other)


def test_a_batch_renders_a_frame_each():
    batch = gym.make_vec("rltk/FourRooms-v0", num_envs=2, render_mode="rgb_array")
    batch.reset(seed=0)
    frames = batch.render()
    assert len(frames) == 2
    assert frames[0].shape == frames[1].shape
    plain = TabularVectorEnv(chain(), 2)
    plain.reset(seed=0)
    with pytest.warns(UserWarning, match="render"):
        assert plain.render() is None


def test_a_window_shows_every_step(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make("rltk/FrozenLake-v0", render_mode="human")
    env.reset(seed=0)
    assert env.render() is None
    assert env.unwrapped._window.is_open
    env.step(0)
    env.close()
    env.close()
    assert env.unwrapped._window is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a desktop can't be taken away by the environment")
def test_a_window_that_cant_be_opened_says_so(monkeypatch):
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DisplayError, match="rgb_array"):
        gym.make("rltk/FrozenLake-v0", render_mode="human").reset(seed=0)
