"""The episodes of late, by which a learner reports how it is doing while it learns."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

KEPT = 100


class RecentEpisodes(deque[tuple[float, int]]):
    """(return, length) of the last 100 episodes, the newest last."""

    def __init__(self, episodes: Iterable[tuple[float, int]] = (), maxlen: int | None = KEPT) -> None:
        super().__init__(episodes, maxlen)  # as copies call it

    def metrics(self, learner: Any, begin: tuple[int, float]) -> dict[str, float]:
        """What a learner with a `timestep` and `episodes` logs, under the names that Stable-Baselines3 gave them.

        begin: the timestep and the seconds of `time.perf_counter` when learning began.
        """
        seconds = max(time.perf_counter() - begin[1], 1e-9)
        found = {"time/fps": (learner.timestep - begin[0]) / seconds, "time/episodes": float(learner.episodes)}
        if self:
            returns, lengths = zip(*self, strict=True)
            found["rollout/ep_rew_mean"] = float(np.mean(returns))
            found["rollout/ep_len_mean"] = float(np.mean(lengths))
        return found

    def bar_fields(self) -> dict[str, float]:
        """What a progress bar shows."""
        return {"ep_rew_mean": float(np.mean([total for total, _ in self]))} if self else {}

    def state(self) -> dict[str, np.ndarray]:
        """Two arrays for a checkpoint."""
        return {
            "recent_returns": np.array([total for total, _ in self], dtype=np.float64),
            "recent_lengths": np.array([length for _, length in self], dtype=np.int64),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "RecentEpisodes":
        """Those of `state`, among which there may be more than the two arrays."""
        return cls(zip(state["recent_returns"].tolist(), state["recent_lengths"].tolist(), strict=True))
