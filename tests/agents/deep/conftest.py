"""Helpers of this folder's tests on the path (importlib's import mode finds nothing else)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
