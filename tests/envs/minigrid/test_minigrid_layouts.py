"""Levels from people: as text and back, in files, and played in any environment; episodes without a limit."""

import copy
import math
import pickle
import re

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minigrid_reference import FIRST_IDS, IDS, Errands, assert_same_observation

import rltk
from rltk.envs.minigrid import Layout, MiniGridEnv, cells
from rltk.envs.minigrid.level import FOREVER, MAX_STEPS, MISSION, STEPS
from rltk.envs.minigrid.levels.layout import EXAMPLE
from rltk.envs.minigrid.making.layout import MOST_CELLS, READS, RULES, layout_of
from rltk.envs.minigrid.making.words import WORDS, code_of_words, words_of
from rltk.envs.minigrid.rules import OBSTACLES_RULE
from rltk.errors import ArgumentError, MapError, ModelError, RltkError, SizeError, UnknownNameError
from rltk.mdp import stream_of

DOOR_KEY = "rltk/MiniGrid-DoorKey-5x5-v0"
FORWARD, PICK_UP, TOGGLE = 2, 3, 5
HALL = "#####\n#>.G#\n#####\n"
HALL_PLAN = [FORWARD, FORWARD]


def make(name="rltk/MiniGrid-v0", **options):
    return gym.make(name, **options).unwrapped


def assert_stands(env, layout):
    """Everything in `env` is as `layout` says."""
    assert Layout.from_env(env).with_changes(name=layout.name, source=layout.source) == layout.with_changes(
        max_steps=env.max_steps, mission=env.mission
    )


# Text


def test_what_the_symbols_mean():
    """Those that need no legend, the agent in each direction, and a legend's words."""
    layout = Layout.from_text(
        "# .G~\n<kbX#\n---\n[legend]\nk = 'red key'\nb='green box with  blue ball'\nX='purple floor'"
    )
    expected = [["grey wall", "empty", "empty", "green goal", "lava"]]
    expected += [["empty", "red key", "green box with blue ball", "purple floor", "grey wall"]]
    assert [[words_of(code) for code in row] for row in layout.codes.tolist()] == expected
    assert (layout.agent, layout.direction, layout.width, layout.height) == ((0, 1), 2, 5, 2)
    assert [Layout.from_text(f"{symbol}.\n").direction for symbol in ">v<^"] == [0, 1, 2, 3]
    assert (layout.mission, layout.rule, layout.max_steps, layout.limit) == ("", "goal", None, 40)
    assert not layout.see_through_walls


def test_what_the_settings_mean():
    """All of them; and a legend may give a symbol that needs none another meaning."""
    layout = Layout.from_text(
        """
^b#
G.d
---
name = "a"
source = "b"
mission = "pick up the blue ball"
max_steps = inf
see_through_walls = true
rule = "carry"
target = "blue ball"
[agent]
on = "red door open"
carrying = "grey box"
[legend]
b = "blue ball"
d = "red door"
"#" = "blue wall"
"""
    )
    assert (layout.name, layout.source, layout.mission) == ("a", "b", "pick up the blue ball")
    assert (layout.max_steps, layout.see_through_walls, layout.rule) == (math.inf, True, "carry")
    assert (words_of(layout.target), layout.target_at) == ("blue ball", (1, 0))
    assert words_of(layout.code_at((0, 0))) == "red door open"
    assert words_of(layout.code_at((2, 1))) == "red door closed"
    assert words_of(layout.code_at((2, 0))) == "blue wall"
    assert words_of(layout.carrying) == "grey box"


def test_marks_that_leave_no_choice_are_found():
    """A place from a look, a look from a place, obstacles in reading order; what was found is written out."""
    door = "d = 'red door locked'\nk = 'red key'\nb = 'blue ball'\nB = 'blue ball'"

    def found(rule, marks):
        layout = Layout.from_text(f"#d#b\n>k.B\n---\nrule = '{rule}'\n{marks}\n[legend]\n{door}")
        assert Layout.from_text(layout.to_text()) == layout
        return layout

    assert found("open", "target = 'red door locked'").target_at == (1, 0)
    assert found("carry", "target_at = [1, 1]").target == code_of_words("red key")
    assert found("fetch", "target = 'blue ball'").target_at == (0, 0)
    assert found("put near", "target = 'red key'\nother_at = [0, 0]").other_at == (0, 0)
    assert found("obstacles", "").obstacles == ((3, 0), (3, 1))
    assert found("obstacles", "obstacles = [[3, 1]]").obstacles == ((3, 1),)


def test_words_and_codes_name_each_other():
    """Every code has words, different from all others'; loose spaces and left-out words are understood."""
    assert len({words_of(code) for code in range(1, cells.N_CODES)}) == cells.N_CODES - 1
    assert all(code_of_words(words_of(code)) == code for code in range(1, cells.N_CODES))
    assert (
        code_of_words(" red  door ") == code_of_words("red door closed") == cells.code_of("door", "red", cells.CLOSED)
    )
    assert code_of_words("wall") == cells.OUTSIDE
    assert code_of_words(None) == cells.EMPTY
    for wrong in ("dragon", "red", "door red", "pink key", "", 0, cells.N_CODES, 2.5, True, "red key " * 10**6):
        with pytest.raises(ArgumentError, match="a colour and a thing"):
            code_of_words(wrong)


def test_a_level_with_everything_on_it():
    """Every code at once has a symbol of its own."""
    codes = np.full((12, 12), cells.EMPTY)
    codes.ravel()[: cells.N_CODES - 1] = np.arange(1, cells.N_CODES)
    for place in ((0, 0), (11, 11)):
        layout = Layout(codes, place)
        assert Layout.from_text(layout.to_text()) == layout
        assert len(layout.to_text().split("---")[0].split("\n")) == 13


@pytest.mark.parametrize("name", IDS)
def test_every_level_goes_round_after_any_steps(name):
    """Through text, and played again: the same board, agent, rule and order of obstacles; and from there on, with the
    same draws, the same observations and endings."""
    env, replay = make(f"rltk/{name}"), make(f"rltk/{name}")
    count = 8 if name in FIRST_IDS else 3
    for seed in range(count):
        env.reset(seed=seed)
        policy = Errands(seed)
        for _ in range(7 * seed):
            env.step(policy(env))
        layout = Layout.from_env(env)
        again = Layout.from_text(layout.to_text())
        assert again == layout
        assert again.to_text() == layout.to_text()
        replay.reset(seed=seed, options={"layout": again})
        assert_stands(replay, layout)
        state, twin = env.get_state(), replay.get_state()
        assert np.array_equal(state["grid"], twin["grid"])
        same = [register for register in range(16) if register != STEPS]
        assert state["body"][same].tolist() == twin["body"][same].tolist()
        if env._setting.plan.rule == OBSTACLES_RULE:
            assert state["memory"].tolist() == twin["memory"].tolist()
        replay.set_state({**twin, "stream": state["stream"]}, restore_rng=True)
        for _ in range(12):
            action = policy(env)
            found, expected = replay.step(action), env.step(action)
            assert_same_observation(found[0], expected[0])
            assert (found[1] != 0, found[2]) == (
                expected[1] != 0,
                expected[2],
            )  # the steps before count in what it pays
            if found[2]:
                break


# Mistakes: text, line, column, what the message says

LEVEL = "#k#\n#>G\n---\n"
MISTAKES = [
    ("", 1, 1, "empty"),
    ("\n---\n>", 1, 1, "empty"),
    ("#>\n#\n", 2, 2, "1 symbols, the first has 2"),
    ("#>x\n", 1, 3, "unknown symbol 'x'"),
    ("#>x\n", 1, 3, '[legend] as "x" = "red ball"'),
    ("##\n#.\n", 1, 1, "no agent"),
    ("\n\n##\n", 3, 1, "no agent"),
    ("\n\n#>\n#\n", 4, 2, "1 symbols, the first has 2"),
    ("\n#>\n#x\n", 3, 2, "unknown symbol 'x'"),
    ("\n#>\n#v\n", 3, 2, "a second agent"),
    ("#>\n#v\n", 2, 2, "a second agent"),
    (">.\n---\nx = \n", 3, 5, "no TOML"),
    (">.\n---\nsize = 3\n", 3, 1, "unknown setting 'size'; there are mission"),
    (">.\n---\nmission = 3\n", 3, 1, "mission: expected a text"),
    (">.\n---\n\nmax_steps = 0\n", 4, 1, "max_steps: expected a number from 1 to 2147483646, or inf; found 0"),
    (">.\n---\nmax_steps = 2147483647\n", 3, 1, "found 2147483647"),
    (">.\n---\nmax_steps = 2.0\n", 3, 1, "found 2.0"),
    (">.\n---\nmax_steps = nan\n", 3, 1, "found nan"),
    (">.\n---\nsee_through_walls = 1\n", 3, 1, "true or false"),
    (">.\n---\nrule = 'fly'\n", 3, 1, "one of goal, carry, fetch"),
    (">.\n---\nrule = []\n", 3, 1, "one of goal"),
    (">.\n---\nrule = 'carry'\n", 3, 1, 'target = "..." besides'),
    (">.\n---\nrule = 'go to'\n", 3, 1, "target_at = [x, y] besides"),
    (
        ">.\n---\nrule = 'carry'\ntarget = 'red key'\n",
        4,
        1,
        "on the level once, or target_at = [x, y] besides; found 'red",
    ),
    (">.\n---\nrule = 'carry'\ntarget_at = [2, 0]\n", 4, 1, "from [0, 0] to [1, 0]; found [2, 0]"),
    (">.\n---\nrule = 'carry'\ntarget_at = [1, 0]\n", 3, 1, "target: expected a key, a ball or a box"),
    (">.\n---\nrule = 'open'\ntarget_at = [1, 0]\n", 4, 1, "a door's place, for the rule 'open'; found 'empty'"),
    (">.\n---\nrule = 'fetch'\ntarget = 'lava'\n", 4, 1, "a key, a ball or a box"),
    (">.\n---\ntarget = 'red dragon'\n", 3, 1, "a colour and a thing, such as 'red key'"),
    (">.\n---\nother_at = 'x'\n", 3, 1, "a cell [x, y]"),
    (">.\n---\nother_at = [0.5, 0]\n", 3, 1, "a cell [x, y]"),
    (">.\n---\nobstacles = [[1, 0]]\n", 3, 1, "none but with the rule"),
    (">.\n---\nrule = 'obstacles'\nobstacles = [[1, 0]]\n", 4, 1, "places where balls are; found 'empty' at [1, 0]"),
    (">.\n---\nrule = 'obstacles'\nobstacles = 5\n", 4, 1, "a list of cells"),
    (">b\n---\nrule='obstacles'\nobstacles=[[1,0],[1,0]]\n[legend]\nb='red ball'\n", 4, 1, "each place once"),
    (">.\n---\n[agent]\non = 'wall'\n", 4, 1, "a cell that can be walked on"),
    (">.\n---\n[agent]\n\ncarrying = 'lava'\n", 5, 1, "carrying: expected a key, a ball or a box, or nothing"),
    (">.\n---\n[agent]\non = 3\n", 4, 1, "agent.on: expected a colour and a thing"),
    (">.\n---\n[agent]\nat = 3\n", 4, 1, "unknown setting 'agent.at'; there are on, carrying"),
    (">.\n---\nagent = 3\n", 3, 1, "a table with on"),
    (">.\n---\nlegend = 3\n", 3, 1, "a table of symbols"),
    (">k\n---\n[legend]\nk = 'key'\n", 4, 1, "legend.k: expected a colour and a thing"),
    (">k\n---\n[legend]\nk = { kind = 'key' }\n", 4, 1, "a colour and a thing"),
    (">k\n---\n[legend]\nkk = 'red key'\n", 4, 1, "one character"),
    (">k\n---\n[legend]\n'>' = 'red key'\n", 4, 1, "what it stands on is [agent]"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place(text, line, column, message):
    """Origin, line, column, what was expected and what was found."""
    with pytest.raises(MapError) as error:
        Layout.from_text(text, "my.level")
    assert str(error.value).startswith(f"my.level, line {line}, column {column}: ")
    assert message in str(error.value)


def test_what_is_too_large_is_refused():
    """By its size, before the board is made."""
    with pytest.raises(MapError, match="1001 x 1000 cells; at most 1,000,000"):
        Layout.from_text(">" + "." * 1000 + ("\n" + "." * 1001) * 999)
    with pytest.raises(MapError, match="characters; at most"):
        Layout.from_text("." * 20_000_000)
    with pytest.raises(SizeError, match="1001 x 1000"):
        Layout(np.broadcast_to(np.uint8(1), (1000, 1001)), (0, 0))
    with pytest.raises(SizeError):
        Layout.empty(10**6, 10**6)
    largest = Layout.empty(1000, 1000)
    assert largest.codes.size == MOST_CELLS
    assert Layout.from_text(largest.to_text()) == largest


def test_a_layout_in_python_is_checked():
    """By the same rules, as an ArgumentError that names the field; and it can't be changed."""
    board = np.full((3, 3), cells.EMPTY)
    for fields, message in (
        ({"agent": (3, 0)}, "agent"),
        ({"agent": (0, 0), "direction": 4}, "direction"),
        ({"agent": (0, 0), "carrying": cells.LAVA}, "carrying"),
        ({"agent": (0, 0), "rule": "fly"}, "rule"),
        ({"agent": (0, 0), "max_steps": 0}, "max_steps"),
        ({"agent": (0, 0), "mission": "\ud800"}, "mission"),
        ({"agent": (0, 0), "rule": "open", "target_at": (1, 1)}, "target_at"),
        ({"agent": (0, 0), "codes": board * 0}, "codes"),
        ({"agent": (0, 0), "codes": board * 1.0}, "codes"),
        ({"agent": (0, 0), "codes": board[0]}, "codes"),
    ):
        with pytest.raises(ArgumentError, match=message):
            Layout(**{"codes": board, **fields})
    layout = Layout(board, (0, 0))
    board[0, 1] = cells.LAVA
    assert layout.codes[0, 1] == cells.EMPTY
    with pytest.raises(ValueError, match="read-only"):
        layout.codes[0, 0] = 2
    with pytest.raises(ArgumentError, match="at least 3"):
        Layout.empty(2, 3)
    with pytest.raises(ArgumentError, match="no sise; it has codes"):
        layout.with_changes(sise=3)
    for twin in (copy.deepcopy(layout), pickle.loads(pickle.dumps(layout))):
        assert twin == layout
        assert hash(twin) == hash(layout)
    assert layout != layout.with_changes(agent=(1, 1))
    assert layout != "another"
    assert set(READS) == set(RULES)


# Any text


def valid_or_named(text):
    """A layout that goes round and can be played, or a MapError with line and column."""
    try:
        layout = Layout.from_text(text)
    except MapError as error:
        layout, message = None, str(error)
    if layout is None:
        assert re.match(r"level, line \d+, column \d+: .", message)
    else:
        assert Layout.from_text(layout.to_text()) == layout
    return layout


EASY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EASY
@given(st.text())
def test_any_text(text):
    valid_or_named(text)


@EASY
@given(
    st.text(alphabet="#.>v G~\n-k'=[]", max_size=40),
    st.text(alphabet="onfcarulet_mgiyd=.[]{}'\"\n 012-,#", max_size=60),
)
def test_text_that_looks_like_a_level(grid, rest):
    valid_or_named(grid)
    valid_or_named(grid + "\n---\n" + rest)
    valid_or_named(">.\n---\n" + rest)


words = st.sampled_from([*WORDS, "dragon", "red"])
values = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from(["inf", "nan", "1e400", "true", "[]", "{}", "[0, 0]", "[1, 0]", "[[1, 0]]", "9" * 30, "'\\u0000'"]),
    words.map(repr),
    st.sampled_from([*RULES, "fly"]).map(repr),
)
keys = st.sampled_from(
    [
        "mission",
        "rule",
        "target",
        "target_at",
        "other",
        "other_at",
        "obstacles",
        "max_steps",
        "see_through_walls",
        "name",
    ]
)
wild_lines = st.builds("{} = {}".format, keys, values)
rules = st.sampled_from(
    [
        "",
        "rule = 'obstacles'",
        "rule = 'open'",
        "rule = 'fetch'\ntarget = 'red key'",
        "rule = 'go to'\ntarget_at = [0, 0]",
        "rule = 'stand'\ntarget_at = [0, 0]\nother_at = [0, 0]",
        "rule = 'carry'\ntarget = 'blue ball'\ntarget_at = [0, 0]",
    ]
)
grids = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.text("#.Ga~bé", min_size=width, max_size=width), min_size=1, max_size=4)
)


LEVELS = st.tuples(
    grids,
    st.integers(0, 15),
    st.sampled_from(">v<^"),
    rules.flatmap(lambda rule: st.lists(wild_lines, max_size=1).map(lambda lines: [rule, *lines])),
    st.dictionaries(st.sampled_from(["a", "b", '"é"', "G", '"#"']), words, max_size=4),
    st.dictionaries(st.sampled_from(["on", "carrying"]), words, max_size=2),
)


def typed(grid, place, symbol, lines, legend, agent):
    """A level's text."""
    y, x = divmod(place % (len(grid) * len(grid[0])), len(grid[0]))
    rows = [*grid[:y], grid[y][:x] + symbol + grid[y][x + 1 :], *grid[y + 1 :]]
    tables = ["[agent]", *(f"{key} = {value!r}" for key, value in agent.items())]
    tables += ["[legend]", *(f"{key} = {value!r}" for key, value in legend.items())]
    return "\n".join([*rows, "---", *lines, *tables])


def test_the_fuzz_reaches_valid_levels():
    """The strategies above are worth something only if some of what they make is valid, under several rules."""
    found = []

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(LEVELS)
    def search(parts):
        found.append(valid_or_named(typed(*parts)))

    search()
    assert sum(layout is not None for layout in found) >= 10
    assert len({layout.rule for layout in found if layout is not None}) >= 3


@EASY
@given(LEVELS)
def test_levels_with_settings(parts):
    """Grids, rules, marks and legends in all combinations: whatever is valid can also be played and looked at."""
    layout = valid_or_named(typed(*parts))
    if layout is None:
        return
    env = make(layout=layout)
    env.reset(seed=0)
    assert_stands(env, layout)
    actions = np.random.default_rng(0).integers(7, size=30)
    for action in actions:
        env.step(int(action))
    Layout.from_env(env)
    few = np.count_nonzero(cells.FLAGS[layout.codes] & cells.CARRIABLE) < 3  # each multiplies the states to search
    if few and layout.rule != "obstacles":
        env.reset()
        env.shortest_plan()


@EASY
@given(st.integers(0, 10**6), st.characters(), st.booleans())
def test_a_valid_text_with_one_slip(at, character, insert):
    at %= len(EXAMPLE)
    valid_or_named(EXAMPLE[:at] + character + EXAMPLE[at + (not insert) :])


# Files


def test_a_file_holds_a_level(tmp_path):
    """What was saved is loaded again, as an option too; nothing else is left in the folder."""
    layout = Layout.from_text(EXAMPLE).with_changes(name="größer", mission='say "hello"\n')
    path = layout.save(tmp_path / "my.level")
    assert path.read_text(encoding="utf-8") == layout.to_text()
    assert Layout.load(path) == layout_of(str(path)) == layout
    layout.with_changes(name="other").save(path)
    assert Layout.load(path).name == "other"
    assert [entry.name for entry in tmp_path.iterdir()] == ["my.level"]
    env = make(layout=path)
    env.reset(seed=0)
    assert_stands(env, layout)


def test_a_file_that_can_not_be_read_or_written(tmp_path):
    """Typed errors; a file that was there stays whole."""
    with pytest.raises(UnknownNameError, match="no file"):
        Layout.load(tmp_path / "none.level")
    with pytest.raises(MapError, match="can't be read"):
        Layout.load(tmp_path)
    (tmp_path / "latin.level").write_bytes(b"#>.\n#\xe9.\n")
    with pytest.raises(MapError, match="line 2, column 2: not UTF-8"):
        Layout.load(tmp_path / "latin.level")
    (tmp_path / "wrong.level").write_text("#>x\n")
    with pytest.raises(MapError, match=r"wrong\.level, line 1, column 3"):
        make(layout=tmp_path / "wrong.level")
    with pytest.raises(OSError, match="No such file"):
        Layout.empty(3, 3).save(tmp_path / "no" / "x.level")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        Layout.empty(3, 3).save(tmp_path / "folder")
    assert not list(tmp_path.glob(".*"))
    for wrong in (3, None, b">\n"):
        with pytest.raises(ArgumentError, match="layout: a Layout, its text or the path"):
            make(layout=wrong)


# Playing


def test_a_layout_is_replayed_at_every_reset():
    """In one environment and in batches, in every mode; without arguments it is the example, which can be solved."""
    env, layout = make(), Layout.from_text(EXAMPLE)
    for seed in (0, 1, None):
        env.reset(seed=seed)
        assert_stands(env, layout)
        assert env.max_steps == 4 * 6 * 8
        env.step(FORWARD)
    env.reset()
    plan = env.shortest_plan()
    assert rltk.solve(env, gamma=0.9).value[0] == pytest.approx(0.9 ** (len(plan) - 1))
    assert [env.step(action)[1:3] for action in plan][-1] == (1 - 0.9 * len(plan) / 192, True)
    for mode in ("NextStep", "SameStep"):
        batch = gym.make_vec("rltk/MiniGrid-v0", num_envs=3, layout=HALL, autoreset_mode=mode)
        batch.reset(seed=0)
        for action in [FORWARD] * 7:
            batch.step(np.full(3, action))
        batch.reset()
        assert all(Layout.from_env(batch, i).codes.tolist() == layout_of(HALL).codes.tolist() for i in range(3))
    with pytest.raises(ArgumentError, match="a batch is made with layout"):
        batch.reset(options={"layout": HALL})
    with pytest.raises(ArgumentError, match="from 0 to 2"):
        Layout.from_env(batch, 3)


def test_random_starts():
    """Every free cell and direction, drawn from the environment's stream; the board stays the same."""
    env = make(layout=EXAMPLE, random_start=True)
    layout, seen = Layout.from_text(EXAMPLE), set()
    for seed in range(600):
        env.reset(seed=seed)
        seen.add((env.agent_pos, env.agent_dir))
        assert np.array_equal(env.grid.codes(), layout.codes)
    free = {(int(x), int(y)) for y, x in np.argwhere(layout.codes == cells.EMPTY)}
    assert seen == {(place, direction) for place in free for direction in range(4)}
    one, two = (
        make(layout=EXAMPLE, random_start=True),
        gym.make_vec("rltk/MiniGrid-v0", num_envs=2, layout=EXAMPLE, random_start=True),
    )
    two.reset(seed=3)
    for i in range(2):
        one.reset(seed=3 + i)
        assert Layout.from_env(one) == Layout.from_env(two, i)


@pytest.mark.parametrize("name", FIRST_IDS)
def test_any_environment_plays_a_layout_for_an_episode(name):
    """Its own levels come again with the next reset, as if nothing had been between."""
    env, twin = make(f"rltk/{name}"), make(f"rltk/{name}")
    env.reset(seed=5)
    twin.reset(seed=5)
    observation, _ = env.reset(options={"layout": EXAMPLE})
    layout = Layout.from_text(EXAMPLE)
    assert_stands(env, layout)
    assert (env.width, env.height) == (8, 6)
    assert observation["mission"] == env.mission == layout.mission
    assert observation["image"].shape == (7, 7, 3)
    assert env.get_frame(tile_size=8).shape == (48, 64, 3)
    if env.action_space.n == 7:
        plan = env.shortest_plan()
        assert env.mdp().n_states > 100
        state = env.get_state()
        for twice in range(2):
            rewards = [env.step(action)[1] for action in plan]
            assert rewards == [0.0] * (len(plan) - 1) + [env.success_reward(len(plan))], twice
            env.set_state(state)
        for copied in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
            assert copied.step(FORWARD)[0]["image"].tolist() == copy.deepcopy(env).step(FORWARD)[0]["image"].tolist()
            copied.reset()
            assert copied.grid.codes().shape == twin.grid.codes().shape
    env.reset(seed=6)
    twin.reset(seed=6)
    assert Layout.from_env(env) == Layout.from_env(twin)
    assert "info" not in env.step(0)[4]


def test_what_an_environment_keeps_and_what_the_layout_brings():
    """The environment's own limit goes before the layout's, and its view stays; the layout's rule and walls come."""
    env = make(DOOR_KEY, agent_view_size=5)
    door = Layout.from_text(
        "####\n#>l#\n####\n---\nrule='open'\ntarget_at=[2, 1]\nsee_through_walls=true\nmax_steps=9\n"
        "[agent]\ncarrying='red key'\n[legend]\nl='red door locked'"
    )
    env.reset(seed=0, options={"layout": door})
    assert (env.max_steps, env.agent_view_size, env.see_through_walls) == (9, 5, True)
    assert env.step(TOGGLE)[1:3] == (1 - 0.9 / 9, True)
    short = make(DOOR_KEY, max_steps=3)
    short.reset(options={"layout": door})
    assert short.max_steps == 3
    env.reset()
    assert not env.see_through_walls


def test_missions_of_layouts():
    """A layout's own is said as text; as a number it must be among the environment's; where it has none, the first."""
    env = make(DOOR_KEY)
    assert env.reset(options={"layout": HALL})[0]["mission"] == env.observation_space["mission"].texts[0]
    other = layout_of(HALL).with_changes(mission="go {home}")
    assert env.reset(options={"layout": other})[0]["mission"] == "go {home}"
    numbers = make("rltk/MiniGrid-Fetch-5x5-N2-v0", mission="number")
    texts = numbers._setting.plan.missions.texts
    numbers.reset(options={"layout": layout_of(HALL).with_changes(mission=texts[7])})
    assert (numbers.mission_number, numbers.mission) == (7, texts[7])
    with pytest.raises(ArgumentError, match="none of the 60"):
        numbers.reset(options={"layout": other})
    silent = make(DOOR_KEY, mission="none")
    assert set(silent.reset(options={"layout": other})[0]) == {"image", "direction"}
    some = make(layout=other, missions=["stay", "go {home}"], mission="number")
    assert some.reset()[0]["mission"] == 1
    assert some.observation_space["mission"].n == 2
    assert some.get_state()["body"][MISSION] == 1
    for missions in ([], ["stay"], [3, "go {home}"]):
        with pytest.raises(ArgumentError, match="missions: sentences"):
            make(layout=other, missions=missions)


def test_a_wrong_layout_changes_nothing():
    """The episode goes on where it was."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    before = env.get_state()
    for wrong in ("#x\n", 3, "no such file"):
        with pytest.raises(RltkError):
            env.reset(seed=1, options={"layout": wrong})
    assert all(np.array_equal(env.get_state()[key], before[key]) for key in before)
    assert Layout.from_env(env).max_steps == 250
    for stranger in (gym.make("CartPole-v1"), make(DOOR_KEY)):
        with pytest.raises(ArgumentError, match="was reset"):
            Layout.from_env(stranger)


def test_an_observation_of_another_shape_is_refused():
    """Where what is seen depends on the board's size, its space would be a lie."""

    class Whole(MiniGridEnv):
        def gen_obs(self):
            return {"image": self.grid.encode(), "direction": self.agent_dir}

    env = Whole("DoorKey", size=5, mission="none")
    env.observation_space = gym.spaces.Dict(
        {"image": gym.spaces.Box(0, 255, (5, 5, 3), np.uint8), "direction": gym.spaces.Discrete(4)}
    )
    env.reset(seed=0)
    env.reset(options={"layout": Layout.empty(5, 5)})
    with pytest.raises(ArgumentError, match=r"seen as \(6, 5, 3\), but .* have the shape \(5, 5, 3\)"):
        env.reset(options={"layout": Layout.empty(6, 5)})
    with pytest.raises(ArgumentError, match="reset"):
        env.step(0)
    assert env.reset()[0] in env.observation_space


# Without a limit


@pytest.mark.parametrize("name", ["rltk/MiniGrid-v0", "rltk/MiniGrid-Empty-5x5-v0", "rltk/MiniGrid-Fetch-5x5-N2-v0"])
def test_episodes_without_a_limit(name):
    """They are never truncated, success pays exactly 1, and that is what the model says."""
    env = make(name, max_steps=math.inf)
    assert gym.make(name, max_steps=math.inf).metadata["reward_model"] == "exact"
    assert gym.make_vec(name, num_envs=2, max_steps=math.inf).metadata["reward_model"] == "exact"
    assert MiniGridEnv.metadata["reward_model"] == make(name).metadata["reward_model"] == "declared"
    env.reset(seed=0)
    assert (env.max_steps, env.steps_remaining, env.max_episode_steps) == (math.inf, math.inf, None)
    assert env.success_reward(10**9) == 1.0
    assert rltk.model_of(env)[1] is None
    assert rltk.evaluate(rltk.solve(env, gamma=0.9), env).reward_model == "exact"
    for _ in range(300):
        assert not env.step(0)[3]
    plan = env.shortest_plan()
    assert [env.step(action)[1:4] for action in plan][-1] == (1.0, True, False)
    state = env.get_state()
    state["body"][STEPS] = FOREVER - 1
    env.set_state(state)
    for _ in range(3):
        assert not env.step(0)[3]
    assert env.step_count == FOREVER - 1
    with pytest.raises(ArgumentError, match="body"):
        env.set_state({**state, "body": np.where(np.arange(16) == STEPS, FOREVER, state["body"])})


def test_limits_come_and_go():
    """By the attribute, and with a layout that says so."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    env.max_steps = math.inf
    assert (env.max_steps, env.metadata["reward_model"], env.get_state()["body"][MAX_STEPS]) == (
        math.inf,
        "exact",
        FOREVER,
    )
    env.max_steps = 5
    assert (env.max_steps, env.metadata["reward_model"]) == (5, "declared")
    env.reset(options={"layout": layout_of(HALL).with_changes(max_steps=math.inf)})
    assert (env.max_steps, env.metadata["reward_model"]) == (math.inf, "exact")
    assert [env.step(action)[1] for action in HALL_PLAN] == [0.0, 1.0]
    env.reset()
    assert (env.max_steps, env.metadata["reward_model"]) == (5, "declared")
    state = env.get_state()
    env.max_steps = math.inf
    env.reset(options={"layout": HALL})
    assert env.metadata["reward_model"] == "declared"
    env.reset()
    assert (env.max_steps, env.metadata["reward_model"]) == (math.inf, "exact")
    env.set_state(state)
    assert (env.max_steps, env.metadata["reward_model"]) == (5, "declared")
    for wrong in (0, -math.inf, math.nan, 2.0, FOREVER, True, "inf"):
        with pytest.raises(ArgumentError, match="max_steps: a number of steps"):
            env.max_steps = wrong
        with pytest.raises(ArgumentError, match="max_steps: a number of steps"):
            make(DOOR_KEY, max_steps=wrong)


def test_a_layout_needs_no_stream():
    """Where nothing is drawn, reset spends no word of the stream."""
    env = make(layout=HALL)
    env.reset(seed=4)
    assert stream_of(env.np_random).tolist() == stream_of(gym.utils.seeding.np_random(4)[0]).tolist()


# What a layout can hold and a model can't


def test_a_target_in_the_agents_hand_is_not_modelled():
    """Where it is set down would be remembered by the rule, not by the state."""
    text = "######\n#>..b#\n#....#\n######\n---\nrule = 'carry'\ntarget = 'blue ball'\ntarget_at = [1, 2]\n"
    env = gym.make("rltk/MiniGrid-v0", layout=text + "[agent]\ncarrying = 'blue ball'\n[legend]\nb = 'blue ball'\n")
    env.reset()
    for ask in (env.unwrapped.mdp, env.unwrapped.shortest_plan):
        with pytest.raises(ModelError, match="carries already"):
            ask()
    graded = rltk.evaluate(Idle(), env, episodes=2)
    assert not graded.exact
    assert "carries already" in graded.reason


@pytest.mark.parametrize(
    ("row", "legend", "refused"),
    [
        ("#x>bG#", "x = 'green box with blue ball'\nb = 'blue ball'", True),
        ("#x>yG#", "x = 'green box with blue ball'\ny = 'red box with blue ball'", True),
        ("#x>xG#", "x = 'green box with blue ball'", False),
        ("#x>bG#", "x = 'green box with blue ball'\nb = 'red ball'", False),
    ],
)
def test_a_board_that_would_be_two_states_is_not_modelled(row, legend, refused):
    """What comes out of a box must look like nothing else, or all boxes alike; then the steps follow the model."""
    env = gym.make("rltk/MiniGrid-v0", layout=f"######\n{row}\n#....#\n######\n---\n[legend]\n{legend}\n").unwrapped
    env.reset()
    if refused:
        with pytest.raises(ModelError, match="two states"):
            env.mdp()
        assert env.shortest_plan() is not None
        return
    model, random, state = env.model(), np.random.default_rng(0), 0
    for _ in range(300):
        action = int(random.integers(7))
        _, _, terminated, _, info = env.step(action)
        if terminated:
            env.reset()
            state = 0
            continue
        state = int(model.reached.next_state[state, action])
        assert info["state"] == state


def test_a_state_goes_only_where_its_rule_is_played():
    """A state of a layout is none of the family's own level of the same size."""
    env = gym.make("rltk/MiniGrid-Empty-5x5-v0").unwrapped
    carry = "#####\n#>.b#\n#...#\n#...#\n#####\n---\nrule = 'carry'\ntarget = 'blue ball'\n[legend]\nb = 'blue ball'\n"
    env.reset(options={"layout": carry})
    state = env.get_state()
    env.reset(seed=0)
    with pytest.raises(ArgumentError, match="another rule"):
        env.set_state(state)
    env.reset(options={"layout": carry})
    env.set_state(state)


class Idle:
    """Turns left."""

    gamma = 0.9

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return 0, None
