"""Every error that rltk raises about what a person gave it.

Each says what is wrong, where, what was expected and how to mend it. All derive from `RltkError`; each also derives
from the built-in that fits, so `except ValueError` written for another library keeps working.
"""


class RltkError(Exception):
    """The base of rltk's own errors: catch this to catch them all."""


class ArgumentError(RltkError, ValueError):
    """An argument has a value or type that can't be used, such as a discount of 1.2."""


class UnknownNameError(RltkError, LookupError):
    """No environment, agent, option or stream has this name; the message lists those there are."""


class UnknownAttributeError(UnknownNameError, AttributeError):
    """A module has no such name; the message lists those there are. `hasattr` and `getattr` treat it as usual."""


class CriterionError(RltkError, ValueError):
    """Two results under different criteria met, or a criterion can't be used here."""


class MDPError(RltkError, ValueError):
    """Arrays or tables that are no MDP: the message names state, action, what was found and what was expected."""


class MapError(RltkError, ValueError):
    """A map's text is wrong: the message names line and column."""


class LevelError(RltkError, RecursionError):
    """A level could not be generated: the message names the environment and why. (minigrid: a RecursionError)"""


class SizeError(RltkError, ValueError):
    """What was asked for does not fit: the message says how large it would be, before any memory is taken."""


class ModelError(RltkError, ValueError):
    """The environment's exact model is missing, or is not what `step` does."""


class SpaceError(RltkError, TypeError):
    """An observation or action space that this agent or wrapper can't take."""


class LearningError(RltkError, ArithmeticError):
    """Learning met a NaN or an infinity and stopped: the message names source and step."""


class CheckpointError(RltkError, OSError):
    """A file or folder of a run is damaged, missing, locked or of another version."""


class DisplayError(RltkError, RuntimeError):
    """No window can be opened here; the message says how to draw without one."""
