"""`watch`: a window in which an agent plays, with values and policy laid over the map."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from rltk.drawing.window import Window
from rltk.viewing.player import Player

_REFRESH = 30  # frames a second
_REST = 1.0  # seconds for which an episode's end stays on the screen
_MOST_AT_ONCE = 16  # steps between two frames, so that a slow environment does not stop the keys


@dataclass(frozen=True)
class Watched:
    """What was seen: the episodes that ended, their returns (undiscounted sums of reward) and lengths in steps.

    closed: True if the person closed the window before all episodes had ended.
    """

    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    closed: bool

    @property
    def episodes(self) -> int:
        """How many episodes ended."""
        return len(self.returns)

    @property
    def mean_return(self) -> float:
        """The mean of the returns; nan if no episode ended."""
        return float(np.mean(self.returns)) if self.returns else float("nan")


def watch(
    agent: Any,
    env: Any,
    *,
    solution: Any = None,
    episodes: int | None = None,
    max_steps: int | None = None,
    fps: float = 8,
    seed: int | None = None,
    deterministic: bool = True,
    overlay: str = "none",
) -> Watched:
    """Play episodes of env under agent in a window, until it is closed or the episodes have ended.

    agent: anything with `predict(observation, state, episode_start, deterministic) -> (action, state)`; one with
        `acts_on_states = True`, such as a Solution, gets `info["state"]` in place of the observation.
    env: a Gymnasium environment. rltk's are painted from their `scene()`; others must have been made with
        render_mode="rgb_array".
    solution: the optimum's tables, for the overlay of key o. episodes: how many; None plays until the window closes.
    max_steps: an episode is cut there; None leaves it to the environment. fps: steps a second, 0.25 to 240.
    seed: of the first reset. overlay: "none", "value", "q" or "policy".

    Keys: space pauses, n steps, + and - change the speed, v q p lay value, action values or policy over the map, o
    changes between agent and optimum, r restarts, h hides the help, escape closes. The pointer tells a cell's value.
    Raises ArgumentError for what can't be shown, DisplayError where no window can be opened.
    """
    player = Player(
        agent,
        env,
        solution=solution,
        episodes=episodes,
        max_steps=max_steps,
        fps=fps,
        seed=seed,
        deterministic=deterministic,
        overlay=overlay,
    )
    name = getattr(getattr(env, "spec", None), "id", None) or type(env.unwrapped).__name__
    with Window(f"rltk: {name}", fps=_REFRESH) as window:
        closed = _play(player, window)
    return Watched(tuple(player.record.returns), tuple(player.record.lengths), closed)


def _play(player: Player, window: Window) -> bool:
    """Run until the person closes the window (True) or the last episode has ended (False)."""
    window.show(player.frame())
    due = time.monotonic() + 1 / player.speed
    while True:
        changed = False
        for event in window.events():
            changed = True
            if event.kind == "quit" or (event.kind == "key" and not player.press(event.key)):
                return True
            if event.kind == "move":
                player.view.pointer = event.position
        now = time.monotonic()
        if player.view.paused:
            due = now + 1 / player.speed
        for _ in range(_MOST_AT_ONCE):
            if due > now:
                break
            if player.done:
                return False
            player.advance()
            changed = True
            due = now + min(_REST, 8 / player.speed) if player.episode.ending else due + 1 / player.speed
        due = max(due, now - 1 / player.speed)  # what could not be kept up with is let go
        if changed:
            window.show(player.frame())
        else:
            time.sleep(1 / (2 * _REFRESH))
