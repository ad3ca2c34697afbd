"""`minigrid_reference` is this folder's helper; in importlib's import mode a test imports only what is on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
