"""How good features are, told exactly: T, R, V* and Q* are known, so nothing has to be trained to find out.

Every figure is a plain function of features (S, F), one row a state; `grade_representation` asks for them all.
"""

from rltk.evaluation.representation.aliasing import conflict_rate, explainable_variance
from rltk.evaluation.representation.closedness import closedness_error, reward_error
from rltk.evaluation.representation.control import (
    Control,
    control,
    epsilon_greedy,
    greedy,
    linear_q,
    softmax,
    state_distribution,
)
from rltk.evaluation.representation.geometry import (
    DistanceAgreement,
    adjusted_rand_index,
    distance_agreement,
    k_means,
)
from rltk.evaluation.representation.grades import RepresentationGrades
from rltk.evaluation.representation.grading import Splits, grade_representation
from rltk.evaluation.representation.probes import LinearProbe, least_squares, r_squared, ridge
from rltk.evaluation.representation.reading import advantage_error, advantage_r2, label_accuracy, value_r2
from rltk.evaluation.representation.spectrum import dead_dimensions, dormant_fraction, effective_rank
from rltk.evaluation.representation.targets import Targets

__all__ = [
    "Control",
    "DistanceAgreement",
    "LinearProbe",
    "RepresentationGrades",
    "Splits",
    "Targets",
    "adjusted_rand_index",
    "advantage_error",
    "advantage_r2",
    "closedness_error",
    "conflict_rate",
    "control",
    "dead_dimensions",
    "distance_agreement",
    "dormant_fraction",
    "effective_rank",
    "epsilon_greedy",
    "explainable_variance",
    "grade_representation",
    "greedy",
    "k_means",
    "label_accuracy",
    "least_squares",
    "linear_q",
    "r_squared",
    "reward_error",
    "ridge",
    "softmax",
    "state_distribution",
    "value_r2",
]
