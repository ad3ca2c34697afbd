"""What is known over states and can be laid over a map: an agent's own tables, or the optimum's."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Overlay, Scene, policy_table
from rltk.errors import RltkError

Kind = Literal["none", "value", "q", "policy"]
KINDS: tuple[Kind, ...] = ("none", "value", "q", "policy")
_TIE = 1e-9
_BATCH = 4096  # states whose observations are made at once


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Tables over states, each None where it is not known.

    owner: whose they are, "agent" or "optimum". value: (S,). q: (S, A). policy: (S, A) probabilities.
    criterion: words such as "gamma 0.99", or "".
    """

    owner: str
    value: NDArray[np.float64] | None = None
    q: NDArray[np.float64] | None = None
    policy: NDArray[np.float64] | None = None
    criterion: str = ""

    def has(self, kind: str) -> bool:
        """Say whether there is a table of this kind."""
        return kind != "none" and getattr(self, kind) is not None

    def value_of(self, state: int | None) -> float | None:
        """Return the value of a state, None where either is unknown."""
        if self.value is None or state is None or not 0 <= state < len(self.value):
            return None
        return float(self.value[state])

    def overlay(self, kind: str, scene: Scene) -> Overlay | None:
        """Return the overlay of this kind for a scene's legend and colours; None where its table is unknown."""
        if not self.has(kind):
            return None
        symbol = {"value": "V", "q": "Q", "policy": "policy"}[kind]
        title = f"{self.owner}: {symbol}"
        notes = (self.criterion,) if self.criterion else ()
        table = getattr(self, kind)
        if kind == "policy":
            return Overlay(policy=table, title=title, notes=notes)
        # A map that shows only a part of the states would change its colours from step to step.
        finite = table[np.isfinite(table)]
        partly = 2 * np.unique(scene.states[scene.states >= 0]).size < len(table)
        limits = (float(finite.min()), float(finite.max())) if partly and finite.size else None
        if kind == "value":
            return Overlay(value=table, title=title, notes=notes, limits=limits)
        return Overlay(q=table, title=title, notes=notes, limits=limits)


def knowledge_of(source: Any, owner: str, env: Any = None, n_actions: int = 0) -> Knowledge:
    """Read the tables of an agent or a Solution: its `q`, `value` and `policy`, whichever it has.

    What is missing follows from q: the value is its maximum, the policy is greedy with ties shared. An agent without
    tables is asked in all states through `q_values` and `action_probabilities`, where the environment knows their
    observations.
    """
    q = _table(source, "q", 2)
    if q is None and env is not None:
        q = _asked(source, "q_values", env)
    value = _table(source, "value", 1)
    if value is None and q is not None:
        value = q.max(1)
    policy = None
    chosen = _table(source, "policy", None)
    if chosen is not None and chosen.ndim == 1 and np.all(chosen == np.rint(chosen)):
        policy = policy_table(chosen.astype(int), n_actions or None)
    elif chosen is not None and chosen.ndim == 2:
        policy = policy_table(chosen)
    elif q is not None:
        policy = greedy(q)
    elif env is not None:
        policy = _asked(source, "action_probabilities", env)
    return Knowledge(owner, value, q, policy, _criterion(source))


def greedy(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (S, A) probabilities: uniform over the best actions of q (S, A), ties within 1e-9."""
    best = q.max(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        among = (q >= best - _TIE * np.maximum(1, np.abs(best))) & np.isfinite(q)
    return among / np.maximum(1, among.sum(1, keepdims=True))


def _table(source: Any, name: str, dimensions: int | None) -> NDArray[np.float64] | None:
    """Return an attribute as a float array; None unless it is a table (a method or a network is none)."""
    found = getattr(source, name, None)
    if found is None or callable(found):
        return None
    try:
        array = np.asarray(found, dtype=float)
    except (TypeError, ValueError):
        return None
    if array.ndim not in (1, 2) or (dimensions is not None and array.ndim != dimensions) or array.size == 0:
        return None
    return array


def _asked(agent: Any, verb: str, env: Any) -> NDArray[np.float64] | None:
    """(S, A) what the agent's `verb` says in all states; None where it can't say, or they can't be listed."""
    ask = getattr(agent, verb, None)
    observations = getattr(env, "observations", None)
    model = getattr(env, "mdp", None)
    if ask is None or observations is None or not callable(model):
        return None
    try:
        mdp = model()
        parts = np.array_split(np.arange(mdp.n_states), -(-mdp.n_states // _BATCH))
        table = np.concatenate([np.asarray(ask(observations(states)), dtype=float) for states in parts])
    except RltkError:  # too many states, an agent that acts from memory, or one that sees them in another form
        return None
    available = getattr(mdp, "available", None)
    return table if verb != "q_values" or available is None else np.where(available, table, -np.inf)


def _criterion(source: Any) -> str:
    criterion = getattr(source, "criterion", None)
    gamma = getattr(criterion, "gamma", None) if criterion is not None else getattr(source, "gamma", None)
    horizon = getattr(criterion, "horizon", None)
    words = [f"gamma {gamma:g}"] if isinstance(gamma, int | float) else []
    if isinstance(horizon, int):
        words.append(f"horizon {horizon}")
    return ", ".join(words)
