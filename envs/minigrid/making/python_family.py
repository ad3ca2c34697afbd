"""Families of levels in plain Python: a function that builds a level becomes what the compiled families are.

    @level_family("TwoRooms", "get to the green goal square")
    def two_rooms(level, random, size=9):
        level.surround()
        level.vertical_wall(4, 0)
        level.put(4, random.integers(1, size - 1), "yellow door closed")
        level.place_agent(0, 0, 4, size)
        level.put(size - 2, size - 2, "green goal")

    gym.make("rltk/MiniGrid-v0", family=two_rooms, size=7)        # or gym.make_vec; or, for good,
    register("my/TwoRooms-v0", two_rooms)

The function gets a `Builder` on an empty board and a `Random`, both of which draw from the environment's own stream,
and by keyword the family's options: its other arguments. The board's size is its option `size`, or `width` and
`height`.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rltk.envs.minigrid.actions import FORWARD, N_ACTIONS
from rltk.envs.minigrid.family import Family, Plan, check_flag, check_limit, check_size, name_of, named
from rltk.envs.minigrid.level import FINE, MISSION, Level, Levels
from rltk.envs.minigrid.making.builder import Builder
from rltk.envs.minigrid.making.layout import RULES, STEPS_PER_CELL
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.scattering import list_memory
from rltk.errors import ArgumentError, LevelError


@dataclass(frozen=True)
class PythonFamily(Family):
    """A family whose `generate(level, random, **options)` is plain Python. `level_family` makes one."""

    rule: str = "goal"
    missions: Missions = field(default_factory=lambda: Missions(""))

    def filler(self, arguments: dict[str, Any]) -> Callable[..., tuple[int, int]]:
        """As `Family.filler`; a LevelError names the environment for which there is no level, and why."""
        own = self.options
        options = {name: value for name, value in arguments.items() if name in own}

        def fill(levels: Levels, streams: Any, numbers: Any, which: Any) -> tuple[int, int]:
            for i in which.tolist():
                level = Level(levels.grid[i], levels.body[i], levels.memory[i], levels.board)
                try:
                    self._build(level, streams[i], options)
                except (ArgumentError, LevelError) as error:
                    raise LevelError(
                        f"no level of {self.name} for environment {i}: {error}. Mend its function "
                        f"{self.generate.__qualname__}, or reset with another seed"
                    ) from error
            return FINE, -1

        return fill

    def _build(self, level: Level, stream: Any, options: dict[str, Any]) -> None:
        builder = Builder.on(level, stream)
        self.generate(builder, builder.random, **options)
        result = builder.layout(rule=self.rule)  # which checks everything
        if result.mission:
            if result.mission not in self.missions.texts:
                raise ArgumentError(
                    f"mission: one of {', '.join(map(repr, self.missions.texts[:6]))} ...; found {result.mission!r}"
                )
            level.body[MISSION] = self.missions.texts.index(result.mission)
        for i, word in enumerate(result.memory()):
            level.memory[i] = word

    def __reduce__(self) -> Any:
        return named, name_of(self.generate, self, self.name)


def level_family(
    name: str,
    mission: str | Sequence[str] | Missions,
    *,
    rule: str = "goal",
    max_steps: float | None = None,
    see_through_walls: bool | None = None,
) -> Callable[[Callable[..., Any]], PythonFamily]:
    """What turns a function into the family `name`, as the module says.

    mission: what the agent is told; or all sentences, of which the function chooses one by `level.mission = ...` (the
    first if it does not). rule: when an episode ends besides on a goal (`layout_text.py` lists them); the function
    marks what it is about by `level.set_target(x, y)` and `level.set_other(x, y)`. max_steps: a number, `math.inf`, or
    None for 4 a cell; who makes an environment may give another. see_through_walls: None leaves it to who makes one.
    """
    if rule not in RULES:
        raise ArgumentError(f"rule: one of {', '.join(RULES)}; found {rule!r}")
    if max_steps is not None:
        check_limit("max_steps", max_steps)
    if see_through_walls is not None:
        check_flag("see_through_walls", see_through_walls)
    missions = _missions(mission)

    def of(build: Callable[..., Any]) -> PythonFamily:
        parameters = _options_of(build, name)

        def plan(**options: Any) -> Plan:
            given = {key: entry.default for key, entry in parameters.items()} | options
            width, height = _board(given)
            return Plan(
                width=width,
                height=height,
                max_steps=STEPS_PER_CELL * width * height if max_steps is None else max_steps,
                missions=missions,
                see_through_walls=see_through_walls,
                rule=RULES[rule],
                memory=list_memory(width * height) if rule == "obstacles" else 0,
                n_actions=FORWARD + 1 if rule == "obstacles" else N_ACTIONS,
                draws_in_step=rule == "obstacles",
            )

        plan.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
        return PythonFamily(name, build, plan, rule, missions)

    return of


def _missions(mission: Any) -> Missions:
    if isinstance(mission, Missions):
        return mission
    texts = (mission,) if isinstance(mission, str) else tuple(mission)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ArgumentError(f"mission: a sentence, or several; found {mission!r}")
    return Missions("{}", texts)


def _options_of(build: Callable[..., Any], family: str) -> dict[str, inspect.Parameter]:
    """The parameters of a family's function but for the first two, by name."""
    entries = list(inspect.signature(build).parameters.values())
    own = entries[2:]
    names = {entry.name for entry in own}
    plain = len(entries) >= 2 and all(entry.kind in (entry.POSITIONAL_OR_KEYWORD, entry.KEYWORD_ONLY) for entry in own)
    if not plain or not ("size" in names or {"width", "height"} <= names):
        raise ArgumentError(
            f"the family {family!r}: a function of (level, random, size=...) or (level, random, width=..., height=...),"
            f" which say how large the board is, and of further options by name; found {build.__qualname__}"
            f"{inspect.signature(build)}"
        )
    return {entry.name: entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in own}


def _board(options: dict[str, Any]) -> tuple[int, int]:
    """(width, height) of the board under these options."""
    if "width" in options and "height" in options:
        return check_size("width", options["width"], 1), check_size("height", options["height"], 1)
    size = check_size("size", options["size"], 1)
    return size, size
