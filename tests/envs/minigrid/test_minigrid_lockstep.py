"""Levels, observations, rewards and endings against minigrid 3.2.0 itself, seed for seed."""

import pytest
from minigrid.core.world_object import Lava, Wall
from minigrid_reference import (
    FIRST_IDS,
    FULL,
    IDS,
    SEEDS_OF,
    STEPS,
    Errands,
    assert_same_level,
    assert_same_observation,
    endings_of,
    lockstep,
    twins,
)

every_id = pytest.mark.parametrize("name", IDS)
every_family = pytest.mark.parametrize("name", FIRST_IDS)


@every_id
def test_a_seed_gives_minigrids_level(name):
    """The board, the agent, the mission and the first observation; and the level after, drawn from the same stream."""
    theirs, mine = twins(name)
    for seed in SEEDS_OF[name]:
        for again in (seed, None):
            expected, found = theirs.reset(seed=again)[0], mine.reset(seed=again)[0]
            assert_same_level(mine, theirs, f"{name}, seed {seed}")
            assert_same_observation(found, expected, f"{name}, seed {seed}")
        assert mine.np_random.bit_generator.state == theirs.np_random.bit_generator.state


@every_id
def test_an_episode_goes_as_minigrids(name):
    """Image, direction, mission, reward, terminated, truncated; every ending that the family has is met."""
    endings = lockstep(name, STEPS[name])
    endings += lockstep(name, STEPS[name] // 4, seed=1, max_steps=6)
    if FULL or name in FIRST_IDS:
        mine = twins(name)[1]
        mine.reset(seed=0)
        assert set(endings) == endings_of(mine) | {"time"}, endings


@every_family
@pytest.mark.parametrize("agent_view_size", [3, 5, 9, 13])
def test_other_sizes_of_the_view(name, agent_view_size):
    """The view is as large as one asks, and looks beyond the board on every side."""
    lockstep(name, 150, seed=agent_view_size, agent_view_size=agent_view_size)


@every_family
def test_walls_can_be_seen_through(name):
    """Where the family leaves it open."""
    theirs, mine = twins(name)
    if mine._setting.plan.see_through_walls is None:
        lockstep(name, 150, seed=2, see_through_walls=True)
    else:
        assert mine.see_through_walls == theirs.see_through_walls


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MiniGrid-Empty-8x8-v0", {"size": 11, "agent_start_pos": (3, 7), "agent_start_dir": 2}),
        ("MiniGrid-DoorKey-8x8-v0", {"size": 23}),
        ("MiniGrid-FourRooms-v0", {"agent_pos": (9, 4), "goal_pos": (9, 9)}),
        ("MiniGrid-FourRooms-v0", {"agent_pos": (3, 3), "goal_pos": (5, 3), "max_steps": 30}),
        ("MiniGrid-LavaCrossingS9N1-v0", {"size": 5, "num_crossings": 9}),
        ("MiniGrid-LavaCrossingS9N1-v0", {"size": 21, "num_crossings": 12}),
        ("MiniGrid-SimpleCrossingS9N1-v0", {"size": 13, "num_crossings": 0}),
        ("MiniGrid-MultiRoom-N6-v0", {"minNumRooms": 1, "maxNumRooms": 8, "maxRoomSize": 6}),
        ("MiniGrid-MultiRoom-N6-v0", {"minNumRooms": 2, "maxNumRooms": 3, "width": 17, "height": 12}),
        ("MiniGrid-DistShift1-v0", {"width": 12, "height": 9, "agent_start_pos": None, "strip2_row": 7}),
        ("MiniGrid-DistShift1-v0", {"width": 5, "height": 4, "agent_start_pos": (2, 2), "agent_start_dir": 3}),
        ("MiniGrid-LavaGapS5-v0", {"size": 12, "obstacle_type": Wall}),
        ("MiniGrid-LavaGapS5-v0", {"size": 8, "obstacle_type": Lava}),
        ("MiniGrid-Dynamic-Obstacles-8x8-v0", {"size": 9, "n_obstacles": 50, "agent_start_pos": (4, 4)}),
        ("MiniGrid-Dynamic-Obstacles-8x8-v0", {"size": 5, "n_obstacles": 3, "agent_start_dir": 2}),
        ("MiniGrid-Dynamic-Obstacles-8x8-v0", {"size": 4, "n_obstacles": 0}),
        ("MiniGrid-Fetch-8x8-N3-v0", {"size": 5, "numObjs": 8}),
        ("MiniGrid-GoToDoor-5x5-v0", {"size": 13}),
        ("MiniGrid-GoToObject-6x6-N2-v0", {"size": 8, "numObjs": 18}),
        ("MiniGrid-PutNear-6x6-N2-v0", {"size": 11, "numObjs": 7}),
        ("MiniGrid-RedBlueDoors-8x8-v0", {"size": 3}),
        ("MiniGrid-RedBlueDoors-8x8-v0", {"size": 7}),
        ("MiniGrid-MemoryS7-v0", {"size": 5}),
        ("MiniGrid-MemoryS7-v0", {"size": 7, "random_length": True}),
        ("MiniGrid-LockedRoom-v0", {"size": 12}),
        ("MiniGrid-LockedRoom-v0", {"size": 25}),
        ("MiniGrid-KeyCorridorS3R3-v0", {"num_rows": 4, "obj_type": "box", "room_size": 5}),
        ("MiniGrid-KeyCorridorS3R3-v0", {"num_rows": 1, "obj_type": "key", "room_size": 4}),
        ("MiniGrid-ObstructedMaze-Full-v0", {"agent_room": (0, 2), "key_in_box": False, "num_quarters": 3}),
        ("MiniGrid-ObstructedMaze-Full-v1", {"agent_room": (1, 0), "blocked": False, "num_rooms_visited": 1}),
        ("MiniGrid-ObstructedMaze-1Dl-v0", {"key_in_box": True, "blocked": True, "max_steps": 20}),
    ],
)
def test_options_mean_what_they_mean_to_minigrid(name, options):
    """Boards of other sizes and contents than any id has."""
    theirs, mine = twins(name, **options)
    for seed in range(10):
        theirs.reset(seed=seed)
        mine.reset(seed=seed)
        assert_same_level(mine, theirs, f"{name} {options}, seed {seed}")
    lockstep(name, 100, **options)


@every_family
def test_stepping_on_after_an_end(name):
    """minigrid goes on in the same level; its rewards fall below 0.1 then."""
    theirs, mine = twins(name, max_steps=3)
    theirs.reset(seed=5)
    mine.reset(seed=5)
    policy = Errands(0)
    for step in range(300):
        if step % 50 == 0:
            policy.begin()
        action = policy(mine)
        try:
            expected = theirs.step(action)
        except AssertionError:  # it looks ahead of an agent that stands at the edge
            break
        assert mine.step(action)[1:] == expected[1:], step
        assert_same_level(mine, theirs, step)
