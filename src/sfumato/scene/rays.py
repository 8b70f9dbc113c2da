"""Rays, of a camera or free."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.checks import check_finite, check_shapes
from sfumato.errors import ShapeError
from sfumato.maths.device_copies import moved_like
from sfumato.scene.cameras import Camera
from sfumato.scene.lru_cache import LruCache, lasting
from sfumato.scene.pixel_directions import image_plane, pixel_directions
from sfumato.scene.shutter import pose_between


@dataclass(frozen=True)
class Rays:
    """Rays in the world frame, one per pixel or as a list.

    Attributes:
        origins:    [h, w, 3] or [m, 3] as the directions, or [3], one for all; world frame, scene units.
        directions: [h, w, 3] or [m, 3], any length; a ray of length zero sees the background.
        viewpoint:  [3] position from which view-dependent colour is seen; None: each ray's own origin.

    Raises:
        ShapeError: shapes, dtypes or devices disagree, or the dtype is not a float type.
        ConfigError: a tensor holds NaN or infinity.
    """

    origins: Tensor
    directions: Tensor
    viewpoint: Tensor | None = None

    def __post_init__(self) -> None:
        dims = "h w 3" if getattr(self.directions, "ndim", 0) == 3 else "m 3"
        is_shared = getattr(self.origins, "ndim", 0) == 1
        given = {"directions": (self.directions, dims), "origins": (self.origins, "3" if is_shared else dims)}
        if self.viewpoint is not None:
            given["viewpoint"] = (self.viewpoint, "3")
        check_shapes(like=self.directions, **given)
        if not self.directions.is_floating_point():
            raise ShapeError(f"directions are {self.directions.dtype}; rays need floats")
        for name, (tensor, _) in given.items():
            check_finite(f"{name} of the rays", tensor, "; give a direction of zero for none")

    @property
    def shape(self) -> tuple[int, ...]:
        """(h, w) or (m,)."""
        return tuple(self.directions.shape[:-1])

    def to(self, like: Tensor) -> Rays:
        """These rays with the dtype and the device of a tensor; themselves if they have both."""
        if (self.directions.dtype, self.directions.device) == (like.dtype, like.device):
            return self
        viewpoint = None if self.viewpoint is None else self.viewpoint.to(like)
        return Rays(self.origins.to(like), self.directions.to(like), viewpoint)


_cache: LruCache[Rays] = LruCache()


def camera_rays(camera: Camera, *, like: Tensor | None = None) -> Rays:
    """The rays through the centres of a camera's pixels.

    An orthographic camera has parallel rays from the plane z = 0 of its frame. With a rolling shutter
    each row (or column) has its own pose, and colour is seen from where the camera was at mid exposure.

    Args:
        camera: any lens, with a rolling shutter or without.
        like: whose dtype and device to use; by default those of the pose.

    Returns:
        Rays [h, w] with unit directions; zero where the lens has no direction for a pixel. Origins are [3]
        if they are equal for all rays. If the poses are on the CPU and need no gradient, the tensors are
        shared: do not write to them.

    Raises:
        ConfigError: the shutter's poses are 180 degrees apart.

    Gradients: camera.camera_from_world, and camera.shutter.camera_from_world_end.
    """
    like = camera.camera_from_world if like is None else like
    shutter = camera.shutter
    poses = [camera.camera_from_world] + ([] if shutter is None else [shutter.camera_from_world_end])
    # Comparing poses on another device would wait for that device.
    if any(pose.requires_grad or pose.device.type != "cpu" for pose in poses):
        return placed(camera, pixel_directions(camera, like=like), lens_plane(camera, like))
    key = (
        *(camera.lens, camera.focal_px, camera.centre_px, camera.size_px, like.dtype, str(like.device)),
        shutter and shutter.direction,
        *(pose.numpy().tobytes() for pose in poses),
    )
    rays = _cache.find(key)
    if rays is None:
        with lasting():
            rays = placed(camera, pixel_directions(camera, like=like), lens_plane(camera, like))
        _cache.keep(key, rays, rays.directions.nbytes + rays.origins.nbytes)
    return rays


def lens_plane(camera: Camera, like: Tensor) -> Tensor | None:
    """[h, w, 3] origins of rays in the camera frame; None if all start at its centre."""
    if camera.lens.model != "ortho":
        return None
    flat = torch.from_numpy(image_plane(camera)).to(like)
    return torch.cat([flat, flat.new_zeros(*flat.shape[:2], 1)], dim=-1)


def placed(camera: Camera, directions: Tensor, starts: Tensor | None) -> Rays:
    """Transform rays from the camera frame to the world frame.

    Args:
        camera: whose pose to take, with its shutter.
        directions: [h, w, 3] in the camera frame.
        starts: [h, w, 3] origins in the camera frame; None for its centre.

    Returns:
        Rays [h, w] of the dtype and device of ``directions``.

    Gradients: as ``camera_rays``; directions and starts.
    """
    pose = camera.camera_from_world
    if camera.shutter is None:
        # Row vectors times R are R^T times column vectors: world from camera.
        rotation = moved_like(pose[:3, :3], directions)
        centre = moved_like(camera.centre_world, directions)
        origins = centre if starts is None else centre + starts @ rotation
        return Rays(origins, directions @ rotation, centre)
    shutter = camera.shutter
    times = shutter.times(camera.height if shutter.reads_rows else camera.width)
    rotation, centres = pose_between(pose, shutter.camera_from_world_end, times)
    middle = moved_like(0.5 * (centres[0] + centres[-1]), directions)
    rotation, centres = moved_like(rotation, directions), moved_like(centres, directions)[:, None]

    def to_world(vectors: Tensor) -> Tensor:
        if shutter.reads_rows:
            return vectors @ rotation
        return (vectors.transpose(0, 1) @ rotation).transpose(0, 1)

    origins = centres if shutter.reads_rows else centres.transpose(0, 1)
    origins = origins.expand_as(directions) if starts is None else origins + to_world(starts)
    return Rays(origins.contiguous(), to_world(directions).contiguous(), middle)
