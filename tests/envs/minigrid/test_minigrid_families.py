"""Families of one's own, in plain Python and compiled: seed for seed MiniGrid's where they are rewritten from it."""

import contextlib
import copy
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrid_reference import assert_same_level

import rltk
from rltk.envs.minigrid import Builder, Family, Layout, Missions, Plan, Random, Rooms, cells, level_family, register
from rltk.envs.minigrid.board import place_agent_anywhere, put, surround
from rltk.envs.minigrid.cells import GOAL, GREEN
from rltk.envs.minigrid.family import check_size
from rltk.envs.minigrid.level import HEIGHT, NO_ROOM, STRIDE, WIDTH
from rltk.envs.minigrid.making.template import row_of_rooms
from rltk.envs.minigrid.missions import COLOUR_WORDS
from rltk.errors import ArgumentError, LevelError, RltkError
from rltk.mdp import jit, stream_of

COLOURS = sorted(cells.COLOURS)
SEEDS = range(50)


@level_family("MyDoorKey", "use the key to open the door and then get to the goal")
def door_key(level, random, size=8):
    level.surround()
    level.put(size - 2, size - 2, "green goal")
    middle = random.integers(2, size - 2)
    level.vertical_wall(middle, 0)
    level.place_agent(0, 0, middle, size)
    level.put(middle, random.integers(1, size - 2), "yellow door locked")
    level.place("yellow key", 0, 0, middle, size)


@level_family("MyBlockedUnlockPickup", Missions("pick up the {} box", COLOUR_WORDS), rule="carry", max_steps=576)
def blocked(level, random, width=11, height=6):
    rooms = Rooms(level, 6, 2, 1)
    target = rooms.add(1, 0, "box")
    x, y = rooms.add_door(0, 0, "right", locked=True)
    level.put(x - 1, y, f"{random.choice(COLOURS)} ball")
    rooms.add(0, 0, "key", level.get(x, y).split()[0])
    rooms.place_agent(0, 0)
    level.set_target(*target)
    level.mission = f"pick up the {level.get(*target)}"


@level_family("MyKeyCorridor", "find it", rule="carry", max_steps=270, see_through_walls=False)
def key_corridor(level, random, width=7, height=7):
    rooms = Rooms(level, 3, 3, 3)
    for j in range(1, 3):
        rooms.remove_wall(1, j, 3)
    row = random.integers(0, 3)
    x, y = rooms.add_door(2, row, 2, locked=True)
    target = rooms.add(2, row, "ball")
    rooms.add(0, random.integers(0, 3), "key", level.get(x, y).split()[0])
    rooms.place_agent(1, 1)
    rooms.connect_all()
    level.set_target(*target)


@level_family("MyDynamicObstacles", "get to the green goal square", rule="obstacles", see_through_walls=True)
def obstacles(level, random, size=8, count=4):
    level.surround()
    level.put(size - 2, size - 2, "green goal")
    level.set_agent(1, 1, "right")
    for _ in range(count):
        level.place("blue ball")


@level_family("MyPutNear", "go", rule="go to", see_through_walls=True)
def scattered(level, random, size=6, count=2):
    """PutNear's draws: each thing apart from those before."""
    level.surround()
    things, places = [], []
    while len(things) < count:
        thing = f"{random.choice(['key', 'ball', 'box'])} {random.choice(COLOURS)}"
        if thing in things:
            continue
        things.append(thing)
        kind, colour = thing.split()

        def near(x, y):
            return any(abs(x - a) <= 1 and abs(y - b) <= 1 for a, b in places)

        places.append(level.place(f"{colour} {kind}", reject=near))
    level.place_agent()
    moved, other = random.integers(0, count), random.integers(0, count)
    while other == moved:
        other = random.integers(0, count)
    level.set_target(*places[moved])


PORTS = [
    (door_key, "MiniGrid-DoorKey-8x8-v0", {"max_steps": 640}),
    (blocked, "MiniGrid-BlockedUnlockPickup-v0", {}),
    (key_corridor, "MiniGrid-KeyCorridorS3R3-v0", {}),
    (obstacles, "MiniGrid-Dynamic-Obstacles-8x8-v0", {}),
    (scattered, "MiniGrid-PutNear-6x6-N2-v0", {"max_steps": 30}),
]


@pytest.mark.parametrize(("family", "name", "options"), PORTS, ids=[name for _, name, _ in PORTS])
def test_a_generator_of_minigrid_rewritten_gives_its_levels(family, name, options):
    """For the same seeds, from the same draws, to the last one; and a batch gives those of single environments."""
    theirs, mine = gym.make(name).unwrapped, gym.make("rltk/MiniGrid-v0", family=family, **options).unwrapped
    batch = gym.make_vec("rltk/MiniGrid-v0", num_envs=len(SEEDS), family=family, **options)
    batch.reset(seed=0)
    told = family not in (key_corridor, scattered)  # these have missions of their own
    for seed in SEEDS:
        theirs.reset(seed=seed)
        mine.reset(seed=seed)
        if not told:
            theirs.mission = mine.mission
        assert_same_level(mine, theirs, f"seed {seed}")
        assert mine.get_state()["stream"].tolist() == stream_of(theirs.np_random).tolist()
        assert Layout.from_env(batch, seed) == Layout.from_env(mine)


def test_obstacles_move_in_the_order_in_which_they_came():
    """So the episodes of the rewritten family are MiniGrid's as well."""
    theirs = gym.make("MiniGrid-Dynamic-Obstacles-8x8-v0").unwrapped
    mine = gym.make("rltk/MiniGrid-v0", family=obstacles).unwrapped
    assert mine.action_space == theirs.action_space
    theirs.reset(seed=1)
    mine.reset(seed=1)
    for action in np.random.default_rng(0).integers(3, size=200).tolist():
        found, expected = mine.step(action), theirs.step(action)
        assert np.array_equal(found[0]["image"], expected[0]["image"])
        assert found[1:4] == expected[1:4]
        if found[2] or found[3]:
            mine.reset()
            theirs.reset()
            assert_same_level(mine, theirs)


def test_random_has_numpys_meanings():
    """Each verb gives what a Generator at the same place gives, and leaves the stream where that one stands."""
    generator, script = np.random.default_rng(5), np.random.default_rng(6)
    stream = stream_of(generator)
    random = Random(stream)
    for _ in range(2000):
        verb, low, span = script.integers(6), int(script.integers(-50, 50)), int(script.integers(1, 2**32 - 1))
        items = list(range(int(script.integers(1, 12))))
        if verb == 0:
            assert random.integers(low, low + span) == generator.integers(low, low + span)
        elif verb == 1:
            assert random.integers(span) == generator.integers(span)
        elif verb == 2:
            assert random.choice(items) == generator.choice(items)
        elif verb == 3:
            same = items.copy()
            random.shuffle(items)
            generator.shuffle(same)
            assert items == same
        elif verb == 4:
            assert random.random() == generator.random()
        else:
            assert random.uniform(low, low + 1.5) == generator.uniform(low, low + 1.5)
    assert stream.tolist() == stream_of(generator).tolist()
    for wrong in (
        lambda: random.integers(3, 3),
        lambda: random.integers(0),
        lambda: random.integers(0, 2**32),
        lambda: random.integers(0.5),
        lambda: random.choice([]),
        lambda: random.uniform("a"),
    ):
        with pytest.raises(ArgumentError):
            wrong()


# Options


def test_a_family_has_the_options_of_its_function():
    """By their names and defaults, besides those of every family; the board follows them."""
    env = gym.make("rltk/MiniGrid-v0", family=door_key, size=6, max_steps=math.inf, agent_view_size=5).unwrapped
    env.reset(seed=0)
    assert (env.width, env.height, env.max_steps, env.agent_view_size) == (6, 6, math.inf, 5)
    assert gym.make("rltk/MiniGrid-v0", family=door_key, size=6).unwrapped.max_steps == 4 * 36
    for options, message in (
        ({"sise": 6}, "MyDoorKey has no option 'sise'; its options are size, max_steps"),
        ({"size": "big"}, "size"),
        ({"size": 10**6}, "at most 1000"),
        ({"family": "Dragons"}, "no family of levels is called 'Dragons'"),
    ):
        with pytest.raises(RltkError, match=message):
            gym.make("rltk/MiniGrid-v0", **{"family": door_key, **options})
    with pytest.raises(ArgumentError, match="see_through_walls: MyKeyCorridor fixes it"):
        gym.make("rltk/MiniGrid-v0", family=key_corridor, see_through_walls=True)


def test_a_decorator_or_function_that_can_not_be_used():
    """Named when the family is made, not when a level is."""
    for function in (lambda level, random: 0, lambda level: 0, lambda level, random, size, *more: 0):
        with pytest.raises(ArgumentError, match="say how large the board is"):
            level_family("Mine", "go")(function)
    for options, message in (
        ({"rule": "fly"}, "rule: one of goal"),
        ({"max_steps": 0}, "max_steps"),
        ({"see_through_walls": 1}, "see_through_walls"),
        ({"mission": []}, "mission"),
        ({"mission": [3]}, "mission"),
    ):
        with pytest.raises(ArgumentError, match=message):
            level_family("Mine", **{"mission": "go", **options})


def test_missions_that_a_level_chooses():
    """Among the sentences that the family may say; the first where it says none."""

    @level_family("Told", ["go left", "go {right}"])
    def told(level, random, size=4, say=None):
        level.set_agent(1, 1)
        level.mission = say

    for say, number in ((None, 0), ("go left", 0), ("go {right}", 1)):
        env = gym.make("rltk/MiniGrid-v0", family=told, say=say).unwrapped
        observation, _ = env.reset(seed=0)
        assert observation["mission"] == ("go left", "go {right}")[number]
        assert env.mission_number == number
    with pytest.raises(LevelError, match="mission: one of 'go left'"):
        gym.make("rltk/MiniGrid-v0", family=told, say="go up").reset()


# Faults


def faulty(build, **options):
    """A family that surrounds its board and puts the agent at (1, 1) before it does what is wrong."""

    def function(level, random, size=6):
        level.surround()
        level.set_agent(1, 1)
        build(level, random)

    return level_family("Faulty", "go", **options)(function)


def two_doors(level, random):
    rooms = Rooms(level, 3, 2, 1)
    for _ in range(2):
        rooms.add_door(0, 0, "right")


FAULTS = [
    (lambda level, _: level.set_agent(0, 0), {}, "agent: expected the agent on a cell .* found 'grey wall' at"),
    (lambda level, _: level.put(1, 1, "red key"), {}, "found 'red key' at"),
    (lambda level, _: level.put(6, 0, "lava"), {}, r"a cell of the board, from \(0, 0\) to \(5, 5\); found \(6, 0\)"),
    (lambda level, _: level.put(-1, 0, "lava"), {}, r"found \(-1, 0\)"),
    (lambda level, _: level.put(1.5, 0, "lava"), {}, "x: an integer"),
    (lambda level, _: level.put(1, 1, "dragon"), {}, "a colour and a thing, such as 'red key'"),
    (lambda level, _: level.vertical_wall(2, 1, 6), {}, "a wall of 6 cells from there leaves the board; at most 5"),
    (lambda level, _: level.wall_rectangle(3, 3, 4, 1), {}, "a wall of 4 cells"),
    (lambda level, _: level.place("lava", 0, 0, 1, 6), {}, r"no free cell was found for 'lava' in the 1 x 6 cells"),
    (lambda level, _: level.place("lava", 6, 0), {}, "region: cells of the board"),
    (lambda level, _: level.place("lava", reject=lambda x, y: True), {}, "no free cell was found for 'lava'"),
    (lambda level, _: level.place_agent(5, 5), {}, "no free cell was found for the agent"),
    (lambda level, _: level.set_agent(1, 1, "north"), {}, "direction: one of right, down, left, up"),
    (lambda level, _: level.set_agent(1, 1, 4), {}, "direction"),
    (lambda level, _: level.carry("lava"), {}, "carrying: expected a key, a ball or a box"),
    (lambda level, _: 0, {"rule": "fetch"}, "target: expected a key, a ball or a box, for the rule 'fetch'"),
    (lambda level, _: level.set_target(2, 2), {"rule": "open"}, "target_at: expected a door's place"),
    (lambda _, random: random.integers(0), {}, "integers: high is more than low"),
    (lambda level, _: Rooms(level, 4, 2, 2), {}, "need a board of 7 x 7; found one of 6 x 6"),
    (lambda level, _: Rooms(level, 3, 1, 1).add_door(0, 0), {}, r"room \(0, 0\) has no wall left for a door"),
    (lambda level, _: Rooms(level, 3, 2, 1).add_door(0, 0, "left"), {}, "behind wall 'left' .* is none"),
    (two_doors, {}, r"wall: one without a door or gap; wall 'right' of room \(0, 0\) has one"),
    (lambda level, _: Rooms(level, 3, 2, 1).add(2, 0), {}, "i: at most 1"),
    (lambda level, _: Rooms(level, 3, 2, 1).add(0, 0, "door"), {}, "kind: one of key, ball, box, or None"),
    (lambda level, _: Rooms(level, 3, 2, 1).place(0, 0, "wall"), {}, "thing: a key, a ball or a box"),
    (lambda level, _: Rooms(level, 3, 1, 2).add_distractors(0, 0, 5), {}, "no place was found for 5 things"),
]


@pytest.mark.parametrize(("build", "options", "message"), FAULTS, ids=[message[:30] for _, _, message in FAULTS])
def test_what_a_generator_does_wrong_is_told(build, options, message):
    """A LevelError with the family, the environment, what is wrong and how to mend it; and no level to step in."""
    family = faulty(build, **options)
    env = gym.make("rltk/MiniGrid-v0", family=family).unwrapped
    with pytest.raises(LevelError, match=message) as error:
        env.reset(seed=0)
    assert str(error.value).startswith("no level of Faulty for environment 0: ")
    assert "faulty.<locals>.function" in str(error.value)
    with pytest.raises(ArgumentError, match="reset"):
        env.step(0)


def test_a_level_without_an_agent():
    """Is told as such, also where a level came before."""

    @level_family("Empty", "go")
    def empty(level, random, size=5):
        if random.integers(4):
            level.place_agent()

    batch = gym.make_vec("rltk/MiniGrid-v0", num_envs=20, family=empty)
    with pytest.raises(LevelError, match=r"environment \d+: there is no agent; call set_agent or place_agent"):
        batch.reset(seed=0)
    with pytest.raises(ArgumentError, match="before the first reset"):
        batch.step(np.zeros(20, dtype=int))
    with pytest.raises(LevelError):  # noqa: PT012  # when it is drawn
        batch = gym.make_vec("rltk/MiniGrid-v0", num_envs=1, family=empty, max_steps=1)
        batch.reset(seed=next(seed for seed in range(99) if np.random.default_rng(seed).integers(4)))
        for _ in range(99):
            batch.step(np.zeros(1, dtype=int))
    with pytest.raises(ArgumentError, match="before the first reset"):
        batch.step(np.zeros(1, dtype=int))
    env = gym.make("rltk/MiniGrid-v0", family=empty).unwrapped
    with pytest.raises(LevelError):  # noqa: PT012  # which of them is drawn
        for seed in range(30):
            env.reset(seed=seed)
    with pytest.raises(ArgumentError, match="reset"):
        env.step(0)
    env.reset(options={"layout": Layout.empty(5, 5)})
    env.step(0)


def test_a_bug_in_a_generator_is_shown_as_it_is():
    """What is no fault of the level keeps its own error and its line."""
    env = gym.make("rltk/MiniGrid-v0", family=faulty(lambda level, random: [][1]))
    with pytest.raises(IndexError):
        env.reset()


numbers = st.integers(-9, 9)
things = st.sampled_from(["lava", "red ball", None, "wall", "blue door", "dragon"])
VERBS = {
    "put": st.tuples(numbers, numbers, things),
    "get": st.tuples(numbers, numbers),
    "horizontal_wall": st.tuples(numbers, numbers, st.none() | numbers, things),
    "vertical_wall": st.tuples(numbers, numbers, st.none() | numbers),
    "wall_rectangle": st.tuples(numbers, numbers, numbers, numbers),
    "place": st.tuples(things, numbers, numbers, st.none() | numbers, st.none() | numbers),
    "place_agent": st.tuples(numbers, numbers, st.none() | numbers, numbers),
    "set_agent": st.tuples(numbers, numbers, numbers),
    "set_target": st.tuples(numbers, numbers),
    "set_other": st.tuples(numbers, numbers),
}
ROOM_VERBS = {
    "add": st.tuples(numbers, numbers),
    "place": st.tuples(numbers, numbers, things),
    "add_door": st.tuples(numbers, numbers, st.none() | numbers),
    "remove_wall": st.tuples(numbers, numbers, numbers),
    "connect_all": st.tuples(),
    "add_distractors": st.tuples(st.none() | numbers, st.none() | numbers, numbers),
    "place_agent": st.tuples(st.none() | numbers, st.none() | numbers),
    "corner": st.tuples(numbers, numbers),
}


def calls(verbs):
    return st.sampled_from(sorted(verbs)).flatmap(lambda verb: st.tuples(st.just(verb), verbs[verb]))


@settings(max_examples=300, deadline=None)
@given(st.lists(calls(VERBS), max_size=8), st.tuples(*[st.integers(2, 5)] * 3), st.lists(calls(ROOM_VERBS), max_size=8))
def test_nothing_is_written_beyond_the_board(outside, rooms, inside):
    """Whatever is called with whatever numbers: an error, or a level, and the margin around it is as it was."""
    level = Builder(9, 7, seed=0)

    def attempt(owner, script):
        for verb, arguments in script:
            try:
                getattr(owner, verb)(*arguments)
            except RltkError:
                continue

    attempt(level, outside)
    with contextlib.suppress(ArgumentError):
        attempt(Rooms(level, *rooms), inside)
    grid, board = level._level.grid.copy(), level._level.board
    width, height, stride = int(board[WIDTH]), int(board[HEIGHT]), int(board[STRIDE])
    margin = np.ones(grid.size, dtype=bool)
    for y in range(height):
        start = 2 * stride + 2 + y * stride
        margin[start : start + width] = False
    assert (grid[margin] == cells.OUTSIDE).all()
    try:
        layout = level.layout()
    except RltkError:
        return
    assert Layout.from_text(layout.to_text()) == layout


# Builders by themselves


def test_a_builder_makes_a_layout():
    """And goes on from one; the same seed gives the same."""

    def built(seed):
        level = Builder(7, 5, seed=seed)
        level.surround()
        level.vertical_wall(3, 1, 3)
        level.put(3, 2, "red door locked")
        level.place("red key", 0, 0, 3, 5)
        level.put(5, 3, "goal")
        level.place_agent(0, 0, 3, 5)
        level.carry("blue ball")
        return level.layout(mission="go", max_steps=math.inf, name="mine")

    layout = built(3)
    assert layout == built(3)
    assert len({built(seed).to_text() for seed in range(20)}) > 5
    assert (layout.mission, layout.max_steps, layout.name) == ("go", math.inf, "mine")
    level = Builder.of(layout)
    level.put(3, 2, "red door open")
    level.set_target(3, 2)
    again = level.layout(rule="open")
    assert (again.rule, again.target_at, again.agent, again.carrying) == ("open", (3, 2), layout.agent, layout.carrying)
    assert np.count_nonzero(again.codes != layout.codes) == 1
    with pytest.raises(LevelError, match="no agent"):
        Builder(3, 3).layout()


# Compiled


@jit(_nrt=False)
def generate_hall(level, options, stream):
    surround(level)
    put(level, level.board[WIDTH] - 2, 1, GOAL + GREEN)
    return place_agent_anywhere(level, stream) if options[0] else NO_ROOM


def plan_hall(length: int = 6, free: bool = True) -> Plan:
    length = check_size("length", length, 3)
    return Plan(width=length, height=3, max_steps=9, missions=Missions("go"), options=(int(free),))


HALL = Family("Hall", generate_hall, plan_hall)


def test_a_compiled_family_of_ones_own():
    """Is taken where a name is taken; its options, copies and errors are those of any other."""
    env = gym.make("rltk/MiniGrid-v0", family=HALL, length=8).unwrapped
    env.reset(seed=0)
    assert (env.width, env.height, env.mission) == (8, 3, "go")
    assert len(env.shortest_plan()) > 0
    batch = gym.make_vec("rltk/MiniGrid-v0", num_envs=3, family=HALL, length=8)
    batch.reset(seed=0)
    assert Layout.from_env(batch, 0) == Layout.from_env(env)
    with pytest.raises(LevelError, match="no level of Hall for environment 0: no free cell"):
        gym.make("rltk/MiniGrid-v0", family=HALL, free=False).reset()
    with pytest.raises(ArgumentError, match="Hall has no option 'size'"):
        gym.make("rltk/MiniGrid-v0", family=HALL, size=8)


@pytest.mark.parametrize("family", [HALL, door_key, row_of_rooms])
def test_copies_find_the_family_by_its_name(family):
    """In this process and in another; it is the same object."""
    env = gym.make("rltk/MiniGrid-v0", family=family).unwrapped
    env.reset(seed=0)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin._setting.family == family
        assert Layout.from_env(twin) == Layout.from_env(env)
        fresh = copy.deepcopy(env)
        fresh.reset()
        twin.reset()
        assert Layout.from_env(twin) == Layout.from_env(fresh)


def test_a_family_without_a_name_can_not_be_sent():
    """The error says how to mend it; copies in the same process are no trouble."""

    def plan(size: int = 5) -> Plan:
        return plan_hall(size)

    for family in (faulty(lambda level, random: 0), Family("Local", generate_hall, plan)):
        env = gym.make("rltk/MiniGrid-v0", family=family).unwrapped
        env.reset(seed=0)
        copy.deepcopy(env).step(0)
        with pytest.raises(ArgumentError, match=r"can't be sent to another process.*top level of a module"):
            pickle.dumps(env)


@pytest.mark.parametrize("family", [HALL, door_key])
def test_a_family_is_registered_under_an_id(family):
    """With options of its own; faulty ones are refused before."""
    option = {"length": 9} if family is HALL else {"size": 9}
    try:
        register("Own/Level-v0", family, mission="none", **option)
        env = gym.make("Own/Level-v0").unwrapped
        observation, _ = env.reset(seed=0)
        assert (env.width, set(observation)) == (9, {"image", "direction"})
        assert gym.make_vec("Own/Level-v0", num_envs=2).reset(seed=0)[0]["image"].shape == (2, 7, 7, 3)
        with pytest.raises(ArgumentError, match="no option 'sise'"):
            register("Own/Other-v0", family, sise=3)
        assert "Own/Other-v0" not in gym.registry
    finally:
        gym.registry.pop("Own/Level-v0", None)


# The template's own test: what a person who copies `template.py` copies along with it


@pytest.mark.parametrize("options", [{}, {"rooms": 4, "height": 5}, {"width": 9, "rooms": 2}])
def test_every_level_of_the_template_can_be_solved(options):
    """And a shortest plan pays what it should."""
    env = gym.make("rltk/MiniGrid-v0", family=row_of_rooms, **options).unwrapped
    for seed in range(20):
        env.reset(seed=seed)
        plan = env.shortest_plan()
        assert [env.step(action)[1] for action in plan][-1] == env.success_reward(len(plan))


def test_gymnasium_accepts_the_template():
    """All of its checks, with warnings as errors."""
    check_env(gym.make("rltk/MiniGrid-v0", family=row_of_rooms).unwrapped, skip_render_check=True)
    check_env(gym.make("rltk/MiniGrid-v0").unwrapped, skip_render_check=True)
    env = gym.make("rltk/MiniGrid-v0", family=row_of_rooms).unwrapped
    env.reset(seed=0)
    assert rltk.solve(env, gamma=0.9).converged
