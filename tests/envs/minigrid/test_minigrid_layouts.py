"""Levels from people: as text and back, in files, and played in any environment; episodes without a limit."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layout_helpers import assert_stands, make
from minigrid_reference import FIRST_IDS, IDS, Errands, assert_same_observation

from rltk.envs.minigrid import Layout, cells
from rltk.envs.minigrid.level import STEPS
from rltk.envs.minigrid.levels.layout import EXAMPLE
from rltk.envs.minigrid.making.layout import MOST_CELLS, READS, RULES, layout_of
from rltk.envs.minigrid.making.words import WORDS, code_of_words, words_of
from rltk.envs.minigrid.rules import OBSTACLES_RULE
from rltk.errors import ArgumentError, MapError, SizeError, UnknownNameError

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
