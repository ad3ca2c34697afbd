"""Data for representation learners: transitions between observations, level by level, with what is known of them."""

from rltk.experiments.data.enumerated import every_transition
from rltk.experiments.data.files import load_transitions, pictures_of, save_transitions
from rltk.experiments.data.recorded import recorded
from rltk.experiments.data.transitions import Transitions

__all__ = ["Transitions", "every_transition", "load_transitions", "pictures_of", "recorded", "save_transitions"]
