"""The search graph of MCTS as arrays, and the three things UCT does with it: select, record, back up.

A node is a state that was met; node 0 is the root. N(n, a) counts how often action a was taken in node n, of which
N(n, a, m) led to node m, and r(n, a) is the mean reward on the way. These make up a model, of which

    Q(n, a) = r(n, a) + gamma sum_m N(n, a, m) / N(n, a) V(m),        V(n) = max_a Q(n, a),

is backed up along the way of each simulation; V of a node where nothing was tried is its estimate. UCT takes in node n

    argmax_a  Q(n, a) + c d sqrt( ln sum_b N(n, b) / N(n, a) )

each action once before any twice, where d is the difference of the highest and lowest Q seen so far: it makes c a
number without a unit.

How nodes are told apart is `sharing`. BY_STATE: a state is one node, however it was reached; with a discount its value
is the same everywhere. BY_DEPTH: one node a state and step; at gamma 1 a node could else hold up its own value round a
cycle that pays nothing. BY_WAY: a tree, where what is observed need not be the state; so few simulations pass each node
that the best of a few lucky ones would be taken for its value, and Q is plainly the mean return, as in UCT.
"""

from typing import NamedTuple

import numpy as np

from rltk.errors import SizeError
from rltk.mdp import jit

BY_STATE, BY_DEPTH, BY_WAY = range(3)
MOST_BYTES = 8 * 2**30
_BYTES_A_LINK = 24


class Tree(NamedTuple):
    """Room for n nodes with A actions and l links, which are the outcomes met: a node, an action and the node after."""

    visits: np.ndarray  # (n, A) int64: N; -1 where an action is not available
    reward: np.ndarray  # (n, A) float64: the sum of the rewards
    q: np.ndarray  # (n, A) float64
    value: np.ndarray  # (n,) float64: V
    first_link: np.ndarray  # (n, A) int64: the link met last, or -1
    next_link: np.ndarray  # (l,) int64: the next link of the same node and action, or -1
    to: np.ndarray  # (l,) int64: the node it leads to
    met: np.ndarray  # (l,) int64: how often it was met
    size: np.ndarray  # (2,) int64: how many nodes and links there are
    place: np.ndarray  # (n,) int64: what tells nodes of equal key apart
    key: np.ndarray  # (n,) int64: the state, or a number for it
    table: np.ndarray  # (a power of 2,) int64: nodes by the hash of place and key, or -1
    span: np.ndarray  # (2,) float64: the lowest and the highest Q seen
    least: np.ndarray  # (1,) float64: the lowest reward seen
    returns: np.ndarray  # (simulations,) float64: what each simulation earned
    unseen: np.ndarray  # (simulations,) float64: gamma^depth where it was cut short and not appraised, else 0


def bytes_for(simulations: int, n_actions: int, max_depth: int) -> int:
    """What a search takes at first: links grow as outcomes are met."""
    return simulations * (32 * n_actions + 80 + 4 * _BYTES_A_LINK) + max_depth * (_BYTES_A_LINK + 24)


def new_tree(simulations: int, n_actions: int, max_depth: int, root_key: int) -> Tree:
    """A graph that holds nothing but its root, with room for a node a simulation."""
    room, links = simulations + 1, 4 * simulations + max_depth
    tree = Tree(
        visits=np.zeros((room, n_actions), dtype=np.int64),
        reward=np.zeros((room, n_actions)),
        q=np.zeros((room, n_actions)),
        value=np.zeros(room),
        first_link=np.full((room, n_actions), -1),
        next_link=np.zeros(links, dtype=np.int64),
        to=np.zeros(links, dtype=np.int64),
        met=np.zeros(links, dtype=np.int64),
        size=np.zeros(2, dtype=np.int64),
        place=np.zeros(room, dtype=np.int64),
        key=np.zeros(room, dtype=np.int64),
        table=np.full(2 ** (2 * room - 1).bit_length(), -1),
        span=np.array([np.inf, -np.inf]),
        least=np.array([np.inf]),
        returns=np.zeros(simulations),
        unseen=np.zeros(simulations),
    )
    _add(tree, _slot(tree, 0, root_key), 0, root_key)
    return tree


def with_more_links(tree: Tree) -> Tree:
    """The same graph with room for twice as many links; SizeError where that is too much."""
    room = 2 * tree.to.size
    if room * _BYTES_A_LINK > MOST_BYTES:
        raise SizeError(f"a search met more than {tree.to.size:,} different outcomes; ask for fewer simulations")
    return tree._replace(**{name: np.resize(getattr(tree, name), room) for name in ("next_link", "to", "met")})


@jit
def select(tree, node, exploration):
    """The action that UCT takes in `node`: the first best."""
    count, span = 0, tree.span[1] - tree.span[0]
    for a in range(tree.visits.shape[1]):
        if tree.visits[node, a] == 0:
            return a
        count += max(tree.visits[node, a], 0)
    width = exploration * (span if span > 0 else 1.0) * np.sqrt(np.log(count))
    best, chosen = -np.inf, -1
    for a in range(tree.visits.shape[1]):
        n = tree.visits[node, a]
        if n > 0:
            score = tree.q[node, a] + width / np.sqrt(n)
            if chosen < 0 or score > best:
                best, chosen = score, a
    return chosen


@jit
def arrive(tree, sharing, node, action, depth, key):
    """(node, new): the node of `key` that `action` leads to, `depth` steps from the root; added where it is new."""
    place = 0
    if sharing == BY_DEPTH:
        place = depth
    elif sharing == BY_WAY:
        place = 1 + node * tree.visits.shape[1] + action
    slot = _slot(tree, place, key)
    new = tree.table[slot] < 0
    if new:
        _add(tree, slot, place, key)
    return tree.table[slot], new


@jit
def _add(tree, slot, place, key):
    node = tree.size[0]
    tree.size[0] += 1
    tree.place[node], tree.key[node], tree.table[slot] = place, key, node


@jit
def _slot(tree, place, key):
    """Where the node of `key` at `place` is or will be in the table, half of which at least is empty."""
    last = tree.table.size - 1
    h = (place * 0x9E3779B1 + key) * 0x85EBCA6B
    slot = (h ^ (h >> 29)) & last
    while tree.table[slot] >= 0 and (tree.place[tree.table[slot]] != place or tree.key[tree.table[slot]] != key):
        slot = (slot + 1) & last
    return slot


@jit
def record(tree, node, action, reward, next_node, gamma):
    """Count one outcome; `next_node` is -1 where the episode ended."""
    tree.visits[node, action] += 1
    tree.reward[node, action] += reward
    tree.least[0] = min(tree.least[0], reward)
    if next_node >= 0:
        link = tree.first_link[node, action]
        while link >= 0 and tree.to[link] != next_node:
            link = tree.next_link[link]
        if link < 0:
            link = tree.size[1]
            tree.size[1] += 1
            tree.to[link], tree.met[link] = next_node, 0
            tree.next_link[link] = tree.first_link[node, action]
            tree.first_link[node, action] = link
        tree.met[link] += 1
    if tree.visits[node, action] == 1:  # the simulation may come by again before it is backed up
        tree.q[node, action] = _mean(tree, node, action, gamma)


@jit
def _mean(tree, node, action, gamma):
    total = 0.0
    link = tree.first_link[node, action]
    while link >= 0:
        total += tree.met[link] * tree.value[tree.to[link]]
        link = tree.next_link[link]
    return (tree.reward[node, action] + gamma * total) / tree.visits[node, action]


@jit
def back_up(tree, nodes, actions, rewards, length, tail, unseen, settings, k):
    """Back up every node that simulation k passed, from its end to the root, and note what it earned.

    nodes, actions, rewards: their first `length` entries are the way taken; tail, unseen: the return estimated beyond
    it, and how much of a return is left out there.
    """
    total, gamma = tail, settings.gamma
    for i in range(length - 1, -1, -1):
        total = rewards[i] + gamma * total
        unseen *= gamma
        node = nodes[i]
        q = tree.q[node, actions[i]]
        if settings.sharing == BY_WAY:
            q += (total - q) / tree.visits[node, actions[i]]
        else:
            q = _mean(tree, node, actions[i], gamma)
        tree.q[node, actions[i]] = q
        tree.span[0] = min(tree.span[0], q)
        tree.span[1] = max(tree.span[1], q)
        best = -np.inf
        for a in range(tree.visits.shape[1]):
            if tree.visits[node, a] > 0:
                best = max(best, tree.q[node, a])
        tree.value[node] = best
    tree.returns[k], tree.unseen[k] = total, unseen
