"""Markov decision processes with known T and R: arrays, operators, a policy's chain, random streams in kernels."""

from rltk.mdp.bisimulation import bisimulation_metric
from rltk.mdp.chain import Chain
from rltk.mdp.criterion import Criterion, require_same
from rltk.mdp.environments import model_of, sync_time_limit
from rltk.mdp.jit import jit
from rltk.mdp.lumping import bisimulation_classes
from rltk.mdp.model import MDP, first_best
from rltk.mdp.streams import restore_stream, stream_of
from rltk.mdp.unions import union

__all__ = [
    "MDP",
    "Chain",
    "Criterion",
    "bisimulation_classes",
    "bisimulation_metric",
    "first_best",
    "jit",
    "model_of",
    "require_same",
    "restore_stream",
    "stream_of",
    "sync_time_limit",
    "union",
]
