"""An agent playing episodes one step at a time, and the picture of where it is: all of `watch` but window and clock."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.colours import PAPER
from rltk.drawing.legend import paint_strip
from rltk.drawing.numbers import decimals_for, number
from rltk.drawing.painter import Painter
from rltk.drawing.scene import Overlay, Scene
from rltk.errors import ArgumentError
from rltk.evaluation.policies import masks_for
from rltk.viewing.knowledge import KINDS, Knowledge, knowledge_of

NARROWEST = 400  # pixels: the strip's words need them
_LARGE = 360  # smaller frames of foreign environments are enlarged to about this
_FASTEST, _SLOWEST = 240.0, 0.25
HELP = (
    "space pause · n one step · + - speed · r restart",
    "v value · q action values · p policy · o agent's or optimum's",
    "h hide this help · esc close",
)


@dataclass
class Episode:
    """How far the current episode is. state: the index of the state it is in, None if the environment tells none."""

    number: int = 0
    step: int = 0
    total: float = 0.0
    state: int | None = None
    first_state: int | None = None
    ending: str = ""  # "terminated", "truncated" or "cut"; empty while it runs


@dataclass
class View:
    """What a person chose to see. pointer: the pixel under the mouse."""

    overlay: str = "none"
    of_optimum: bool = False
    paused: bool = False
    help: bool = True
    pointer: tuple[int, int] | None = None
    message: str = ""


@dataclass
class Record:
    """The episodes that ended: their returns and lengths."""

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


class Player:
    """Plays an environment under an agent.

    agent, env, solution, max_steps, seed, deterministic, overlay: as `watch` takes them. fps: steps a second.
    Raises ArgumentError where the environment can't be shown or the agent can't act in it.
    """

    def __init__(
        self,
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
    ) -> None:
        _check(agent, env, overlay, fps, episodes, max_steps)
        self.agent, self.env = agent, env
        self.episodes, self.max_steps = episodes, max_steps
        self.speed, self.deterministic = float(fps), deterministic
        self.episode, self.view, self.record = Episode(), View(overlay=overlay), Record()
        self._draws = callable(getattr(env.unwrapped, "scene", None))
        self._acts_on_states = bool(getattr(agent, "acts_on_states", False))
        self._seed = seed
        self._observation: Any = None
        self._memory: Any = None  # a recurrent agent's state
        self._painter: Painter | None = None
        self._overlays: dict[tuple[str, bool], Overlay | None] = {}
        self._largest = (0, NARROWEST)
        self.restart()
        n_actions = len(self._scene().actions) if self._draws else 0
        self.own = knowledge_of(agent, "agent", env.unwrapped if self._draws else None, n_actions)
        self.optimum = knowledge_of(solution, "optimum", None, n_actions) if solution is not None else None

    @property
    def done(self) -> bool:
        """True once the asked number of episodes has ended."""
        return self.episodes is not None and len(self.record.returns) >= self.episodes

    def restart(self) -> None:
        """Begin a new episode; one that still ran is forgotten."""
        # The seed once: the following episodes draw on from the environment's own stream.
        self._observation, info = self.env.reset(seed=self._seed)
        self._info = info
        self._seed, self._memory = None, None
        state = _state(info)
        self.episode = Episode(
            self.episode.number + 1 if self.episode.ending or not self.episode.number else self.episode.number,
            0,
            0.0,
            state,
            state,
        )
        self._require_state()

    def advance(self) -> None:
        """Take one step, or begin the next episode if this one has ended."""
        if self.episode.ending:
            if not self.done:
                self.restart()
            return
        episode = self.episode
        action = self._action()
        self._observation, reward, terminated, truncated, info = self.env.step(action)
        self._info = info
        episode.step += 1
        episode.total += float(reward)
        episode.state = _state(info)
        if terminated:
            episode.ending = "terminated"
        elif truncated:
            episode.ending = "truncated"
        elif self.max_steps is not None and episode.step >= self.max_steps:
            episode.ending = f"cut at {self.max_steps} steps"
        if episode.ending:
            self.record.returns.append(episode.total)
            self.record.lengths.append(episode.step)
        else:
            self._require_state()

    def press(self, key: str) -> bool:
        """Do what a key asks for; False if it asks to close. A key without a meaning does nothing."""
        self.view.message = ""
        if key in ("escape", "\x1b"):
            return False
        if key == "space":
            self.view.paused = not self.view.paused
        elif key == "n":
            self.view.paused = True
            self.advance()
        elif key in ("+", "=", "[+]"):
            self.speed = min(_FASTEST, self.speed * 1.5)
        elif key in ("-", "_", "[-]"):
            self.speed = max(_SLOWEST, self.speed / 1.5)
        elif key == "r":
            self.restart()
        elif key == "h":
            self.view.help = not self.view.help
        elif key == "o":
            self._switch_owner()
        elif key in ("v", "q", "p"):
            self._switch_overlay({"v": "value", "q": "q", "p": "policy"}[key])
        return True

    def frame(self) -> NDArray[np.uint8]:
        """Return the picture of this moment, (h, w, 3) uint8: the map or the environment's frame, the words below.

        It never becomes smaller than it was, so that a window does not jump when an overlay goes.
        """
        picture = self._map() if self._draws else self._foreign_frame()
        width = max(picture.shape[1], self._largest[1])
        strip = paint_strip(self._words(), width)
        height = max(len(picture) + len(strip), self._largest[0])
        self._largest = (height, width)
        whole = np.full((height, width, 3), PAPER, np.uint8)
        whole[: len(picture), : picture.shape[1]] = picture
        whole[len(picture) : len(picture) + len(strip)] = strip
        return whole

    def _action(self) -> Any:
        seen = self.episode.state if self._acts_on_states else self._observation
        starts = np.array([self.episode.step == 0])
        told = {"state": self._memory, "episode_start": starts, "deterministic": self.deterministic}
        action, self._memory = self.agent.predict(seen, **told, **masks_for(self.agent, self._info))
        # A discrete action may come as an array of one; a continuous one stays an array.
        discrete = hasattr(self.env.action_space, "n") and np.size(action) == 1
        return int(np.asarray(action).item()) if discrete else action

    def _require_state(self) -> None:
        if self._acts_on_states and self.episode.state is None:
            raise ArgumentError(
                'this agent acts on state indices, but the environment puts no "state" into info. Use an agent that '
                "acts on observations; or, where each reset makes another level, play one for ever: "
                'gym.make("rltk/MiniGrid-v0", layout=Layout.from_env(env)), from rltk.envs.minigrid'
            )

    def _scene(self) -> Scene:
        scene: Scene = self.env.unwrapped.scene()
        return scene

    def _map(self) -> NDArray[np.uint8]:
        scene = self._scene()
        if self._painter is None or self._painter.shape != scene.shape:
            self._painter = Painter(scene.shape)
        return self._painter.paint(scene, self._overlay(scene))

    def _overlay(self, scene: Scene) -> Overlay | None:
        kind = self.view.overlay
        if kind == "none":
            return None
        key = (kind, self.view.of_optimum)
        if key not in self._overlays:
            self._overlays[key] = self._shown_knowledge().overlay(kind, scene)
        overlay = self._overlays[key]
        if overlay is None:
            self.view.message = f"no {kind} is known of the {self._shown_knowledge().owner}"
        return overlay

    def _shown_knowledge(self) -> Knowledge:
        return self.optimum if self.view.of_optimum and self.optimum is not None else self.own

    def _foreign_frame(self) -> NDArray[np.uint8]:
        frame = np.asarray(self.env.render())
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ArgumentError(f"render() of this environment: an (h, w, 3) uint8 array, found {frame.shape}")
        larger = max(1, _LARGE // max(frame.shape[:2]))
        return np.repeat(np.repeat(frame, larger, 0), larger, 1)

    def _switch_owner(self) -> None:
        if self.optimum is None:
            self.view.message = "the optimum is unknown: call watch with solution=rltk.solve(env)"
        else:
            self.view.of_optimum = not self.view.of_optimum

    def _switch_overlay(self, kind: str) -> None:
        if not self._draws:
            self.view.message = "overlays need an rltk environment: this one shows only its own picture"
        elif self.view.overlay == kind:
            self.view.overlay = "none"
        elif not self._shown_knowledge().has(kind):
            self.view.message = f"no {kind} is known of the {self._shown_knowledge().owner}"
        else:
            self.view.overlay = kind

    def _words(self) -> list[str]:
        episode = self.episode
        of = f" of {self.episodes}" if self.episodes is not None else ""
        now = f"episode {episode.number}{of} · step {episode.step} · return {number(episode.total, 3)}"
        speed = "paused" if self.view.paused else f"{self.speed:.3g} steps a second"
        lines = [f"{now} · {episode.ending}" if episode.ending else now, self._start_words(), speed]
        pointed = self._pointed_words()
        if pointed or self.view.message:
            lines[-1] = self.view.message or pointed
        lines += HELP if self.view.help else ("h help",)
        return [line for line in lines if line]

    def _start_words(self) -> str:
        """What the agent and the optimum expect from the episode's first state."""
        said = []
        for words, knowledge in (("agent's estimate", self.own), ("optimum", self.optimum)):
            value = None if knowledge is None else knowledge.value_of(self.episode.first_state)
            if value is not None and knowledge is not None:
                told = f" ({knowledge.criterion})" if knowledge.criterion else ""
                said.append(f"{words} {number(value, 3)}{told}")
        return "at the start: " + " · ".join(said) if said else ""

    def _pointed_words(self) -> str:
        if self.view.pointer is None or not self._draws or self._painter is None:
            return ""
        place = self._painter.cell_at(*self.view.pointer)
        if place is None:
            return ""
        state = int(self._scene().states[place])
        words = f"row {place[0]}, column {place[1]}"
        if state < 0:
            return words
        shown = self._shown_knowledge()
        value = shown.value_of(state)
        known = "" if value is None else f" · {shown.owner}'s value {number(value, decimals_for(value, value))}"
        return f"{words} · state {state}{known}"


def _state(info: Any) -> int | None:
    """Return info["state"] as an index, or None."""
    found = np.asarray(info.get("state", -1.0) if isinstance(info, dict) else -1.0)
    return int(found.item()) if found.dtype.kind in "iu" and found.size == 1 else None


def _check(agent: Any, env: Any, overlay: str, fps: float, episodes: int | None, max_steps: int | None) -> None:
    if not callable(getattr(agent, "predict", None)):
        raise ArgumentError(f"agent: anything with predict(observation, ...), found {type(agent).__name__}")
    if hasattr(env, "num_envs") or not hasattr(env, "unwrapped"):
        raise ArgumentError(
            f"env: one Gymnasium environment, found {type(env).__name__}; make a single one with gymnasium.make"
        )
    if overlay not in KINDS:
        raise ArgumentError(f"overlay: one of {', '.join(KINDS)}; found {overlay!r}")
    if not _SLOWEST <= fps <= _FASTEST:
        raise ArgumentError(f"fps: {_SLOWEST:g} to {_FASTEST:g} steps a second, found {fps!r}")
    for name, count in (("episodes", episodes), ("max_steps", max_steps)):
        if count is not None and count < 1:
            raise ArgumentError(f"{name}: a positive number or None, found {count!r}")
    mode = getattr(env, "render_mode", None)
    if mode == "human":
        raise ArgumentError('env: it opens its own window; make it without render_mode="human" to watch it here')
    if not callable(getattr(env.unwrapped, "scene", None)) and mode != "rgb_array":
        name = getattr(getattr(env, "spec", None), "id", None) or "its id"
        raise ArgumentError(
            f"env: its pictures are needed, but its render_mode is {mode!r}; make it with "
            f'gymnasium.make("{name}", render_mode="rgb_array")'
        )
