"""What a run says of itself: a note where it falls short, progress in order, lines that fit, errors that are typed."""

import numpy as np
import pytest
from planning_examples import random_graph, slippery_grid
from planning_reference import PLAIN, PLANNERS, cases

from rltk.agents.planning import BackwardInduction, GaussSeidel, PolicyIteration, SoftValueIteration, ValueIteration
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.repair import repair
from rltk.errors import ArgumentError
from rltk.mdp import MDP, Criterion
from rltk.mdp.rows import Rows


def ring(n=30):
    """`n` states that go round, with a reward at one of them: slow, and no end."""
    return MDP.from_table(
        {
            s: {
                0: [(0.7, (s + 1) % n, float(s == 0) / 3, False), (0.3, s, 0.1, False)],
                1: [(1.0, (s - 1) % n, -0.2, False)],
            }
            for s in range(n)
        }
    )


def leaving(n=30):
    """The same with a way out: for total reward."""
    table = {s: {0: [(0.7, s + 1, -1 / 3, s == n - 1), (0.3, s, -0.1, False)]} for s in range(n)}
    return MDP.from_table(table | {n: {0: [(1.0, n, 0.0, True)]}})


@pytest.mark.parametrize(("name", "gamma"), cases(0.999, 1.0))
@pytest.mark.parametrize(("tolerance", "most"), [(1e-9, 1), (1e-9, 5), (1e-300, 20_000)])
def test_a_run_that_falls_short_says_so(name, gamma, tolerance, most):
    """Too few sweeps, and a tolerance beyond floats: not converged, and a note; within 80 columns whatever is said."""
    solution = PLAIN[name](gamma, tolerance=tolerance, max_sweeps=most).solve(leaving() if gamma == 1 else ring())

    assert bool(solution.note) == (not solution.converged)
    assert tolerance == 1e-9 or not solution.converged
    if not solution.converged and gamma < 1:
        assert ("max_sweeps" if most < 20_000 else "rounding") in solution.note or solution.sweeps < most
    assert all(len(line) <= 80 for line in str(solution).splitlines())


def test_soft_and_device_runs_say_so_too():
    """The note of soft value iteration and of sweeps on a device; none where all is well."""
    mdp = ring()
    for make in (SoftValueIteration, lambda *gamma, **options: ValueIteration(*gamma, device="cpu", **options)):
        assert "max_sweeps" in make(0.999, max_sweeps=3).solve(mdp).note
        assert make(0.5).solve(mdp).note == ""


@pytest.mark.parametrize(("name", "gamma"), cases(0.999, 1.0))
def test_progress_never_goes_back(name, gamma):
    """Where a planner hands over to ordinary sweeps, or comes in stages, sweeps go on being counted (a progress bar's
    food), and no more are reported than were done."""
    for seed in range(6):
        seen = []
        mdp = random_graph(40, seed=seed, ending=0.3, missing=0.5) if gamma == 1 or seed % 2 else ring(10 + seed)
        planner = PLAIN[name](gamma, tolerance=1e-300, max_sweeps=3000)
        solution = planner.solve(mdp, lambda sweeps, _, seen=seen: seen.append(sweeps))

        assert seen == sorted(seen)
        assert not seen or seen[-1] <= solution.sweeps


@pytest.mark.parametrize("name", PLAIN)
def test_rows_that_outgrow_the_discount_get_no_bounds_and_no_nan(name):
    """Rows that sum to 1 + 5e-10 under a discount nearer to 1 than that: T is no contraction, nothing is certain (a
    value of a negative reward has no bound from below). Singular to floats: no nan, no crash."""
    for off, gamma in ((5e-10, 1 - 1e-10), (2**-52, 1 - 2**-53), (0.0, 1 - 2**-53)):
        for reward in (1.0, -1.0):
            table = {s: {0: [((1 + off) / 2, t, reward, False) for t in (0, 1)]} for s in (0, 1)}
            solution = PLAIN[name](gamma, max_sweeps=500).solve(MDP.from_table(table))

            assert not np.isnan(solution.lower).any()
            assert not np.isnan(solution.upper).any()
            assert not solution.converged
            assert solution.note
            if off > 0:
                assert solution.lower.tolist() == [-np.inf] * 2
                assert solution.upper.tolist() == [np.inf] * 2


def test_an_evaluation_that_floats_cannot_do_is_left_out(monkeypatch):
    """Policy iteration keeps the last values that are numbers."""
    monkeypatch.setattr("rltk.mdp.Chain.value", lambda chain, gamma: np.full(chain.n_states, np.nan))
    solution = PolicyIteration(0.9).solve(ring())

    assert np.isfinite(solution.lower).all()
    assert not solution.converged


def changed(mdp, states, reward):
    """General rows of `mdp` whose outcomes in `states` pay `reward` more."""
    rows = mdp.rows
    pays = np.array(rows.reward)
    for s in states:
        pays[rows.row_start[s * rows.n_actions] : rows.row_start[(s + 1) * rows.n_actions]] += reward
    arrays = (rows.row_start, rows.next_state, rows.probability, pays, rows.terminated)
    return MDP(Rows(rows.n_states, rows.n_actions, *arrays), mdp.start)


def by_move_changed(mdp, states, reward):
    """The same in the compact form with rewards by move."""
    pays = np.array(mdp.form.reward)
    pays[states] += reward
    return MDP.from_moves(mdp.form.moves, mdp.form.noise, pays, mdp.form.terminated)


REPAIRS = {
    "rows": lambda: (slippery_grid(40, 1), changed),
    "rows, endings by move": lambda: (slippery_grid(40, 1, True, True), changed),
    "rewards by move": lambda: (slippery_grid(40, 1, True, False), by_move_changed),
    "both by move": lambda: (slippery_grid(40, 1, True, True), by_move_changed),
}


@pytest.mark.parametrize("shape", REPAIRS)
def test_a_local_change_is_mended_where_it_is(shape):
    """Two rewards of 1,600 cells change: the queue alone certifies the new values, in fewer backups than there are
    states, and it does change them."""
    mdp, change = REPAIRS[shape]()
    gamma, tolerance = 0.5, 1e-4
    old = PolicyIteration(gamma, tolerance=tolerance).solve(mdp)
    near = change(mdp, [700, 701], 0.5)
    value, bounds, done = repair(Certifier(near, gamma), old.lower, tolerance, 100)

    assert 2 < done < mdp.n_states
    assert bounds is not None
    exact = PolicyIteration(gamma).solve(near)
    assert (bounds["lower"] <= exact.upper).all()
    assert (exact.lower <= bounds["upper"]).all()
    assert np.abs(value - exact.value).max() <= 2 * tolerance
    assert (value != old.lower).any()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_mending_counts_as_sweeps(most):
    """From a guess that is wrong here and there: never more sweeps than allowed and a look ahead, counted in order."""
    mdp = slippery_grid(40, 2)
    for form in (mdp, MDP(mdp.rows, mdp.start), random_graph(500, longest=12, missing=0.0)):
        guess = PolicyIteration(0.999).solve(form).lower.copy()
        guess[::97] += 1.0
        seen = []
        planner = GaussSeidel(0.999, tolerance=1e-9, max_sweeps=most)
        solution = planner.solve(form, lambda sweeps, _, seen=seen: seen.append(sweeps), warm_start=guess)

        assert solution.sweeps <= most + 1
        assert seen == sorted(seen)


@pytest.mark.parametrize("name", [name for name, planner in PLANNERS.items() if "discounted" in planner.kinds])
def test_a_guess_of_any_size_breaks_no_bound(name):
    """Warm starts of 1e150, infinities and nans: sound bounds that overlap the cold ones."""
    planner, mdp = PLANNERS[name], random_graph(60, seed=2)
    criterion = Criterion(0.9, 20 if planner.takes_horizon else None)
    cold = planner(criterion=criterion).solve(mdp)
    for guess in (np.full(60, 1e150), np.full(60, -1e150), np.where(np.arange(60) % 2, np.inf, np.nan)):
        warm = planner(criterion=criterion).solve(mdp, warm_start=guess)

        assert warm.converged
        assert (warm.lower <= cold.upper).all()
        assert (cold.lower <= warm.upper).all()


@pytest.mark.parametrize(
    "wrong", [np.complex128(1), pytest.param(10**400, id="huge"), np.True_, "1", None, np.float64("inf"), np.nan]
)
def test_a_tolerance_is_a_real_finite_number(wrong):
    """Whatever NumPy or Python has besides."""
    with pytest.raises(ArgumentError, match="tolerance"):
        ValueIteration(0.9, tolerance=wrong)


@pytest.mark.parametrize("wrong", [[[1.0], [2.0, 3.0]], ["a"] * 30, np.zeros((30, 1)), np.zeros(30, complex), 0.0, "x"])
def test_a_warm_start_is_values(wrong):
    """Ragged lists, words, columns, complex numbers, a scalar."""
    with pytest.raises(ArgumentError, match="warm_start"):
        ValueIteration(0.9).solve(ring(), warm_start=wrong)


def test_backward_induction_says_what_bounds_rounded_outwards_leave():
    """Bounds are widened by a rounding of their own: a tolerance just between is not reached, and that is said."""
    mdp = MDP.from_table({0: {0: [(1.0, 0, 1.0, True)]}})
    error = (BackwardInduction(criterion=Criterion(0.9, 1)).solve(mdp).policy_loss) / 6
    solution = BackwardInduction(criterion=Criterion(0.9, 1), tolerance=error * (1 + 1e-12)).solve(mdp)

    assert not solution.converged
    assert "rounding" in solution.note
