"""How much work is done in one go: as much as takes a moment, found by doing it.

    n <- 4 n    where n took less than an eighth of the moment
    n <- n / 4  where n took longer than the moment

So whoever looks at the keyboard and the progress bar between two goes is never long away, however slow the machine or
large the work. How work is cut must change nothing of what comes of it.
"""

import time

MOMENT = 0.05  # seconds


class Pace:
    """`count` is how many units the next go may have. longest: the most that it ever may."""

    def __init__(self, first: int = 1, longest: int = 1_000_000) -> None:
        self.count, self._longest = first, longest

    def note(self, count: int, begun: float) -> None:
        """So many units were done since `begun`, by `time.perf_counter`."""
        seconds = time.perf_counter() - begun
        if seconds > MOMENT:
            self.count = max(count // 4, 1)
        elif count >= self.count and seconds < MOMENT / 8:
            self.count = min(4 * self.count, self._longest)
