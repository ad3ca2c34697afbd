"""A family of levels: its generator, and how a person's options become a board, a time limit and missions.

A family is one file of `levels/` with

- `generate(level, options, stream)`: a kernel that builds a level on a cleared board with the verbs of `board.py` and
  `rooms.py`, and returns `FINE` or why it could not;
- `plan(...)`: a function whose keyword arguments are the family's own options; it checks them and returns a `Plan`;
- `FAMILY = Family(name, generate, plan)`.

and one entry in `ids.py`. Nothing else: environments, batches and the tests against MiniGrid read these. A family of
your own needs no entry: environments take the object itself, `family=FAMILY`. One that is built in plain Python is a
`PythonFamily` (`making/python_family.py`).
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.envs.minigrid.actions import N_ACTIONS
from rltk.envs.minigrid.engine import generate_some
from rltk.envs.minigrid.ids import FAMILIES, OWN_FAMILIES
from rltk.envs.minigrid.level import FOREVER, Levels, make_levels
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.rooms import rooms_memory
from rltk.envs.minigrid.rules import GOAL_RULE
from rltk.envs.tabular.options import check_integer
from rltk.errors import ArgumentError, SizeError, UnknownNameError

NOWHERE = (-1, -1)
MOST_CELLS = 1_000_000  # of one board


@dataclass(frozen=True)
class Plan:
    """What a family's options come to.

    width, height: cells of the board. max_steps: an episode's, where the caller gives none; `math.inf` for no limit.
    options: the generator's numbers. see_through_walls: None leaves it to the caller. rule: one of `rules.py`. memory:
    words that the generator or the rule needs (`Level.memory`), each to hold -1 or the index of a cell or less.
    n_actions: those of the action space; a step takes all seven, and the rule says what the others do. draws_in_step:
    things move.
    """

    width: int
    height: int
    max_steps: float
    missions: Missions
    options: tuple[int, ...] = ()
    see_through_walls: bool | None = None
    rule: int = GOAL_RULE
    memory: int = 0
    n_actions: int = N_ACTIONS
    draws_in_step: bool = False


def plan_of_rooms(
    size: int, columns: int, rows: int, options: tuple[int, ...] = (), memory: int = 0, **rest: Any
) -> Plan:
    """The plan of a family that builds on `rooms.py`: its options begin with size, columns and rows.

    size: cells along a room's side, walls included. memory: words beside the rooms'. rest: as `Plan` takes them.
    """
    return Plan(
        width=columns * (size - 1) + 1,
        height=rows * (size - 1) + 1,
        options=(size, columns, rows, *options),
        memory=rooms_memory(columns, rows) + memory,
        see_through_walls=False,
        **rest,
    )


@dataclass(frozen=True)
class Family:
    """A family of levels, as the module's docstring says."""

    name: str
    generate: Callable[..., Any]
    plan: Callable[..., Plan]

    @property
    def options(self) -> dict[str, Any]:
        """The family's own keyword options and their defaults; `inspect.Parameter.empty` where one must be given."""
        return {name: parameter.default for name, parameter in inspect.signature(self.plan).parameters.items()}

    def filler(self, arguments: dict[str, Any]) -> Callable[..., tuple[int, int]]:
        """What makes new levels, as `engine.generate_some` says. arguments: the options as they were given, of which a
        kernel reads the numbers of its plan instead."""
        return _filler(self)

    def __reduce__(self) -> Any:
        return _family_of_names, (
            self.name,
            *(name_of(function, function, self.name) for function in (self.generate, self.plan)),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Family":
        return self  # nothing in it changes


@dataclass(frozen=True)
class View:
    """Options that every family takes: what is seen, and how it is shown."""

    agent_view_size: int = 7
    render_mode: str | None = None
    screen_size: int = 640
    highlight: bool = True
    tile_size: int = 32
    agent_pov: bool = False


@dataclass(frozen=True)
class Setting:
    """Everything that an environment is made from, checked: `configure` makes it."""

    family: Family
    plan: Plan
    view: View
    max_steps: int
    sees_through: bool
    arguments: dict[str, Any] = field(compare=False)

    def __reduce__(self) -> Any:
        known = self.family.name in (FAMILIES | OWN_FAMILIES) and family_of(self.family.name) is self.family
        return _configured, (self.family.name if known else self.family, self.arguments)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Setting":
        return self  # nothing in it changes

    def levels(self, count: int) -> Levels:
        """`count` empty boards."""
        return make_levels(
            count,
            self.plan.width,
            self.plan.height,
            view=self.view.agent_view_size,
            sees_through=self.sees_through,
            rule=self.plan.rule,
            limit=self.max_steps,
            memory=self.plan.memory,
        )

    def generator(self) -> Any:
        """The family's `generate_some`."""
        return self.family.filler(self.arguments)

    def generator_options(self) -> np.ndarray:
        """(n,) int64, the generator's numbers."""
        return np.array(self.plan.options, dtype=np.int64)


def family_of(name: str) -> Family:
    """The family called `name`. UnknownNameError lists those there are."""
    known = FAMILIES | OWN_FAMILIES
    if name not in known:
        raise UnknownNameError(f"no family of levels is called {name!r}; there are {', '.join(known)}")
    return import_module(f"rltk.envs.minigrid.levels.{known[name][0]}").FAMILY


@cache
def _filler(family: Family) -> Any:
    return generate_some(family.generate)


def name_of(function: Any, thing: Any, family: str) -> tuple[str, str]:
    """(module, name) by which another process finds `thing`, which has the name of `function`; ArgumentError where it
    is not found so."""
    plain = getattr(function, "py_func", function)  # of a kernel
    module, name = plain.__module__, plain.__qualname__
    if getattr(import_module(module), name, None) is not thing:
        raise ArgumentError(
            f"the family {family!r} can't be sent to another process, where {module}.{name} would not be found; "
            "define its functions by their names at the top level of a module"
        )
    return module, name


def named(module: str, name: str) -> Any:
    """What `name_of` named."""
    return getattr(import_module(module), name)


def _family_of_names(name: str, *names: tuple[str, str]) -> Family:
    generate, plan = (named(*function) for function in names)
    return Family(name, generate, plan)


def configure(
    family: str | Family, *, max_steps: float | None = None, see_through_walls: bool | None = None, **options: Any
) -> Setting:
    """The setting of `family` under these options: its own, and those of every family. ArgumentError for bad ones."""
    kind = family if isinstance(family, Family) else family_of(family)
    family = kind.name
    arguments = {"max_steps": max_steps, "see_through_walls": see_through_walls, **options}
    shared = {name: options.pop(name) for name in list(options) if name in View.__dataclass_fields__}
    own = kind.options
    unknown = [name for name in options if name not in own]
    if unknown:
        shown = ("observation", "form", "mission", "observation_tile_size")
        known = ", ".join([*own, "max_steps", "see_through_walls", *View.__dataclass_fields__, *shown])
        raise ArgumentError(f"{family} has no option {', '.join(map(repr, unknown))}; its options are {known}")
    missing = [name for name, default in own.items() if default is inspect.Parameter.empty and name not in options]
    if missing:
        raise ArgumentError(f"{family} needs the option {', '.join(missing)}")
    plan = kind.plan(**options)
    fixed = plan.see_through_walls
    if plan.width * plan.height > MOST_CELLS:
        raise SizeError(f"a board of {plan.width} x {plan.height} cells; at most {MOST_CELLS:,} cells fit")
    if fixed is not None and see_through_walls is not None:
        raise ArgumentError(f"see_through_walls: {family} fixes it at {fixed}; leave it out")
    return Setting(
        family=kind,
        plan=plan,
        view=_checked_view(View(**shared)),
        max_steps=check_limit("max_steps", plan.max_steps if max_steps is None else max_steps),
        sees_through=check_flag("see_through_walls", see_through_walls or False) if fixed is None else fixed,
        arguments=arguments,
    )


def register(name: str, family: str | Family, **options: Any) -> None:
    """Let `gym.make(name)` and `gym.make_vec(name)` make environments of `family` with these options.

    Raises ArgumentError, before anything is registered, for options that can't be used.
    """
    from rltk.envs.minigrid.env import MiniGridEnv

    MiniGridEnv(family, **options)  # raises what is wrong with them
    home = "rltk.envs.minigrid"
    gym.register(
        id=name,
        entry_point=f"{home}:MiniGridEnv",
        vector_entry_point=f"{home}:MiniGridVectorEnv",
        kwargs={"family": family, **options},
    )


def _configured(family: str | Family, arguments: dict[str, Any]) -> Setting:
    return configure(family, **arguments)


def _checked_view(view: View) -> View:
    size = check_integer("agent_view_size", view.agent_view_size, 3)
    if size % 2 == 0 or size > 61:  # a row of the view is a word of bits
        raise ArgumentError(f"agent_view_size: an odd number from 3 to 61; found {size}")
    if view.render_mode not in (None, "human", "rgb_array"):
        raise ArgumentError(f"render_mode is None or one of human, rgb_array; found {view.render_mode!r}")
    check_integer("screen_size", view.screen_size, 1)
    check_integer("tile_size", view.tile_size, 1)
    check_flag("highlight", view.highlight)
    check_flag("agent_pov", view.agent_pov)
    return view


# Checks for plans: each gives the value back, or an ArgumentError that names it.


def check_limit(name: str, value: Any) -> int:
    """The register MAX_STEPS of a time limit, `FOREVER` for an infinite one."""
    if isinstance(value, float | np.floating) and value == math.inf:
        return FOREVER
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or not 1 <= value < FOREVER:
        raise ArgumentError(f"{name}: a number of steps from 1 to {FOREVER - 1}, or math.inf; found {value!r}")
    return int(value)


def limit_of(register: Any) -> float:
    """The time limit that the register MAX_STEPS says: an int, or `math.inf`."""
    return math.inf if register == FOREVER else int(register)


def reward_model(register: int) -> str:
    """What `metadata` says under this time limit: without one, `step` pays what the model declares."""
    return "exact" if register == FOREVER else "declared"


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name}: True or False; found {value!r}")
    return bool(value)


def check_size(name: str, value: Any, least: int, most: int = 1000) -> int:
    """`value` as a number of cells along a side."""
    size = check_integer(name, value, least)
    if size > most:
        raise SizeError(f"{name}: at most {most} cells along a side; found {size}")
    return size


def check_integer_up_to(name: str, value: Any, least: int, most: int) -> int:
    """`value` as an integer from `least` to `most`."""
    number = check_integer(name, value, least)
    if number > most:
        raise ArgumentError(f"{name}: at most {most}; found {number}")
    return number


def check_direction(name: str, value: Any) -> int:
    """`value` as a direction: 0 right, 1 down, 2 left, 3 up."""
    if check_integer(name, value, 0) > 3:
        raise ArgumentError(f"{name}: 0 right, 1 down, 2 left or 3 up; found {value!r}")
    return int(value)


def check_place(name: str, value: Any, width: int, height: int) -> tuple[int, int]:
    """`value` as (x, y) inside the outer walls of a board."""
    try:
        x, y = value
        inside = 0 < x < width - 1 and 0 < y < height - 1 and int(x) == x and int(y) == y
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise ArgumentError(
            f"{name}: None or (x, y) inside the walls, from (1, 1) to ({width - 2}, {height - 2}); found {value!r}"
        )
    return int(x), int(y)
