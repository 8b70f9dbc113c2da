"""Setup shared by tests: compiled kernels, and a tiny dataset."""

import os

import pytest
from hypothesis import settings

# Several test processes have more threads than there are cores. OpenMP's threads wait for each other in busy
# loops, which slows all of them: on two busy cores, 20 tiny renders took 25 times as long. OpenMP reads this
# when it is loaded, which is later; child processes inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No limit of time on single examples: a busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Folders of tests that use no kernels of the CPU.
DRAW_NOTHING = {"capture", "footage", "gpu", "lesson", "maths", "sequences", "sfm", "tests"}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Compiles all kernels before the first test that may use one, which takes minutes once."""
    if item.path.parent.name not in DRAW_NOTHING:
        from support.kernels import prepare

        prepare()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Escape captured output that is not UTF-8, which the processes of pytest cannot exchange."""
    report = yield
    plain = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    report.sections = plain
    return report


@pytest.fixture
def data(tmp_path):
    """A dataset of three tiny photographs."""
    from support.capture_folders import colmap_folder

    return colmap_folder(tmp_path / "data")
