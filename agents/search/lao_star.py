"""LAO*: grow the best partial solution from the start, back it up, until it has no loose ends and has settled.

The solution graph holds what greedy actions meet from the start. Each pass follows them, expands the states at its tips
that were never looked at, and backs all of it up in the reverse order of finding,

    U(s) <- min( U(s), max_a q_U(s, a) ),

so that what was found at the tips is known at the start after one pass. It ends when no tip is left and no state would
change by more than epsilon. This is the improved form, ILAO*, one backup a state and pass; how bounds come of it is
told in `rltk.agents.search.heuristic`.

Source: Hansen and Zilberstein (2001), "LAO*: a heuristic search algorithm that finds solutions with loops", section
3.4 and table 7.
"""

from typing import ClassVar

from rltk.agents.search.heuristic import HeuristicSearch


class LAOStar(HeuristicSearch):
    """Improved LAO*: `LAOStar(env, gamma=0.99).predict(state)`, or `.search()` from where episodes start.

    The options are told in `HeuristicSearch`. Nothing in it is random.
    """

    name: ClassVar[str] = "lao star"

    def _settle(self, root: int, epsilon: float, end: int) -> None:
        self._grow(root, epsilon, 0.0, end)
