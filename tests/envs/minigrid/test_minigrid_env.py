"""The single environment's own promises: attributes, spaces, states, options, errors."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from minigrid.core.world_object import Ball, Box, Door, Goal, Key, Lava, Wall
from minigrid_reference import FIRST_IDS, IDS, Errands, assert_same_level, twins
from numpy.random import default_rng

from rltk.envs.minigrid import MiniGridEnv, cells
from rltk.envs.minigrid.board import find_free, place_agent_anywhere, set_agent
from rltk.envs.minigrid.family import Setting, configure, family_of
from rltk.envs.minigrid.ids import FAMILIES
from rltk.envs.minigrid.level import NO_ROOM, Level, clear
from rltk.envs.minigrid.things import thing_of
from rltk.errors import ArgumentError, LevelError, SizeError, UnknownNameError
from rltk.mdp import stream_of

every_id = pytest.mark.parametrize("name", IDS)
every_family = pytest.mark.parametrize("name", FIRST_IDS)
DOOR_KEY = "rltk/MiniGrid-DoorKey-5x5-v0"


def make(name, **options):
    return gym.make(name, **options).unwrapped


@every_id
def test_spaces_are_minigrids(name):
    """Shapes, types and bounds; every mission of one is a mission of the other."""
    theirs, mine = twins(name)
    assert mine.action_space == theirs.action_space
    assert mine.observation_space["image"] == theirs.observation_space["image"]
    assert mine.observation_space["direction"] == theirs.observation_space["direction"]
    sentences = mine.observation_space["mission"]
    assert all(text in theirs.observation_space["mission"] for text in sentences.texts)
    assert all(theirs.observation_space["mission"].sample() in sentences for _ in range(20))
    assert sentences.sample() in sentences
    assert "fly to the moon" not in sentences
    assert copy.deepcopy(sentences) == sentences


@every_id
def test_gymnasium_checker(name):
    """Gymnasium's own checks, with all their warnings as errors."""
    check_env(make(f"rltk/{name}"), skip_render_check=True)


@every_family
def test_what_minigrids_users_touch(name):
    """The attributes agree with minigrid's all along an episode."""
    theirs, mine = twins(name)
    theirs.reset(seed=4)
    mine.reset(seed=4)
    policy = Errands(0)
    for _ in range(60):
        assert_same_level(mine, theirs)
        for attribute in ("agent_view_size", "width", "height", "step_count", "steps_remaining", "see_through_walls"):
            assert getattr(mine, attribute) == getattr(theirs, attribute), attribute
        for attribute in ("dir_vec", "right_vec"):
            assert np.array_equal(getattr(mine, attribute), getattr(theirs, attribute))
        assert tuple(mine.front_pos) == tuple(theirs.agent_pos + theirs.dir_vec)
        for x in range(mine.width):
            for y in range(mine.height):
                here, there = mine.grid.get(x, y), theirs.grid.get(x, y)
                assert (here is None) == (there is None)
                if here is not None:
                    for attribute in ("type", "color"):
                        assert getattr(here, attribute) == getattr(there, attribute)
                    for question in ("can_overlap", "can_pickup", "see_behind", "encode"):
                        assert getattr(here, question)() == getattr(there, question)()
                    assert here.is_open == getattr(there, "is_open", False)
                    assert here.is_locked == getattr(there, "is_locked", False)
        action = policy(mine)
        _, _, terminated, truncated, _ = mine.step(mine.actions(action))
        theirs.step(action)
        if terminated or truncated:
            break


def test_things_can_be_set_down():
    """By rltk's own things and by minigrid's objects; the next view shows them."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    for thing in (Wall(), Door("red"), Door("blue", is_locked=True), Key("grey"), Ball("green"), Box("red"), Goal()):
        env.grid.set(1, 1, thing)
        assert env.grid.get(1, 1).encode() == tuple(thing.encode())
    env.grid.set(1, 1, Lava())
    assert env.grid.get(1, 1) == thing_of(cells.LAVA)
    env.grid.set(1, 1, Box("red", contains=Key("blue")))
    assert env.grid.get(1, 1).contains == thing_of(cells.KEY + cells.BLUE)
    env.grid.set(1, 1, None)
    assert env.grid.get(1, 1) is None
    env.agent_pos, env.agent_dir, env.carrying = (2, 1), 3, Key("red")
    assert (env.agent_pos, env.agent_dir, env.carrying) == ((2, 1), 3, thing_of(cells.KEY + cells.RED))
    env.carrying = None
    assert env.carrying is None
    env.max_steps = 7
    assert env.max_steps == 7
    env.reset()
    assert env.max_steps == 7
    for wrong in (lambda: env.grid.get(5, 0), lambda: env.grid.set(0, 0, 3), lambda: env.grid.set(-1, 0, None)):
        with pytest.raises(ArgumentError):
            wrong()
    for attribute, value in (("agent_pos", (9, 9)), ("agent_dir", 4), ("carrying", Wall()), ("max_steps", 0)):
        with pytest.raises(ArgumentError):
            setattr(env, attribute, value)


def test_every_code_is_one_thing():
    """Codes and things name each other; the triples are those of minigrid's objects."""
    seen = set()
    for code in range(2, cells.N_CODES):
        thing = thing_of(code)
        contains = cells.UNSEEN if thing.contains is None else thing.contains.code
        state = cells.TRIPLES[code, 2]
        assert cells.code_of(thing.type, thing.color, state, contains) == code
        seen.add(repr(thing))
    assert len(seen) == cells.N_CODES - 2
    with pytest.raises(ArgumentError, match="no thing"):
        cells.code_of("dragon", "red")
    with pytest.raises(ArgumentError, match="colour"):
        cells.code_of("key", "pink")
    with pytest.raises(ArgumentError, match="state"):
        cells.code_of("door", "red", 3)
    with pytest.raises(ArgumentError, match="holds"):
        cells.code_of("box", "red", contains=cells.LAVA)


# States


def episode(env, actions):
    """Every value that `step` returns, resetting where an episode ends."""
    out = []
    for action in actions:
        observation, *rest, _ = env.step(action)
        out.append((observation["image"].tolist(), observation["direction"], observation["mission"], rest))
        if rest[1] or rest[2]:
            out.append(env.reset()[0]["image"].tolist())
    return out


@every_family
def test_set_state_replays_exactly(name):
    """With the stream, to the bit; without it, the stream goes on as it is."""
    env = make(f"rltk/{name}", max_steps=30)
    env.reset(seed=3)
    actions = np.random.default_rng(0).integers(env.action_space.n, size=90).tolist()
    episode(env, actions[:10])
    state = env.get_state()
    first = episode(env, actions)
    before = env.get_state()["stream"]
    env.set_state(state)
    assert np.array_equal(env.get_state()["stream"], before)
    assert all(np.array_equal(env.get_state()[key], state[key]) for key in ("grid", "body", "memory"))
    env.set_state(state, restore_rng=True)
    assert episode(env, actions) == first
    other = make(f"rltk/{name}", max_steps=30)
    other.set_state(state, restore_rng=True)
    assert episode(other, actions) == first


@every_family
def test_copies_live_their_own_lives(name):
    """A deep copy and a pickled one go on alike, and apart."""
    env = make(f"rltk/{name}", max_steps=30)
    env.reset(seed=5)
    actions = np.random.default_rng(1).integers(env.action_space.n, size=60).tolist()
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        expected = episode(copy.deepcopy(env), actions)
        assert episode(twin, actions) == expected
        twin.grid.set(1, 1, Lava())
        assert twin.grid.get(1, 1) == thing_of(cells.LAVA)
        assert twin.get_state()["grid"][1, 1] == cells.LAVA


@pytest.mark.parametrize(
    ("entry", "place", "value"),
    [
        ("grid", (0, 0), 0),
        ("grid", (0, 0), cells.N_CODES),
        ("body", 0, -1),
        ("body", 0, 5),
        ("body", 1, 5),
        ("body", 2, 4),
        ("body", 3, cells.WALL),
        ("body", 3, 400),
        ("body", 4, -1),
        ("body", 5, 0),
        ("body", 6, 1),
        ("body", 8, 77),
        ("stream", 4, 7),
    ],
)
def test_set_state_refuses_rubbish(entry, place, value):
    """Nothing that could lead a kernel out of its arrays; and nothing is changed."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    before = env.get_state()
    wrong = env.get_state()
    wrong[entry] = wrong[entry].astype(np.int64)
    wrong[entry][place] = value
    with pytest.raises(ArgumentError):
        env.set_state(wrong)
    for other in (None, {}, {**before, "more": 1}, {**before, "grid": before["grid"][1:]}):
        with pytest.raises(ArgumentError):
            env.set_state(other)
    assert all(np.array_equal(before[key], env.get_state()[key]) for key in before)


# Errors


@pytest.mark.parametrize("action", [-1, 7, 99, 1.0, "up", None, np.array([0, 1])])
def test_a_wrong_action_is_named(action):
    """And the episode goes on as if it had not been asked for."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    with pytest.raises(ArgumentError, match="action: an integer from 0 to 6"):
        env.step(action)
    assert env.step_count == 0


def test_before_the_first_reset():
    """There is no level yet."""
    env = make(DOOR_KEY)
    for early in (lambda: env.step(0), env.get_state):
        with pytest.raises(ArgumentError, match="reset"):
            early()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "size"),
        ({"size": 5.5}, "size"),
        ({"sise": 5}, "no option 'sise'; its options are size, max_steps"),
        ({"agent_view_size": 4}, "agent_view_size"),
        ({"agent_view_size": 1}, "agent_view_size"),
        ({"agent_view_size": 63}, "agent_view_size"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": 2.5}, "max_steps"),
        ({"see_through_walls": 2}, "see_through_walls"),
        ({"mission": "song"}, "mission is one of"),
        ({"tile_size": 0}, "tile_size"),
        ({"highlight": 1}, "highlight"),
    ],
)
def test_bad_options_are_named(options, message):
    """By the option's name, with what was expected."""
    for maker in (gym.make, gym.make_vec):
        with pytest.raises(ArgumentError, match=message):
            maker(DOOR_KEY, **options)


def test_more_bad_options():
    """A family that fixes its walls, places outside, boards too large, unknown families."""
    empty = "rltk/MiniGrid-Empty-5x5-v0"
    for options in (
        {"see_through_walls": True},
        {"agent_start_pos": (0, 1)},
        {"agent_start_pos": (4, 1)},
        {"agent_start_pos": 3},
        {"agent_start_dir": 4},
        {"size": 3, "agent_start_pos": None},
    ):
        with pytest.raises(ArgumentError):
            gym.make(empty, **options)
    with pytest.raises(SizeError):
        gym.make(empty, size=5000)
    with pytest.raises(UnknownNameError, match="DoorKey"):
        family_of("Dragons")
    with pytest.raises(ArgumentError, match="render_mode"):
        MiniGridEnv("Empty", render_mode="ansi")


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("Crossing", {"size": 8}, "odd"),
        ("Crossing", {"num_crossings": -1}, "num_crossings"),
        ("Crossing", {"obstacle_type": "water"}, "lava, wall"),
        ("FourRooms", {"agent_pos": (0, 0)}, "agent_pos"),
        ("FourRooms", {"goal_pos": (18, 5)}, "goal_pos"),
        ("MultiRoom", {}, "needs the option minNumRooms, maxNumRooms"),
        ("MultiRoom", {"minNumRooms": 3, "maxNumRooms": 2}, "maxNumRooms"),
        ("MultiRoom", {"minNumRooms": 1, "maxNumRooms": 2, "maxRoomSize": 3}, "maxRoomSize"),
        ("DistShift", {"strip2_row": 7}, "strip2_row: a row of the board, from 0 to 6"),
        ("DistShift", {"width": 3}, "width"),
        ("LavaGap", {}, "needs the option size"),
        ("LavaGap", {"size": 6, "obstacle_type": Door}, "lava, wall"),
        ("DynamicObstacles", {"n_obstacles": -1}, "n_obstacles"),
        ("DynamicObstacles", {"agent_start_pos": (0, 0)}, "agent_start_pos"),
        ("Fetch", {"numObjs": 0}, "numObjs"),
        ("GoToDoor", {"size": 4}, "size"),
        ("GoToObject", {"numObjs": 19}, "numObjs: at most 18"),
        ("PutNear", {"numObjs": 1}, "numObjs"),
        ("RedBlueDoors", {"size": 2}, "size"),
        ("Memory", {}, "needs the option size"),
        ("Memory", {"size": 8}, "odd"),
        ("Memory", {"size": 5, "random_length": True}, "size"),
        ("Memory", {"size": 7, "random_length": 1}, "random_length"),
        ("LockedRoom", {"size": 11}, "size"),
        ("Playground", {"size": 19}, "no option 'size'"),
        ("KeyCorridor", {"obj_type": "goal"}, "key, ball, box"),
        ("KeyCorridor", {"room_size": 2}, "room_size"),
        ("KeyCorridor", {"see_through_walls": True}, "see_through_walls"),
        ("ObstructedMazeFull", {"agent_room": (3, 0)}, "agent_room"),
        ("ObstructedMazeFull", {"agent_room": 4}, "agent_room"),
        ("ObstructedMazeFullV1", {"num_quarters": 5}, "num_quarters"),
        ("ObstructedMaze1Dlhb", {"blocked": "yes"}, "blocked"),
    ],
)
def test_bad_options_of_a_family_are_named(family, options, message):
    """Each family's own."""
    with pytest.raises(ArgumentError, match=message):
        MiniGridEnv(family, **options)


def test_a_level_that_cannot_be_is_an_error(monkeypatch):
    """minigrid tries for ever where no cell is free, or raises a RecursionError; rltk raises its own kind of it."""
    single, batch = make(DOOR_KEY), gym.make_vec(DOOR_KEY, num_envs=3)
    batch.reset(seed=0)
    monkeypatch.setattr(Setting, "generator", lambda self: lambda *arguments: (NO_ROOM, 2))
    with pytest.raises(LevelError, match="DoorKey for environment 2: no free cell"):
        batch.reset(seed=0)
    with pytest.raises(RecursionError):
        single.reset(seed=0)


def test_rooms_that_do_not_fit_are_given_up():
    """minigrid would draw chains of rooms for ever."""
    with pytest.raises(LevelError, match="rooms did not fit"):
        MiniGridEnv("MultiRoom", minNumRooms=9, maxNumRooms=9, width=8, height=8).reset(seed=0)


def test_a_search_for_a_free_cell_gives_up():
    """On a board full of walls, and in a region of which only the agent's cell is free."""
    levels = configure("Empty").levels(1)
    level, stream = Level(levels.grid[0], levels.body[0], levels.memory[0], levels.board), stream_of(default_rng(0))
    assert place_agent_anywhere(level, stream) == NO_ROOM
    clear(level)
    set_agent(level, 2, 3, 0)
    assert find_free(level, stream, 2, 3, 1, 1, 1000) == (-1, -1)
    assert find_free(level, stream, 1, 3, 2, 1, 1000) == (1, 3)


def test_a_picture_needs_a_mode():
    """A warning says which where none was chosen."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render mode"):
        assert env.render() is None


def test_ids_are_registered_with_minigrids_options():
    """Every id of every listed family, with the very options that minigrid registers."""
    for family, (_, ids) in FAMILIES.items():
        assert family_of(family).name == family
        for name, options in ids.items():
            theirs = gym.spec(name).kwargs
            assert {key: getattr(value, "__name__", value) for key, value in theirs.items()} == options
            assert gym.spec(f"rltk/{name}").kwargs == {"family": family, **options}
