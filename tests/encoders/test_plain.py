"""Plain observations: what each kind of space becomes, one at a time and in batches, and what is refused."""

from zlib import crc32

import gymnasium as gym
import minigrid  # noqa: F401  (registers its ids)
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

from rltk.encoders import Plain, hashed_words
from rltk.errors import ArgumentError, SpaceError

NESTED = spaces.Dict(
    {
        "speed": spaces.Box(-1, 1, (2,), np.float64),
        "at": spaces.Tuple((spaces.Discrete(3, start=2), spaces.Dict({"seen": spaces.MultiBinary((2, 2))}))),
        "note": spaces.Text(20),
    }
)


def test_nested_spaces_become_one_flat_dict():
    """Names of nested parts are joined by a slash, and places in a tuple are numbered."""
    assert Plain(NESTED).space == spaces.Dict(
        {
            "at/0": spaces.Discrete(3, start=2),
            "at/1/seen": spaces.MultiBinary((2, 2)),
            "note": spaces.Box(0, np.inf, (64,), np.float32),
            "speed": spaces.Box(-1, 1, (2,), np.float32),
        }
    )


@pytest.mark.parametrize(
    ("dtype", "plain"),
    [
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float32),
        (np.uint8, np.uint8),
        (np.int8, np.int8),
        (np.int32, np.int32),
        (np.int64, np.int64),
        (np.uint16, np.int32),
        (np.uint32, np.int64),
        (np.uint64, np.float32),
        (np.bool_, np.uint8),
    ],
)
def test_types_of_boxes(dtype, plain):
    """Floats become float32, bytes stay bytes, and each sample lies in the plain space."""
    space = spaces.Box(0, 1, (3, 2), dtype)
    space.seed(0)
    made = Plain(space)
    assert made.space.dtype == plain

    for _ in range(5):
        found = made.one(space.sample())
        assert found.dtype == plain
        assert found in made.space


def test_bounds_beyond_float32_are_infinite():
    assert Plain(spaces.Box(-1e300, 1e300, (1,), np.float64)).space.high == np.inf


def test_a_plain_space_is_kept_and_its_observations_are_not_copied():
    for space in (spaces.Box(0, 1, (3,), np.float32), spaces.Box(0, 255, (4, 4, 3), np.uint8), spaces.MultiBinary(4)):
        space.seed(0)
        sample = space.sample()
        assert Plain(space).space is space
        assert Plain(space).one(sample) is sample
    flat = spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(0, 1, (2,), np.float32)})
    assert Plain(flat).space is flat
    assert Plain(Plain(NESTED).space).space == Plain(NESTED).space


def test_one_observation_keeps_its_values():
    found = Plain(NESTED).one(
        {
            "speed": np.array([0.25, -1.0]),
            "at": (4, {"seen": np.array([[0, 1], [1, 0]], np.int8)}),
            "note": "Go go!",
        }
    )

    assert found["at/0"].dtype == np.int64
    assert found["at/0"].shape == ()
    assert found["at/0"] == 4
    assert found["at/1/seen"].tolist() == [[0, 1], [1, 0]]
    assert found["speed"].dtype == np.float32
    assert found["speed"].tolist() == [0.25, -1.0]
    assert found["note"][crc32(b"go") % 64] == 2
    assert found["note"][crc32(b"!") % 64] == 1
    assert found["note"].sum() == 3


def test_texts_count_hashed_words():
    """Entry crc32(word) mod 64 counts the words that hash to it; capitals and spaces don't matter (hand-made case)."""
    expected = np.zeros(64, np.float32)
    for word in ("open", "the", "door", ",", "then", "the", "box"):
        expected[crc32(word.encode()) % 64] += 1

    assert hashed_words("Open the  door, then the box").tolist() == expected.tolist()
    assert hashed_words("").sum() == 0
    assert hashed_words("\udc80 \u00e9").sum() == 2  # a lone surrogate, which UTF-8 can't write
    hashed_words("mine")[:] = 5
    assert hashed_words("mine").sum() == 1  # what is handed out is a copy


@pytest.mark.parametrize("n", [1, 3])
def test_many_equal_one_by_one(n):
    """A VectorEnv's batch, as Gymnasium concatenates it, gives what its members give one by one."""
    NESTED.seed(1)
    members = [NESTED.sample() for _ in range(n)]
    batch = concatenate(NESTED, members, create_empty_array(NESTED, n))
    assert batch in batch_space(NESTED, n)

    plain = Plain(NESTED)
    found, single = plain.many(batch, n), [plain.one(member) for member in members]

    for name in plain.space:
        assert found[name].dtype == single[0][name].dtype
        assert np.array_equal(found[name], np.stack([each[name] for each in single]))


@pytest.mark.parametrize(
    "space", [spaces.Discrete(4, start=-2), spaces.Text(9), spaces.MultiDiscrete([[2, 3], [4, 5]])]
)
def test_many_of_a_single_space(space):
    space.seed(0)
    members = [space.sample() for _ in range(4)]
    plain = Plain(space)

    found = plain.many(concatenate(space, members, create_empty_array(space, 4)), 4)

    assert np.array_equal(found, np.stack([plain.one(member) for member in members]))
    assert found.dtype == plain.space.dtype


@pytest.mark.parametrize("name", ["MiniGrid-Empty-5x5-v0", "rltk/MiniGrid-Empty-5x5-v0"])
def test_minigrid_with_its_mission(name):
    """minigrid's mission is a space of its own whose samples are text; asking what it is spends no random number."""
    import rltk  # noqa: F401

    env = gym.make(name)
    plain = Plain(env.observation_space)
    observation, _ = env.reset(seed=0)
    assert plain.space["mission"] == spaces.Box(0, np.inf, (64,), np.float32)
    assert plain.one(observation) in plain.space

    batch = gym.make_vec(name, num_envs=2, vectorization_mode=None if "rltk" in name else "sync")
    shown, _ = batch.reset(seed=0)
    found = plain.many(shown, 2)
    assert np.array_equal(found["mission"][1], plain.one(observation)["mission"])
    assert found["image"].shape == (2, 7, 7, 3)
    batch.close()


class Phrase(spaces.Space):
    """A space that does not say its type, but whose samples are text."""

    def sample(self, mask=None, probability=None):
        return f"number {self.np_random.integers(10**9)}"


def test_a_space_whose_samples_are_text():
    space, twin = Phrase(seed=3), Phrase(seed=3)

    assert Plain(space).space.shape == (64,)
    assert space.sample() == twin.sample()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Sequence(spaces.Discrete(3)),
        spaces.Graph(spaces.Discrete(3), None),
        spaces.OneOf((spaces.Discrete(3), spaces.Discrete(2))),
        spaces.Space(),
        spaces.Dict({}),
        spaces.Tuple(()),
    ],
)
def test_spaces_that_cannot_be_made_plain(space):
    """The error names the part and says what to do."""
    with pytest.raises(SpaceError, match=r"TransformObservation|nothing to learn"):
        Plain(space)
    with pytest.raises(SpaceError, match="'deep/1'"):
        Plain(spaces.Dict({"deep": spaces.Tuple((spaces.Discrete(2), space))}))


def test_names_that_become_one_are_refused():
    with pytest.raises(SpaceError, match="rename"):
        Plain(spaces.Dict({"a/b": spaces.Discrete(2), "a": spaces.Dict({"b": spaces.Discrete(2)})}))


BOX = spaces.Box(-1, 1, (2,), np.float32)


@pytest.mark.parametrize(
    ("space", "observation", "message"),
    [
        (BOX, np.zeros(3, np.float32), r"shape \(3,\)"),
        (BOX, np.array([0, np.nan], np.float32), r"nan at \(1,\)"),
        (BOX, [np.inf, 0.0], r"inf at \(0,\)"),
        (BOX, np.array([1e300, 0.0]), r"inf at \(0,\)"),
        (BOX, np.array(["a", "b"]), "type <U1"),
        (BOX, np.array([1j, 0]), "type complex128"),
        (BOX, [[1], [2, 3]], "type object"),
        (BOX, None, "type object"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([0.5, 1.0]), "uint8 can't hold, such as 0.5"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([1, 300]), "such as 300"),
        (spaces.Box(0, 255, (1,), np.uint8), np.array([np.nan]), "such as nan"),
        (spaces.Discrete(3, start=2), 5, "outside Discrete"),
        (spaces.Discrete(3, start=2), 1, "outside Discrete"),
        (spaces.Discrete(3), np.array([1]), r"shape \(1,\)"),
        (spaces.MultiDiscrete([2, 3]), np.array([0, 3]), "outside MultiDiscrete"),
        (spaces.MultiDiscrete([2, 3]), np.array([-1, 0]), "outside MultiDiscrete"),
        (spaces.Text(5), 3, "a text was expected"),
        (NESTED, {"speed": np.zeros(2)}, "there is no .*'at'"),
        (NESTED, np.zeros(2), "a ndarray"),
        (spaces.Dict({"x": BOX}), {"x": np.zeros(3)}, "observation 'x'"),
    ],
)
def test_bad_observations(space, observation, message):
    with pytest.raises(ArgumentError, match=message):
        Plain(space).one(observation)


@pytest.mark.parametrize(
    ("space", "observations", "message"),
    [
        (BOX, np.zeros((2, 2), np.float32), r"\(3, 2\)"),
        (BOX, np.array([[0, 0], [0, np.nan], [0, 0]], np.float32), r"nan at \(1, 1\)"),
        (spaces.Discrete(2), np.array([0, 2, 1]), "outside Discrete"),
        (spaces.Text(5), ("a", "b"), "3 texts"),
        (spaces.Text(5), "abc", "3 texts"),
        (spaces.Text(5), ("a", "b", 3), "3 texts"),
    ],
)
def test_bad_batches(space, observations, message):
    with pytest.raises(ArgumentError, match=message):
        Plain(space).many(observations, 3)


def test_numbers_of_another_type_are_taken_where_nothing_is_lost():
    assert Plain(spaces.MultiDiscrete([3, 3])).one([1.0, 2.0]).tolist() == [1, 2]
    assert Plain(spaces.Discrete(3)).one(np.array(2.0)) == 2
    assert Plain(BOX).one((1, 0)).dtype == np.float32
    assert Plain(spaces.MultiBinary(2)).one(np.array([True, False])).tolist() == [1, 0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_number_among_many_is_found(wrong):
    """Also where the others make the sum of squares overflow, and where the array is a view with gaps."""
    plain = Plain(spaces.Box(-np.inf, np.inf, (50, 30), np.float32))
    x = np.random.default_rng(0).random((100, 60)).astype(np.float32)
    x[3, 4] = 1e30
    for view in (x[:50, :30], x[::2, ::2]):
        np.testing.assert_array_equal(plain.one(view), view)
    x[88, 58] = wrong
    with pytest.raises(ArgumentError, match=r"at \(44, 29\)"):
        plain.one(x[::2, ::2])
    assert plain.one(x[:50, :30]).shape == (50, 30)
