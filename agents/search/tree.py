"""The search tree of MCTS as arrays, and the three things UCT does with it: select, extend, back up.

A node is a state met after certain actions and outcomes; node 0 is the root. N(n, a) counts how often action a was
taken in node n, and W(n, a) sums the returns that followed. UCT takes in node n

    argmax_a  W(n, a) / N(n, a) + c d sqrt( ln sum_b N(n, b) / N(n, a) )

each action once before any twice, where d is the difference of the highest and lowest return seen so far: it makes c a
number without a unit.
"""

from typing import NamedTuple

import numpy as np

from rltk.mdp import jit


class Tree(NamedTuple):
    """Room for n nodes with A actions."""

    visits: np.ndarray  # (n, A) int64; -1 where an action is not available
    total: np.ndarray  # (n, A) float64
    first_child: np.ndarray  # (n, A) int64: the first node that this action led to, or -1
    sibling: np.ndarray  # (n,) int64: the next node that the same action led to, or -1
    key: np.ndarray  # (n,) int64: what tells a node from its siblings
    size: np.ndarray  # (1,) int64: how many nodes there are
    span: np.ndarray  # (2,) float64: the lowest and the highest return seen
    least: np.ndarray  # (1,) float64: the lowest reward seen
    returns: np.ndarray  # (simulations,) float64: what each simulation earned
    unseen: np.ndarray  # (simulations,) float64: gamma^depth where it was cut short and not appraised, else 0


def new_tree(simulations: int, n_actions: int) -> Tree:
    """A tree that holds nothing but its root, with room for a node a simulation."""
    room = simulations + 1
    return Tree(
        np.zeros((room, n_actions), dtype=np.int64),
        np.zeros((room, n_actions)),
        np.full((room, n_actions), -1),
        np.full(room, -1),
        np.zeros(room, dtype=np.int64),
        np.ones(1, dtype=np.int64),
        np.array([np.inf, -np.inf]),
        np.array([np.inf]),
        np.zeros(simulations),
        np.zeros(simulations),
    )


@jit
def select(tree, node, exploration):
    """The action that UCT takes in `node`: the first best."""
    count, span = 0, tree.span[1] - tree.span[0]
    for a in range(tree.visits.shape[1]):
        if tree.visits[node, a] == 0:
            return a
        count += max(tree.visits[node, a], 0)
    width = exploration * (span if span > 0 else 1.0)
    best, chosen = -np.inf, -1
    for a in range(tree.visits.shape[1]):
        n = tree.visits[node, a]
        if n > 0:
            score = tree.total[node, a] / n + width * np.sqrt(np.log(count) / n)
            if chosen < 0 or score > best:
                best, chosen = score, a
    return chosen


@jit
def child(tree, node, action, key):
    """The node that `action` led to with this `key`, or -1."""
    other = tree.first_child[node, action]
    while other >= 0 and tree.key[other] != key:
        other = tree.sibling[other]
    return other


@jit
def extend(tree, node, action, key):
    """Add the node that `action` led to with this `key`; returns it."""
    new = tree.size[0]
    tree.size[0] += 1
    tree.key[new] = key
    tree.sibling[new] = tree.first_child[node, action]
    tree.first_child[node, action] = new
    return new


@jit
def back_up(tree, nodes, actions, rewards, length, tail, gamma):
    """Count the return of one simulation in every node that it passed, and return it.

    nodes, actions, rewards: their first `length` entries are the way taken; tail: the return estimated beyond it.
    """
    total = tail
    for i in range(length - 1, -1, -1):
        total = rewards[i] + gamma * total
        tree.least[0] = min(tree.least[0], rewards[i])
        tree.visits[nodes[i], actions[i]] += 1
        tree.total[nodes[i], actions[i]] += total
        tree.span[0] = min(tree.span[0], total)
        tree.span[1] = max(tree.span[1], total)
    return total
