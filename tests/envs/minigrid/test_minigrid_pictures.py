"""Pictures are minigrid's, pixel for pixel."""

import gymnasium as gym
import numpy as np
import pytest
from minigrid_reference import FIRST_IDS, twins

from rltk.envs.minigrid.cells import COLOURS, code_of
from rltk.envs.minigrid.things import thing_of
from rltk.errors import ArgumentError


@pytest.mark.parametrize("tile_size", [8, 32])
@pytest.mark.parametrize("name", FIRST_IDS)
def test_frames_are_minigrids(name, tile_size):
    """The board with and without the view's light, and the view, along an episode."""
    theirs, mine = twins(name)
    random = np.random.default_rng(0)
    for seed in range(2):
        theirs.reset(seed=seed)
        mine.reset(seed=seed)
        for _ in range(6):
            for highlight, pov in ((True, False), (False, False), (True, True)):
                found, expected = (env.get_frame(highlight, tile_size, pov) for env in (mine, theirs))
                assert found.dtype == expected.dtype == np.uint8
                assert (found == expected).all(), (name, seed, highlight, pov)
            action = int(random.integers(3))
            theirs.step(action)
            mine.step(action)


@pytest.mark.parametrize("tile_size", [8, 11, 32])
def test_every_thing_looks_as_in_minigrid(tile_size):
    """Each thing in each colour and state, with the agent on it and beside it, facing anywhere."""
    from minigrid.core import world_object

    theirs, mine = twins("MiniGrid-Empty-8x8-v0")
    theirs.reset(seed=0)
    mine.reset(seed=0)
    things = [(kind, colour, 0) for kind in ("wall", "floor", "key", "ball", "box", "goal") for colour in COLOURS]
    things += [("door", colour, state) for colour in COLOURS for state in range(3)]
    for i, (kind, colour, state) in enumerate([*things, ("lava", "red", 0)]):
        if kind == "door":
            thing = world_object.Door(colour, is_open=state == 0, is_locked=state == 2)
        else:
            thing = world_object.Lava() if kind == "lava" else getattr(world_object, kind.capitalize())(colour)
        theirs.grid.set(3, 3, thing)
        mine.grid.set(3, 3, thing_of(code_of(kind, colour, state)))
        for place in ((3, 3), (2, 3)):
            theirs.agent_pos, theirs.agent_dir = place, i % 4
            mine.agent_pos, mine.agent_dir = place, i % 4
            for pov in (False, True):
                assert (mine.get_frame(True, tile_size, pov) == theirs.get_frame(True, tile_size, pov)).all(), (kind, i)


@pytest.mark.parametrize("carried", [("key", "yellow"), ("ball", "purple"), ("box", "green")])
def test_the_view_shows_what_is_carried(carried):
    """At the agent's feet, and not on the board."""
    from minigrid.core import world_object

    theirs, mine = twins("MiniGrid-DoorKey-8x8-v0", agent_view_size=5)
    theirs.reset(seed=1)
    mine.reset(seed=1)
    theirs.carrying = getattr(world_object, carried[0].capitalize())(carried[1])
    mine.carrying = thing_of(code_of(*carried))
    for pov in (False, True):
        assert (mine.get_frame(True, 16, pov) == theirs.get_frame(True, 16, pov)).all()


def test_render_gives_the_frame_that_was_asked_for():
    """By the options that minigrid has."""
    options = {"render_mode": "rgb_array", "tile_size": 8, "agent_pov": True}
    theirs, mine = twins("MiniGrid-FourRooms-v0", **options)
    theirs.reset(seed=2)
    mine.reset(seed=2)
    assert (mine.render() == theirs.render()).all()
    assert mine.render().shape == (56, 56, 3)


def test_a_batch_gives_a_frame_of_each():
    """The single environments' frames; none, and a warning, without a mode."""
    options = {"render_mode": "rgb_array", "tile_size": 8, "highlight": False}
    name = "rltk/MiniGrid-DoorKey-5x5-v0"
    batch, single = gym.make_vec(name, num_envs=3, **options), gym.make(name, **options)
    with pytest.raises(ArgumentError, match="reset"):
        batch.render()
    batch.reset(seed=4)
    frames = batch.render()
    assert len(frames) == 3
    for i, frame in enumerate(frames):
        single.reset(seed=4 + i)
        assert (frame == single.render()).all()
    plain = gym.make_vec(name, num_envs=1)
    plain.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert plain.render() is None


def test_before_a_reset_there_is_nothing_to_draw():
    """ArgumentError says so; a tile has a size."""
    env = gym.make("rltk/MiniGrid-Empty-5x5-v0").unwrapped
    with pytest.raises(ArgumentError, match="reset"):
        env.get_frame()
    env.reset(seed=0)
    with pytest.raises(ArgumentError, match="tile_size"):
        env.get_frame(tile_size=0)
