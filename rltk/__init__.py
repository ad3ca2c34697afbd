"""rltk: reinforcement learning with the answer key.

`import rltk` registers the environments with Gymnasium and hands out its names when they are first used, so it is
quick and loads neither torch nor numba nor pygame.
"""

from importlib import import_module

from rltk.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOMES)


import_module("rltk.envs.registration").register_all()
