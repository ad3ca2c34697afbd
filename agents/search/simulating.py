"""One search of MCTS, twice: compiled on the arrays of a known MDP, and by stepping a copy of any environment.

Both do the same: set out from the root, let UCT choose while at known nodes, add one node, estimate what lies beyond it
by a rollout or a given value, and back up along the way. On rltk's own environments, whose simulator obeys the draw
law, both spend the same random words and leave the same tree, bit for bit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.core.types import BaseNamedTuple  # type: ignore[attr-defined]
from numba.extending import overload

from rltk.agents.search.following import key_of
from rltk.agents.search.tree import Tree, arrive, back_up, new_tree, record, select, with_more_links
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.sampling import RowTables, draw
from rltk.mdp.streams import integer_below, random


class Settings(NamedTuple):
    """The hyper-parameters of a search."""

    gamma: float
    simulations: int
    exploration: float
    max_depth: int
    sharing: int  # which nodes are one: `rltk.agents.search.tree`


def can_take(tables: Any, state: int, action: int) -> bool:
    """Whether `action` is available in `state`. For use inside kernels."""
    raise NotImplementedError("can_take runs inside kernels; ask mdp.available from Python")


@overload(can_take, inline="always")
def _can_take(tables, state, action):
    if not isinstance(tables, BaseNamedTuple):
        return None
    return _row_there if tables.instance_class is RowTables else _always_there


def _row_there(tables, state, action):
    row = state * tables.n_actions + action
    return tables.row_start[row] < tables.row_start[row + 1]


def _always_there(tables, state, action):
    return True


def search_arrays(
    tables: Any, root: int, settings: Settings, rollout: np.ndarray, value: np.ndarray, world: Any, choices: Any
) -> Tree:
    """Search from state `root` of the MDP in `tables`.

    rollout: (S, A) probabilities, or (0, A) for uniform; value: (S,) estimates in place of rollouts, or (0,).
    world, choices: streams (6,) uint64 for the outcomes and for the rollouts' actions, advanced in place.
    """
    tree = new_tree(settings.simulations, rollout.shape[1], settings.max_depth, root)
    _bar(tables, tree, 0, root)
    done = _simulate(tables, tree, root, settings, rollout, value, world, choices, 0)
    while done < settings.simulations:
        tree = with_more_links(tree)
        done = _simulate(tables, tree, root, settings, rollout, value, world, choices, done)
    return tree


@jit
def _simulate(tables, tree, root, settings, rollout, value, world, choices, first):
    """Simulations from number `first` on, while there is room for links; returns how many are done."""
    gamma, simulations, exploration, max_depth, sharing = settings
    nodes, actions = np.empty(max_depth, np.int64), np.empty(max_depth, np.int64)
    rewards = np.empty(max_depth)
    for k in range(first, simulations):
        if tree.size[1] + max_depth > tree.to.size:
            return k
        node, state, depth, tail, unseen = 0, root, 0, 0.0, 0.0
        while True:
            action = select(tree, node, exploration)
            state, reward, terminated, _success = draw(tables, state, action, world)
            nodes[depth], actions[depth], rewards[depth] = node, action, reward
            depth += 1
            if terminated:
                record(tree, node, action, reward, -1, gamma)
                break
            next_node, new = arrive(tree, sharing, node, action, depth, state)
            if new:
                _bar(tables, tree, next_node, state)
            record(tree, node, action, reward, next_node, gamma)
            node = next_node
            if new or depth == max_depth:
                if value.size > 0:
                    tail = value[state]
                else:
                    steps = max_depth - depth
                    tail, unseen = _roll_out(tables, tree, state, gamma, steps, rollout, world, choices)
                if new:
                    tree.value[node] = tail
                break
        back_up(tree, nodes, actions, rewards, depth, tail, unseen, settings, k)
    return simulations


@jit
def _bar(tables, tree, node, state):
    for a in range(tree.visits.shape[1]):
        if not can_take(tables, state, a):
            tree.visits[node, a] = -1


@jit
def _roll_out(tables, tree, state, gamma, steps, rollout, world, choices):
    """The return of `steps` steps of the rollout policy from `state`, and the discount of what lies beyond, or 0."""
    total, discount = 0.0, 1.0
    n_actions = rollout.shape[1]
    for _ in range(steps):
        if rollout.shape[0] > 0:
            action = _from(rollout[state], random(choices))
        else:
            count = 0
            for a in range(n_actions):
                if can_take(tables, state, a):
                    count += 1
            left, action = integer_below(choices, count), -1
            while left >= 0:
                action += 1
                if can_take(tables, state, action):
                    left -= 1
        state, reward, terminated, _success = draw(tables, state, action, world)
        total += discount * reward
        discount *= gamma
        tree.least[0] = min(tree.least[0], reward)
        if terminated:
            return total, 0.0
    return total, discount


@jit
def _from(probabilities, u):
    """The action at which the probabilities, summed left to right, exceed u."""
    total, last = 0.0, 0
    for a in range(probabilities.size):
        if probabilities[a] > 0.0:
            total += probabilities[a]
            last = a
            if u < total:
                break
    return last


class Stepping:
    """A search that steps `twin`, a copy of the environment (`Followed.copy`).

    place: sets `twin` back to the root. first_action: the number of the action space's first action. rollout: None, a
    policy (S, A) or a callable from an observation to an action; value: None, (S,) or a callable from an observation.
    """

    def __init__(
        self, twin: Any, place: Callable[[], None], first_action: int, rollout: Any, value: Any, choices: Any
    ) -> None:
        self.twin, self.place, self.first_action = twin, place, first_action
        self.rollout, self.value, self.choices = rollout, value, choices
        self._keys: dict[Any, int] = {}

    def search(self, root: Any, root_mask: np.ndarray, settings: Settings) -> Tree:
        """Search from the root, whose key is `root` and where the actions of `root_mask` (A,) bool can be taken."""
        tree = new_tree(settings.simulations, root_mask.size, settings.max_depth, self._number(root))
        tree.visits[0, ~root_mask] = -1
        for k in range(settings.simulations):
            if tree.size[1] + settings.max_depth > tree.to.size:
                tree = with_more_links(tree)
            self._simulate(tree, k, settings)
        return tree

    def _simulate(self, tree: Tree, k: int, settings: Settings) -> None:
        gamma, _, exploration, max_depth, sharing = settings
        nodes, actions = np.empty(max_depth, np.int64), np.empty(max_depth, np.int64)
        rewards = np.empty(max_depth)
        self.place()
        node, depth, tail, unseen = 0, 0, 0.0, 0.0
        while True:
            action = select(tree, node, exploration)
            seen, reward, terminated, truncated, info = self.twin.step(self.first_action + action)
            nodes[depth], actions[depth], rewards[depth] = node, action, _finite(reward)
            depth += 1
            if terminated:
                record(tree, node, action, rewards[depth - 1], -1, gamma)
                break
            key = self._number(info.get("state", seen))
            next_node, new = arrive(tree, sharing, node, action, depth, key)
            if new:
                tree.visits[next_node, ~self._mask(info, tree.visits.shape[1])] = -1
            record(tree, node, action, rewards[depth - 1], next_node, gamma)
            node = next_node
            if new or truncated or depth == max_depth:
                if self.value is None:
                    steps = 0 if truncated else max_depth - depth
                    tail, unseen = self._roll_out(tree, seen, info, gamma, steps)
                else:
                    tail = self._estimate(seen, info)
                if new:
                    tree.value[node] = tail
                break
        back_up(tree, nodes, actions, rewards, depth, tail, unseen, settings, k)

    def _number(self, observation: Any) -> int:
        """A number for what is seen, in the order of meeting: a tree is an array of numbers."""
        return self._keys.setdefault(key_of(observation), len(self._keys))

    def _mask(self, info: dict[str, Any], n_actions: int) -> np.ndarray:
        """(A,) bool: what can be taken where the copy stands."""
        if "action_mask" in info:
            return np.asarray(info["action_mask"], dtype=bool)
        if callable(getattr(self.twin, "action_masks", None)):
            return np.asarray(self.twin.action_masks(), dtype=bool)
        return np.ones(n_actions, dtype=bool)

    def _estimate(self, seen: Any, info: dict[str, Any]) -> float:
        return _finite(self.value(seen) if callable(self.value) else self.value[info.get("state", seen)])

    def _roll_out(self, tree: Tree, seen: Any, info: dict[str, Any], gamma: float, steps: int) -> tuple[float, float]:
        total, discount, n_actions = 0.0, 1.0, tree.visits.shape[1]
        for _ in range(steps):
            if callable(self.rollout):
                action = self.rollout(seen)
            elif self.rollout is not None:
                action = self.first_action + _from(self.rollout[info.get("state", seen)], self.choices.random())
            else:
                able = np.flatnonzero(self._mask(info, n_actions))
                action = self.first_action + int(able[self.choices.integers(able.size)])
            seen, reward, terminated, truncated, info = self.twin.step(action)
            reward = _finite(reward)
            total += discount * reward
            discount *= gamma
            tree.least[0] = min(tree.least[0], reward)
            if terminated:
                return total, 0.0
            if truncated:
                break
        return total, discount


def _finite(number: Any) -> float:
    number = float(number)
    if not np.isfinite(number):
        raise ArgumentError(f"a reward or an estimated value is {number}; a search needs finite numbers")
    return number
