"""What one does with learners: callbacks that evaluate, save, film, and stop when the agent is good enough.

Each is made once and given to any learner, alone or in a list; `every` counts timesteps:

    learner.learn(100_000, [Evaluate(twin, every=5_000), Checkpoints("saved", every=20_000)])

A learner calls each at the multiples of its own `every`. Inside a function of yours, one is served when that is called
next: at multiples of `callback_every`.
Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

if TYPE_CHECKING:
    from rltk.experiments.checkpoints import Checkpoints
    from rltk.experiments.data import (
        Transitions,
        every_transition,
        load_transitions,
        pictures_of,
        recorded,
        save_transitions,
    )
    from rltk.experiments.due import Due
    from rltk.experiments.evaluating import Evaluate
    from rltk.experiments.filming import Film, film_episode
    from rltk.experiments.pretraining import Pretrained, Pretraining, pretrain
    from rltk.experiments.reporting import ReportCard, report_card
    from rltk.experiments.stopping import StopAtSuboptimality

_HOMES = {
    "Checkpoints": "checkpoints",
    "Due": "due",
    "Evaluate": "evaluating",
    "Film": "filming",
    "Pretrained": "pretraining",
    "Pretraining": "pretraining",
    "ReportCard": "reporting",
    "StopAtSuboptimality": "stopping",
    "Transitions": "data",
    "every_transition": "data",
    "film_episode": "filming",
    "load_transitions": "data",
    "pictures_of": "data",
    "pretrain": "pretraining",
    "recorded": "data",
    "report_card": "reporting",
    "save_transitions": "data",
}

__all__ = [
    "Checkpoints",
    "Due",
    "Evaluate",
    "Film",
    "Pretrained",
    "Pretraining",
    "ReportCard",
    "StopAtSuboptimality",
    "Transitions",
    "every_transition",
    "film_episode",
    "load_transitions",
    "pictures_of",
    "pretrain",
    "recorded",
    "report_card",
    "save_transitions",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
