"""Tests of scene files drive the viewer's browser, too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "viewer"))
