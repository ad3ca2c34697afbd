"""What `killed.Working` is told to do: runs that learn piece by piece, write a checkpoint after each and go on from it.

They are functions of a module, since another process finds them by name.
"""

import sys

import gymnasium as gym

from rltk.agents.deep import DQN
from rltk.agents.tabular import LEARNERS
from rltk.runs import Run, exponential, linear
from rltk.scripts.cli import main

RATES = {"alpha": linear(0.5, 0.01, 4000), "epsilon": exponential(1.0, 0.05, 3000)}


def table(report, folder, name, backend, target, every):
    """A tabular run to `target` steps, in pieces of `every`. Reports the timestep it begins at and all it reaches."""
    run = Run.resume(folder)
    agent = LEARNERS[run.algorithm](gym.make(name), seed=run.seed, backend=backend, **RATES)
    if run.state is not None:
        agent.restore(run.state["agent"])
    report(agent.timestep)
    while agent.timestep < target:
        agent.learn(min(every, target - agent.timestep))
        run.log(agent.timestep, **{"rollout/ep_rew_mean": float(agent.q.max())})
        run.checkpoint({"agent": agent.state()}, agent.timestep)
        report(agent.timestep)
    run.finish()


def network(report, folder, name, options, target, every):
    """The same of DQN."""
    run = Run.resume(folder)
    agent = DQN(gym.make(name), seed=run.seed, **options)
    agent.exploration_steps = 500
    if run.state is not None:
        agent.restore(run.state)
    report(agent.timestep)
    while agent.timestep < target:
        agent.learn(min(every, target - agent.timestep))
        run.checkpoint(agent, agent.timestep)
        report(agent.timestep)
    run.finish()


def program(report, *arguments):
    """`rltk` with these arguments; the exit code is the program's."""
    sys.exit(main(list(arguments)))
