"""The Gaussians that cameras saw in a step, with their colours, to be found again in the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from scipy.ndimage import uniform_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from sfumato.capture.dataset import View
from sfumato.ops.in_threads import in_threads
from sfumato.render.rasterize import rasterize
from sfumato.render.visibility import visible_shares
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.bodies import LEAST_OPACITY
from sfumato.tracking.nodes import Nodes
from sfumato.tracking.photograph_parts import Photographs
from sfumato.tracking.regions import bounding_box
from sfumato.tracking.track_state import MovingPoses, TrackState, concatenated

# Reduction factors of the photographs, coarse to fine.
REDUCTIONS = (8, 4, 2, 1)
# A Gaussian is visible if at least this share of its image is not hidden, in images reduced this many times.
_VISIBLE, _VISIBLE_REDUCTION = 0.5, 2
# Details are differences from the mean of the surroundings: that over squares of this side, taken twice, in
# pixels of the reduced photograph. Shading, which does not rotate with an object, is mostly in the mean.
_SURROUNDINGS_PX = 5
# Pixels around the moving regions that are compared too.
_MARGIN_PX = 16
# Each Gaussian contributes to the equations of this many of its nearest nodes.
_NODES_OF_A_GAUSSIAN = 2


@dataclass(frozen=True)
class TrackedView:
    """Gaussians that a camera saw in the previous step, and its photograph, in which they are found again.

    Attributes:
        camera: whose images are compared.
        now: its photograph of the current step, by reduction factor: [h, w, 3].
        colours: of the Gaussians in its image of the previous step, by reduction factor: [s, 3].
        rows: [s] int64 of the Gaussians.
    """

    camera: Camera
    now: dict[int, Tensor]
    colours: dict[int, Tensor]
    rows: Tensor

    def among(self, chosen: Tensor) -> TrackedView:
        """Those of some Gaussians [m] bool."""
        keep = chosen[self.rows]
        colours = {reduction: values[keep] for reduction, values in self.colours.items()}
        return replace(self, colours=colours, rows=self.rows[keep])

    def intrinsics(self, reduction: int) -> Tensor:
        """[3, 3] float32 of a reduced photograph."""
        scale = torch.tensor([[1 / reduction], [1 / reduction], [1.0]])
        return self.camera.intrinsics.float() * scale

    def seen_now(self, means: Tensor, reduction: int) -> tuple[Tensor, Tensor]:
        """Colours [s, 3] of the photograph of the current step, and [s] bool whether there are any.

        Args:
            means: [m, 3] of all moving Gaussians.
            reduction: of the photograph.
        """
        depth, pixel = _projected(self.camera, means[self.rows])
        size = torch.tensor(self.camera.size_px)
        inside = (depth > 0) & ((pixel >= 0) & (pixel < size)).all(1)
        return _colours(self.now[reduction], pixel / reduction), inside


class ComparedImages(NamedTuple):
    """What a camera sees in two steps.

    Attributes:
        photographs: of both steps.
        details: the same without shading, as of ``details_of``.
        render: the render of the previous step and the photograph of the current one, without shading.
    """

    photographs: TrackedView
    details: TrackedView
    render: TrackedView


@dataclass(frozen=True)
class NodePoints:
    """The Gaussians of a tracked view, once for each node they contribute to, by node.

    Attributes:
        order: [p] int64 rows of the tracked view.
        offsets: [p, 3] from the nodes, world frame.
        weights: [p] of the nodes.
        first: [k + 1] int64 index of the first row of each node.
    """

    order: Tensor
    offsets: Tensor
    weights: Tensor
    first: Tensor


@torch.no_grad()
def tracked_views(state: TrackState, photographs: Photographs) -> list[ComparedImages]:
    """The Gaussians visible in the previous step, for each camera that has both photographs.

    Args:
        state: with the poses of the completed steps.
        photographs: of the next step.
    """
    moving, solid = state.moved(state.poses), state.moving_gaussians.opacities >= LEAST_OPACITY
    views = in_threads(
        lambda index: _tracked_view(state, photographs, index, moving, solid), range(len(photographs))
    )
    return [view for view in views if view]


def _tracked_view(
    state: TrackState, photographs: Photographs, index: int, moving: Gaussians, solid: Tensor
) -> ComparedImages | None:
    """Those visible in a camera, of the ``solid`` [m] bool among the moving Gaussians."""
    last, step, number = state.poses, photographs.step, photographs.numbers[index]
    camera, regions = state.cameras[number].camera, photographs.regions(index)
    before, now = state.cameras[number].views[step - 1], state.cameras[number].views[step]
    if before is None or now is None or not regions:
        return None
    box = bounding_box(regions, _MARGIN_PX, camera.size_px)
    depth, mean_px = _projected(camera, last.means)
    visible = torch.zeros(len(depth), dtype=torch.bool)
    photograph = _image(before)
    render = photograph.clone()
    for region, part in zip(regions, photographs.parts(index, 1), strict=True):
        size = torch.tensor([region.width, region.height])
        place = mean_px - torch.tensor([region.left, region.top])
        inside = solid & (depth > 0) & ((place >= 0) & (place < size)).all(1)
        size_px = (max(side // _VISIBLE_REDUCTION, 1) for side in part.camera.size_px)
        scene = concatenated(part.still, moving)
        shares = visible_shares(scene, part.camera.resized(*size_px), state.settings)
        visible |= inside & (shares[len(part.still) :] >= _VISIBLE)
        image = rasterize(scene, part.camera, state.settings).image
        render[region.slices] = state.exposed(image, number)
    images = [image[box.slices] for image in (photograph, render, _image(now))]
    return _compared(box.of(camera), images, torch.nonzero(visible)[:, 0], last)


def _compared(camera: Camera, images: Sequence[Tensor], rows: Tensor, last: MovingPoses) -> ComparedImages:
    """Photograph and render of the previous step, and photograph of the current one, of a camera."""
    pixel = _projected(camera, last.means[rows])[1]
    before, render, now = map(reduced, images)

    def view(earlier: dict[int, Tensor], later: dict[int, Tensor]) -> TrackedView:
        colours = {factor: _colours(image, pixel / factor) for factor, image in earlier.items()}
        return TrackedView(camera, later, colours, rows)

    details = details_of(now)
    return ComparedImages(
        view(before, now), view(details_of(before), details), view(details_of(render), details)
    )


def node_points(tracked_view: TrackedView, nodes: Nodes, means: Tensor) -> NodePoints:
    """The Gaussians of a tracked view, in the order of the nodes they contribute to.

    Args:
        tracked_view: of the step.
        nodes: of all moving Gaussians.
        means: [m, 3] of all moving Gaussians in the previous step.
    """
    influences = nodes.influences[tracked_view.rows, :_NODES_OF_A_GAUSSIAN]
    weights = nodes.weights[tracked_view.rows, :_NODES_OF_A_GAUSSIAN].flatten()
    sort = influences.flatten().argsort(stable=True)
    node, order = influences.flatten()[sort], sort // influences.shape[1]
    offsets = means[tracked_view.rows[order]] - means[nodes.rows[node]]
    return NodePoints(order, offsets, weights[sort], torch.searchsorted(node, torch.arange(len(nodes) + 1)))


def _projected(camera: Camera, points: Tensor) -> tuple[Tensor, Tensor]:
    """[s] depth of points [s, 3], and [s, 2] their pixels."""
    pose = camera.camera_from_world.to(points)
    local = points @ pose[:3, :3].T + pose[:3, 3]
    depth = local[:, 2]
    away = depth.clamp_min(torch.finfo(points.dtype).tiny)[:, None]
    return depth, local[:, :2] / away * torch.tensor(camera.focal_px) + torch.tensor(camera.centre_px)


def _image(view: View) -> Tensor:
    """[h, w, 3] float32 in [0, 1] of a photograph."""
    return torch.from_numpy(view.load().rgb).float() / 255


def reduced(image: Tensor) -> dict[int, Tensor]:
    """[h, w, 3] float32 by reduction factor: means over blocks; partial blocks are cut off."""
    image, found, at = image.permute(2, 0, 1), dict[int, Tensor](), 1
    for reduction in sorted(REDUCTIONS):
        side = reduction // at
        if min(image.shape[1:]) >= side:
            image, at = avg_pool2d(image, side), reduction
        found[reduction] = image.permute(1, 2, 0).contiguous()
    return found


def details_of(images: dict[int, Tensor]) -> dict[int, Tensor]:
    """[h, w, 3] by reduction factor: images minus the mean of the surroundings of each pixel."""
    found, size = {}, (_SURROUNDINGS_PX, _SURROUNDINGS_PX, 1)
    for reduction, image in images.items():
        mean = image.numpy()
        for _ in range(2):
            mean = uniform_filter(mean, size, mode="nearest")
        found[reduction] = image - torch.from_numpy(mean)
    return found


def _colours(image: Tensor, pixel: Tensor) -> Tensor:
    """[s, 3] colours of an image, bilinearly interpolated."""
    height, width = image.shape[:2]
    place = 2 * pixel / torch.tensor([width, height]) - 1
    found = grid_sample(
        image.permute(2, 0, 1)[None], place[None, None], padding_mode="border", align_corners=False
    )
    return found[0, :, 0].T.contiguous()
