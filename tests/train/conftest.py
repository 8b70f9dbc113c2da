"""The builders of tiny datasets are shared with the tests of captures."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "capture"))
