"""Parts of kernels: which may handle arrays, and that kernels free all arrays that they make."""

import numba
import numpy as np
import pytest
import torch
from numba.core.errors import NumbaError
from numba.core.runtime import _nrt_python, rtsys

import sfumato
from sfumato.ops.cpu.jit import lane_function, lane_function_with_arrays
from sfumato.ops.trace_rays import trace_rays
from support.ray_scenes import LIMITS, inputs_of
from support.small_scenes import small_scene

pytestmark = pytest.mark.kernels
CAMERA = sfumato.Camera(torch.eye(4), focal_px=(60.0, 60.0), centre_px=(32.0, 24.0), size_px=(64, 48))


def _pair(values):
    return values, 1


def _made(count):
    return np.ones(count)


@pytest.mark.slow
def test_a_part_that_counts_no_references_cannot_return_or_make_arrays():
    values = np.ones(3)
    for decorator, refused in ((lane_function, True), (lane_function_with_arrays, False)):
        pair, made = decorator(_pair), decorator(_made)

        @numba.njit
        def returning(values, pair=pair):
            return pair(values)[0].sum()

        @numba.njit
        def making(values, made=made):
            return made(values.size).sum()

        for kernel in (returning, making):
            if refused:
                with pytest.raises(NumbaError, match="array"):
                    kernel(values)
            else:
                assert kernel(values) == 3


def _rastered(leaves):
    sfumato.rasterize(leaves, CAMERA).image.sum().backward()


def _raytraced(leaves):
    sfumato.raytrace(leaves, CAMERA).image.sum().backward()


def _free_rays(leaves):
    trace_rays(**inputs_of("scattered"), **LIMITS)


@pytest.mark.parametrize("draw", [_rastered, _raytraced, _free_rays])
def test_kernels_free_the_arrays_that_they_make(draw):
    scene = small_scene(200)
    leaves = sfumato.Gaussians(**{k: v.clone().requires_grad_() for k, v in scene.tensors().items()})
    draw(leaves)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        for _ in range(3):
            draw(leaves)
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    made = after.mi_alloc - before.mi_alloc
    assert made > 0 and after.mi_free - before.mi_free == made
