"""The implementation of ``rasterization``: projection of each view, layout of results, blending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor

from sfumato.maths.covariances import pack_symmetric
from sfumato.ops import colour, composite, covariance, project
from sfumato.render.gsplat_inputs import Inputs, Options
from sfumato.render.gsplat_meta import Intermediates, TileLists
from sfumato.render.gsplat_unscented import blend_rays, project_unscented

# An expected depth is divided by alpha; where nothing is seen this keeps 0 / 0 at 0.
LEAST_ALPHA = 1e-10


class _SparseRows(torch.autograd.Function):
    """Rows of a tensor whose gradient is a sparse COO tensor."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = tensor.shape
        return tensor[rows]

    @staticmethod
    def backward(ctx: Any, grad_picked: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        # The rows are ascending and in range by construction; saying so avoids a check and a warning.
        known: dict[str, Any] = {"is_coalesced": True, "check_invariants": False}
        return torch.sparse_coo_tensor(rows[None], grad_picked, ctx.size, **known), None


@dataclass(frozen=True)
class _BatchView:
    """The ellipses in one image: v visible ones of m projected (m = n, or m = v with sparse gradients).

    Attributes:
        batch:        index of the batch.
        camera:       index of the camera in it.
        gaussian_ids: [v] the visible Gaussians, ascending.
        rows:         [v] their rows among the m.
        means:        [v, 3] their means, world frame.
        mean_px:      [m, 2] and, with it, the other results of ``project``:
        conic:        [m, 3]
        depth:        [m]
        radius_px:    [m, 2] int32
        opacities:    [m], with the compensation if antialiased.
    """

    batch: int
    camera: int
    gaussian_ids: Tensor
    rows: Tensor
    means: Tensor
    mean_px: Tensor
    conic: Tensor
    depth: Tensor
    radius_px: Tensor
    opacities: Tensor


def render_images(inputs: Inputs, options: Options) -> tuple[Tensor, Tensor, Intermediates]:
    """Render every batch in every camera.

    Args:
        inputs: checked tensors.
        options: checked settings.

    Returns:
        What ``rasterization`` returns.
    """
    views = []
    for batch in range(len(inputs.means)):
        per_view = options.sparse_grad or options.with_ut
        covariances = None if per_view else _covariances(inputs, batch, lambda tensor: tensor)
        for camera in range(inputs.n_cameras):
            views.append(_project_view(inputs, options, batch, camera, covariances))
    meta = _intermediates(inputs, options, views)
    probe = _absgrad_probe(meta["means2d"]) if options.absgrad else None
    mean_px = _by_view(meta["means2d"], views, options)
    probes = [None] * len(views) if probe is None else _by_view(probe, views, options)
    centres = _centres(inputs.viewmats)
    if inputs.viewmats_rs is not None:
        # Colours are evaluated from the camera's position at mid exposure.
        ends = _centres(inputs.viewmats_rs)
        centres = [0.5 * (first + last) for first, last in zip(centres, ends, strict=True)]
    images, alphas = [], []
    for view, view_mean_px, view_probe in zip(views, mean_px, probes, strict=True):
        channels = _channels(inputs, options, view, centres[view.batch][view.camera])
        image, alpha = _blended(inputs, options, view, view_mean_px, channels, view_probe)
        if options.expects_depth:
            expected = image[..., -1:] / alpha[..., None].clamp_min(LEAST_ALPHA)
            image = torch.cat([image[..., :-1], expected], -1)
        images.append(image)
        alphas.append(alpha[..., None])
    dims = (*inputs.batch_dims, inputs.n_cameras)
    return torch.stack(images).unflatten(0, dims), torch.stack(alphas).unflatten(0, dims), meta


def _centres(viewmats: list[Tensor]) -> list[Tensor]:
    return [torch.linalg.inv_ex(cameras).inverse[:, :3, 3] for cameras in viewmats]


def _blended(
    inputs: Inputs,
    options: Options,
    view: _BatchView,
    mean_px: Tensor,
    channels: Tensor,
    probe: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Image [h, w, channels] and alpha [h, w] of a view."""
    depth, background = view.depth[view.rows].detach(), _background(inputs, options, view)
    if options.with_ut:
        batch_and_camera = (view.batch, view.camera)
        return blend_rays(inputs, options, batch_and_camera, view.rows, depth, channels, background)
    return composite(
        mean_px,
        view.conic[view.rows],
        view.opacities[view.rows],
        channels,
        depth,
        view.radius_px[view.rows],
        background,
        width=options.width,
        height=options.height,
        absgrad_probe=probe,
    )


def _covariances(inputs: Inputs, batch: int, pick: Callable[[Tensor], Tensor]) -> Tensor:
    """[m, 6] world covariances of the rows that ``pick`` takes."""
    if inputs.covars is None:
        assert inputs.quats is not None and inputs.scales is not None
        return covariance(pick(inputs.quats[batch]), pick(inputs.scales[batch]))
    covars = pick(inputs.covars[batch])
    return covars if covars.ndim == 2 else pack_symmetric(covars)


def _project_view(
    inputs: Inputs, options: Options, batch: int, camera: int, covariances: Tensor | None
) -> _BatchView:
    means, opacities = inputs.means[batch], inputs.opacities[batch]

    def projected(means: Tensor, covariances: Any, opacities: Tensor) -> tuple[Tensor, ...]:
        if options.with_ut:
            return project_unscented(inputs, options, batch, camera)
        return project(
            means,
            covariances,
            inputs.viewmats[batch][camera],
            inputs.intrinsics[batch][camera],
            width=options.width,
            height=options.height,
            near=options.near_plane,
            far=options.far_plane,
            blur_px2=options.eps2d,
            model=options.camera_model,
            opacities=opacities.detach(),
            radius_clip=options.radius_clip,
            antialiased=options.rasterize_mode == "antialiased",
        )

    if options.sparse_grad:
        # Only visible rows enter the graph, so a first projection without gradients finds them.
        with torch.no_grad():
            radius_px = projected(means, _covariances(inputs, batch, lambda tensor: tensor), opacities)[4]
        gaussian_ids = _visible(radius_px)
        means = _SparseRows.apply(means, gaussian_ids)
        covariances = _covariances(inputs, batch, lambda tensor: _SparseRows.apply(tensor, gaussian_ids))
        opacities = opacities[gaussian_ids]
    mean_px, conic, depth, compensation, radius_px = projected(means, covariances, opacities)
    rows = _visible(radius_px)
    return _BatchView(
        batch=batch,
        camera=camera,
        gaussian_ids=gaussian_ids if options.sparse_grad else rows,
        rows=rows,
        means=means[rows],
        mean_px=mean_px,
        conic=conic,
        depth=depth,
        radius_px=radius_px,
        opacities=opacities * compensation if options.rasterize_mode == "antialiased" else opacities,
    )


def _visible(radius_px: Tensor) -> Tensor:
    return (radius_px > 0).all(-1).nonzero().squeeze(-1)


def _by_view(table: Tensor, views: list[_BatchView], options: Options) -> tuple[Tensor, ...]:
    """The visible rows of each view, from a table in the caller's layout, packed or not."""
    if options.packed:
        return table.split([len(view.rows) for view in views])
    tables = table.flatten(0, -3).unbind(0)
    return tuple(rows[view.rows] for rows, view in zip(tables, views, strict=True))


def _absgrad_probe(means2d: Any) -> Tensor | None:
    """Zeros like ``means2d`` whose gradient is stored in ``means2d.absgrad``, zeros if nothing is visible."""
    if not means2d.requires_grad:
        return None
    probe = torch.zeros_like(means2d, requires_grad=True)
    means2d.absgrad = torch.zeros_like(means2d)

    def hand_over(probe: Tensor) -> None:
        if probe.grad is not None:  # without a visible Gaussian there is no gradient
            means2d.absgrad = probe.grad

    probe.register_post_accumulate_grad_hook(hand_over)
    return probe


def _channels(inputs: Inputs, options: Options, view: _BatchView, centre: Tensor) -> Tensor:
    """[v, channels] what is blended: colours, depth, or both."""
    parts = []
    if options.has_colour:
        colours = inputs.colours[view.batch]
        if inputs.per_camera:
            colours = colours[view.camera]
        colours = colours[view.gaussian_ids]
        if options.sh_degree is not None:
            colours = colour(colours, view.means, centre, options.sh_degree)
        parts.append(colours)
    if options.has_depth:
        parts.append(view.depth[view.rows, None])
    return torch.cat(parts, -1)


def _background(inputs: Inputs, options: Options, view: _BatchView) -> Tensor:
    """[channels] value behind everything; depth has zero there."""
    parts = []
    if options.has_colour:
        n_channels = inputs.colours[view.batch].shape[-1]
        given = inputs.backgrounds
        parts.append(view.depth.new_zeros(n_channels) if given is None else given[view.batch][view.camera])
    if options.has_depth:
        parts.append(view.depth.new_zeros(1))
    return torch.cat(parts)


def _intermediates(inputs: Inputs, options: Options, views: list[_BatchView]) -> Intermediates:
    dims = (*inputs.batch_dims, inputs.n_cameras)

    def table(name: str) -> Tensor:
        if options.packed:
            return torch.cat([getattr(view, name)[view.rows] for view in views])
        return torch.stack([getattr(view, name) for view in views]).unflatten(0, dims)

    ready = {
        "batch_ids": None,
        "camera_ids": None,
        "gaussian_ids": None,
        "radii": table("radius_px"),
        "means2d": table("mean_px"),
        "depths": table("depth"),
        "conics": table("conic"),
        "opacities": table("opacities"),
        "width": options.width,
        "height": options.height,
        "tile_size": options.tile_size,
        "tile_width": ceil(options.width / options.tile_size),
        "tile_height": ceil(options.height / options.tile_size),
        "n_batches": len(inputs.means),
        "n_cameras": inputs.n_cameras,
    }
    if options.packed:
        ready["batch_ids"] = torch.cat([torch.full_like(view.rows, view.batch) for view in views])
        ready["camera_ids"] = torch.cat([torch.full_like(view.rows, view.camera) for view in views])
        ready["gaussian_ids"] = torch.cat([view.gaussian_ids for view in views])
    return Intermediates(ready, _lazy_tiles(ready, dims, len(views)))


def _lazy_tiles(ready: dict, dims: tuple[int, ...], n_images: int) -> dict[str, Callable[[], Tensor]]:
    radius_px, shape = ready["radii"].flatten(0, -2), ready["depths"].shape
    if ready["camera_ids"] is None:
        image_ids = torch.arange(n_images, device=radius_px.device).repeat_interleave(shape[-1])
    else:
        image_ids = ready["batch_ids"] * ready["n_cameras"] + ready["camera_ids"]
    lists = TileLists(
        ready["means2d"].flatten(0, -2),
        radius_px,
        ready["depths"].flatten(),
        image_ids,
        (n_images, ready["tile_size"], ready["tile_width"], ready["tile_height"]),
    )
    return {
        "tiles_per_gauss": lambda: lists["tiles_per_gauss"].reshape(shape),
        "isect_ids": lambda: lists["isect_ids"],
        "flatten_ids": lambda: lists["flatten_ids"],
        "isect_offsets": lambda: lists["isect_offsets"].unflatten(0, dims),
    }
