"""The textbooks' grid worlds: the rules by plain search, beside what the books say of them."""

import copy

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.drawing import Cell
from rltk.envs import ChangingMazeEnv, WindyGridworldEnv
from rltk.envs.gridworld import load_map
from rltk.errors import ArgumentError

FOUR = [(-1, 0), (0, 1), (1, 0), (0, -1)]
KINGS = [*FOUR, (-1, 1), (1, 1), (1, -1), (-1, -1)]
NINE = [*KINGS, (0, 0)]
WIND = [0, 0, 0, 1, 1, 1, 2, 2, 1, 0]


def model(name, **options):
    return gym.make(f"rltk/{name}-v0", **options).unwrapped.mdp()


def breadth_first(start, goal, neighbours):
    """Steps of the shortest way from `start` to `goal`."""
    distance, queue = {start: 0}, [start]
    for place in queue:
        for other in neighbours(place):
            if other not in distance:
                distance[other] = distance[place] + 1
                queue.append(other)
    return distance[goal]


# Windy gridworld


def blown(place, move, extra=0):
    """The book's rule, for one cell and one move."""
    row, column = place[0] + move[0], place[1] + move[1]
    if not (0 <= row < 7 and 0 <= column < 10):
        row, column = place
    wind = WIND[place[1]]
    return max(0, row - (wind + extra if wind else 0)), column


@pytest.mark.parametrize(("options", "moves", "steps"), [({}, FOUR, 15), ({"moves": "kings"}, KINGS, 7)])
def test_the_wind_lengthens_the_way(options, moves, steps):
    """Sutton and Barto (2018), Example 6.5: the optimal policy takes 15 steps; with king's moves it takes 7."""
    mdp = model("WindyGridworld", **options)
    value = rltk.solve(mdp, gamma=1.0).value
    assert mdp.over_start(value) == pytest.approx(-steps)
    assert breadth_first((3, 0), (3, 7), lambda place: [blown(place, move) for move in moves]) == steps


def test_staying_does_not_help():
    """Sutton and Barto (2018), Exercise 6.9 asks whether a ninth action, moved by the wind alone, does any better."""
    mdp = model("WindyGridworld", moves="kings and stay")
    assert mdp.action_label(8) == "stay"
    assert mdp.over_start(rltk.solve(mdp, gamma=1.0).value) == pytest.approx(-7)


@pytest.mark.parametrize("name", ["four", "kings", "kings and stay"])
@pytest.mark.parametrize("stochastic", [False, True])
def test_every_row_is_the_rule(name, stochastic):
    """Sutton and Barto (2018), Example 6.5 and Exercise 6.10, cell by cell; one cell right of the goal, left leads to
    the cell above the goal."""
    mdp = model("WindyGridworld", moves=name, stochastic=stochastic)
    moves = {"four": FOUR, "kings": KINGS, "kings and stay": NINE}[name]
    assert mdp.n_actions == len(moves)
    for s in range(mdp.n_states):
        place = mdp.label(s)
        if place == (3, 7):
            continue
        for a, move in enumerate(moves):
            chances = {}
            for extra in (-1, 0, 1) if stochastic else (0,):
                after = blown(place, move, extra)
                chances[after] = chances.get(after, 0) + (1 / 3 if stochastic else 1)
            row = slice(*mdp.row_start[s * len(moves) + a : s * len(moves) + a + 2])
            found = dict(zip(map(mdp.label, mdp.next_state[row]), mdp.probability[row], strict=True))
            assert found == pytest.approx(chances)
            assert (mdp.reward[row] == -1).all()
            assert [mdp.label(t) == (3, 7) for t in mdp.next_state[row]] == mdp.terminated[row].tolist()
    assert blown((3, 8), (0, -1)) == (2, 7)


def test_other_moves_are_refused():
    with pytest.raises(rltk.errors.UnknownNameError, match="'four', 'kings', 'kings and stay'"):
        WindyGridworldEnv(moves="queens")


def test_the_windy_ids_are_the_books_three():
    assert [model(f"WindyGridworld{name}").n_actions for name in ("", "Kings", "Stochastic")] == [4, 8, 8]
    assert np.diff(model("WindyGridworldStochastic").row_start).max() == 3


# Dyna maze


def shortest(lines):
    """Steps of the shortest way from S to G on a map's lines."""
    places = {(r, c): kind for r, line in enumerate(lines) for c, kind in enumerate(line) if kind != "#"}
    find = {kind: place for place, kind in places.items()}

    def neighbours(place):
        return [to for to in ((place[0] + r, place[1] + c) for r, c in FOUR) if to in places]

    return breadth_first(find["S"], find["G"], neighbours)


def test_the_dyna_maze_takes_14_steps():
    """Sutton and Barto (2018), Example 8.1: 47 states, gamma 0.95, reward 1 at the goal, optimal in 14 steps."""
    mdp = model("DynaMaze")
    assert mdp.report().reachable == 47
    assert mdp.over_start(rltk.solve(mdp, gamma=0.95, tolerance=1e-9).value) == pytest.approx(0.95**13)
    assert shortest(load_map("dyna_maze").lines()) == 14


# Mazes that change

MAZES = [("BlockingMaze", 1000, 10, 16), ("ShortcutMaze", 3000, 16, 10)]
every_maze = pytest.mark.parametrize(("name", "change", "before", "after"), MAZES)


def steps_of(mdp):
    """The length of the shortest way, by solving."""
    value = mdp.over_start(rltk.solve(mdp, gamma=0.95, tolerance=1e-10).value)
    return 1 + np.log(value) / np.log(0.95)


def walk(env, count, seed=0):
    """`count` random steps, with a reset at each end; returns what was seen."""
    random, seen = np.random.default_rng(seed), []
    for _ in range(count):
        observation, *rest = env.step(int(random.integers(4)))
        seen.append((np.array(observation).tolist(), *rest))
        if rest[1] or rest[2]:
            env.reset()
    return seen


@every_maze
def test_the_world_changes_after_so_many_steps(name, change, before, after):
    """Sutton and Barto (2018), Examples 8.2 and 8.3: after 1,000 steps the short way is blocked and a longer one opens;
    after 3,000 a shorter one opens. Lengths by breadth-first search on the maps; the clock counts through resets."""
    env = gym.make(f"rltk/{name}-v0").unwrapped
    env.reset(seed=0)
    assert steps_of(env.mdp()) == pytest.approx(before)
    walk(env, change - 1)
    assert steps_of(env.mdp()) == pytest.approx(before)
    walk(env, 1)
    assert steps_of(env.mdp()) == pytest.approx(after)
    walk(env, 4000)
    assert steps_of(env.mdp()) == pytest.approx(after)
    stem = {"BlockingMaze": "blocking", "ShortcutMaze": "shortcut"}[name]
    assert [shortest(load_map(f"{stem}_maze_{i}").lines()) for i in (1, 2)] == [before, after]


def test_step_samples_the_current_world():
    """Before and after each of three changes, every pair of state and action leads to what `mdp()` says."""
    maps = ["S.#G\n....\n", "S.#G\n#...\n", "S#.G\n....\n", "#S.G\n....\n"]
    env = ChangingMazeEnv(maps=maps, changes=(1, 2, 3))
    env.reset(seed=0)
    models = []
    for total in range(5):
        assert env.get_state()["total"] == total
        mdp = env.mdp()
        models.append(mdp)
        start = env.get_state()
        for s in range(mdp.n_states):
            for a in range(4):
                env.set_state({**start, "state": np.array(s)})
                _, reward, terminated, _, info = env.step(a)
                row = mdp.row_start[4 * s + a]
                assert (info["state"], reward, terminated) == (
                    mdp.next_state[row],
                    mdp.reward[row],
                    mdp.terminated[row],
                )
        env.set_state(start)
        walk(env, 1)
    assert len({id(mdp) for mdp in models}) == 4
    assert models[3] is models[4]
    assert {mdp.n_states for mdp in models} == {8}


def test_whoever_stands_where_a_wall_comes_can_leave_it():
    env = ChangingMazeEnv(maps=["S.G\n...\n", "S#G\n...\n"], changes=(1,))
    env.reset(seed=0)
    observation, *_ = env.step(1)
    assert env.mdp().label(observation) == (0, 1)
    assert env.scene().cells[0, 1] == Cell.WALL
    observation, *_ = env.step(2)
    assert env.mdp().label(observation) == (1, 1)
    assert env.step(0)[0] == observation  # and nobody comes back


def test_a_seed_begins_the_clock_anew():
    """The same seed is the same experience, changes included; a plain reset changes nothing about the world."""
    env = ChangingMazeEnv(changes=(300,), observation="symbolic")
    env.reset(seed=5)
    first = walk(env, 700)
    env.reset()
    assert steps_of(env.mdp()) == pytest.approx(16)
    env.reset(seed=5)
    assert steps_of(env.mdp()) == pytest.approx(10)
    assert walk(env, 700) == first


def test_what_is_observed_is_the_world_that_the_next_action_meets():
    env = ChangingMazeEnv(changes=(3,), observation="symbolic")
    seen = [env.reset(seed=0)[0]] + [env.step(2)[0] for _ in range(4)]
    walls = [np.flatnonzero(observation[3, :, 0] == Cell.WALL).tolist() for observation in seen]
    assert walls == [list(range(8))] * 3 + [list(range(1, 9))] * 2
    assert np.array_equal(env.observations([env.get_state()["state"]])[0], seen[-1])


def test_a_state_brings_its_world_along():
    env = ChangingMazeEnv(changes=(300,))
    env.reset(seed=1)
    walk(env, 290)
    state = env.get_state()
    twin = copy.deepcopy(env)
    first = walk(env, 50)
    assert twin.get_state()["total"] == 290
    assert walk(twin, 50) == first
    assert twin.mdp() is env.mdp()
    env.set_state(state, restore_rng=True)
    assert steps_of(env.mdp()) == pytest.approx(10)
    assert walk(env, 50) == first
    for wrong in (-1, 0.5, [1]):
        with pytest.raises(ArgumentError, match="total"):
            env.set_state({**state, "total": np.array(wrong)})
    with pytest.raises(ArgumentError, match="total"):
        env.set_state({key: value for key, value in state.items() if key != "total"})
    assert env.get_state()["total"] == 340


@pytest.mark.parametrize("autoreset", ["SameStep", "NextStep"])
def test_a_batch_lives_in_one_world(autoreset):
    """Its clock counts calls of `step`; with resets in the same step, each player is its single environment."""
    options = {"changes": (40,), "max_episode_steps": 15, "observation": "symbolic"}
    batch = gym.make_vec("rltk/BlockingMaze-v0", num_envs=3, autoreset_mode=autoreset, **options)
    singles = [ChangingMazeEnv(**options) for _ in range(3)]
    found, _ = batch.reset(seed=7)
    expected = [env.reset(seed=7 + i)[0] for i, env in enumerate(singles)]
    random = np.random.default_rng(0)
    for step in range(90):
        if autoreset == "SameStep":
            assert np.array_equal(found, expected)
        assert steps_of(batch.mdp()) == pytest.approx(10 if step < 40 else 16)
        assert batch.get_state()["total"] == step
        actions = random.integers(4, size=3)
        found, *_ = batch.step(actions)
        for i, env in enumerate(singles):
            expected[i], _, terminated, truncated, _ = env.step(int(actions[i]))
            if terminated or truncated:
                expected[i], _ = env.reset()
    state = batch.get_state()
    batch.reset(seed=3)
    assert batch.get_state()["total"] == 0
    assert steps_of(batch.mdp()) == pytest.approx(10)
    batch.set_state(state)
    assert steps_of(batch.mdp()) == pytest.approx(16)


def test_a_learner_calls_step_and_resumes_where_it_was(tmp_path):
    """Compiled loops hold one MDP's arrays, so they don't run here; a saved learner goes on in the right world."""
    env = gym.make("rltk/BlockingMaze-v0", changes=(500,))
    assert env.metadata["draw_law"] is False
    with pytest.raises(ArgumentError, match="draw law"):
        rltk.agents.QLearning(env, backend="compiled")
    whole = rltk.agents.QLearning(env, seed=0).learn(900)
    assert whole.backend == "gymnasium"
    half = rltk.agents.QLearning(gym.make("rltk/BlockingMaze-v0", changes=(500,)), seed=0).learn(600)
    half.save(tmp_path / "half")
    fresh = gym.make("rltk/BlockingMaze-v0", changes=(500,))
    resumed = rltk.agents.QLearning.load(tmp_path / "half", fresh).learn(300)
    assert fresh.unwrapped.get_state()["total"] == 900
    assert resumed.q.tobytes() == whole.q.tobytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"changes": ()}, "changes: 1 rising"),
        ({"changes": (0,)}, "changes: 1 rising"),
        ({"changes": (2.5,)}, "changes: 1 rising"),
        ({"maps": ["S.G\n"] * 3, "changes": (20, 10)}, "changes: 2 rising"),
        ({"maps": ["S.G\n", "S..G\n"]}, "maps: all of one size"),
        ({"maps": ["S.G\n", 'S.G\n---\nactions = ["up", "down"]\n']}, "4 actions"),
        ({"maps": "S.G\n"}, "maps: a sequence"),
    ],
)
def test_worlds_that_do_not_go_together_are_refused(options, words):
    with pytest.raises(ArgumentError, match=words):
        ChangingMazeEnv(**options)
