"""Helpers on the path (importlib's import mode finds nothing else): this folder's, and tests/mdp's."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "mdp")]
