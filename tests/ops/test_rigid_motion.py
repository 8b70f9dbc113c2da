"""Poses of Gaussians that are fixed to moving frames."""

import pytest
import torch

from sfumato import ops
from sfumato.errors import ShapeError
from sfumato.maths.quaternions import normalised, quat_product, rotation_from_quats
from sfumato.ops.reference import rigid_motion
from support.op_scenes import assert_finite_differences, gradients, moving_frames

HALF = 0.5**0.5
both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


@pytest.mark.kernels
@both_dtypes
def test_a_frame_that_turns_carries_its_gaussian(dtype):
    """A quarter turn about z, from (1, 0, 0) to (5, 5, 0); the Gaussian is two units beside it."""

    def row(*values):
        return torch.tensor([values], dtype=dtype)

    means, quats = ops.rigid_motion(
        row(3.0, 0.0, 1.0), row(2.0, 0.0, 0.0, 0.0),
        row(5.0, 5.0, 0.0), row(3 * HALF, 0.0, 0.0, 3 * HALF),
        row(1.0, 0.0, 0.0), row(1.0, 0.0, 0.0, 0.0),
        torch.tensor([0]),
    )  # fmt: skip
    torch.testing.assert_close(means, row(5.0, 7.0, 1.0))
    torch.testing.assert_close(quats, row(2 * HALF, 0.0, 0.0, 2 * HALF))


@pytest.mark.kernels
@both_dtypes
def test_frames_at_rest_change_nothing(dtype):
    moving, fixed = moving_frames(dtype=dtype)
    at_rest = {"frame_means": fixed["rest_means"], "frame_quats": 2 * fixed["rest_quats"]}
    means, quats = ops.rigid_motion(**{**moving, **at_rest}, **fixed)
    torch.testing.assert_close(means, moving["means"])
    torch.testing.assert_close(quats, moving["quats"])


@pytest.mark.kernels
@both_dtypes
def test_gaussians_of_a_frame_keep_their_relative_poses(dtype):
    moving, fixed = moving_frames(n=6, m=1, dtype=dtype)
    means, quats = ops.rigid_motion(**moving, **fixed)
    torch.testing.assert_close(torch.cdist(means, means), torch.cdist(moving["means"], moving["means"]))
    inverse = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=dtype)
    before, after = (quat_product(q[:-1] * inverse, q[1:]) for q in (moving["quats"], quats))
    torch.testing.assert_close(after, before)
    turn = (
        rotation_from_quats(normalised(moving["frame_quats"]))[0]
        @ rotation_from_quats(fixed["rest_quats"])[0].T
    )
    shift = moving["means"] - fixed["rest_means"]
    torch.testing.assert_close(means, shift @ turn.T + moving["frame_means"])


@pytest.mark.kernels
@both_dtypes
def test_no_gaussians(dtype):
    moving, fixed = moving_frames(n=0, dtype=dtype)
    means, quats = ops.rigid_motion(**moving, **fixed)
    assert means.shape == (0, 3) and quats.shape == (0, 4)
    found = gradients(lambda **leaves: ops.rigid_motion(**leaves, **fixed), moving)
    assert not any(gradient.any() for gradient in found.values())


def test_gradients():
    moving, fixed = moving_frames(n=6, m=3)
    assert_finite_differences(lambda **leaves: rigid_motion(**leaves, **fixed), moving, share=1e-6)


@pytest.mark.kernels
def test_any_number_of_threads_gives_the_same_bits():
    numba = pytest.importorskip("numba")
    moving, fixed = moving_frames(n=300, m=7, dtype=torch.float32)
    threads, found = numba.get_num_threads(), []
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            found.append(gradients(lambda **leaves: ops.rigid_motion(**leaves, **fixed), moving))
    finally:
        numba.set_num_threads(threads)
    assert all(torch.equal(found[0][name], found[1][name]) for name in moving)


@both_dtypes
@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (lambda rows: rows.int(), "frames are torch.int32"),
        (lambda rows: torch.full_like(rows, 5), "not rows from 0 to 4"),
        (lambda rows: torch.full_like(rows, -1), "not rows from 0 to 4"),
        (lambda rows: rows[:3], "frames has shape"),
    ],
)
def test_frames_are_checked(dtype, frames, text):
    moving, fixed = moving_frames(dtype=dtype)
    with pytest.raises(ShapeError, match=text):
        ops.rigid_motion(**moving, **{**fixed, "frames": frames(fixed["frames"])})
