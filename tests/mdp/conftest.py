"""`mdp_reference` is this folder's helper; with importlib's import mode a test can only import what is on the path."""

import sys
from pathlib import Path

from hypothesis import Phase, settings

sys.path.insert(0, str(Path(__file__).parent))

# For test_mutants.py: the first failing example is enough, and every run draws the same ones.
settings.register_profile("mutants", phases=[Phase.generate], derandomize=True, database=None)
