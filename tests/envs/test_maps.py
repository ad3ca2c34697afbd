"""Maps as a person types them: what each setting means, and what is said of each mistake."""

import re

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rltk.drawing import Cell
from rltk.envs import GridMap, GridWorldEnv
from rltk.envs.gridworld import compile_map, load_map, maze_map, parse_map, shipped_maps
from rltk.envs.gridworld.map import DIRECTIONS
from rltk.errors import ArgumentError, MapError, RltkError, UnknownNameError


def outcomes(text, cell, action):
    """{(cell entered, reward, terminated): probability} of an action, named by its place among the map's actions."""
    mdp, _ = compile_map(parse_map(text))
    state = next(s for s in range(mdp.n_states) if mdp.label(s) == cell)
    row = slice(*mdp.row_start[state * mdp.n_actions + action : state * mdp.n_actions + action + 2])
    keys = zip(map(mdp.label, mdp.next_state[row]), mdp.reward[row], mdp.terminated[row], strict=True)
    return dict(zip(keys, mdp.probability[row], strict=True))


UP, RIGHT, DOWN, LEFT = range(4)

# What the settings mean


def test_a_plain_map():
    mdp, layout = compile_map(parse_map("S.#\n.HG\n"))
    assert mdp.n_states == 5
    assert [mdp.label(s) for s in range(5)] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert [mdp.action_label(a) for a in range(4)] == ["up", "right", "down", "left"]
    assert mdp.start.tolist() == [1, 0, 0, 0, 0]
    assert mdp.form.terminated.tolist() == [False, False, False, True, True]
    assert mdp.form.success.tolist() == [False, False, False, False, True]
    assert layout.cells.tolist() == [[Cell.START, Cell.FLOOR, Cell.WALL], [Cell.FLOOR, Cell.PIT, Cell.GOAL]]


def test_wall_and_edge_hold_the_agent_back():
    assert outcomes("S.#G\n", (0, 1), RIGHT) == {((0, 1), 0.0, False): 1.0}
    assert outcomes("S.#G\n", (0, 1), UP) == {((0, 1), 0.0, False): 1.0}


def test_goal_and_pit():
    assert outcomes("HSG\n", (0, 1), RIGHT) == {((0, 2), 1.0, True): 1.0}
    assert outcomes("HSG\n", (0, 1), LEFT) == {((0, 0), 0.0, True): 1.0}
    assert outcomes("HSG\n", (0, 2), LEFT) == {((0, 2), 0.0, True): 1.0}  # absorbing


def test_slip_to_the_sides():
    text = "...\n.S.\n...\n---\nslip = 0.2\n"
    assert outcomes(text, (1, 1), UP) == pytest.approx(
        {((0, 1), 0.0, False): 0.8, ((1, 0), 0.0, False): 0.1, ((1, 2), 0.0, False): 0.1}
    )


def test_slip_to_the_others():
    text = "...\n.S.\n...\n---\nslip = 0.3\nslip_to = 'others'\n"
    assert outcomes(text, (1, 1), UP) == pytest.approx(
        {((0, 1), 0.0, False): 0.7, ((1, 0), 0.0, False): 0.1, ((1, 2), 0.0, False): 0.1, ((2, 1), 0.0, False): 0.1}
    )


def test_actions_in_their_order_with_diagonals_and_stay():
    text = "...\n.S.\n...\n---\nactions = ['stay', 'down-left', 'up-right']\nslip = 0.5\n"
    assert outcomes(text, (1, 1), 0) == {((1, 1), 0.0, False): 1.0}  # staying does not slip
    assert outcomes(text, (1, 1), 1) == {
        ((2, 0), 0.0, False): 0.5,
        ((0, 0), 0.0, False): 0.25,
        ((2, 2), 0.0, False): 0.25,
    }


def test_rewards_add_up():
    text = (
        "SA.\n..G\n---\n[rewards]\nstep = -1\nbump = -10\n"
        "[legend.A]\nenter = { reward = 100 }\nleave = { reward = 1000 }\n"
    )
    assert outcomes(text, (0, 0), RIGHT) == {((0, 1), 99.0, False): 1.0}
    assert outcomes(text, (0, 0), UP) == {((0, 0), -11.0, False): 1.0}
    assert outcomes(text, (0, 1), RIGHT) == {((0, 2), 999.0, False): 1.0}
    assert outcomes(text, (0, 1), UP) == {((0, 1), 989.0, False): 1.0}  # it stays, so it enters nothing
    assert outcomes(text, (0, 2), DOWN) == {((1, 2), 0.0, True): 1.0}  # -1, and the goal's own 1


def test_staying_on_a_cell_does_not_enter_it():
    text = "SA\n---\nactions = ['stay', 'right']\n[legend.A]\nenter = { reward = 5 }\n"
    assert outcomes(text, (0, 1), 0) == {((0, 1), 0.0, False): 1.0}
    assert outcomes(text, (0, 1), 1) == {((0, 1), 0.0, False): 1.0}
    assert outcomes(text, (0, 0), 1) == {((0, 1), 5.0, False): 1.0}


def test_entering_can_put_the_agent_elsewhere():
    text = "SC\n..\n---\n[rewards]\nstep = -1\n[legend.C]\nkind = 'pit'\nenter = { reward = -99, to = 'S' }\n"
    assert outcomes(text, (0, 0), RIGHT) == {((0, 0), -100.0, False): 1.0}
    assert outcomes(text, (1, 1), UP) == {((0, 0), -100.0, False): 1.0}
    assert outcomes(text, (0, 1), DOWN) == {((1, 1), -1.0, False): 1.0}


def test_leaving_can_put_the_agent_elsewhere():
    text = (
        "SA#\n..g\n---\n[rewards]\nbump = -1\n"
        "[legend.A]\nleave = { reward = 10, to = 'g' }\n[legend.g]\nkind = 'goal'\n"
    )
    for action in range(4):
        assert outcomes(text, (0, 1), action) == {((1, 2), 10.0, True): 1.0}  # put on the goal, it has not entered it


def test_a_legend_can_change_what_is_built_in():
    text = "S.G\n---\n[legend.G]\nterminal = false\nenter = { reward = 3 }\n[legend.'.']\nstart = true\n"
    mdp, _ = compile_map(parse_map(text))
    assert mdp.start.tolist() == [0.5, 0.5, 0.0]
    assert outcomes(text, (0, 1), RIGHT) == {((0, 2), 3.0, False): 1.0}
    assert outcomes(text, (0, 2), RIGHT) == {((0, 2), 0.0, False): 1.0}


def test_lines_may_end_as_on_windows_and_begin_after_empty_ones():
    plain = parse_map("S.\n.G\n---\nslip = 0.5\n")
    assert parse_map("\r\n\r\nS.\r\n.G\r\n\r\n---\r\nslip = 0.5\r\n") == plain
    assert parse_map("\ufeffS.\n.G\n---\nslip = 0.5") == plain
    assert plain != parse_map("S.\n.G\n")


@pytest.mark.parametrize("name", shipped_maps())
def test_shipped_maps_say_where_they_are_from_and_print_as_they_are(name):
    grid = load_map(name)
    assert grid.name
    assert len(grid.source) > 10
    assert parse_map(str(grid)) == grid
    assert gym.make("rltk/GridWorld-v0", map=name).unwrapped.map == grid


def test_a_maze_prints_as_a_map():
    grid = maze_map(4, map_seed=1)
    assert parse_map(str(grid)) == grid


def test_a_map_from_a_file(tmp_path):
    path = tmp_path / "my.map"
    path.write_text("S.é\n---\n[legend.\"é\"]\nkind = 'goal'\n", encoding="utf-8")
    for source in (path, str(path)):
        env = gym.make("rltk/GridWorld-v0", map=source)
        assert env.unwrapped.map == load_map(path)
    path.write_text("S.x\n")
    with pytest.raises(MapError, match=re.escape(f"{path}, line 1, column 3: unknown symbol 'x'")):
        load_map(path)
    path.write_bytes(b"S.G\nS.\xff\n")
    with pytest.raises(MapError, match="line 2, column 3: not UTF-8"):
        load_map(path)
    with pytest.raises(MapError, match="can't be read"):
        load_map(tmp_path)


@pytest.mark.parametrize("source", ["four_room", "no/such/file.map", "", "a\0b", "x" * 5000])
def test_a_map_that_is_not_there_lists_what_is(source):
    with pytest.raises(RltkError) as caught:
        GridWorldEnv(source)
    if source in ("four_room", "no/such/file.map", "a\0b"):
        assert caught.type is UnknownNameError
        assert "four_rooms" in str(caught.value)


@pytest.mark.parametrize("source", [None, 3, ["S.G"], b"S.G\n"])
def test_a_map_of_another_type_is_named(source):
    with pytest.raises(ArgumentError, match="map"):
        GridWorldEnv(source)


@pytest.mark.parametrize("slip", [-0.1, 1.1, float("nan"), "much", True])
def test_a_wrong_slip_is_named(slip):
    with pytest.raises(ArgumentError, match="slip"):
        GridWorldEnv("S.G\n", slip=slip)


def test_slip_can_be_given_from_outside():
    assert GridWorldEnv("S.G\n", slip=0.5).map == parse_map("S.G\n---\nslip = 0.5\n")
    assert GridWorldEnv("S.G\n---\nslip = 0.2\n").map.slip == 0.2
    with pytest.raises(ArgumentError, match="no other direction"):
        GridWorldEnv("S.G\n---\nslip_to = 'others'\nactions = ['right']\n", slip=0.5)


# Mistakes: text, line, column, what the message says

TOML = "S.G\n---\n"
MISTAKES = [
    ("S..\n.\n..G\n", 2, 2, "1 symbols, the first has 3"),
    ("S..\n....\n", 2, 4, "4 symbols, the first has 3"),
    ("S..\n\n..G\n", 2, 1, "0 symbols"),
    ("S..\n.x.\n", 2, 2, "unknown symbol 'x'"),
    ("S..\n.\t.\n", 2, 2, "unknown symbol '\\t'"),
    ("S.\u2028\n", 1, 3, "unknown symbol"),
    ("S.F\nFHF\n", 1, 3, '[legend."F"]'),
    ("...\n..G\n", 1, 1, "no start"),
    ("\n\n.G\n", 3, 1, "no start"),
    ("\n", 1, 1, "empty"),
    ("---\nslip = 0.1\n", 1, 1, "empty"),
    (TOML + "slip = \n", 3, 8, "no TOML"),
    (TOML + "name = 'x'\nslip = 0.1 0.2\n", 4, 12, "no TOML"),
    (TOML + "name = 'x\n", 4, 1, "no TOML"),
    (TOML + "name = '''x\n", 4, 1, "no TOML"),
    (TOML + "slip = 0.1\nslip = 0.2\n", 4, 11, "no TOML"),
    (TOML + "slip = 1.5\n", 3, 1, "slip: expected a probability from 0 to 1; found 1.5"),
    (TOML + "slip = -0.5\n", 3, 1, "slip"),
    (TOML + "slip = nan\n", 3, 1, "slip"),
    (TOML + "slip = true\n", 3, 1, "slip"),
    (TOML + "slip = '0.1'\n", 3, 1, "slip"),
    (TOML + "slipp = 0.1\n", 3, 1, "unknown setting 'slipp'; there are name, source, slip"),
    (TOML + "slip_to = 'back'\n", 3, 1, "one of sides, others"),
    (TOML + "slip_to = []\n", 3, 1, "one of sides, others"),
    (TOML + "slip = 0.1\nslip_to = 'others'\nactions = ['up']\n", 3, 1, "no other direction"),
    (TOML + "actions = []\n", 3, 1, "a list of up"),
    (TOML + "actions = 'up'\n", 3, 1, "a list of up"),
    (TOML + "actions = ['north']\n", 3, 1, "a list of up"),
    (TOML + "actions = [['up']]\n", 3, 1, "a list of up"),
    (TOML + "actions = ['up', 'up']\n", 3, 1, "each action once"),
    (TOML + "max_episode_steps = 0\n", 3, 1, "positive"),
    (TOML + "max_episode_steps = 1.5\n", 3, 1, "positive"),
    (TOML + "name = 3\n", 3, 1, "text in quotes"),
    (TOML + "rewards = 3\n", 3, 1, "step and bump"),
    (TOML + "[rewards]\nstep = inf\n", 4, 1, "rewards.step: expected a finite number"),
    (TOML + "[rewards]\nstep = 'low'\n", 4, 1, "rewards.step"),
    (TOML + "[rewards]\n\n  bump = nan\n", 5, 3, "rewards.bump"),
    (TOML + "[rewards]\njump = 1\n", 4, 1, "unknown setting 'rewards.jump'"),
    (TOML + "rewards.step = 1e999\n", 3, 1, "rewards.step"),
    (TOML + f"rewards.step = 1{'0' * 400}\n", 3, 1, "rewards.step"),
    (TOML + f"rewards.step = 1{'0' * 5000}\n", 4, 1, "no TOML"),
    (TOML + "legend = 3\n", 3, 1, "tables such as"),
    (TOML + "[legend]\nG = 3\n", 4, 1, "legend.G"),
    (TOML + "[legend.GG]\nkind = 'goal'\n", 3, 1, "one character"),
    (TOML + "[legend.G]\nkinds = 'goal'\n", 4, 1, "unknown setting 'legend.G.kinds'"),
    (TOML + "[legend.G]\nkind = 'gaol'\n", 4, 1, "floor, wall, goal"),
    (TOML + "[legend.G]\nkind = ['goal']\n", 4, 1, "floor, wall, goal"),
    (TOML + "[legend.G]\nlabel = 'x'\nterminal = 1\n", 5, 1, "true or false"),
    (TOML + "[legend.G]\nlabel = 1\n", 4, 1, "text in quotes"),
    (TOML + "[legend.G]\nenter = 1\n", 4, 1, "legend.G.enter"),
    (TOML + "[legend.G]\nenter = { rewards = 1 }\n", 4, 1, "unknown setting 'legend.G.enter.rewards'"),
    (TOML + "[legend.G]\nenter = { reward = 'x' }\n", 4, 1, "finite number"),
    (TOML + "[legend.G]\nterminal = false\nenter = { to = 'Sx' }\n", 5, 1, "one symbol"),
    (TOML + "[legend.G]\nenter = { to = 'x' }\n", 4, 1, "'x', 0 times"),
    (TOML + "[legend.'.']\nleave = { to = 'H' }\n", 4, 1, "'H', 0 times"),
    ("S..G\n---\n[legend.S]\nleave = { to = '.' }\n", 4, 1, "'.', 2 times"),
    ("S#.G\n---\n[legend.S]\nleave = { to = '#' }\n", 4, 1, "a wall"),
    (TOML + "[legend.G]\nterminal = true\nenter = { to = 'S' }\n", 4, 1, "can't be terminal"),
    (TOML + "[legend.G]\nleave = { reward = 1 }\n", 4, 1, "never left"),
    (TOML + "[legend.G]\nstart = true\n", 4, 1, "no episode can start there"),
    (TOML + "[legend.'.']\nsuccess = true\n", 4, 1, "has to be terminal"),
    (TOML + "[legend.'#']\nterminal = true\n", 3, 1, "is a wall"),
    (TOML + "[legend.S]\nstart = false\n", 1, 1, "no start"),
]


@pytest.mark.parametrize(("text", "line", "column", "what"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_named_with_line_and_column(text, line, column, what):
    with pytest.raises(MapError) as caught:
        parse_map(text)
    message = str(caught.value)
    assert message.startswith(f"map, line {line}, column {column}: "), message
    assert what in message


# Fuzz: whatever is typed is a map or a MapError, and a map is a valid world


def valid_or_named(text):
    try:
        grid = parse_map(text)
    except MapError as caught:
        grid, message = None, str(caught)
    if grid is None:
        place = re.match(r"map, line (\d+), column (\d+): ", message)
        assert 1 <= int(place[1]) <= text.count("\n") + 2
        assert int(place[2]) >= 1
        return None
    mdp, layout = compile_map(grid)
    assert mdp.start.sum() == pytest.approx(1)
    assert layout.n_states == mdp.n_states
    assert np.isfinite(mdp.backup(np.zeros(mdp.n_states), 0.9)).all()
    assert parse_map(str(grid)) == grid
    return grid


EASY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EASY
@given(st.text())
def test_any_text(text):
    valid_or_named(text)


@EASY
@given(st.text(alphabet="#.SGH \n-x'=[]", max_size=60))
def test_text_that_looks_like_a_map(text):
    valid_or_named(text)


@EASY
@given(st.text(alphabet="slip_toacnrewd=.[]{}'\"\n 0129-+einfGS,", max_size=80))
def test_text_that_looks_like_settings(text):
    valid_or_named("S.\n.G\n---\n" + text)


numbers = st.one_of(
    st.floats(), st.integers(), st.sampled_from([0, 0.5, 1, -1, 10**400]), st.booleans(), st.just("'x'")
)
symbols = st.sampled_from(["S", "G", "H", ".", "#", "A", "é", "\\\\", "'", "x"])
entry_lines = st.one_of(
    st.builds("kind = '{}'".format, st.sampled_from([*(kind.name.lower() for kind in Cell), "cell"])),
    st.builds("{} = {}".format, st.sampled_from(["terminal", "success", "start"]), st.sampled_from(["true", "false"])),
    st.builds("label = {}".format, st.sampled_from(["'x'", '"\\u0007"', "1"])),
    st.builds('{} = {{ reward = {}, to = "{}" }}'.format, st.sampled_from(["enter", "leave"]), numbers, symbols),
    st.builds("{} = {{ reward = {} }}".format, st.sampled_from(["enter", "leave"]), numbers),
)
settings_lines = st.one_of(
    st.builds("slip = {}".format, numbers),
    st.builds("slip_to = '{}'".format, st.sampled_from(["sides", "others", "back"])),
    st.builds("actions = {!r}".format, st.lists(st.sampled_from([*DIRECTIONS, "jump"]), max_size=4)),
    st.builds("max_episode_steps = {}".format, numbers),
    st.builds("rewards.{} = {}".format, st.sampled_from(["step", "bump"]), numbers),
)
grids = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.text("S.#GHAé", min_size=width, max_size=width), min_size=1, max_size=4)
)


@EASY
@given(
    grids,
    st.lists(settings_lines, max_size=3),
    st.dictionaries(symbols, st.lists(entry_lines, max_size=3), max_size=3),
)
def test_maps_with_settings(grid, lines, legend):
    tables = [f'[legend."{symbol}"]\n' + "\n".join(entries) for symbol, entries in legend.items()]
    valid_or_named("\n".join([*grid, "---", *lines, *tables]) + "\n")


def test_the_fuzz_reaches_valid_worlds():
    """The strategies above are worth something only if some of what they make is valid."""
    found = []

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(
        grids,
        st.lists(settings_lines, max_size=1),
        st.dictionaries(symbols, st.lists(entry_lines, max_size=1), max_size=1),
    )
    def search(grid, lines, legend):
        tables = [f'[legend."{symbol}"]\n' + "\n".join(entries) for symbol, entries in legend.items()]
        found.append(isinstance(valid_or_named("\n".join([*grid, "---", *lines, *tables]) + "\n"), GridMap))

    search()
    assert sum(found) >= 10
