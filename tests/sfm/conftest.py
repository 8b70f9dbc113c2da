"""Pictures of a small room and its reconstructed cameras, shared by all tests."""

import pytest

from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import structure_from_motion
from support.shots import QUICK, Shots, Solved
from support.worlds import BENT, PINHOLE, arc, photographs, room


@pytest.fixture(scope="session")
def shots(tmp_path_factory):
    """Twelve pictures of an ideal camera."""
    folder = tmp_path_factory.mktemp("room") / "photos"
    return Shots(folder, photographs(folder, room(), arc(), PINHOLE), PINHOLE)


@pytest.fixture(scope="session")
def solved(shots):
    """Their reconstructed cameras. Tests must copy the folder before changing it."""
    out = shots.folder.parent / "out"
    return Solved(shots, out, QUICK, structure_from_motion([shots.folder], out, QUICK))


@pytest.fixture(scope="session")
def bent(tmp_path_factory):
    """The same room through a distorting lens, with a size that is not divisible by eight."""
    folder = tmp_path_factory.mktemp("bent") / "photos"
    shots = Shots(folder, photographs(folder, room(), arc(), BENT), BENT)
    out = folder.parent / "out"
    config = SfmConfig(max_features=900, pairs="exhaustive")
    return Solved(shots, out, config, structure_from_motion([folder], out, config))
