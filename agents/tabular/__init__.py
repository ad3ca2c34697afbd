"""Learners that keep a table. One file each, its equation first."""

from rltk.agents.tabular.actor_critic import REINFORCE, ActorCritic
from rltk.agents.tabular.batch import BatchMonteCarlo, BatchTD
from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.double_q_learning import DoubleQLearning
from rltk.agents.tabular.dyna_q import DynaQ, DynaQPlus
from rltk.agents.tabular.expected_sarsa import ExpectedSARSA
from rltk.agents.tabular.exploration import UCB, EpsilonGreedy, Exploration, FixedPolicy, Softmax
from rltk.agents.tabular.exploring_starts import MonteCarloExploringStarts
from rltk.agents.tabular.lambda_return import LambdaReturn
from rltk.agents.tabular.learner import TabularLearner
from rltk.agents.tabular.linear import LinearQLearning, LinearSARSA
from rltk.agents.tabular.lspi import LSPI
from rltk.agents.tabular.lstd import LSTD
from rltk.agents.tabular.many_episodes import ManyEpisodes, learn_episodes
from rltk.agents.tabular.many_seeds import ManySeeds, learn_many
from rltk.agents.tabular.monte_carlo import MonteCarlo, MonteCarloControl
from rltk.agents.tabular.n_step import NStepSARSA, NStepTD
from rltk.agents.tabular.off_policy_monte_carlo import OffPolicyMonteCarlo, OffPolicyMonteCarloControl
from rltk.agents.tabular.prediction import PredictionLearner
from rltk.agents.tabular.prioritised_sweeping import PrioritisedDynaQ
from rltk.agents.tabular.q_learning import QLearning
from rltk.agents.tabular.sarsa import SARSA
from rltk.agents.tabular.sarsa_lambda import QLambda, SARSALambda
from rltk.agents.tabular.td import TD
from rltk.agents.tabular.td_lambda import TDLambda, TrueOnlineTDLambda
from rltk.agents.tabular.tree_backup import TreeBackup

_CONTROL: tuple[type[TabularLearner], ...] = (
    *(QLearning, SARSA, ExpectedSARSA, DoubleQLearning),
    *(NStepSARSA, TreeBackup, SARSALambda, QLambda),
    *(DynaQ, DynaQPlus, MonteCarloControl, ActorCritic, REINFORCE),
    *(OffPolicyMonteCarloControl, MonteCarloExploringStarts),
    *(PrioritisedDynaQ, LinearQLearning, LinearSARSA, LSPI),
)
_PREDICTION: tuple[type[PredictionLearner], ...] = (
    *(TD, NStepTD, TDLambda, TrueOnlineTDLambda, MonteCarlo),
    *(OffPolicyMonteCarlo, LambdaReturn, BatchTD, BatchMonteCarlo, LSTD),
)

# By name: those that learn to act, those that learn what a policy is worth, and all.
CONTROL = {learner.name: learner for learner in _CONTROL}
PREDICTION = {learner.name: learner for learner in _PREDICTION}
LEARNERS: dict[str, type[TabularLearner]] = {**CONTROL, **PREDICTION}

__all__ = [
    "CONTROL",
    "LEARNERS",
    "LSPI",
    "LSTD",
    "PREDICTION",
    "REINFORCE",
    "SARSA",
    "TD",
    "UCB",
    "ActorCritic",
    "BatchMonteCarlo",
    "BatchTD",
    "ControlLearner",
    "DoubleQLearning",
    "DynaQ",
    "DynaQPlus",
    "EpsilonGreedy",
    "ExpectedSARSA",
    "Exploration",
    "FixedPolicy",
    "LambdaReturn",
    "LinearQLearning",
    "LinearSARSA",
    "ManyEpisodes",
    "ManySeeds",
    "MonteCarlo",
    "MonteCarloControl",
    "MonteCarloExploringStarts",
    "NStepSARSA",
    "NStepTD",
    "OffPolicyMonteCarlo",
    "OffPolicyMonteCarloControl",
    "PredictionLearner",
    "PrioritisedDynaQ",
    "QLambda",
    "QLearning",
    "SARSALambda",
    "Softmax",
    "TDLambda",
    "TabularLearner",
    "TreeBackup",
    "TrueOnlineTDLambda",
    "learn_episodes",
    "learn_many",
]
