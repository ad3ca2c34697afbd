"""rltk: reinforcement learning with the answer key.

`import rltk` registers the environments with Gymnasium and hands out its names when they are first used, so it is
quick and loads neither torch nor numba nor pygame.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Name -> the module that defines it. A name that equals its module's last part is the module itself.
_HOMES = {
    "MDP": "rltk.mdp",
    "Criterion": "rltk.mdp",
    "model_of": "rltk.mdp",
    "Solution": "rltk.agents.planning",
    "solve": "rltk.agents.planning",
    "Evaluation": "rltk.evaluation",
    "Explanation": "rltk.evaluation",
    "LevelsEvaluation": "rltk.evaluation",
    "AnswerKey": "rltk.evaluation",
    "answer_key": "rltk.evaluation",
    "evaluate": "rltk.evaluation",
    "explain": "rltk.evaluation",
    "pretrain": "rltk.experiments",
    "report_card": "rltk.experiments",
    "watch": "rltk.viewing",
    "agents": "rltk.agents",
    "drawing": "rltk.drawing",
    "encoders": "rltk.encoders",
    "envs": "rltk.envs",
    "errors": "rltk.errors",
    "evaluation": "rltk.evaluation",
    "experiments": "rltk.experiments",
    "mdp": "rltk.mdp",
    "objectives": "rltk.objectives",
    "replay": "rltk.replay",
    "runs": "rltk.runs",
    "viewing": "rltk.viewing",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")
    module = import_module(_HOMES[name])
    value = module if _HOMES[name].rpartition(".")[2] == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


import_module("rltk.envs.registration").register_all()
