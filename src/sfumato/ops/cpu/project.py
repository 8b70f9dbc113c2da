"""Projection of Gaussians to ellipses in the image."""

import numpy as np

from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.raster.ellipses import (
    MODELS,
    EllipseGradients,
    ImagePlane,
    project_backward,
    project_forward,
)


def forward(
    means, covariances, camera_from_world, intrinsics, opacities, limits, size, blur_px2, radius_clip, model,
    antialiased,
):  # fmt: skip
    """See sfumato.ops.project; ``limits`` are the near and far plane."""
    arrays = map(as_array, (means, covariances, opacities))
    plane = ImagePlane(as_array(camera_from_world), as_array(intrinsics), *size, MODELS[model])
    near, far, blur_px2, radius_clip = map(np.float32, (*limits.flatten().tolist(), blur_px2, radius_clip))
    found = project_forward(*arrays, plane, near, far, blur_px2, radius_clip, antialiased)
    return tuple(as_tensors(found))


def backward(grads, outputs, inputs, size, blur_px2, model, want_pose):
    """Gradients to the means, the covariances and the pose.

    ``outputs`` are conic, compensation and radius_px, ``inputs`` means, covariances, pose and intrinsics.
    """
    means, covariances, pose, intrinsics = map(as_array, inputs)
    plane = ImagePlane(pose, intrinsics, *size, MODELS[model])
    upstream = EllipseGradients(*map(as_array, grads))
    found = project_backward(
        upstream, means, covariances, plane, *map(as_array, outputs), np.float32(blur_px2), want_pose
    )
    return tuple(as_tensors(found))
