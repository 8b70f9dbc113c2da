"""Fixtures of several tests: the kernels, a tiny dataset, and runs of the command line on it."""

import pytest

from support.capture_folders import colmap_folder

# Folders of tests that need not wait for a compiler.
DRAW_NOTHING = {"capture", "footage", "maths", "sequences", "sfm", "tests"}


@pytest.fixture(scope="session", autouse=True)
def kernels(request):
    """Compiles all kernels before the first test that uses one, which takes minutes once."""
    if not all(item.path.parent.name in DRAW_NOTHING for item in request.session.items):
        from support.kernels import prepare

        prepare()


@pytest.fixture
def data(tmp_path):
    """A dataset of three tiny photographs."""
    return colmap_folder(tmp_path / "data")
