"""Definition of the projection of Gaussians to ellipses in the image."""

from functools import partial

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.maths.covariances import determinant_2x2, unpack_symmetric
from sfumato.ops.constants import ALPHA_MIN, EXTENT_SIGMAS, RADIUS_MAX_PX, TANGENT_LIMIT

# Below this squared tangent the fisheye's closed forms cancel and their series is exact to rounding.
SMALL_TANGENT2 = 1e-4


def _rows(*rows: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _pinhole(points: Tensor, intrinsics: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Image points [n, 2] of camera points [n, 3], and the Jacobian [n, 2, 3] at clamped tangents."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    x, y, z = points.unbind(-1)
    margin_x = (TANGENT_LIMIT - 1) * 0.5 * width / fx
    margin_y = (TANGENT_LIMIT - 1) * 0.5 * height / fy
    tangent_x = torch.clamp(x / z, -cx / fx - margin_x, (width - cx) / fx + margin_x)
    tangent_y = torch.clamp(y / z, -cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = _rows((fx / z, zero, -fx * tangent_x / z), (zero, fy / z, -fy * tangent_y / z))
    return torch.stack([fx * x / z + cx, fy * y / z + cy], -1), jacobian


def _ortho(points: Tensor, intrinsics: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The same for parallel rays: fx and fy are pixels per scene unit."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    x, y, z = points.unbind(-1)
    zero, one = torch.zeros_like(z), torch.ones_like(z)
    jacobian = _rows((fx * one, zero, zero), (zero, fy * one, zero))
    return torch.stack([fx * x + cx, fy * y + cy], -1), jacobian


def _angle_per_radius(radius2: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """s = atan2(r, z) / r and 2 ds/d(r^2), finite on the optical axis too."""
    near_axis = (z > 0) & (radius2 < SMALL_TANGENT2 * z * z)
    safe_radius2 = torch.where(near_axis, 1.0, radius2)
    safe_radius = safe_radius2.sqrt()
    far_s = torch.atan2(safe_radius, z) / safe_radius
    far_slope = (z / (safe_radius2 + z * z) - far_s) / safe_radius2
    safe_z = torch.where(near_axis, z, 1.0)
    u = torch.where(near_axis, radius2, 0.0) / safe_z**2
    near_s = (1 - u / 3 + u**2 / 5 - u**3 / 7 + u**4 / 9) / safe_z
    near_slope = (-2 / 3 + 4 * u / 5 - 6 * u**2 / 7 + 8 * u**3 / 9) / safe_z**3
    return torch.where(near_axis, near_s, far_s), torch.where(near_axis, near_slope, far_slope)


def _fisheye(points: Tensor, intrinsics: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The same for the equidistant fisheye: distance from the centre is focal length times angle."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    x, y, z = points.unbind(-1)
    radius2 = x * x + y * y
    s, slope = _angle_per_radius(radius2, z)
    along_z = -1 / (radius2 + z * z)
    jacobian = _rows(
        (fx * (s + x * x * slope), fx * x * y * slope, fx * x * along_z),
        (fy * x * y * slope, fy * (s + y * y * slope), fy * y * along_z),
    )
    return torch.stack([fx * x * s + cx, fy * y * s + cy], -1), jacobian


# Ideal lens models by name.
MODELS = {"pinhole": _pinhole, "ortho": _ortho, "fisheye": _fisheye}


def _ellipses(
    means: Tensor,
    covariances: Tensor,
    camera_from_world: Tensor,
    intrinsics: Tensor,
    *,
    width: int,
    height: int,
    model: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """mean_px [n, 2], covariance in the image without blur [n, 3] as (xx, xy, yy), and depth [n]."""
    rotation, translation = camera_from_world[:3, :3], camera_from_world[:3, 3]
    points = means @ rotation.T + translation
    mean_px, jacobian = MODELS[model](points, intrinsics, width, height)
    image_from_world = jacobian @ rotation
    cov = image_from_world @ unpack_symmetric(covariances) @ image_from_world.transpose(-1, -2)
    return mean_px, torch.stack([cov[:, 0, 0], cov[:, 0, 1], cov[:, 1, 1]], -1), points[:, 2]


def _blurred(cov_px2: Tensor, blur_px2: float) -> tuple[Tensor, Tensor, Tensor]:
    """Covariance with blur [n, 3], its determinant [n], and the compensation [n] of the opacity."""
    blurred = cov_px2 + blur_px2 * cov_px2.new_tensor([1.0, 0.0, 1.0])
    det = determinant_2x2(blurred)
    ratio = determinant_2x2(cov_px2) / det
    # The root's derivative at zero is infinite: a flat ellipse gets compensation 0 and no gradient.
    compensation = torch.where(ratio > 0, torch.where(ratio > 0, ratio, 1.0).sqrt(), 0.0)
    return blurred, det, compensation


def _radii(blurred: Tensor, peak: Tensor | None) -> Tensor:
    """Half sizes [n, 2] of the rectangle in which alpha reaches 1/255, whole pixels; NaN without one."""
    extent = torch.full_like(blurred[:, 0], EXTENT_SIGMAS)
    if peak is not None:
        extent = (2 * (peak / ALPHA_MIN).log()).sqrt().clamp_max(EXTENT_SIGMAS)
    return torch.ceil(extent[:, None] * blurred[:, (0, 2)].sqrt())


@torch.no_grad()
def _visible_radii(
    ellipses: tuple[Tensor, Tensor, Tensor],
    *,
    width: int,
    height: int,
    near: float | Tensor,
    far: float | Tensor,
    blur_px2: float,
    opacities: Tensor | None,
    radius_clip: float,
    antialiased: bool,
) -> Tensor:
    """Radii [n, 2] int32 after culling; written so that NaN fails every test."""
    mean_px, cov_px2, depth = ellipses
    blurred, det, compensation = _blurred(cov_px2, blur_px2)
    peak = opacities
    if opacities is not None and antialiased:
        peak = opacities * compensation
    radii = _radii(blurred, peak)
    size = mean_px.new_tensor([width, height])
    visible = (depth >= near) & (depth <= far) & (det > 0)
    visible &= ((mean_px + radii > 0) & (mean_px - radii < size)).all(-1)
    visible &= (radii > radius_clip).any(-1)
    visible &= torch.isfinite(torch.cat([mean_px, blurred, det[:, None]], -1)).all(-1)
    if peak is not None:
        visible &= peak >= ALPHA_MIN
    return torch.where(visible[:, None], radii, 0.0).clamp_max(RADIUS_MAX_PX).to(torch.int32)


def project(
    means: Tensor,
    covariances: Tensor,
    camera_from_world: Tensor,
    intrinsics: Tensor,
    *,
    width: int,
    height: int,
    near: float | Tensor,
    far: float | Tensor,
    blur_px2: float,
    model: str,
    opacities: Tensor | None = None,
    radius_clip: float = 0.0,
    antialiased: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Project Gaussians to ellipses in the image, to first order around each mean.

    A pinhole's Jacobian is taken at tangents clamped to 1.3 half-fields (shifted by the principal point),
    while the mean itself is not clamped. A Gaussian is culled, with zeros in every output, if its depth
    is outside [near, far], its ellipse is flat or not finite, its rectangle misses the image or is no
    larger than ``radius_clip`` on both axes, or its alpha stays under 1/255.

    Args:
        means: [n, 3] centres, world frame, scene units.
        covariances: [n, 6] as (xx, xy, xz, yy, yz, zz), world frame, scene units squared.
        camera_from_world: [4, 4] rigid; x right, y down, z forward.
        intrinsics: [3, 3] matrix K, pixels (pixels per scene unit for "ortho").
        width: of the image, pixels.
        height: of the image, pixels.
        near: smallest depth kept, scene units.
        far: largest depth kept, scene units.
        blur_px2: variance added on both axes, px^2.
        model: "pinhole", "ortho" or "fisheye" (equidistant).
        opacities: [n] peak opacities; they tighten the radii to where alpha reaches 1/255. None: 3.33
            standard deviations.
        radius_clip: radii up to this are culled, pixels.
        antialiased: radii allow for the compensation by which the opacities will be multiplied.

    Returns:
        mean_px [n, 2]; conic [n, 3], the inverse blurred covariance (a, b, c) of
        sigma = (a dx^2 + c dy^2) / 2 + b dx dy, 1/px^2; depth [n], camera z; compensation [n],
        sqrt(max(0, det / det blurred)); radius_px [n, 2] int32 half sizes, 0 if culled.

    Raises:
        ConfigError: the model is unknown.

    Gradients: means, covariances, camera_from_world, intrinsics, through mean_px, conic, depth and
        compensation; the clamped tangent is a constant where it is clamped. None through culling and
        radii, none to opacities.

    Source: Zwicker et al. 2002, eq. 29-31; Kerbl et al. 2023. Agrees with gsplat 1.5.3 in values and
        gradients up to its guards against division by zero: it adds 1e-7 to the fisheye's radius and 1e-6 to
        the compensation in the backward pass, where nothing is added here.
    """
    if model not in MODELS:
        raise ConfigError(f"camera model {model!r} is unknown: give one of {', '.join(MODELS)}")
    ellipses = partial(_ellipses, width=width, height=height, model=model)
    with torch.no_grad():
        everything = ellipses(means, covariances, camera_from_world, intrinsics)
    radius_px = _visible_radii(
        everything,
        width=width,
        height=height,
        near=near,
        far=far,
        blur_px2=blur_px2,
        opacities=opacities,
        radius_clip=radius_clip,
        antialiased=antialiased,
    )
    # Only visible rows enter the graph: a NaN in another can then reach no gradient.
    rows = (radius_px > 0).all(-1).nonzero().squeeze(-1)
    mean_px, cov_px2, depth = ellipses(means[rows], covariances[rows], camera_from_world, intrinsics)
    blurred, det, compensation = _blurred(cov_px2, blur_px2)
    conic = torch.stack([blurred[:, 2], -blurred[:, 1], blurred[:, 0]], -1) / det[:, None]
    mean_px, conic, depth, compensation = (
        values.new_zeros((len(means), *values.shape[1:])).index_copy(0, rows, values)
        for values in (mean_px, conic, depth, compensation)
    )
    return mean_px, conic, depth, compensation, radius_px
