"""Independent pieces of work in several threads."""

import threading

import numba
import pytest
import torch

from sfumato import ops
from sfumato.ops.in_threads import in_threads
from support.op_scenes import gaussians


def test_results_are_in_the_order_of_the_items():
    assert in_threads(lambda n: n * n, range(50)) == [n * n for n in range(50)]


def test_kernels_in_threads_give_the_same_bits():
    scenes = [gaussians(200, seed=seed, dtype=torch.float32) for seed in range(8)]

    def covariance(scene):
        return ops.covariance(quats=scene["quats"], scales=scene["scales"])

    for found, scene in zip(in_threads(covariance, scenes), scenes, strict=True):
        assert torch.equal(found, covariance(scene))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="kernels may use one core only")
def test_each_thread_uses_one_core_and_the_caller_keeps_its_own():
    numba.set_num_threads(2)
    both = threading.Barrier(2, timeout=60)

    def place(_):
        both.wait()
        return numba.get_num_threads(), threading.get_ident()

    try:
        found = in_threads(place, range(2))
        assert numba.get_num_threads() == 2
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert [cores for cores, _ in found] == [1, 1]
    assert len({thread for _, thread in found} - {threading.get_ident()}) == 2


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda n: 1 / n, range(4))


@pytest.mark.parametrize("records", [True, False])
def test_gradients_are_recorded_as_in_the_caller(records):
    with torch.set_grad_enabled(records):
        assert in_threads(lambda _: torch.is_grad_enabled(), range(4)) == [records] * 4
