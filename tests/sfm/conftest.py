"""Pictures of a small room and its reconstructed cameras, shared by all tests."""

import os
import pickle
import shutil

import pytest
from filelock import FileLock

from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import structure_from_motion
from support.shots import QUICK, Shots, Solved
from support.worlds import BENT, PINHOLE, arc, photographs, room


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark tests of reconstructed cameras as slow: whichever is first waits for these."""
    for item in items:
        if {"solved", "bent"} & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder of all processes of this test session, and the lock of what is made there once."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "room"
    folder.mkdir(exist_ok=True)
    return folder, FileLock(f"{folder}.lock")


@pytest.fixture(scope="session")
def shots(shared):
    """Twelve pictures of an ideal camera."""
    (folder, lock), poses = shared, shared[0] / "poses.pickle"
    with lock:
        if not poses.exists():
            poses.write_bytes(pickle.dumps(photographs(folder / "photos", room(), arc(), PINHOLE)))
    return Shots(folder / "photos", pickle.loads(poses.read_bytes()), PINHOLE)


@pytest.fixture(scope="session")
def solved(shots, shared, tmp_path_factory):
    """Their reconstructed cameras, in a folder of this process. Tests must copy it before changing it."""
    (folder, lock), out = shared, tmp_path_factory.mktemp("solved") / "out"
    # The first process reconstructs, the others copy while nobody reads: even reading a database adds files.
    with lock:
        structure_from_motion([shots.folder], folder / "out", QUICK)
        shutil.copytree(folder / "out", out, symlinks=True)
    return Solved(shots, out, QUICK, structure_from_motion([shots.folder], out, QUICK))


@pytest.fixture(scope="session")
def bent(tmp_path_factory):
    """The same room through a distorting lens, with a size that is not divisible by eight."""
    folder = tmp_path_factory.mktemp("bent") / "photos"
    shots = Shots(folder, photographs(folder, room(), arc(), BENT), BENT)
    out = folder.parent / "out"
    config = SfmConfig(max_features=900, pairs="exhaustive")
    return Solved(shots, out, config, structure_from_motion([folder], out, config))
