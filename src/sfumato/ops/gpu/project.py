"""Projection of Gaussians to ellipses in the image."""

import torch

from sfumato.ops.gpu.kernels.ellipse_projection import project_backward, project_forward
from sfumato.ops.gpu.kernels.ideal_lenses import FISHEYE, ORTHO, PINHOLE
from sfumato.ops.gpu.launch import programs_over, start_elementwise

MODELS = {"pinhole": PINHOLE.value, "ortho": ORTHO.value, "fisheye": FISHEYE.value}


def forward(
    means, covariances, camera_from_world, intrinsics, opacities, limits, size, blur_px2, radius_clip, model,
    antialiased,
):  # fmt: skip
    """See sfumato.ops.project; ``limits`` are near and far."""
    n = len(means)
    given = means, covariances, camera_from_world, intrinsics, opacities, limits
    mean_px, conic, depth = means.new_empty(n, 2), means.new_empty(n, 3), means.new_empty(n)
    found = mean_px, conic, depth, torch.empty_like(depth), torch.empty_like(mean_px, dtype=torch.int32)
    start_elementwise(
        project_forward, n, *[one.contiguous() for one in given], *found, *map(float, size), blur_px2,
        radius_clip, MODEL=MODELS[model], OPACITIES=len(opacities) > 0, ANTIALIASED=antialiased,
    )  # fmt: skip
    return found


def backward(grads, outputs, inputs, size, blur_px2, model, want_pose):
    """Gradients with respect to the means, the covariances and the pose.

    ``outputs`` are conic, compensation and radius_px, ``inputs`` means, covariances, pose and intrinsics.
    """
    given = [one.contiguous() for one in (*grads, *outputs, *inputs)]
    means, covariances, pose, _ = given[-4:]
    to_means, to_covariances = torch.empty_like(means), torch.empty_like(covariances)
    shares = means.new_empty(programs_over(len(means)), 12)
    start_elementwise(
        project_backward, len(means), *given, to_means, to_covariances, shares, *map(float, size), blur_px2,
        MODEL=MODELS[model], POSE=want_pose,
    )  # fmt: skip
    to_pose = torch.zeros_like(pose)
    if want_pose:
        to_pose[:3] = shares.sum(0, dtype=torch.float64).reshape(3, 4)
    return to_means, to_covariances, to_pose
