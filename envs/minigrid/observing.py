"""What an agent is shown of a level: one way for a single environment, a batch, and the states of a model.

| observation | image, uint8 | as in minigrid |
| --- | --- | --- |
| `egocentric` | (V, V, 3): the agent's view, as triples (`view.py`) | as it comes |
| `egocentric_onehot` | (V, V, 20): the view, as planes of ones (`symbolic.py`) | OneHotPartialObsWrapper |
| `egocentric_rgb` | (V t, V t, 3): the view, t pixels a cell (`pictures.py`) | RGBImgPartialObsWrapper |
| `symbolic` | (W, H, 3): the whole board, as triples | FullyObsWrapper |
| `symbolic_onehot` | (W, H, 21): the whole board, as planes of ones | |
| `rgb` | (H t, W t, 3): the whole board, t pixels a cell | RGBImgObsWrapper |

| form | an observation is |
| --- | --- |
| `dict` | image, direction, and the mission as its option says |
| `image` | the image alone (ImgObsWrapper) |
| `flat` | the image's numbers in their order, then the mission: a number as a row of ones and zeros, or its tokens |

| mission | is |
| --- | --- |
| `text` | the sentence; only in the form `dict` |
| `number` | its number among the family's sentences |
| `tokens` | its words by number, from 1 on, and zeros to the length of the longest (`Missions.tokens`) |
| `none` | left out |
"""

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rltk.envs.minigrid.cells import N_COLOURS, STATES, TYPES
from rltk.envs.minigrid.family import Setting
from rltk.envs.minigrid.level import MISSION, Levels
from rltk.envs.minigrid.missions import MissionSpace
from rltk.envs.minigrid.models.base import LevelModel
from rltk.envs.minigrid.pictures import draw_boards, draw_views, in_runs, runs_of
from rltk.envs.minigrid.symbolic import BOARD_PLANES, N_DIRECTIONS, PLANES, draw_planes, draw_symbols
from rltk.envs.minigrid.view import observe_some
from rltk.envs.tabular.observations import BATCH_LIMIT, OBSERVATION_LIMIT
from rltk.envs.tabular.options import check_integer
from rltk.errors import ArgumentError, SizeError, UnknownNameError

MODES = ("egocentric", "egocentric_onehot", "egocentric_rgb", "symbolic", "symbolic_onehot", "rgb")
FORMS = ("dict", "image", "flat")
MISSIONS = ("text", "number", "none", "tokens")
_FIRST = np.zeros(1, dtype=np.int64)


class Room(NamedTuple):
    """Where N observations are written."""

    triples: NDArray[np.uint8]  # (N, cells * 3): what is seen; `images` itself where that is what is shown
    images: NDArray[np.uint8]  # (N, bytes of an image)
    directions: NDArray[np.int64]  # (N,)

    def part(self, where: slice) -> "Room":
        """The room for some of the observations."""
        return Room(self.triples[where], self.images[where], self.directions[where])


class Observer:
    """How the levels of a `setting` are shown. `space` is that of one observation.

    observation, form, mission: see the tables above. tile_size: t, pixels a cell. Raises UnknownNameError for a name
    that there is not, ArgumentError for a wrong value, SizeError for images that are too large.
    """

    def __init__(
        self, setting: Setting, *, observation: str, form: str = "dict", mission: str = "text", tile_size: int = 8
    ) -> None:
        if observation not in MODES:
            raise UnknownNameError(f"observation: there is no mode {observation!r}; choose one of {', '.join(MODES)}")
        for name, value, known in (("form", form, FORMS), ("mission", mission, MISSIONS)):
            if value not in known:
                raise ArgumentError(f"{name} is one of {', '.join(known)}; found {value!r}")
        self.mode, self.form, self.mission = observation, form, mission
        self.tile_size = check_integer("observation_tile_size", tile_size, 1)
        self._missions = setting.plan.missions
        self._sentences = np.array(self._missions.texts, dtype=object)  # to take many at once
        self._highlight = setting.view.highlight
        self._symbolic = observation in ("symbolic", "symbolic_onehot")
        self._onehot, self._rgb = observation.endswith("onehot"), observation.endswith("rgb")
        self._planes = BOARD_PLANES if self._symbolic else PLANES
        view, board = (setting.view.agent_view_size,) * 2, (setting.plan.width, setting.plan.height)
        self.image_shape = self._shape_of_image(view if observation.startswith("egocentric") else board)
        self._n_triples = 3 * int(np.prod(board if self._symbolic else view))
        self._n_bytes = int(np.prod(self.image_shape, dtype=object))
        if self._n_bytes > OBSERVATION_LIMIT:
            raise SizeError(
                f"observation={observation!r}: an image of {' x '.join(map(str, self.image_shape))} bytes would take "
                f"{self._n_bytes / 2**20:,.0f} MiB; the limit is {OBSERVATION_LIMIT // 2**20} MiB. "
                "Use a smaller observation_tile_size, or 'egocentric'"
            )
        self._worded = form == "dict" and mission == "text"
        self._numbered = form != "image" and mission in ("number", "tokens")
        self._tail = self._flat_missions() if form == "flat" else None
        self.space = self._space()

    def _shape_of_image(self, cells: tuple[int, int]) -> tuple[int, int, int]:
        if self._rgb:
            return cells[1] * self.tile_size, cells[0] * self.tile_size, 3
        return *cells, self._planes.shape[1] if self._onehot else 3

    def _flat_missions(self) -> NDArray[np.uint8] | None:
        """(missions, n): what stands after the image in the form `flat`."""
        if self.mission == "number":
            return np.eye(len(self._missions), dtype=np.uint8)
        if self.mission == "tokens":
            if len(self._missions.vocabulary) > 255:
                raise SizeError("form='flat' has room for 255 words; use the form 'dict' with so large a vocabulary")
            return self._missions.tokens.astype(np.uint8)
        return None

    # Spaces

    def _space(self) -> spaces.Space[Any]:
        image = spaces.Box(0, 255, self.image_shape, np.uint8)
        if self.form == "image":
            return image
        if self.form == "flat":
            tail = np.zeros(0, np.uint8) if self._tail is None else np.full(self._tail.shape[1], self._tail.max())
            high = np.concatenate([self.highs.reshape(-1), tail.astype(np.uint8)])
            return spaces.Box(np.zeros_like(high), high, dtype=np.uint8)
        parts: dict[str, spaces.Space[Any]] = {"image": image, "direction": spaces.Discrete(4)}
        if self.mission == "text":
            parts["mission"] = MissionSpace(self._missions.texts)
        elif self.mission == "number":
            parts["mission"] = spaces.Discrete(len(self._missions))
        elif self.mission == "tokens":
            parts["mission"] = spaces.MultiDiscrete(
                [len(self._missions.vocabulary) + 1] * self._missions.tokens.shape[1]
            )
        return spaces.Dict(parts)

    @property
    def tight_space(self) -> spaces.Space[Any]:
        """`space` with the image's own bounds, where minigrid's say 255 of small numbers.

        Stable-Baselines3 takes whatever goes up to 255 for pixels, and divides it by 255.
        """
        highs = self.highs
        image = spaces.Box(np.zeros_like(highs), highs, dtype=np.uint8)
        if isinstance(self.space, spaces.Dict):
            return spaces.Dict({**self.space.spaces, "image": image})
        return image if self.form == "image" else self.space

    @property
    def highs(self) -> NDArray[np.uint8]:
        """The largest number that each entry of an image can hold. minigrid's own spaces say 255 of all."""
        if self._rgb:
            return np.full(self.image_shape, 255, dtype=np.uint8)
        if self._onehot:
            return np.ones(self.image_shape, dtype=np.uint8)
        last = N_DIRECTIONS if self._symbolic else len(STATES)
        highs = np.array([len(TYPES) - 1, N_COLOURS - 1, last - 1], dtype=np.uint8)
        return np.broadcast_to(highs, self.image_shape).copy()

    # Observing

    def room(self, count: int) -> Room:
        """Room for `count` observations. SizeError where that is too much."""
        nbytes = count * (self._n_bytes + self._n_triples)
        if nbytes > BATCH_LIMIT:
            raise SizeError(
                f"{count:,} observations in the mode {self.mode!r} would take {nbytes / 2**30:,.1f} GiB; "
                "ask for fewer at a time"
            )
        triples = np.empty((count, self._n_triples), dtype=np.uint8)
        images = np.empty((count, self._n_bytes), dtype=np.uint8) if self._onehot or self._rgb else triples
        return Room(triples, images, np.empty(count, dtype=np.int64))

    def fill(self, levels: Levels, which: NDArray[np.int64], room: Room) -> None:
        """Write into `room` what the levels `which` (K,) look like."""
        (draw_symbols if self._symbolic else observe_some)(levels, which, room.triples, room.directions)
        if self._onehot:
            draw_planes(room.triples, self._planes, room.images)
        elif self._rgb:
            height, width, _ = self.image_shape
            tiles, plan = (
                runs_of(self.tile_size),
                np.empty((height // self.tile_size, width // self.tile_size), np.int64),
            )
            frames = in_runs(room.images.reshape(-1, height, width, 3), self.tile_size)
            if self.mode == "rgb":
                draw_boards(levels, which, room.triples, self._highlight, tiles, plan, frames)
            else:
                draw_views(room.triples, tiles, plan, frames)

    def observe(self, levels: Levels, which: NDArray[np.int64], room: Room, texts: tuple[str, ...] = ()) -> Any:
        """The observations of the levels `which` (K,), with the axis K first, written into `room`.

        texts: the K missions in words, where the caller keeps them.
        """
        self.fill(levels, which, room)
        if self._worded:
            return self._shown(room, texts or self.texts(levels.body[which, MISSION]))
        return self._shown(room, levels.body[which, MISSION] if self._numbered else None)

    def texts(self, numbers: NDArray[Any]) -> tuple[str, ...]:
        """The sentences with these numbers (K,)."""
        return tuple(self._sentences[numbers].tolist())

    def _shown(self, room: Room, missions: Any) -> Any:
        """What is shown, from what was written and the missions' numbers (K,) or sentences."""
        if self.form == "flat":
            return room.images if self._tail is None else np.concatenate([room.images, self._tail[missions]], axis=1)
        images = room.images.reshape(-1, *self.image_shape)
        if self.form == "image":
            return images
        shown = {"image": images, "direction": room.directions}
        if self.mission == "text":
            shown["mission"] = missions
        elif self.mission == "number":
            shown["mission"] = missions.astype(np.int64)
        elif self.mission == "tokens":
            shown["mission"] = self._missions.tokens[missions]
        return shown

    def each(self, levels: Levels, which: NDArray[np.int64]) -> list[Any]:
        """The K observations of the levels `which`, each by itself, as a single environment gives it."""
        shown = self.observe(levels, which, self.room(which.size))
        if self.form != "dict":
            return list(shown)
        # Python's own numbers: in a loop over many ends they cost a fraction of NumPy's.
        images, directions, missions = list(shown["image"]), shown["direction"].tolist(), shown.get("mission")
        if missions is None:
            return [{"image": i, "direction": d} for i, d in zip(images, directions, strict=True)]
        missions = missions.tolist() if self.mission == "number" else missions
        parts = zip(images, directions, missions, strict=True)
        return [{"image": i, "direction": d, "mission": m} for i, d, m in parts]

    def first(self, levels: Levels) -> Any:
        """The observation of level 0, as a single environment gives it: `each` for one, in half the time."""
        room = self.room(1)
        self.fill(levels, _FIRST, room)
        if self.form != "dict":
            return self._shown(room, levels.body[:1, MISSION])[0]
        shown = {"image": room.images.reshape(self.image_shape), "direction": int(room.directions[0])}
        if self.mission != "none":
            number = int(levels.body[0, MISSION])
            shown["mission"] = self._missions.texts[number] if self.mission == "text" else number
            if self.mission == "tokens":
                shown["mission"] = self._missions.tokens[number].copy()
        return shown

    # The states of a model

    def of_states(self, model: LevelModel, states: NDArray[np.int64]) -> Any:
        """What is shown in (N,) `states` of a level: arrays with the axis N first."""
        room = self._room_of_states(model, states)
        text = self.mission == "text"
        mission = self._missions.texts[model.mission_number] if text else model.mission_number
        return self._shown(room, np.full(states.size, mission))

    def bytes_of(self, model: LevelModel, states: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(N, n): all that tells (N,) `states` of one level apart, but for the mission, which they share."""
        room = self._room_of_states(model, states)
        if self.form != "dict":
            return room.images
        return np.column_stack([room.images, room.directions.astype(np.uint8)])

    def _room_of_states(self, model: LevelModel, states: NDArray[np.int64]) -> Room:
        room = self.room(states.size)
        for where, levels in model.batches(states):
            self.fill(levels, np.arange(len(levels.grid)), room.part(where))
        return room
