"""The exact reference of tests/mdp and this folder's agents on the path: importlib's import mode finds nothing else."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "mdp"), str(Path(__file__).parent)]
