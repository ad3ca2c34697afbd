"""Numbers from the books and papers that the worlds come from."""

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.envs import GridWorldEnv, MazeEnv


def model(name, **options):
    return gym.make(f"rltk/{name}-v0", **options).unwrapped.mdp()


def optimum(mdp, gamma, sweeps=5_000):
    """V* by plain value iteration."""
    value = np.zeros(mdp.n_states)
    for _ in range(sweeps):
        value = mdp.backup(value, gamma)
    return value


def test_russell_and_norvigs_utilities():
    """AIMA, 3rd edition, Figure 17.3: the utilities of the 4x3 world, gamma 1, R(s) = -0.04."""
    mdp = model("RussellNorvig4x3")
    value = dict(zip(map(mdp.label, range(mdp.n_states)), optimum(mdp, 1.0), strict=True))
    published = {
        **{(0, column): number for column, number in enumerate([0.812, 0.868, 0.918])},
        **{(1, 0): 0.762, (1, 2): 0.660},
        **{(2, column): number for column, number in enumerate([0.705, 0.655, 0.611, 0.388])},
    }
    assert {place: round(value[place], 3) for place in published} == published
    assert mdp.n_states == 11
    assert value[0, 3] == value[1, 3] == 0  # what is paid, is paid on entering


def test_russell_and_norvigs_policy():
    """AIMA, 3rd edition, Figure 17.2 (a): in (3, 1) it is best to go the long way round."""
    mdp = model("RussellNorvig4x3")
    best = mdp.greedy(optimum(mdp, 1.0), 1.0)
    names = [mdp.action_label(best[s]) for s in range(mdp.n_states)]
    assert names[:3] == ["right", "right", "right"]
    assert [names[4], names[5]] == ["up", "up"]
    assert names[7:] == ["up", "left", "left", "left"]


def test_sutton_and_bartos_example_3_5_under_the_random_policy():
    """Sutton and Barto (2018), Figure 3.2: the value of the equiprobable random policy, gamma 0.9."""
    mdp = model("SuttonBarto5x5")
    value = mdp.chain(mdp.uniform_policy()).value(0.9)
    assert value.reshape(5, 5).round(1).tolist() == [
        [3.3, 8.8, 4.4, 5.3, 1.5],
        [1.5, 3.0, 2.3, 1.9, 0.5],
        [0.1, 0.7, 0.7, 0.4, -0.4],
        [-1.0, -0.4, -0.4, -0.6, -1.2],
        [-1.9, -1.3, -1.2, -1.4, -2.0],
    ]


def test_sutton_and_bartos_example_3_5_at_its_best():
    """Sutton and Barto (2018), Figure 3.5: v*, gamma 0.9."""
    mdp = model("SuttonBarto5x5")
    assert optimum(mdp, 0.9).reshape(5, 5).round(1).tolist() == [
        [22.0, 24.4, 22.0, 19.4, 17.5],
        [19.8, 22.0, 19.8, 17.8, 16.0],
        [17.8, 19.8, 17.8, 16.0, 14.4],
        [16.0, 17.8, 16.0, 14.4, 13.0],
        [14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    assert not mdp.terminated.any()


def test_sutton_and_bartos_example_4_1():
    """Sutton and Barto (2018), Figure 4.1: the value of the random policy, undiscounted."""
    mdp = model("SuttonBarto4x4")
    value = mdp.chain(mdp.uniform_policy()).value(1.0)
    assert value.reshape(4, 4) == pytest.approx(
        np.array([[0, -14, -20, -22], [-14, -18, -20, -20], [-20, -20, -18, -14], [-22, -20, -14, 0]])
    )
    assert mdp.start[[0, 15]].tolist() == [0, 0]


def test_the_cliffs_best_return_is_13_steps():
    """Sutton and Barto (2018), Example 6.6: the optimal path along the edge takes 13 steps."""
    mdp = model("CliffWalking")
    assert mdp.start @ optimum(mdp, 1.0) == -13


def test_four_rooms_are_as_in_the_paper():
    """Sutton, Precup and Singh (1999), section 3: 104 states; a move succeeds with probability 2/3 and else goes in one
    of the other three directions, 1/9 each; into a wall it stays."""
    mdp = model("FourRooms")
    assert mdp.n_states == 104
    middle = next(s for s in range(104) if mdp.label(s) == (9, 3))
    up = slice(*mdp.row_start[4 * middle : 4 * middle + 2])
    chances = {mdp.label(s): p for s, p in zip(mdp.next_state[up], mdp.probability[up], strict=True)}
    assert chances == pytest.approx({(8, 3): 2 / 3, (9, 4): 1 / 9, (10, 3): 1 / 9, (9, 2): 1 / 9})
    corner = next(s for s in range(104) if mdp.label(s) == (1, 1))
    up = slice(*mdp.row_start[4 * corner : 4 * corner + 2])
    chances = {mdp.label(s): p for s, p in zip(mdp.next_state[up], mdp.probability[up], strict=True)}
    assert chances == pytest.approx({(1, 1): 2 / 3 + 1 / 9, (1, 2): 1 / 9, (2, 1): 1 / 9})
    goal = set(mdp.next_state[mdp.terminated]).pop()
    assert mdp.label(goal) == (7, 9)  # G1, between the two rooms on the right
    assert set(mdp.next_state[mdp.success]) == {goal}


# Gymnasium's own


def assert_same_rows(ours, theirs, states, atol=1e-15):
    """T, R and terminations of these states are equal, whatever the order of outcomes."""
    assert (ours.n_states, ours.n_actions) == (theirs.n_states, theirs.n_actions)
    np.testing.assert_allclose(ours.start, theirs.start, rtol=0, atol=atol)
    for s in states:
        for a in range(ours.n_actions):
            rows = []
            for mdp in (ours, theirs):
                row = slice(*mdp.row_start[s * mdp.n_actions + a : s * mdp.n_actions + a + 2])
                keys = zip(mdp.next_state[row], mdp.reward[row], mdp.terminated[row], mdp.success[row], strict=True)
                rows.append(dict(zip(keys, mdp.probability[row], strict=True)))
            assert rows[0].keys() == rows[1].keys(), (s, a)
            assert rows[0] == pytest.approx(rows[1], rel=0, abs=atol)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("FrozenLake", "FrozenLake-v1"), ("FrozenLake8x8", "FrozenLake8x8-v1"), ("Taxi", "Taxi-v4")]
)
def test_rows_are_gymnasiums(ours, theirs):
    peer = rltk.MDP.from_env(gym.make(theirs))
    assert_same_rows(model(ours), peer, range(peer.n_states))
    assert gym.spec(f"rltk/{ours}-v0").max_episode_steps == gym.spec(theirs).max_episode_steps


@pytest.mark.parametrize("slip", [0.0, 2 / 3])
def test_the_cliff_is_gymnasiums(slip):
    """In every state that can be entered and left. On the cliff itself, where nobody ever stands, Gymnasium counts
    bumping into the edge as falling once more; and the goal, which ends the episode, has moves of its own there."""
    peer = rltk.MDP.from_env(gym.make("CliffWalking-v1", is_slippery=slip > 0))
    assert_same_rows(model("CliffWalking", slip=slip), peer, range(37))
    assert model("CliffWalking").report().reachable == 38  # 37 and the goal


@pytest.mark.parametrize("slip", [0.0, 0.25])
def test_slip_is_one_less_gymnasiums_success_rate(slip):
    peer = rltk.MDP.from_env(gym.make("FrozenLake-v1", success_rate=1 - slip))
    if slip:
        assert_same_rows(model("FrozenLake", slip=slip), peer, range(16))
    else:
        dry = rltk.MDP.from_env(gym.make("FrozenLake-v1", is_slippery=False))
        assert_same_rows(model("FrozenLake", slip=0.0), dry, range(16))


def test_the_taxis_mean_optimum():
    mdp = model("Taxi")
    assert mdp.start @ optimum(mdp, 1.0, sweeps=60) == pytest.approx(7.93, abs=0.005)


# Mazes


def test_a_maze_has_one_way_between_any_two_cells():
    """A connected graph of n vertices and n - 1 edges is a tree."""
    for size in (2, 3, 10, 25):
        mdp = MazeEnv(size=size, map_seed=size).mdp()
        assert mdp.n_states == 2 * size * size - 1
        assert mdp.report().reachable == mdp.n_states
        moves = mdp.form.moves
        assert np.count_nonzero(moves != np.arange(mdp.n_states)[:, None]) == 2 * (mdp.n_states - 1)


def test_the_same_seed_is_the_same_maze():
    assert str(MazeEnv(map_seed=3).map) == str(MazeEnv(map_seed=3).map) != str(MazeEnv(map_seed=4).map)
    # The same on every machine, for ever: a published maze must not change under its seed.
    assert str(MazeEnv(size=3, map_seed=0).map).splitlines()[:7] == MAZE_3_0


MAZE_3_0 = ["#######", "#S#...#", "#.#.#.#", "#.#.#.#", "#.#.###", "#....G#", "#######"]


def test_a_maze_that_cant_fit_is_refused_before_memory_is_taken():
    with pytest.raises(rltk.errors.SizeError, match=r"40,000,400,001 cells.*GiB"):
        gym.make("rltk/Maze-v0", size=100_000)
    for wrong in ({"size": 1}, {"size": 2.5}, {"map_seed": -1}, {"size": True}, {"slip": 2}):
        with pytest.raises(rltk.errors.ArgumentError):
            gym.make("rltk/Maze-v0", **wrong)


def test_a_map_brings_its_limit_and_the_lower_counts():
    text = "S.G\n---\nmax_episode_steps = 10\n"
    assert GridWorldEnv(text).max_episode_steps == 10
    assert GridWorldEnv(text, max_episode_steps=5).max_episode_steps == 5
    assert rltk.model_of(gym.make("rltk/GridWorld-v0", map=text, max_episode_steps=20))[1] == 10
    batch = gym.make_vec("rltk/GridWorld-v0", num_envs=2, map=text, max_episode_steps=20)
    assert batch.max_episode_steps == 10
