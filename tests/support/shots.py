"""Pictures with ground truth, and datasets reconstructed from them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import SfmResult
from support.worlds import Lens

# Few features, so that a run takes seconds.
QUICK = SfmConfig(feature_side_px=320, max_features=700, pairs="exhaustive")


@dataclass(frozen=True)
class Shots:
    """Pictures in a folder with their ground truth."""

    folder: Path
    poses: dict[str, np.ndarray]
    lens: Lens


@dataclass(frozen=True)
class Solved:
    """Pictures, and the dataset reconstructed from them."""

    shots: Shots
    out: Path
    config: SfmConfig
    result: SfmResult
