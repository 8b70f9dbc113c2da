"""Projection of Gaussians to ellipses in the image."""

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.ops import reference
from sfumato.ops.backend import Integers, Tensors, implementation, uses_definition
from sfumato.ops.constants import BLUR_PX2, FAR, NEAR
from sfumato.ops.limits import limits_like
from sfumato.ops.operation import operation
from sfumato.ops.reference.project import MODELS

# Names of the ideal lenses: those with an exact Jacobian.
IDEAL_LENSES = tuple(MODELS)


class Projected(NamedTuple):
    """Ellipses in the image; culled Gaussians have radius 0 and zeros elsewhere.

    Attributes:
        mean_px: [n, 2] centres, pixels.
        conic: [n, 3] inverse covariance (a, b, c), sigma = (a dx^2 + c dy^2) / 2 + b dx dy, 1/px^2.
        depth: [n] camera z, scene units.
        compensation: [n] sqrt(det / det blurred), the factor of the opacity in anti-aliased mode.
        radius_px: [n, 2] int32 half sizes of the box in which alpha reaches 1/255.
    """

    mean_px: Tensor
    conic: Tensor
    depth: Tensor
    compensation: Tensor
    radius_px: Tensor


@operation("sfumato::project")
def _project(
    means: Tensor,
    covariances: Tensor,
    camera_from_world: Tensor,
    intrinsics: Tensor,
    opacities: Tensor,
    limits: Tensor,
    size: Integers,
    blur_px2: float,
    radius_clip: float,
    model: str,
    antialiased: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return implementation("project", means).forward(
        means, covariances, camera_from_world, intrinsics, opacities, limits, size, blur_px2, radius_clip,
        model, antialiased,
    )  # fmt: skip


@_project.register_fake
def _(means, *others):
    n = means.shape[0]
    return (
        means.new_empty(n, 2),
        means.new_empty(n, 3),
        means.new_empty(n),
        means.new_empty(n),
        means.new_empty(n, 2, dtype=torch.int32),
    )


@operation("sfumato::project_backward")
def _project_backward(
    grads: Tensors,
    outputs: Tensors,
    inputs: Tensors,
    size: Integers,
    blur_px2: float,
    model: str,
    want_pose: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return implementation("project", inputs[0]).backward(
        grads, outputs, inputs, size, blur_px2, model, want_pose
    )


@_project_backward.register_fake
def _(grads, outputs, inputs, size, blur_px2, model, want_pose):
    return tuple(map(torch.empty_like, inputs[:3]))


def _setup(ctx, inputs, output):
    means, covariances, camera_from_world, intrinsics, _, _, ctx.size, ctx.blur_px2, _, ctx.model, _ = inputs
    _, conic, _, compensation, radius_px = output
    ctx.mark_non_differentiable(radius_px)
    ctx.save_for_backward(conic, compensation, radius_px, means, covariances, camera_from_world, intrinsics)


def _backward(ctx, *grads):
    want_pose = ctx.needs_input_grad[2]
    outputs, inputs = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
    means, covariances, pose = _project_backward(
        list(grads[:4]), list(outputs), list(inputs), ctx.size, ctx.blur_px2, ctx.model, want_pose
    )
    return means, covariances, pose if want_pose else None, *[None] * 8


_project.register_autograd(_backward, setup_context=_setup)


def project(
    means: Tensor,
    covariances: Tensor,
    camera_from_world: Tensor,
    intrinsics: Tensor,
    *,
    width: int,
    height: int,
    near: float | Tensor = NEAR,
    far: float | Tensor = FAR,
    blur_px2: float = BLUR_PX2,
    model: str = "pinhole",
    opacities: Tensor | None = None,
    radius_clip: float = 0.0,
    antialiased: bool = False,
) -> Projected:
    """Project 3D Gaussians to ellipses in the image, to first order around each mean.

    Args:
        means: [n, 3] centres, world frame, scene units.
        covariances: [n, 6] as (xx, xy, xz, yy, yz, zz), world frame, scene units squared.
        camera_from_world: [4, 4] rigid; x right, y down, z forward.
        intrinsics: [3, 3] matrix K, pixels (pixels per scene unit for "ortho").
        width, height: of the image, pixels.
        near, far: camera z that is kept, scene units; numbers, or tensors of one.
        blur_px2: variance added on both axes, px^2.
        model: "pinhole", "ortho" or "fisheye" (equidistant).
        opacities: [n] peak opacities; they tighten the radii to where alpha reaches 1/255.
            None: 3.33 standard deviations.
        radius_clip: Gaussians with radii up to this on both axes are culled, pixels.
        antialiased: radii allow for the compensation by which the opacity will be multiplied.

    Returns:
        Projected.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.
        ConfigError: the model is unknown.

    Gradients: means, covariances, camera_from_world (and intrinsics in float64), through mean_px,
        conic, depth and compensation. None through culling and radii.

    Source: Zwicker et al. 2002, eq. 29-31; Kerbl et al. 2023. The Jacobian of the pinhole is taken
        at tangents clamped to 1.3 half-fields.
    """
    check_shapes(
        like=means,
        means=(means, "n 3"),
        covariances=(covariances, "n 6"),
        camera_from_world=(camera_from_world, "4 4"),
        intrinsics=(intrinsics, "3 3"),
        **({} if opacities is None else {"opacities": (opacities, "n")}),
    )
    if model not in IDEAL_LENSES:
        raise ConfigError(f"camera model {model!r} is unknown: give one of {', '.join(IDEAL_LENSES)}")
    if uses_definition(means):
        outputs = reference.project(
            means,
            covariances,
            camera_from_world,
            intrinsics,
            width=width,
            height=height,
            near=near,
            far=far,
            blur_px2=blur_px2,
            model=model,
            opacities=opacities,
            radius_clip=radius_clip,
            antialiased=antialiased,
        )
        return Projected(*outputs)
    peaks = means.new_empty(0) if opacities is None else opacities.detach()
    return Projected(
        *_project(
            means,
            covariances,
            camera_from_world,
            intrinsics,
            peaks,
            limits_like(near, far, means).flatten(),
            [width, height],
            blur_px2,
            radius_clip,
            model,
            antialiased,
        )
    )
