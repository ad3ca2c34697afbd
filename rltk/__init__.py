"""rltk: reinforcement learning with the answer key.

`import rltk` registers the environments with Gymnasium and hands out its names when they are first used, so it is
quick and loads neither torch nor numba nor pygame.
"""

from importlib import import_module

from rltk.lazy import lazily

__version__ = "0.1.0"

# Name -> the module that defines it. A name that equals its module's last part is the module itself.
_HOMES = {
    "MDP": "mdp",
    "Criterion": "mdp",
    "model_of": "mdp",
    "Solution": "agents.planning",
    "solve": "agents.planning",
    "Evaluation": "evaluation",
    "Explanation": "evaluation",
    "LevelsEvaluation": "evaluation",
    "AnswerKey": "evaluation",
    "answer_key": "evaluation",
    "evaluate": "evaluation",
    "explain": "evaluation",
    "pretrain": "experiments",
    "report_card": "experiments",
    "watch": "viewing",
    "agents": "agents",
    "drawing": "drawing",
    "encoders": "encoders",
    "envs": "envs",
    "errors": "errors",
    "evaluation": "evaluation",
    "experiments": "experiments",
    "mdp": "mdp",
    "objectives": "objectives",
    "replay": "replay",
    "runs": "runs",
    "viewing": "viewing",
}

__all__ = ["__version__", *_HOMES]

__getattr__, __dir__ = lazily(__name__, _HOMES)


import_module("rltk.envs.registration").register_all()
