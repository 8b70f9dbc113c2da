"""``rasterization`` with distorted lenses and rolling shutters: ``with_ut`` and ``with_eval3d``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.maths.covariances import determinant_2x2
from sfumato.ops import Unscented, trace, unscented
from sfumato.ops.constants import FAR
from sfumato.render.gsplat_inputs import Inputs, Options
from sfumato.scene.cameras import Camera
from sfumato.scene.image_points import image_points
from sfumato.scene.lenses import Lens
from sfumato.scene.rays import camera_rays
from sfumato.scene.shutter import ReadOut, Shutter

_READ_OUTS: dict[str, ReadOut] = {
    "ROLLING_TOP_TO_BOTTOM": "down",
    "ROLLING_LEFT_TO_RIGHT": "right",
    "ROLLING_BOTTOM_TO_TOP": "up",
    "ROLLING_RIGHT_TO_LEFT": "left",
}


def project_unscented(inputs: Inputs, options: Options, batch: int, camera: int) -> tuple[Tensor, ...]:
    """Find the ellipses of a view by the unscented transform.

    Args:
        inputs: checked tensors.
        options: checked settings.
        batch: index of the batch.
        camera: index of the camera in it.

    Returns:
        mean_px [n, 2], conic [n, 3], depth [n], compensation [n] and radius_px [n, 2], as of ``project``.

    Gradients: depth alone, to the means and the poses.
    """
    one = camera_of(inputs, options, batch, camera)
    means, opacities = inputs.means[batch], inputs.opacities[batch]
    assert inputs.quats is not None and inputs.scales is not None
    found: Unscented = unscented(
        means.detach(), inputs.quats[batch].detach(), inputs.scales[batch].detach(), opacities.detach(),
        partial(image_points, one), width=options.width, height=options.height,
        near=options.near_plane, far=options.far_plane,
    )  # fmt: skip
    blurred = found.covariance_px2 + options.eps2d * means.new_tensor([1.0, 0.0, 1.0])
    visible = (found.radius_px > options.radius_clip).any(1) & (found.radius_px > 0).all(1)
    det = torch.where(visible, determinant_2x2(blurred), 1.0)[:, None]
    conic = blurred[:, (2, 1, 0)] * means.new_tensor([1.0, -1.0, 1.0]) / det
    depth = torch.where(visible, _depths(one, means), 0.0)
    mean_px, conic, radius_px = (
        torch.where(visible[:, None], values, 0) for values in (found.mean_px, conic, found.radius_px)
    )
    return mean_px, conic, depth, torch.ones_like(depth), radius_px


def blend_rays(
    inputs: Inputs,
    options: Options,
    view: tuple[int, int],
    rows: Tensor,
    depth: Tensor,
    values: Tensor,
    behind: Tensor,
) -> tuple[Tensor, Tensor]:
    """Blend the visible Gaussians of a view by their response along each pixel's ray, in one order.

    Args:
        inputs: checked tensors.
        options: checked settings.
        view: indices of the batch and of the camera in it.
        rows: [v] the visible Gaussians.
        depth: [v] sort keys, the nearest first.
        values: [v, channels] to blend.
        behind: [channels] value behind everything.

    Returns:
        Image [h, w, channels] and alpha [h, w].

    Gradients: the shapes and opacities of the Gaussians, values, behind, and the poses.
    """
    batch, _ = view
    rays = camera_rays(camera_of(inputs, options, *view), like=inputs.means[batch])
    eye = rays.viewpoint
    assert eye is not None and inputs.quats is not None and inputs.scales is not None
    found = trace(
        inputs.means[batch][rows],
        inputs.quats[batch][rows],
        inputs.scales[batch][rows],
        inputs.opacities[batch][rows],
        values,
        eye,
        rays.directions,
        behind,
        # Culling by near and far was by the Gaussians' centres.
        near=0.0,
        far=FAR,
        offsets=None if rays.origins.ndim == 1 else rays.origins - eye,
        depths=depth.detach(),
        distances=False,
    )
    return found.image, found.alpha


def camera_of(inputs: Inputs, options: Options, batch: int, camera: int) -> Camera:
    """One of the caller's cameras, with its lens and shutter.

    Args:
        inputs: checked tensors.
        options: checked settings.
        batch: index of the batch.
        camera: index of the camera in it.

    Returns:
        Camera, whose poses are the caller's tensors.

    Raises:
        ConfigError: its intrinsics, lens or read-out are not valid.
    """
    (fx, _, cx), (_, fy, cy), _ = inputs.intrinsics[batch][camera].tolist()
    one = Camera(
        inputs.viewmats[batch][camera], (fx, fy), (cx, cy), (options.width, options.height),
        _lens(inputs, options, batch, camera),
    )  # fmt: skip
    if inputs.viewmats_rs is None:
        return one
    read_out = _READ_OUTS.get(options.rolling_shutter)
    if read_out is None:
        known = ", ".join(_READ_OUTS)
        raise ConfigError(f"rolling_shutter={options.rolling_shutter!r} is unknown: give one of {known}")
    return replace(one, shutter=Shutter(inputs.viewmats_rs[batch][camera], read_out))


def _lens(inputs: Inputs, options: Options, batch: int, camera: int) -> Lens:
    if inputs.radial is None and inputs.tangential is None:
        return Lens(options.camera_model)
    radial, tangential = (
        None if given is None else tuple(given[batch][camera].tolist())
        for given in (inputs.radial, inputs.tangential)
    )
    if options.camera_model == "fisheye":
        return Lens("opencv_fisheye", radial or ())
    k = radial or (0.0,) * 6
    return Lens("full_opencv", (*k[:2], *(tangential or (0.0, 0.0)), *k[2:]))


def _depths(camera: Camera, means: Tensor) -> Tensor:
    """[n] camera z at mid exposure."""
    forward = camera.camera_from_world[2, :3]
    if camera.shutter is not None:
        both = forward + camera.shutter.camera_from_world_end[2, :3]
        forward = both / both.norm()
    eye = camera_rays(camera, like=means).viewpoint
    assert eye is not None
    return (means - eye) @ forward
