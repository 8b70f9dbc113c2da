"""The exact view: images rendered by this process for the page, also without WebGL."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.evaluation.saved_images import difference_image
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.render.draw import draw
from sfumato.render.png import to_uint8
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussian_normals import coloured_by_normals, facing_normals
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import identities_of
from sfumato.viewer.overlays import highlighted
from sfumato.viewer.photographs import resized, to_jpeg
from sfumato.viewer.subject import Photograph

SHOWN = ("colour", "depth", "normals", "error")
_MOST_PX, _MOST_SIDE_PX = 1 << 22, 4096
_MOST = 1e9
_FINE_QUALITY, _COARSE_QUALITY = 95, 82
# The colour map of the page for depths, from nearest to farthest on a logarithmic scale.
_DEPTH_COLOURS = ((252, 237, 191), (237, 148, 92), (163, 74, 117), (64, 51, 122), (10, 13, 36))
_NEAR_SHARE, _FAR_SHARE = 0.03, 0.95
_SOLID, _LEAST_ALPHA = 0.5, 0.05


@dataclass(frozen=True)
class RenderRequest:
    """A render request of the page.

    Attributes:
        show: one of ``SHOWN``.
        camera: camera to render, world frame.
        photograph: index of the photograph to compare with, for "error".
        crop: [2, 3] lowest and highest corner of the box to render, world frame, or None.
        upright: rotation of the world as the page shows it, (w, x, y, z).
        floaters: highlight floaters.
        fine: prefer quality to speed.
        time: seconds, for dynamic scenes.
        edits: digest of the edits that are applied; "": none.
        background: background colour, red, green and blue in [0, 1]; None: that of the settings.
    """

    show: str
    camera: Camera
    photograph: int = 0
    crop: Tensor | None = None
    upright: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)
    floaters: bool = False
    fine: bool = True
    time: float = 0.0
    background: tuple[float, float, float] | None = None
    edits: str = ""


@dataclass(frozen=True)
class RenderedImage:
    """A rendered image as it is sent.

    Attributes:
        jpeg: the file.
        range: nearest and farthest depth of the colour map, or None.
        seconds: rendering time.
    """

    jpeg: bytes
    range: tuple[float, float] | None
    seconds: float


def read_request(body: bytes, photographs: Sequence[Photograph]) -> RenderRequest:
    """Parse a render request of the page.

    Args:
        body: JSON.
        photographs: photographs of the scene.

    Raises:
        ConfigError: the request is malformed or out of range.
    """
    try:
        asked = json.loads(body)
        show, (width, height) = asked["show"], (int(side) for side in asked["size"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise ConfigError("the page asks for no picture: size and show are missing or no JSON") from None
    if show not in SHOWN:
        raise ConfigError(f"the page asks to show {str(show)[:20]!r}; it may be one of {', '.join(SHOWN)}")
    if not (0 < width <= _MOST_SIDE_PX and 0 < height <= _MOST_SIDE_PX and width * height <= _MOST_PX):
        raise ConfigError(f"the page asks for {width}x{height} pixels; {_MOST_PX:,} are allowed")
    index = 0
    if show == "error":
        index = asked.get("camera")
        if not (isinstance(index, int) and 0 <= index < len(photographs) and photographs[index].pixels):
            raise ConfigError("the page asks for the error of a camera that has no photograph")
        camera = photographs[index].camera.resized(width, height)
    else:
        camera = _camera(asked, (width, height))
    crop = torch.tensor(_numbers(asked, "crop", 6)).reshape(2, 3) if asked.get("crop") else None
    x, y, z, w = _numbers(asked, "upright", 4) if "upright" in asked else (0.0, 0.0, 0.0, 1.0)
    (time,) = _numbers({"time": [asked.get("time", 0.0)]}, "time", 1)
    edits = str(asked.get("edits") or "")
    is_marked, is_fine = bool(asked.get("floaters")), bool(asked.get("fine"))
    return RenderRequest(
        show, camera, index, crop, (w, x, y, z), is_marked, is_fine, time, _background(asked), edits
    )


def _background(asked: Mapping[str, Any]) -> tuple[float, float, float] | None:
    if "background" not in asked:
        return None
    red, green, blue = _numbers(asked, "background", 3)
    if not all(0 <= value <= 1 for value in (red, green, blue)):
        raise ConfigError("the page asks for a wrong background: numbers in [0, 1] are needed")
    return red, green, blue


def _camera(asked: Mapping[str, Any], size_px: tuple[int, int]) -> Camera:
    """The camera of a request, whose axes in the page are x right, y up, z backward."""
    x, y, z, w = _numbers(asked, "turn", 4)
    if x * x + y * y + z * z + w * w < 1e-12:
        raise ConfigError("the page asks for a picture from no direction: turn is zero")
    rotation = rotation_from_quats(torch.tensor([[w, x, y, z]], dtype=torch.float64))[0]
    camera_from_world = torch.eye(4, dtype=torch.float64)
    camera_from_world[:3, :3] = (rotation * torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)).T
    place = torch.tensor(_numbers(asked, "at", 3), dtype=torch.float64)
    camera_from_world[:3, 3] = -camera_from_world[:3, :3] @ place
    (fx, fy), (cx, cy) = _numbers(asked, "focal", 2), _numbers(asked, "centre", 2)
    return Camera(camera_from_world, (fx, fy), (cx, cy), size_px)


def _numbers(asked: Mapping[str, Any], name: str, count: int) -> tuple[float, ...]:
    found = asked.get(name)
    if not (
        isinstance(found, list)
        and len(found) == count
        and all(type(v) in (int, float) and -math.inf < v < math.inf for v in found)
    ):
        raise ConfigError(f"the page asks for a picture with a wrong {name}: {count} numbers are needed")
    # An open side of a crop box comes as a huge value, which is limited to what the renderer can handle.
    return tuple(float(max(-_MOST, min(_MOST, v))) for v in found)


class ExactRenderer:
    """Renders the requests of the page.

    Args:
        photographs: photographs of the scene.
        settings: renderer settings that the scene was trained with.
        floaters: returns the mask of floaters, [n] bool, or None if unknown.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        settings: Settings,
        floaters: Callable[[], Tensor | None] = lambda: None,
    ) -> None:
        self._photographs, self._floaters = photographs, floaters
        self._settings = settings

    @torch.no_grad()
    def render(self, request: RenderRequest, shown: Gaussians | DynamicScene) -> RenderedImage:
        """Render a requested image.

        Args:
            request: the request.
            shown: the current scene.

        Raises:
            CaptureError: the photograph to compare with cannot be decoded.
        """
        began = time.perf_counter()
        gaussians = shown.at(request.time) if isinstance(shown, DynamicScene) else shown
        rows = identities_of(gaussians)
        if isinstance(shown, DynamicScene) and rows is not None:
            # In an edited scene, the numbers before the edits.
            before = identities_of(shown.gaussians)
            rows = rows if before is None else before[rows]
        scene, depths = self._scene(request, gaussians, rows), None
        settings = replace(self._settings, depth=request.show == "depth")
        if request.background is not None:
            settings = replace(settings, background=request.background)
        render = draw(scene, request.camera, settings)
        if render.depth is not None:
            pixels, depths = _depth_picture(render.depth.cpu().numpy(), render.alpha.cpu().numpy())
        elif request.show == "error":
            step = int((shown.times - request.time).abs().argmin()) if isinstance(shown, DynamicScene) else 0
            pixels_of = self._photographs[request.photograph].at(step)
            assert pixels_of is not None
            photograph = resized(pixels_of(), request.camera.size_px)
            pixels = difference_image(render.image, torch.from_numpy(photograph.astype(np.float32) / 255))
        else:
            pixels = to_uint8(render.image)
        jpeg = to_jpeg(pixels, quality=_FINE_QUALITY if request.fine else _COARSE_QUALITY)
        return RenderedImage(jpeg, depths, time.perf_counter() - began)

    def _scene(self, request: RenderRequest, gaussians: Gaussians, rows: Tensor | None) -> Gaussians:
        floating = self._floaters() if request.floaters and request.show == "colour" else None
        scene = gaussians.detach()
        if floating is not None:
            # Some of the moving Gaussians do not exist at every time.
            here = floating if len(floating) == len(scene) or rows is None else floating[rows]
            scene = highlighted(scene, here)
        if request.crop is not None:
            low, high = request.crop.to(scene.means)
            scene = scene.select(((scene.means >= low) & (scene.means <= high)).all(dim=1))
        if request.show == "normals":
            scene = _in_colours_of_normals(scene, request)
        return scene


def _depth_picture(depth: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """False-colour image of depths [h, w], dark where the scene is empty, and the range of the colours."""
    solid = depth[alpha >= _SOLID]
    near, far = np.quantile(solid, [_NEAR_SHARE, _FAR_SHARE]) if len(solid) else (1.0, 2.0)
    near = float(near)
    far = max(float(far), 1.05 * near)
    share = np.log(np.maximum(depth / near, 1e-6)) / math.log(far / near)
    stops, table = np.linspace(0, 1, len(_DEPTH_COLOURS)), np.array(_DEPTH_COLOURS, np.float64)
    picture = np.stack([np.interp(share, stops, table[:, channel]) for channel in range(3)], axis=-1)
    return np.where(alpha[..., None] >= _LEAST_ALPHA, picture, 0).round().astype(np.uint8), (near, far)


def _in_colours_of_normals(scene: Gaussians, request: RenderRequest) -> Gaussians:
    """Gaussians coloured by their normal: the shortest axis, facing the camera, in upright coordinates."""
    turn = rotation_from_quats(scene.means.new_tensor([request.upright]))[0]
    return coloured_by_normals(scene, facing_normals(scene, request.camera.centre_world) @ turn.T)
