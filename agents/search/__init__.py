"""Planning at the moment of acting: agents that search from where they stand. One file each, its theory first."""

from rltk.agents.search.lao_star import LAOStar
from rltk.agents.search.lrtdp import LRTDP
from rltk.agents.search.mcts import MCTS
from rltk.agents.search.result import SearchResult
from rltk.agents.search.successors import SuccessorModel

SEARCHERS: dict[str, type[MCTS | LRTDP | LAOStar]] = {"mcts": MCTS, "lrtdp": LRTDP, "lao-star": LAOStar}

__all__ = ["LRTDP", "MCTS", "SEARCHERS", "LAOStar", "SearchResult", "SuccessorModel"]
