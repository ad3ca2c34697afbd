"""The tests of this folder can fail: each small fault sown into a copy of the package is caught by a named test.

A copy without a fault passes the same tests. Faults in plain arithmetic run with numba switched off, which is quick;
those in the simulator run compiled, with a kernel cache of their own. One process loads the libraries and forks for
each copy, so that a mutant costs little more than its test.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXACT = "test_operators.py::test_operators_equal_the_exact_reference"
COMPACT = "test_operators.py::test_compact_form_equals_its_rows_and_the_exact_reference"
TOTAL = "test_chain.py::test_total_value_with_classes_that_never_end"
OCCUPANCY = "test_chain.py::test_occupancy_is_the_expected_number_of_visits"
DISCOUNTED = "test_chain.py::test_discounted_value_solves_the_bellman_equation"
SUCCESS = "test_chain.py::test_success_probability_is_of_ever_succeeding"
MERGED = "test_builders.py::test_equal_outcomes_are_merged_and_different_ones_are_not"
LOOK = "test_looking.py::test_a_look_finds_the_backup_the_policy_and_the_extremes"
SURVEY = "test_looking.py::test_a_survey_says_what_the_outcomes_hold"
ENDS = "test_looking.py::test_every_kernel_of_the_compact_form_knows_where_ends_belong"
LEAST = "test_looking.py::test_the_least_mass_is_that_of_an_end"
RESTS = "test_looking.py::test_a_state_rests_when_all_of_it_ends_and_pays_nothing"
LAW = "test_sampling.py::test_the_outcome_is_the_first_whose_sum_exceeds_the_word"
LEFTOVER = "test_sampling.py::test_the_last_outcome_that_can_happen_takes_what_rounding_leaves"
ABSORBING = "test_sampling.py::test_a_compact_end_is_absorbing_in_the_simulator_too"

# file, what stands there, what is put in its place, the test that must fail
QUICK = [
    ("rows.py", "if not terminated[i]:", "if True:", EXACT),
    ("rows.py", "if q > best:", "if q < best:", EXACT),
    ("rows.py", "target += gamma * value", "target += value", EXACT),
    ("rows.py", "        return -np.inf\n", "        return 0.0\n", EXACT),
    ("rows.py", "total += probability[i] * reward[i]", "total += reward[i]", EXACT),
    ("moves.py", "0.0 if terminated_by_move and terminated[s * n_moves + m] else entering[t]", "entering[t]", COMPACT),
    ("moves.py", "0.0 if not terminated_by_move and terminated[s] else gamma * value[s]", "gamma * value[s]", ENDS),
    ("moves.py", "out[s] = 0.0 if absorbing else best[s - first]", "out[s] = best[s - first]", COMPACT),
    ("moves.py", "out[s, a] = 0.0 if absorbing else mixed[s - first]", "out[s, a] = mixed[s - first]", COMPACT),
    ("moves.py", "best[j] = mixed[j] if mixed[j] > best[j] else best[j]", "best[j] = mixed[j]", COMPACT),
    ("moves.py", "worth = reward[t] + worth", "worth = reward[s] + worth", COMPACT),
    ("looking.py", "if not terminated[i]:", "if True:", LOOK),
    ("looking.py", "while q[chosen] < top - margin:", "while q[chosen] < top:", LOOK),
    ("looking.py", "if not (terminated[s * n_moves + m] if by_move else terminated[t]):", "if True:", LOOK),
    ("looking.py", "over = not by_move and terminated[s]", "over = False", ENDS),
    ("looking.py", "min(extremes[2], q[chosen] - v)", "min(extremes[2], top - v)", LOOK),
    ("survey.py", "low, high, longest = min(low, mass), max(high, mass)", "low, high, longest = mass, mass", SURVEY),
    ("survey.py", "                elif size > 0.0 or", "                elif", RESTS),
    ("survey.py", "if reward[s * n_moves + m if reward_by_move else moves[s, m]] != 0.0:", "if False:", SURVEY),
    ("survey.py", "low, resting[s] = min(low, 0.0), True", "resting[s] = True", LEAST),
    ("chain.py", "matrix(~outcomes.terminated)\n", "matrix(outcomes.weight > 0)\n", DISCOUNTED),
    ("chain.py", "closed[label[self.ending > 0]] = False", "pass", TOTAL),
    ("chain.py", "none = self.can_reach(np.isnan(endless)) | (up & down)", "none = np.isnan(endless)", TOTAL),
    ("chain.py", "visits[entered] = np.inf", "pass", OCCUPANCY),
    ("chain.py", "gamma, self.P.T.tocsr())", "gamma, self.P)", OCCUPANCY),
    ("chain.py", "1.0, self.unsuccessful)", "1.0, self.P)", SUCCESS),
    ("canonical.py", "and terminated[k] == terminated[i]", "", MERGED),
]  # fmt: skip
COMPILED = [
    ("sampling.py", "while u >= total and i < last:", "while u > total and i < last:", LAW),
    ("sampling.py", "m += u >= tables.cumulative[a, k]", "m += u > tables.cumulative[a, k]", LAW),
    ("sampling.py", "np.where(others_follow, np.cumsum(noise, axis=1), np.inf)", "np.cumsum(noise, axis=1)", LEFTOVER),
    ("sampling.py", "if not tables.terminated_by_move and tables.terminated[s]:", "if False:", ABSORBING),
]


# Argument: a JSON list of [folder, tests]. Prints the exit codes of pytest in each folder as a JSON list.
DRIVER = """
import gc, json, os, sys
import gymnasium, hypothesis, numba, numpy, pytest, scipy.sparse.linalg, scipy.stats
import _hypothesis_pytestplugin

# Whether a test fails is all that is asked: no rewritten asserts, no pages of explanation, no other plugin.
options = ["-x", "-q", "--assert=plain", "--tb=line", "--hypothesis-profile=mutants"]
options += ["-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider"]
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
gc.collect()
gc.freeze()  # what the copies share is not searched again in each
codes = []
for folder, tests in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        code = 4
        try:
            os.chdir(folder)
            sys.path.insert(0, folder)
            os.environ["RLTK_CACHE_DIR"] = folder + "/cache"
            output = os.open("output.txt", os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            code = int(pytest.main([*options, *("tests/" + test for test in tests)]))
            code = code if sys.modules["rltk"].__file__.startswith(folder) else 5  # the copy, not the original
        finally:
            sys.stdout.flush()
            os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def copy_with(fault, home):
    """Copy the package and these tests to `home` and sow one fault, or none."""
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "rltk" / "mdp", home / "rltk" / "mdp", ignore=skip)
    shutil.copytree(ROOT / "tests" / "mdp", home / "tests", ignore=skip)
    shutil.copy(ROOT / "rltk" / "errors.py", home / "rltk")
    (home / "rltk" / "__init__.py").touch()
    (home / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\nfilterwarnings =\n")
    with open(home / "pytest.ini", "a") as settings:  # hypothesis is loaded before pytest could rewrite it
        settings.write("    error\n    ignore::pytest.PytestAssertRewriteWarning\n")
    if fault:
        path = home / "rltk" / "mdp" / fault[0]
        text = path.read_text()
        assert fault[1] in text, f"{fault[0]} no longer holds {fault[1]!r}: bring this list up to date"
        path.write_text(text.replace(fault[1], fault[2]))


@pytest.mark.parametrize("compiled", [False, True], ids=["arithmetic", "simulator"])
def test_every_sown_fault_is_caught(compiled, tmp_path):
    """A dropped end, a max turned round, a lost discount, an action that is not there, a class that ends ... each makes
    its test fail; the unchanged copy, which comes first, passes them all."""
    faults = [None, *(COMPILED if compiled else QUICK)]
    work = []
    for number, fault in enumerate(faults):
        copy_with(fault, tmp_path / str(number))
        work.append((str(tmp_path / str(number)), [fault[3]] if fault else sorted({f[3] for f in faults[1:]})))
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0" if compiled else "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", DRIVER, json.dumps(work)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    control, *codes = json.loads(done.stdout)

    def output(number):
        return (tmp_path / str(number) / "output.txt").read_text()

    assert control == 0, output(0)
    # 1 is "a test failed"; anything but 0 and 1 would be no verdict.
    assert set(codes) <= {0, 1}, [output(n + 1) for n, code in enumerate(codes) if code > 1]
    assert [fault for fault, code in zip(faults[1:], codes, strict=True) if code == 0] == []
