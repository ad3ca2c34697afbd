"""The planners' benchmark: its problems are what they are called, its peers solve them, its tables fit."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

from rltk.agents.planning import solve
from rltk.mdp import MDP
from rltk.scripts.benchmarks import planning, planning_text, planning_turns
from rltk.scripts.benchmarks.planning import Line, Result, chosen_cases, chosen_peers
from rltk.scripts.benchmarks.planning_children import added_memory, turns
from rltk.scripts.benchmarks.planning_huge import huge_mdp
from rltk.scripts.benchmarks.planning_peers import GAMMA, OURS, PEERS, TOLERANCE, Method, Timed, scipy_sweeps
from rltk.scripts.benchmarks.planning_problems import AHEAD, CASES, QUICK, Problem, grid_moves, random_goals, slippery
from rltk.scripts.benchmarks.planning_turns import taken_turns
from rltk.scripts.cli import main

SMALL = {case.build.__name__: case.small() for case in CASES.values()}
COMPACT = ("grid", "paying_grid", "maze", "chain")  # by name: to make them is to compile, in every worker
METHODS = [*OURS, *(method for group in PEERS.values() for method in group)]


def optimum(problem: Problem) -> np.ndarray:
    """The exact values of the general form, by policy iteration."""
    return solve(problem.rows(), GAMMA, tolerance=1e-9, method="policy-iteration").value


@pytest.mark.parametrize("family", SMALL)
def test_every_problem_is_a_valid_mdp(family):
    """Rows sum to 1, terminal states stay where they are and pay nothing, and there is something to earn."""
    problem = SMALL[family].problem(0)
    mdp = problem.rows()
    assert (problem.compact is not None) == (family in COMPACT)
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


@pytest.mark.parametrize("family", COMPACT)
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


def raises(*_):
    raise MemoryError("74 GiB")


def test_a_peer_out_of_time_runs_no_second_round():
    """The limit stops rounds; a peer that refuses or fails says why and the rest goes on."""
    slow = Method("slow", lambda problem: lambda: Timed(100.0, np.zeros(problem.n_states)))
    failing, large = Method("failing", raises), Method("large", raises, most_outcomes=1)
    events = list(taken_turns(SMALL["grid"], 0, [slow, failing, large], rounds=5, limit=60.0))
    size, *rest = events
    assert size["states"] == SMALL["grid"].problem(0).n_states
    assert size["reference"] <= 1e-10
    ours = [method.name for method in OURS]
    assert [event.get("method") for event in rest[1:4]] == [*ours, "slow"]
    assert (rest[0], rest[4]) == ({"begins": "slow"}, {"ends": "slow"})
    assert rest[1]["error"] <= TOLERANCE < 0.1 < rest[3]["error"]
    assert [event.get("refuses") for event in rest[5:]] == [None, "failing", "large"]
    assert "74 GiB" in rest[6]["why"]
    assert "left out" in rest[7]["why"]


def test_a_fault_of_ours_is_not_the_peer_s(monkeypatch):
    """Ours that fails beside a peer ends the measurement; a peer that fails in its second round is told as such."""
    runs = iter([1.0, 2.0])

    def tiring(problem):
        return lambda: Timed(next(runs, None) or raises(), None)

    events = list(taken_turns(SMALL["garnet"], 0, [Method("tiring", tiring)], rounds=5, limit=60.0))
    assert [event["seconds"] for event in events if event.get("method") == "tiring"] == [2.0]
    assert events[-1]["refuses"] == "tiring"
    broken = Method("rltk, T alone", lambda problem: raises)
    monkeypatch.setattr(planning_turns, "OURS", (broken,))
    with pytest.raises(MemoryError):
        list(taken_turns(SMALL["garnet"], 0, [Method("innocent", lambda problem: lambda: Timed(1.0, None))], 1, 60.0))


def test_rounds_end_after_their_number():
    """Three rounds are three runs of each; without peers ours runs alone."""
    quick = Method("quick", lambda problem: lambda: Timed(1.0, None))
    events = list(taken_turns(SMALL["garnet"], 0, [quick], rounds=3, limit=60.0))
    runs = [event["method"] for event in events if "method" in event]
    assert runs == ["rltk, T alone", "quick"] * 3
    alone = list(taken_turns(SMALL["garnet"], 0, [], rounds=3, limit=60.0))
    assert [event["method"] for event in alone[1:]] == ["rltk, T alone"] * 3


# A child that does, for each peer, what its name says.
CHILD = """
import json, os, sys, time
for name in json.loads(sys.argv[1])["peers"]:
    print(json.dumps({"begins": name}), flush=True)
    if name == "sleeps":
        time.sleep(60)
    if name == "dies":
        print("no JSON", flush=True)
        os.abort()
    print(json.dumps({"ends": name}), flush=True)
"""


def test_a_peer_that_hangs_or_dies_takes_no_other_along():
    """Each is cut off and named; those after it run in another process."""
    events = list(turns(["runs", "dies", "sleeps", "walks"], 2.0, CHILD))
    assert [event["ends"] for event in events if "ends" in event] == ["runs", "walks"]
    dead, slow = (event for event in events if "refuses" in event)
    assert dead["refuses"] == "dies"
    assert "ended with status" in dead["why"]
    assert slow == {"refuses": "sleeps", "why": "cut off after 2 s"}
    assert list(turns(["walks", "sleeps"], 2.0, CHILD))[-1] == slow
    assert list(turns(["walks"], 5.0, CHILD + "os._exit(3)"))[-1] == {"ends": "walks"}  # all is told by then


def test_ours_that_dies_is_an_error():
    """What ends the child when no peer is at work is told with its last complaint."""
    with pytest.raises(RuntimeError, match="status 3"):
        list(turns(["runs"], 2.0, "raise SystemExit(3)"))
    with pytest.raises(RuntimeError, match="division by zero"):
        list(turns(["runs"], 2.0, "1 / 0"))


def test_ratios_are_of_the_same_rounds(capsys):
    """Beside a peer stands what ours took in its rounds; ours' own line is the median of all."""
    ours = OURS[0].name

    def run(name: str, seconds: float, error: float | None = 1e-7) -> dict:
        return {"method": name, "seconds": seconds, "error": error}

    events = [
        {"states": 5, "outcomes": 9, "reference": 1e-11},
        {"begins": "SciPy CSR VI"},
        *(run(ours, 1.0), run("SciPy CSR VI", 20.0), run(ours, 3.0), run("SciPy CSR VI", 40.0)),
        {"ends": "SciPy CSR VI"},
        {"begins": "dict of lists"},
        *(run(ours, 4.0), run("dict of lists", 100.0, None)),
        {"ends": "dict of lists"},
        {"refuses": "QuantEcon VI", "why": "cut off after 2 s"},
    ]
    result = Result("grid")
    planning.measure(result, 0, events, lambda text: None)
    assert result.lines["SciPy CSR VI"].ratios == {ours: [15.0]}
    assert result.lines["dict of lists"].ratios == {ours: [25.0]}
    assert result.lines["dict of lists"].errors == []
    assert result.lines[ours].seconds == [3.0]
    assert result.lines["QuantEcon VI"].remark == "cut off after 2 s"
    told = capsys.readouterr().out
    assert "cut off" in told
    assert "15x" in told


def test_names_that_are_none_are_told(capsys):
    """A wrong case or peer: the list of those there are, and status 2."""
    assert main(["bench", "planning", "--cases", "tower"]) == 2
    assert "garnet" in capsys.readouterr().err
    assert main(["bench", "planning", "--peers", "prism"]) == 2
    assert "storm" in capsys.readouterr().err
    assert [case.name for case in chosen_cases(("grid 100^2", "maze"))] == ["grid 100^2", "maze 300^2"]
    assert chosen_peers(("none",)) == []
    assert [peer.name for peer in chosen_peers(("csr", "scipy"))] == ["SciPy CSR VI"]


def test_a_missing_peer_is_named(monkeypatch, capsys):
    """Asked for by name, a peer that is not installed is an error that says how to get it; unasked it is left out."""
    absent = Method("absent", lambda problem: None, needs=("absent-solver", "absent_solver_module"))
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
