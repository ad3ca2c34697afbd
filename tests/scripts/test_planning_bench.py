"""The planners' benchmark: its problems are what they are called, its peers solve them, its tables fit."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

from rltk.agents.planning import solve
from rltk.mdp import MDP
from rltk.scripts.benchmarks import planning, planning_text
from rltk.scripts.benchmarks.planning import Line, Result, chosen_cases, chosen_peers
from rltk.scripts.benchmarks.planning_children import added_memory
from rltk.scripts.benchmarks.planning_huge import huge_mdp
from rltk.scripts.benchmarks.planning_peers import GAMMA, OURS, PEERS, TOLERANCE, scipy_sweeps
from rltk.scripts.benchmarks.planning_problems import AHEAD, CASES, QUICK, Problem, grid_moves, random_goals, slippery
from rltk.scripts.cli import main

SMALL = {case.build.__name__: case.small() for case in CASES.values()}
METHODS = [*OURS, *(method for group in PEERS.values() for method in group)]


def optimum(problem: Problem) -> np.ndarray:
    """The exact values of the general form, by policy iteration."""
    return solve(problem.rows(), GAMMA, tolerance=1e-9, method="policy-iteration").value


@pytest.mark.parametrize("family", SMALL)
def test_every_problem_is_a_valid_mdp(family):
    """Rows sum to 1, terminal states stay where they are and pay nothing, and there is something to earn."""
    problem = SMALL[family].problem(0)
    mdp = problem.rows()
    assert mdp.available.all()
    assert mdp.form.n_outcomes == problem.n_outcomes
    assert np.abs(problem.transition.sum(axis=1) - 1).max() < 1e-12
    ended = np.repeat(problem.terminal, problem.n_actions)
    own = sp.kron(sp.eye_array(problem.n_states), np.ones((problem.n_actions, 1)), format="csr")
    assert (problem.transition.multiply(own).sum(axis=1)[ended] == 1).all()
    assert (problem.reward[problem.terminal] == 0).all()
    value = optimum(problem)
    assert (value[problem.terminal] == 0).all()
    assert np.ptp(value) > 1e-3


@pytest.mark.parametrize("family", SMALL)
def test_renumbering_permutes_the_values_and_nothing_else(family):
    """State s is called place[s], and is worth what it was worth."""
    case = SMALL[family]
    problem = case.build(case.size, np.random.default_rng(3))
    place = np.random.default_rng(4).permutation(problem.n_states).astype(np.int32)
    moved = problem.renumbered(place)
    assert np.abs(optimum(moved)[place] - optimum(problem)).max() < 1e-11
    assert moved.terminal[place].tolist() == problem.terminal.tolist()
    if problem.compact is not None:
        assert np.abs(optimum_of(moved.moves())[place] - optimum(problem)).max() < 1e-11


def optimum_of(mdp: MDP) -> np.ndarray:
    return solve(mdp, GAMMA, tolerance=1e-9, method="policy-iteration").value


@pytest.mark.parametrize("family", [name for name, case in SMALL.items() if case.problem(0).compact is not None])
def test_both_forms_are_the_same_mdp(family):
    """One look ahead and the optimum agree to 1e-12, and so does the MDP made by `from_arrays`."""
    problem = SMALL[family].problem(1)
    value = np.random.default_rng(0).random(problem.n_states)
    value[problem.terminal] = 0.0
    general, compact = problem.rows(), problem.moves()
    assert np.abs(general.q(value, GAMMA) - compact.q(value, GAMMA)).max() < 1e-12
    assert np.abs(optimum(problem) - optimum_of(compact)).max() < 1e-12 / (1 - GAMMA)
    matrices = [problem.transition[a :: problem.n_actions] for a in range(problem.n_actions)]
    built = MDP.from_arrays(matrices, problem.reward, terminated=problem.terminal)
    assert built.equals(general)


def test_seeds_differ_and_repeat():
    """The same seed gives the same problem bit by bit; another one another goal and another numbering."""
    case = SMALL["grid"]
    first, again, other = case.problem(0), case.problem(0), case.problem(1)
    assert first.rows().equals(again.rows())
    assert not first.rows().equals(other.rows())


def test_grid_moves_by_hand():
    """On a 2 x 3 map with one wall, north, east, south, west as one draws them."""
    free = np.array([[True, False, True], [True, True, True]])
    expected = [[0, 0, 2, 0], [1, 1, 4, 1], [0, 3, 2, 2], [3, 4, 3, 2], [1, 4, 4, 3]]
    assert grid_moves(free, AHEAD).tolist() == expected


def test_slip_goes_to_both_sides():
    """Going north with slip 0.2 is 0.8 north, 0.1 east, 0.1 west."""
    assert slippery(0.2)[0].tolist() == pytest.approx([0.8, 0.1, 0.0, 0.1])
    assert slippery(0.2)[1].tolist() == pytest.approx([0.1, 0.8, 0.1, 0.0])


def test_known_values():
    """The cliff's safe way, the chain's last step, and the shortest way to key, door and goal, counted by hand."""
    cliff = SMALL["cliff"].build(4, np.random.default_rng(0))  # 4 x 12, Sutton and Barto's Example 6.6: 13 steps
    assert optimum(cliff)[36] == pytest.approx(-(1 - GAMMA**13) / (1 - GAMMA), abs=1e-9)
    two = SMALL["chain"].build(2, np.random.default_rng(0))  # v = 0.9 + 0.1 gamma v
    assert optimum(two)[0] == pytest.approx(0.9 / (1 - 0.1 * GAMMA), abs=1e-9)
    value = optimum(SMALL["door_and_key"].build(8, np.random.default_rng(0)))
    steps = np.log(value[value > 0]) / np.log(GAMMA)
    assert np.abs(steps - np.round(steps)).max() < 1e-6
    assert np.abs(value[value > 0]).max() == pytest.approx(1.0)  # one step before the goal


def test_a_goal_grid_is_worth_probabilities():
    """Where reward is the probability of ending, Storm may ask for it; where cells pay, it may not."""
    assert SMALL["grid"].problem(0).pays_the_goal
    assert SMALL["uneven_grid"].problem(0).pays_the_goal
    assert not SMALL["cliff"].problem(0).pays_the_goal
    assert not SMALL["paying_grid"].problem(0).pays_the_goal


@pytest.mark.parametrize("family", ["grid", "uneven_grid", "paying_grid", "garnet", "cliff", "door_and_key"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_keeps_its_promise(method, family):
    """Asked for 1e-6, each installed solver gives values within it, and the same again: no run begins from another."""
    if method.needs:
        pytest.importorskip(method.needs[1])
    problem = SMALL[family].problem(0)
    if method.refuses(problem):
        pytest.skip(method.refuses(problem))
    run = method.prepare(problem)
    (seconds, value), (_, again) = run(), run()
    assert seconds > 0
    if value is None:
        assert again is None
        return
    assert np.array_equal(value, again)
    error = value - optimum(problem)
    assert np.ptp(error) <= 2.02 * TOLERANCE
    if method.name != "pymdptoolbox VI":  # whose values are right but for a constant
        assert np.abs(error).max() <= 1.01 * TOLERANCE


def test_scipy_sweeps_is_value_iteration():
    """The peer that is always there: its error bound holds and its sweeps are counted."""
    problem = SMALL["garnet"].problem(0)
    value, sweeps = scipy_sweeps(problem)
    assert np.abs(value - optimum(problem)).max() <= TOLERANCE
    assert 1_000 < sweeps < 3_000  # gamma^n / (1 - gamma) falls to 1e-6 after about 1,800


def test_the_quick_table_fits(capsys, tmp_path):
    """`rltk bench planning --quick` prints ours and SciPy within 80 columns; the files hold the same."""
    files = ["--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md")]
    assert main(["bench", "planning", "--quick", "--peers", "scipy", "dict", *files]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    for name in (*(method.name for method in OURS), "SciPy CSR VI", "dict of lists", QUICK.name):
        assert name in told
    (result,) = json.loads((tmp_path / "a.json").read_text())["results"]
    assert result["lines"]["rltk, T alone"]["errors"][0] <= TOLERANCE
    assert set(result["lines"]["SciPy CSR VI"]["ratios"]) == {method.name for method in OURS}
    assert "| SciPy CSR VI |" in (tmp_path / "a.md").read_text()


def test_the_widest_line_fits(capsys):
    """Large figures and three seeds keep within 80 columns, and no time is written in powers of ten."""
    result = Result("uneven grid 1000^2", 800_000, 9_000_000, 3e-11)
    line = Line("MDPSolver Gauss-Seidel", [0.9961, 0.99951, 1.2345], errors=[1.2e-13], megabytes=12345.6, remark="x")
    line.ratios |= {method.name: [1234.5, 7500.0] for method in OURS}
    result.lines[line.method] = line
    planning_text.print_result(result)
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    (row,) = [text for text in told.splitlines() if "1000 ms" in text]
    assert row.split() == [*line.method.split(), "1000", "ms", "(996..1234)", "1234x", "1234x", "1e-13", "12346"]


def test_the_table_shows_the_worst_seed(capsys):
    """What the table shows of several seeds is the least ratio and the largest error."""
    line = Line("SciPy CSR VI", [1.0, 2.0, 3.0], errors=[1e-8, 3e-7, 1e-9])
    line.ratios["rltk, T alone"] = [12.0, 9.0, 15.0]
    planning_text.print_result(Result("grid", 1, 1, 0.0, {line.method: line}))
    row = next(text for text in capsys.readouterr().out.splitlines() if text.startswith("SciPy"))
    assert row.split()[3:] == ["2", "s", "(1..3)", "9x", "3e-07"]


def test_a_peer_out_of_time_runs_no_second_round(monkeypatch):
    """The limit stops rounds; a peer that refuses or fails is told as such and the rest goes on."""
    slow = planning.Method("slow", lambda problem: lambda: planning.Timed(100.0, np.zeros(problem.n_states)))
    failing = planning.Method("failing", lambda problem: raises())
    large = planning.Method("large", lambda problem: raises(), most_outcomes=1)

    def raises():
        raise MemoryError("74 GiB")

    result = planning.measure(SMALL["grid"], [slow, failing, large], 1, 5, 60.0, lambda text: None)
    assert result.lines["slow"].seconds == [100.0]
    assert result.lines["slow"].errors[0] > 0.1
    assert "74 GiB" in result.lines["failing"].remark
    assert "left out" in result.lines["large"].remark
    assert len(result.lines["rltk, T alone"].seconds) == 1


def test_names_that_are_none_are_told(capsys):
    """A wrong case or peer: the list of those there are, and status 2."""
    assert main(["bench", "planning", "--cases", "tower"]) == 2
    assert "garnet" in capsys.readouterr().err
    assert main(["bench", "planning", "--peers", "prism"]) == 2
    assert "storm" in capsys.readouterr().err
    assert [case.name for case in chosen_cases(("grid 100^2", "maze"))] == ["grid 100^2", "maze 300^2"]
    assert chosen_peers(("none",)) == []


def test_a_missing_peer_is_named(monkeypatch, capsys):
    """Asked for by name, a peer that is not installed is an error that says how to get it; unasked it is left out."""
    absent = planning.Method("absent", lambda problem: None, needs=("absent-solver", "absent_solver_module"))
    monkeypatch.setitem(PEERS, "absent", (absent,))
    assert main(["bench", "planning", "--peers", "absent"]) == 2
    assert "rltk[bench]" in capsys.readouterr().err
    assert absent not in chosen_peers(())


def test_memory_is_measured_in_a_child():
    """What SciPy's value iteration adds on a small grid is some megabytes, not those of the interpreter."""
    assert 0 <= added_memory(QUICK.name, "SciPy CSR VI") < 50


def test_the_huge_grid_in_small(capsys):
    """`--huge` builds the grid that it says, and prints seconds, memory and half-width."""
    mdp = huge_mdp(20, 5)
    assert np.count_nonzero(mdp.form.terminated) == 5
    again = grid_moves(np.random.default_rng(0).random((20, 20)) >= 0.2, AHEAD)
    assert np.array_equal(mdp.form.moves, again)
    assert main(["bench", "planning", "--huge", "--side", "40", "--goals", "3"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "half-width" in told
    assert "NOT" not in told
    assert main(["bench", "planning", "--huge", "--goals", "0"]) == 2


def test_goals_are_no_dead_ends():
    """A goal in a closed pocket would leave nothing to solve."""
    moves = grid_moves(np.array([[True, False, True, True], [False, False, True, True]]), AHEAD)
    for seed in range(20):
        assert not random_goals(moves, 1, np.random.default_rng(seed))[0]
