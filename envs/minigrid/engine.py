"""The kernels that step and generate many levels at once; `view.py` has the one that looks at them.

One `step_all` serves every family, whose rule is a number on the board; `generate_some(generate)` is compiled once a
family. Environments that need a new level are listed, not generated, by `step_all`: what an autoreset mode does between
the two, such as keeping the last observation, is said in Python.
"""

from rltk.envs.minigrid.level import FINE, MAX_STEPS, STEPS, clear, level_of
from rltk.envs.minigrid.rules import advance, ends, reward_of
from rltk.mdp import jit

# What happens to an environment whose episode has ended, as Gymnasium's AutoresetMode has it.
NEXT_STEP, SAME_STEP, DISABLED = range(3)


@jit(_nrt=False)
def step_all(levels, streams, actions, n_actions, mode, ended, rewards, terminated, truncated, due):
    """Step N levels. (fault, number of levels that are due): fault is the number of the first environment that can't
    take its action, and then nothing has changed, or -1.

    actions (N,) int64. Updated: the levels, streams (N, 6), ended (N,) bool. Filled: rewards (N,) float64, terminated
    and truncated (N,) bool, and in `due` (N,) int64 the environments that must get a new level now.
    """
    count = actions.size
    for i in range(count):
        if ended[i]:
            if mode == DISABLED:
                return i, 0
        elif actions[i] < 0 or actions[i] >= n_actions:
            return i, 0
    n_due = 0
    for i in range(count):
        if ended[i]:  # only in the mode NEXT_STEP, in which this step is a reset
            rewards[i], terminated[i], truncated[i], ended[i] = 0.0, False, False, False
            due[n_due] = i
            n_due += 1
            continue
        level = level_of(levels, i)
        outcome = advance(level, streams[i], actions[i])
        rewards[i] = reward_of(level, outcome)
        terminated[i] = ends(outcome)
        truncated[i] = level.body[STEPS] >= level.body[MAX_STEPS]
        if terminated[i] or truncated[i]:
            if mode == SAME_STEP:
                due[n_due] = i
                n_due += 1
            else:
                ended[i] = True
    return -1, n_due


def generate_some(generate):
    """The kernel that makes new levels of a family; `generate(level, options, stream)` makes one."""

    @jit(_nrt=False)
    def fill(levels, streams, options, which):
        """New levels for the environments `which` (K,) int64, each from its own stream of `streams` (N, 6).

        (fault, i): why environment i could not get one, or (`FINE`, -1). options: (n,) int64, the family's own.
        """
        for k in range(which.size):
            i = which[k]
            level = level_of(levels, i)
            clear(level)
            fault = generate(level, options, streams[i])
            if fault != FINE:
                return fault, i
        return FINE, -1

    return fill
