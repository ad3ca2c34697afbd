"""The exact references of tests/agents/planning and tests/mdp, and this folder's worlds, on the path."""

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(_TESTS / "agents" / "planning"), str(_TESTS / "mdp")]
