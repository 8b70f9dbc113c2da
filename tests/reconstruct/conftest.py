"""The builders of small worlds and datasets are shared with the tests of cameras and captures."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / part) for part in ("capture", "sfm")]
