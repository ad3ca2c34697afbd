"""The solvers that stand in the table, ours and the peers', behind one interface.

A method prepares a problem once, in whatever arrays its solver wants, and gives back a function that solves it: seconds
and values. Only solving is on the clock, never the building of a model. Each is asked for values within `TOLERANCE` of
the optimum in the terms of its own stopping rule, and runs on one thread.

Peers: QuantEcon.py's DiscreteDP; Storm through stormpy; MDPSolver; pymdptoolbox; value iteration on SciPy's sparse
matrices in a dozen lines; and the loop over lists in a dictionary that textbooks show with FrozenLake's P.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from rltk.agents.planning import Solution, solve
from rltk.mdp import MDP
from rltk.scripts.benchmarks.planning_problems import Problem

GAMMA = 0.99
TOLERANCE = 1e-6


class Timed(NamedTuple):
    """One run: the seconds it took, and the values (S,), or None where it did not run to the end."""

    seconds: float
    value: np.ndarray | None


Solver = Callable[[], Timed]


@dataclass(frozen=True)
class Method:
    """A solver by name. `prepare(problem)` is not timed; what it returns is called once a round.

    needs: the distribution and the module that it comes from, or none. most_outcomes: where it would take too long.
    takes: which problems it can take at all.
    """

    name: str
    prepare: Callable[[Problem], Solver]
    needs: tuple[str, str] | None = None
    most_outcomes: float = np.inf
    takes: Callable[[Problem], bool] = lambda problem: True
    remark: str = ""

    @property
    def installed(self) -> bool:
        return self.needs is None or find_spec(self.needs[1]) is not None

    @property
    def version(self) -> str:
        return version(self.needs[0]) if self.needs else ""

    def refuses(self, problem: Problem) -> str:
        """Why it does not run on `problem`; empty where it does."""
        if not self.installed:
            return "not installed"
        if not self.takes(problem):
            return "can't take this problem"
        if problem.n_outcomes > self.most_outcomes:
            return f"left out above {self.most_outcomes:,.0f} outcomes"
        return ""


def timed(work: Callable[[], Any], value: Callable[[Any], Any] = lambda answer: answer) -> Timed:
    """Run `work` on the clock and read the values off its answer."""
    begin = time.perf_counter()
    answer = work()
    seconds = time.perf_counter() - begin
    return Timed(seconds, np.asarray(value(answer), dtype=np.float64))


# Ours


def ours(problem: Problem, build: Callable[[Problem], MDP]) -> Solver:
    """rltk from a new MDP each time: finding structure, ordering and the certificate are on the clock."""

    def run() -> Timed:
        mdp = build(problem)
        return timed(lambda: solve(mdp, GAMMA, tolerance=TOLERANCE), _certified)

    return run


def _certified(solution: Solution) -> np.ndarray:
    if not solution.converged:
        raise AssertionError(f"ours did not converge: {solution}")
    return solution.value


# Peers


def quantecon(problem: Problem, method: str, **options: Any) -> Solver:
    """QuantEcon stops at half of epsilon (`DiscreteDP.solve`); its own default of 250 sweeps is raised."""
    ddp_class = import_module("quantecon.markov").DiscreteDP
    pairs = np.arange(problem.n_states * problem.n_actions)
    transition = sp.csr_matrix(problem.transition)
    arrays = (problem.reward.reshape(-1), transition, GAMMA, *divmod(pairs, problem.n_actions))
    settings = {"epsilon": 2 * TOLERANCE, "max_iter": 1_000_000, **options}

    def run() -> Timed:
        ddp = ddp_class(*arrays)
        return timed(lambda: ddp.solve(method=method, **settings), lambda answer: answer.v)

    return run


def mdpsolver(problem: Problem, algorithm: str, update: str = "standard") -> Solver:
    """MDPSolver reads nested lists. Without its post-processing, its values may be off by a constant.

    A model that is solved again goes on from the values that it has, so each round gets a new one.
    """
    module = import_module("mdpsolver")
    parts = (problem.transition.data, problem.transition.indices)
    probability, column = (_nested(part, problem) for part in parts)
    rewards = problem.reward.tolist()
    settings = {"algorithm": algorithm, "update": update, "tolerance": TOLERANCE, "parallel": False}
    settings["makeFinalCheck"] = False

    def run() -> Timed:
        model = module.model()
        model.mdp(discount=GAMMA, rewards=rewards, tranMatProbs=probability, tranMatColumns=column)
        return timed(lambda: model.solve(**settings), lambda _: model.getValueVector())

    return run


def _nested(array: np.ndarray, problem: Problem) -> list[list[list[Any]]]:
    bounds = problem.transition.indptr.tolist()
    entries = array.tolist()
    rows = [entries[i:j] for i, j in pairwise(bounds)]
    return [rows[i : i + problem.n_actions] for i in range(0, len(rows), problem.n_actions)]


def storm_optimistic(problem: Problem) -> Solver:
    """Storm's optimistic value iteration, which is sound: values as the largest probability of reaching the goal.

    It has no discount there: each step is lost with probability 1 - gamma to one more state, so that the probability
    is gamma times the value, and the precision asked for is gamma times the tolerance.
    """
    n_states, n_actions = problem.reward.shape
    lost = sp.csr_array(np.full((n_states * n_actions, 1), 1 - GAMMA))
    rest = sp.csr_array(([1.0], ([0], [n_states])), shape=(1, n_states + 1))
    leaking = sp.vstack([sp.hstack([GAMMA * problem.transition, lost]), rest], format="csr")
    model = _storm_model(leaking, n_states, n_actions, np.flatnonzero(problem.terminal))
    checked = _storm_checked(model, 'Pmax=? [F "goal"]', "OPTIMISTIC_VALUE_ITERATION", GAMMA * TOLERANCE)

    def value(result: Any) -> np.ndarray:
        found = np.array(result.get_value_vector())[:n_states] / GAMMA
        found[problem.terminal] = 0.0  # a goal counts when it is entered
        return found

    return lambda: timed(checked, value)


def storm_discounted(problem: Problem) -> Solver:
    """Storm's value iteration of discounted rewards, which it does not call sound."""
    n_states, n_actions = problem.reward.shape
    model = _storm_model(problem.transition, n_states, n_actions, (), problem.reward)
    wanted = f'R{{"pay"}}max=? [Cdiscount={GAMMA}]'
    checked = _storm_checked(model, wanted, "VALUE_ITERATION", TOLERANCE)
    return lambda: timed(checked, lambda result: result.get_value_vector())


def _storm_model(transition: Any, n_states: int, n_actions: int, goals: Any, reward: Any = None) -> Any:
    """A sparse MDP of stormpy: the rows of `n_states` states and perhaps, after them, one row a state more."""
    data, models = import_module("stormpy.datastructures"), import_module("stormpy.models")
    transition.sort_indices()
    n_rows, n_columns = transition.shape
    groups = [*range(0, n_states * n_actions, n_actions), *range(n_states * n_actions, n_rows)]
    builder = data.SparseMatrixBuilder[float](
        rows=n_rows, columns=n_columns, entries=transition.nnz, has_custom_row_grouping=True, row_groups=len(groups)
    )
    chunk = 100_000 * n_actions  # lists of Python's numbers take much memory; all at once they would be measured too
    for first in range(0, n_rows, chunk):
        part = transition[first : first + chunk]
        rows = np.repeat(np.arange(first, first + part.shape[0]), np.diff(part.indptr))
        begun = [group for group in groups[first // n_actions :][:100_001] if first <= group < first + chunk]
        builder.add_next_values(rows.tolist(), part.indices.tolist(), part.data.tolist(), begun)
    labels = models.StateLabeling(n_columns)
    labels.add_label("init")
    labels.add_label_to_state("init", 0)
    labels.add_label("goal")
    labels.set_states("goal", data.BitVector(n_columns, [int(goal) for goal in goals]))
    paid = {}
    if reward is not None:
        paid["pay"] = models.SparseRewardModel[float](optional_state_action_reward_vector=reward.reshape(-1).tolist())
    components = models.SparseModelComponents[float](
        transition_matrix=builder.build(), state_labeling=labels, reward_models=paid
    )
    return models.SparseMdp[float](components)


def _storm_checked(model: Any, wanted: str, method: str, precision: float) -> Callable[[], Any]:
    storm, environments = import_module("stormpy"), import_module("stormpy.environments")
    environment = environments.sound()
    settings = environment.solver().min_max()
    settings.method = getattr(environments.MinMaxMethod, method)
    settings.precision = storm.Rational(precision)
    settings.relative_termination_criterion = False
    formula = import_module("stormpy.logic").parse_property(wanted)
    return lambda: storm.model_checking(model, formula, environment=environment)


def toolbox(problem: Problem) -> Solver:
    """pymdptoolbox, one sparse matrix an action. It stops by the span of the change, which bounds no values."""
    module = import_module("mdptoolbox.mdp")
    matrices = [sp.csr_matrix(problem.transition[a :: problem.n_actions]) for a in range(problem.n_actions)]
    rewards = np.array(problem.reward)

    def run() -> Timed:
        with warnings.catch_warnings():  # SciPy's, that the toolbox compares sparse matrices with 0
            warnings.simplefilter("ignore")
            solver = module.ValueIteration(matrices, rewards, GAMMA, epsilon=TOLERANCE, max_iter=1_000_000)
            return timed(solver.run, lambda _: solver.V)

    return run


def scipy_sweeps(problem: Problem) -> tuple[np.ndarray, int]:
    """Value iteration on a sparse matrix, as one writes it: (values, sweeps)."""
    value, sweeps = np.zeros(problem.n_states), 0
    while True:
        q = problem.reward + GAMMA * (problem.transition @ value).reshape(problem.reward.shape)
        backup = q.max(axis=1)
        change = np.abs(backup - value).max()
        value, sweeps = backup, sweeps + 1
        if change <= TOLERANCE * (1 - GAMMA) / GAMMA:
            return value, sweeps


def scipy_loop(problem: Problem) -> Solver:
    """The same as a method of the table."""
    return lambda: timed(lambda: scipy_sweeps(problem), lambda answer: answer[0])


_FULL_RUN = 3_000
"""Up to so many outcomes the dictionary's loop runs to its end; above it a sweep is timed and multiplied."""


def dictionary_loop(problem: Problem) -> Solver:
    """P[s][a] = [(probability, next_state, reward), ...] and two loops around it."""
    probability, column = (_nested(part, problem) for part in (problem.transition.data, problem.transition.indices))
    table = {
        s: {
            a: [(p, t, float(problem.reward[s, a])) for p, t in zip(probability[s][a], column[s][a], strict=True)]
            for a in range(problem.n_actions)
        }
        for s in range(problem.n_states)
    }

    def sweep(value: list[float]) -> float:
        change = 0.0
        for s, actions in table.items():
            best = max(sum(p * (r + GAMMA * value[t]) for p, t, r in row) for row in actions.values())
            change, value[s] = max(change, abs(best - value[s])), best
        return change

    def whole() -> list[float]:
        value = [0.0] * problem.n_states
        while sweep(value) > TOLERANCE * (1 - GAMMA) / GAMMA:
            pass
        return value

    if problem.n_outcomes <= _FULL_RUN:
        return lambda: timed(whole)
    sweeps = scipy_sweeps(problem)[1]
    return lambda: Timed(sweeps * timed(lambda: [sweep([0.0] * problem.n_states)]).seconds, None)


OURS = (
    Method("rltk, T alone", lambda problem: ours(problem, Problem.rows)),
    Method("rltk, compact", lambda problem: ours(problem, Problem.moves), takes=lambda p: p.compact is not None),
)

_QUANTECON, _MDPSOLVER, _STORM = ("quantecon", "quantecon"), ("mdpsolver", "mdpsolver"), ("stormpy", "stormpy")

PEERS = {
    "storm": (
        Method("Storm optimistic VI", storm_optimistic, _STORM, takes=lambda p: p.pays_the_goal),
        Method("Storm discounted VI", storm_discounted, _STORM, remark="does not call itself sound"),
    ),
    "quantecon": (
        Method("QuantEcon VI", lambda p: quantecon(p, "value_iteration"), _QUANTECON),
        Method("QuantEcon MPI", lambda p: quantecon(p, "modified_policy_iteration"), _QUANTECON),
        Method("QuantEcon MPI, k=5", lambda p: quantecon(p, "modified_policy_iteration", k=5), _QUANTECON),
    ),
    "mdpsolver": (
        Method("MDPSolver VI", lambda p: mdpsolver(p, "vi"), _MDPSOLVER, 4e6),
        Method("MDPSolver Gauss-Seidel", lambda p: mdpsolver(p, "vi", "gs"), _MDPSOLVER, 4e6),
        Method("MDPSolver MPI", lambda p: mdpsolver(p, "mpi"), _MDPSOLVER, 1e5),
    ),
    "toolbox": (
        Method(
            "pymdptoolbox VI",
            toolbox,
            ("pymdptoolbox", "mdptoolbox"),
            1e4,
            remark="stops when its policy is good enough; its values may be off by a constant",
        ),
    ),
    "scipy": (Method("SciPy CSR VI", scipy_loop, ("scipy", "scipy")),),
    "dict": (
        Method(
            "dict of lists",
            dictionary_loop,
            most_outcomes=1e6,
            remark=f"above {_FULL_RUN:,} outcomes: one sweep, times the sweeps of SciPy's VI",
        ),
    ),
}


def method_called(name: str) -> Method:
    """The method of that name, ours or a peer's."""
    return next(method for group in (OURS, *PEERS.values()) for method in group if method.name == name)
