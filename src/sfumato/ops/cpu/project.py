"""Projection of Gaussians to ellipses in the image."""

import numpy as np

from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.raster.ellipses import MODELS, project_backward, project_forward


def forward(means, covariances, camera_from_world, intrinsics, opacities, size, limits, model, antialiased):
    """See sfumato.ops.project; ``limits`` are near, far, blur_px2 and radius_clip."""
    arrays = map(as_array, (means, covariances, camera_from_world, intrinsics, opacities))
    near, far, blur_px2, radius_clip = map(np.float32, limits)
    found = project_forward(*arrays, *size, near, far, blur_px2, MODELS[model], radius_clip, antialiased)
    return tuple(as_tensors(found))


def backward(grads, outputs, inputs, size, blur_px2, model, want_pose):
    """Gradients to the means, the covariances and the pose.

    ``outputs`` are conic, compensation and radius_px, ``inputs`` means, covariances, pose and intrinsics.
    """
    arrays = map(as_array, (*grads, *inputs, *outputs))
    found = project_backward(*arrays, *size, np.float32(blur_px2), MODELS[model], want_pose)
    return tuple(as_tensors(found))
