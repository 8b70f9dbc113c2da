"""``rasterization`` with the interface of gsplat 1.5.3: its scripts run by changing an import."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import fields
from typing import Any

from torch import Tensor

from sfumato.render.gsplat_images import render_images
from sfumato.render.gsplat_inputs import (
    TENSORS,
    UNSUPPORTED,
    Options,
    RollingShutterType,
    check_inputs,
    refuse_unsupported,
)

__all__ = ["RollingShutterType", "rasterization"]


def rasterization(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: str = "classic",
    channel_chunk: int = 32,
    distributed: bool = False,
    camera_model: str = "pinhole",
    segmented: bool = False,
    covars: Tensor | None = None,
    with_ut: bool = False,
    with_eval3d: bool = False,
    radial_coeffs: Tensor | None = None,
    tangential_coeffs: Tensor | None = None,
    thin_prism_coeffs: Tensor | None = None,
    ftheta_coeffs: Any | None = None,
    rolling_shutter: Any = RollingShutterType.GLOBAL,
    viewmats_rs: Tensor | None = None,
) -> tuple[Tensor, Tensor, MutableMapping[str, Any]]:
    """Render n Gaussians in c cameras; arguments and results are those of gsplat 1.5.3's ``rasterization``.

    Args:
        means: [..., n, 3] centres, world frame.
        quats: [..., n, 4] world_from_local as (w, x, y, z), any length; None with covars.
        scales: [..., n, 3] standard deviations along the local axes; None with covars.
        opacities: [..., n] peak opacities.
        colors: [..., (c,) n, d] values, or [..., (c,) n, k, 3] SH coefficients with sh_degree.
        viewmats: [..., c, 4, 4] camera_from_world, OpenCV axes.
        Ks: [..., c, 3, 3] intrinsics, pixels.
        width: of the images, pixels.
        height: of the images, pixels.
        near_plane: smallest camera z kept.
        far_plane: largest camera z kept.
        radius_clip: Gaussians whose radii in the image are both up to this are skipped, pixels.
        eps2d: variance added on both axes of the image, px^2.
        sh_degree: degree evaluated, 0 to 3; colour = max(0, 0.5 + sum). None: colors are values.
        packed: layout of the intermediates; the picture is the same.
        tile_size: of the tile lists in the intermediates, pixels; rendering chooses its own.
        backgrounds: [..., c, d] value behind everything; None for zeros.
        render_mode: "RGB", "D" (sum of z), "ED" (expected z), "RGB+D" or "RGB+ED", depth last.
        sparse_grad: sparse gradients for means, quats, scales and covars; packed, without batches.
        absgrad: leave sums of absolute gradients in ``meta["means2d"].absgrad`` after backward.
        rasterize_mode: "classic", or "antialiased": opacity times sqrt(det / det with eps2d).
        channel_chunk: hint without effect; any number of channels is rendered in one go.
        distributed: not supported.
        camera_model: "pinhole", "ortho" or "fisheye".
        segmented: hint without effect.
        covars: [..., n, 3, 3] (the upper triangle is read) or [..., n, 6], in place of quats and scales.
        with_ut: find the ellipses by the unscented transform; with with_eval3d and packed=False only.
        with_eval3d: blend each Gaussian by its response along the pixel's ray; with with_ut only.
        radial_coeffs: [..., c, 6] k1 to k6 of a pinhole, or [..., c, 4] of a fisheye; with with_ut.
        tangential_coeffs: [..., c, 2] p1 and p2 of a pinhole; with with_ut.
        thin_prism_coeffs: not supported.
        ftheta_coeffs: not supported.
        rolling_shutter: readout of the sensor while the camera moves to viewmats_rs; with with_ut.
        viewmats_rs: [..., c, 4, 4] camera_from_world at the readout of the last line; the camera's centre
            moves along a straight line. With with_ut there is no gradient to ``means2d``, and eps2d only
            widens the conics.

    Returns:
        Renders [..., c, height, width, channels], alphas [..., c, height, width, 1] and a mapping of
        intermediates: means2d, radii, depths, conics, opacities as [..., c, n, ...], or as rows of the
        m visible pairs with batch_ids, camera_ids, gaussian_ids [m] if packed; tile lists; sizes.

    Raises:
        ShapeError: a tensor has another shape, or another dtype or device than the means.
        ConfigError: an argument is not supported, unknown, or conflicts with another.

    Gradients: means, quats, scales, covars, opacities, colors, viewmats, backgrounds (Ks in float64).

    Source: the interface of gsplat 1.5.3 (Ye et al. 2024).
    """
    arguments = locals()
    refuse_unsupported({name: arguments[name] for name in UNSUPPORTED})
    options = Options(**{field.name: arguments[field.name] for field in fields(Options)})
    return render_images(check_inputs({name: arguments[name] for name in TENSORS}, options), options)
