"""What a person should know of an MDP before solving it: sizes, what can be reached, what can end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rltk.mdp.chain import reachable

if TYPE_CHECKING:
    from rltk.mdp.model import MDP


@dataclass(frozen=True)
class Report:
    """Facts, not errors. Counts of states unless said otherwise; `print(report)` fits 80 columns."""

    n_states: int
    n_actions: int
    form: str
    outcomes: int  # (s, a, s') triples of positive probability
    nbytes: int
    deterministic: bool
    starts: int
    reachable: int
    ends: bool  # some reachable outcome ends the episode
    stranded: tuple[int, ...]  # reachable states from which no end can be reached: the first few
    n_stranded: int
    success: str  # "reachable", "unreachable" or "not declared"
    reward_range: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.reward_range
        lines = [
            ("states", f"{self.n_states:,} ({self.reachable:,} reachable from {self.starts:,} starts)"),
            ("actions", f"{self.n_actions}"),
            ("outcomes", f"{self.outcomes:,}, {'deterministic' if self.deterministic else 'stochastic'}"),
            ("stored as", f"{self.form}, {self.nbytes / 1e6:,.1f} MB"),
            ("rewards", f"{low:g} to {high:g}"),
            ("goal", self.success),
        ]
        if not self.ends:
            lines.append(("endings", "none can be reached: episodes never end; use gamma below 1"))
        elif self.n_stranded:
            first = ", ".join(map(str, self.stranded))
            lines.append(("stranded", f"{self.n_stranded:,} states can't reach an end: {first}"))
        return "\n".join(f"{name:<10} {text}" for name, text in lines)


def report(mdp: "MDP") -> Report:
    """The facts of `mdp`, from the graph of what can happen."""
    outcomes = mdp.form.outcomes(mdp.uniform_policy())
    chain = mdp.chain(mdp.uniform_policy())
    found = reachable(chain.P, mdp.start > 0)
    entered = found[outcomes.state]
    can_end = chain.can_reach(chain.ending > 0)
    stranded = np.flatnonzero(found & ~can_end)
    if outcomes.success is None:
        success = "not declared"
    else:
        success = "reachable" if bool((outcomes.success & entered).any()) else "unreachable"
    # A final state that is only entered at an end is reached, though nothing goes on from it.
    reached = found.copy()
    reached[outcomes.next_state[entered]] = True
    return Report(
        n_states=mdp.n_states,
        n_actions=mdp.n_actions,
        form=mdp.form.name,
        outcomes=mdp.form.n_outcomes,
        nbytes=mdp.nbytes,
        deterministic=mdp.form.n_outcomes == int(mdp.available.sum()),
        starts=int(np.count_nonzero(mdp.start)),
        reachable=int(np.count_nonzero(reached)),
        ends=bool((outcomes.terminated & entered).any()),
        stranded=tuple(int(s) for s in stranded[:5]),
        n_stranded=stranded.size,
        success=success,
        reward_range=(float(outcomes.reward.min()), float(outcomes.reward.max())),
    )
