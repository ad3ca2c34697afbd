"""Episodes by hand, for methods that look at more than one step: made at random, and fed to an update kernel."""

import numpy as np

from rltk.envs import TabularEnv
from rltk.mdp import MDP

S, A, GAMMA, ALPHA, RATE = 5, 3, 0.75, 0.3, 0.1  # RATE: of exploration


def world():
    """S states, A actions; what it does is of no matter to agents that are fed by hand."""
    return TabularEnv(MDP.from_arrays(np.full((S, A, S), 1 / S), np.zeros((S, A))))


def episodes(seed, n=40, most=9):
    """Random episodes, every third cut short: (states, actions, rewards, whether terminated), one state more than
    rewards, and so many actions, the last unused where the episode terminated."""
    random = np.random.default_rng(seed)
    for i in range(n):
        length = int(random.integers(1, most))
        states, actions = random.integers(S, size=length + 1), random.integers(A, size=length + 1)
        yield states.tolist(), actions.tolist(), random.normal(size=length).tolist(), i % 3 != 0


def feed(agent, experience, update=None, alpha=ALPHA):
    """Let the agent's update kernel, or another, see the episodes step by step, as the loops would."""
    update, stream = update or agent._update(), np.arange(6, dtype=np.uint64)
    for states, actions, rewards, terminated in experience:
        for t, reward in enumerate(rewards):
            over = t == len(rewards) - 1
            end = over and terminated
            after = -1 if end or not agent.looks_ahead else actions[t + 1]
            step = states[t], actions[t], reward, states[t + 1], after, end, over
            agent._reserve(1)
            rule = (RATE, tuple(agent.habits))
            update(agent.table, tuple(agent.memory), *step, alpha, agent.gamma, rule, stream)
    return agent.table
