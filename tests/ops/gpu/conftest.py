"""One process that interprets kernels, for all tests of a worker."""

import pytest

from support.interpreted import interpreter


@pytest.fixture(scope="session")
def interpreted():
    """Calls a function with arguments where the GPU's kernels serve the CPU."""
    with interpreter() as call:
        yield call
