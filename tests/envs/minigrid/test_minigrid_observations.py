"""Every observation is that of minigrid's own wrapper, of the batch's row, and of the model's state."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from minigrid.wrappers import (
    FullyObsWrapper,
    ImgObsWrapper,
    OneHotPartialObsWrapper,
    RGBImgObsWrapper,
    RGBImgPartialObsWrapper,
)
from minigrid_reference import IDS, Errands

from rltk.envs.minigrid.observing import FORMS, MISSIONS, MODES
from rltk.errors import ArgumentError, SizeError, UnknownNameError

WRAPPERS = {
    "egocentric": lambda env, size: env,
    "egocentric_onehot": lambda env, size: OneHotPartialObsWrapper(env),
    "egocentric_rgb": lambda env, size: RGBImgPartialObsWrapper(env, tile_size=size),
    "symbolic": lambda env, size: FullyObsWrapper(env),
    "rgb": lambda env, size: RGBImgObsWrapper(env, tile_size=size),
}
# Doors, keys, boxes, lava, things that move, missions of many words, and boards that are no square.
SOME = [
    "MiniGrid-DoorKey-8x8-v0",
    "MiniGrid-DistShift1-v0",
    "MiniGrid-Dynamic-Obstacles-6x6-v0",
    "MiniGrid-Fetch-5x5-N2-v0",
    "MiniGrid-ObstructedMaze-1Dlhb-v0",
    "MiniGrid-PutNear-6x6-N2-v0",
]
ONE = "rltk/MiniGrid-Fetch-5x5-N2-v0"
# Every mode in every form, and every mission in every form.
KINDS = sorted(
    {(mode, form, "text") for mode in MODES for form in FORMS}
    | {("egocentric", form, mission) for form in FORMS for mission in MISSIONS}
)
every_kind = pytest.mark.parametrize(("mode", "form", "mission"), KINDS)


def same(found, expected):
    """Whether two observations are the same, types of arrays included."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, np.ndarray):
        return found.dtype == expected.dtype and np.array_equal(found, expected)
    return found == expected  # minigrid's direction is sometimes Python's integer, sometimes NumPy's


def row(batch, i):
    """Observation i of a batch."""
    if isinstance(batch, dict):
        return {key: row(part, i) for key, part in batch.items()}
    return batch[i]


def walk(theirs, mine, steps, policy):
    """Compare what both show along `steps` steps."""
    assert same(mine.reset(seed=3)[0], theirs.reset(seed=3)[0])
    for step in range(steps):
        action = policy(mine.unwrapped)
        (found, *_), (expected, _, terminated, truncated, _) = mine.step(action), theirs.step(action)
        assert same(found, expected), step
        if terminated or truncated:
            assert same(mine.reset()[0], theirs.reset()[0])
            policy.begin()


@pytest.mark.parametrize(("mode", "size"), [*((mode, 8) for mode in WRAPPERS), ("egocentric_rgb", 32), ("rgb", 32)])
@pytest.mark.parametrize("name", SOME)
def test_each_mode_is_minigrids_wrapper(name, mode, size):
    """Number for number, and pixel for pixel, along episodes; the space is the wrapper's."""
    theirs = WRAPPERS[mode](gym.make(name), size)
    mine = gym.make(f"rltk/{name}", observation=mode, observation_tile_size=size)
    assert mine.observation_space["image"] == theirs.observation_space["image"]
    walk(theirs, mine, 6 if size == 32 else 30, Errands(1))


@pytest.mark.parametrize("name", IDS)
def test_every_id_has_every_mode(name):
    """A few steps of each, against the wrappers."""
    for mode, wrapper in WRAPPERS.items():
        if mode != "egocentric":  # which is compared at length elsewhere
            walk(wrapper(gym.make(name), 8), gym.make(f"rltk/{name}", observation=mode), 2, Errands(0))


@pytest.mark.parametrize("options", [{"agent_view_size": 5}, {"agent_view_size": 9}, {"highlight": False}])
@pytest.mark.parametrize("mode", WRAPPERS)
def test_views_of_other_sizes_and_no_highlight(mode, options):
    """And tiles of a size whose rows are no words."""
    if mode == "rgb" and options == {"agent_view_size": 9}:
        options = {"agent_view_size": 3}
    theirs = WRAPPERS[mode](gym.make("MiniGrid-DoorKey-6x6-v0", **options), 11)
    mine = gym.make("rltk/MiniGrid-DoorKey-6x6-v0", observation=mode, observation_tile_size=11, **options)
    walk(theirs, mine, 12, Errands(2))


def test_the_image_alone_is_minigrids():
    """ImgObsWrapper, of the view and of pixels; its space too."""
    for mode in ("egocentric", "egocentric_rgb"):
        theirs = ImgObsWrapper(WRAPPERS[mode](gym.make("MiniGrid-DoorKey-5x5-v0"), 8))
        mine = gym.make("rltk/MiniGrid-DoorKey-5x5-v0", observation=mode, form="image")
        assert mine.observation_space == theirs.observation_space
        walk(theirs, mine, 30, Errands(0))


def test_the_whole_board_as_ones():
    """Eleven planes say what stands on a cell, six its colour, four its state or the agent's direction."""
    numbers = gym.make(ONE, observation="symbolic").unwrapped
    ones = gym.make(ONE, observation="symbolic_onehot").unwrapped
    for seed in range(5):
        numbers.reset(seed=seed)
        ones.reset(seed=seed)
        for action in (0, 2, 1, 2):
            triples, planes = numbers.step(action)[0]["image"], ones.step(action)[0]["image"]
            assert planes.shape == (*triples.shape[:2], 21)
            assert planes.max() == 1
            assert np.array_equal(
                np.stack([part.argmax(axis=2) for part in np.split(planes, [11, 17], axis=2)], axis=2), triples
            )
            assert (planes.sum(axis=2) == 3).all()
            assert tuple(triples[numbers.agent_pos]) == (10, 0, numbers.agent_dir)


# One way for all: single, batch, model


@every_kind
@pytest.mark.parametrize("autoreset", list(AutoresetMode))
def test_a_row_of_a_batch_is_a_single_observation(mode, form, mission, autoreset):
    """In every autoreset mode, last observations included; spaces contain what is shown."""
    options = {"observation": mode, "form": form, "mission": mission, "max_steps": 4}
    batch = gym.make_vec(ONE, num_envs=3, autoreset_mode=autoreset, **options)
    peer = SyncVectorEnv([lambda: gym.make(ONE, disable_env_checker=True, **options)] * 3, autoreset_mode=autoreset)
    assert batch.observation_space == peer.observation_space

    def check(found, expected):
        assert found in batch.observation_space
        assert same(found, expected)

    check(batch.reset(seed=5)[0], peer.reset(seed=5)[0])
    random, ends = np.random.default_rng(0), np.zeros(3, dtype=bool)
    for _ in range(10):
        if autoreset is AutoresetMode.DISABLED and ends.any():
            check(*(env.reset(options={"reset_mask": ends.copy()})[0] for env in (batch, peer)))
        actions = random.integers(7, size=3)
        found, expected = batch.step(actions), peer.step(actions)
        check(found[0], expected[0])
        ends = found[2] | found[3]
        assert np.array_equal(ends, expected[2] | expected[3])
        assert ("final_obs" in found[4]) == ("final_obs" in expected[4])
        for i in np.flatnonzero(found[4].get("_final_obs", [])):
            assert found[4]["final_obs"][i] in batch.single_observation_space
            assert same(found[4]["final_obs"][i], expected[4]["final_obs"][i])


@every_kind
def test_states_of_the_model_are_shown_as_steps_show_them(mode, form, mission):
    """`observations(states)` is what `step` shows in these states."""
    env = gym.make("rltk/MiniGrid-DoorKey-5x5-v0", observation=mode, form=form, mission=mission).unwrapped
    first, _ = env.reset(seed=0)
    every = env.observations(np.arange(env.model().n_states))
    assert same(row(every, 0), first)
    random = np.random.default_rng(0)
    for _ in range(150):
        observation, _, terminated, truncated, info = env.step(int(random.integers(7)))
        if terminated or truncated:
            env.reset(seed=0)
            env.model()
        else:
            assert observation in env.observation_space
            assert same(row(every, info["state"]), observation)


def test_many_states_are_shown_piece_by_piece():
    """More than fit into one piece, in any order, and none."""
    env = gym.make("rltk/MiniGrid-DoorKey-8x8-v0", observation="symbolic", form="image").unwrapped
    env.reset(seed=0)
    n = env.model().n_states
    assert n > 2 * 1024
    every = env.observations(np.arange(n))
    order = np.random.default_rng(0).permutation(n)
    assert np.array_equal(env.observations(order), every[order])
    assert env.observations([]).shape == (0, 8, 8, 3)
    assert len(np.unique(every.reshape(n, -1), axis=0)) == env.alias_classes().max() + 1
    with pytest.raises(ArgumentError, match="states"):
        env.observations([n])


def test_alias_classes_are_of_the_view_or_of_what_is_observed():
    """The whole board with the agent tells apart what the view does not."""
    board = gym.make("rltk/MiniGrid-FourRooms-v0", observation="symbolic").unwrapped
    view = gym.make("rltk/MiniGrid-FourRooms-v0").unwrapped
    for env in (board, view):
        env.reset(seed=0)
    n = view.model().n_states
    assert len(set(board.alias_classes())) == n > len(set(view.alias_classes()))
    assert np.array_equal(board.model().alias_classes(), view.alias_classes())
    assert np.array_equal(view.model().alias_classes(), view.alias_classes())


# Missions


@pytest.mark.parametrize("name", SOME)
def test_tokens_say_the_sentence(name):
    """Word for word, and zeros after its end."""
    env = gym.make(f"rltk/{name}", mission="tokens").unwrapped
    words = ("", *env._setting.plan.missions.vocabulary)
    for seed in range(10):
        tokens = env.reset(seed=seed)[0]["mission"]
        assert tokens.dtype == np.int64
        assert " ".join(words[token] for token in tokens if token) == env.mission
        assert not tokens[len(env.mission.split()) :].any()


def test_a_flat_observation_ends_with_its_mission():
    """A row of ones and zeros for a number, tokens as they are, nothing else."""
    for mission in MISSIONS:
        env = gym.make(ONE, form="flat", mission=mission).unwrapped
        told = gym.make(ONE, mission=mission).unwrapped
        seen = {env.reset(seed=seed)[0][147:].tobytes() for seed in range(20)}
        flat, (whole, _) = env.reset(seed=2)[0], told.reset(seed=2)
        assert flat.dtype == np.uint8
        assert np.array_equal(flat[:147], whole["image"].reshape(-1))
        if mission == "number":
            assert np.flatnonzero(flat[147:]).tolist() == [whole["mission"]]
        elif mission == "tokens":
            assert np.array_equal(flat[147:], whole["mission"])
        else:
            assert flat.size == 147
        assert len(seen) > 5 or mission in ("text", "none")


def test_a_flat_space_is_tight():
    """So that nobody takes small numbers for pixels; pixels have their whole range."""
    assert gym.make(ONE, form="flat").observation_space.high[:6].tolist() == [10, 5, 2, 10, 5, 2]
    assert gym.make(ONE, form="flat", observation="symbolic").observation_space.high[:3].tolist() == [10, 5, 3]
    assert gym.make(ONE, form="flat", observation="symbolic_onehot").observation_space.high.max() == 1
    assert gym.make(ONE, form="flat", observation="rgb").observation_space.high.min() == 255


# What is asked for


def test_what_is_handed_out_is_the_callers():
    """In every mode: the next step leaves it as it is, unless copy=False."""
    for mode in MODES:
        for form in FORMS:
            for copy in (True, False):
                batch = gym.make_vec(ONE, num_envs=2, observation=mode, form=form, copy=copy)
                (first, _), (second, *_) = batch.reset(seed=0), batch.step(np.ones(2, dtype=int))
                images = [part["image"] if form == "dict" else part for part in (first, second)]
                assert np.shares_memory(*images) is not copy


@pytest.mark.parametrize("maker", [gym.make, gym.make_vec])
def test_what_there_is_not_is_named(maker):
    """With the names there are."""
    with pytest.raises(UnknownNameError, match="no mode 'pixels'; choose one of egocentric, egocentric_onehot"):
        maker(ONE, observation="pixels")
    with pytest.raises(ArgumentError, match="form is one of dict, image, flat; found 'round'"):
        maker(ONE, form="round")
    with pytest.raises(ArgumentError, match="mission is one of text, number, none, tokens; found 3"):
        maker(ONE, mission=3)
    with pytest.raises(ArgumentError, match="observation_tile_size"):
        maker(ONE, observation="rgb", observation_tile_size=0)
    with pytest.raises(SizeError, match="observation_tile_size"):
        maker(ONE, observation="rgb", observation_tile_size=1000)


def test_too_many_observations_are_refused():
    """Before any memory is taken."""
    env = gym.make("rltk/MiniGrid-FourRooms-v0", observation="rgb", observation_tile_size=96).unwrapped
    env.reset(seed=0)
    with pytest.raises(SizeError, match="GiB; ask for fewer"):
        env.observations(np.zeros(1000, dtype=int))
