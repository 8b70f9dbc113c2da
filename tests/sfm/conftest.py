"""Pictures of one small room, and its cameras as they were found, once for all tests."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from worlds import BENT, PINHOLE, Lens, arc, photographs, room

from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import SfmResult, structure_from_motion

# Few features, so that a run takes seconds.
QUICK = SfmConfig(feature_side_px=320, max_features=700, pairs="exhaustive")


@dataclass(frozen=True)
class Shots:
    """Pictures in a folder and what is true of them."""

    folder: Path
    poses: dict[str, np.ndarray]
    lens: Lens


@dataclass(frozen=True)
class Solved:
    """Pictures, and the dataset that was made of them."""

    shots: Shots
    out: Path
    config: SfmConfig
    result: SfmResult


@pytest.fixture(scope="session")
def shots(tmp_path_factory):
    """Twelve pictures of an ideal camera."""
    folder = tmp_path_factory.mktemp("room") / "photos"
    return Shots(folder, photographs(folder, room(), arc(), PINHOLE), PINHOLE)


@pytest.fixture(scope="session")
def solved(shots):
    """Their cameras, found. Copy the folder before you change it."""
    out = shots.folder.parent / "out"
    return Solved(shots, out, QUICK, structure_from_motion([shots.folder], out, QUICK))


@pytest.fixture(scope="session")
def bent(tmp_path_factory):
    """The same room through a lens that bends straight lines, of a size that no eight divides."""
    folder = tmp_path_factory.mktemp("bent") / "photos"
    shots = Shots(folder, photographs(folder, room(), arc(), BENT), BENT)
    out = folder.parent / "out"
    config = SfmConfig(max_features=900, pairs="exhaustive")
    return Solved(shots, out, config, structure_from_motion([folder], out, config))
