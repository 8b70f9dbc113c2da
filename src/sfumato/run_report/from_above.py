"""The scene of a run and its cameras, seen from above."""

from __future__ import annotations

from base64 import b64encode
from math import atan, degrees

import numpy as np
import torch

from sfumato.capture.dataset import Capture
from sfumato.paths.look import looking_at, pinhole
from sfumato.paths.orbit import orbit_of_cameras, side_of
from sfumato.render.draw import draw
from sfumato.render.png import to_png, to_uint8
from sfumato.render.settings import settings_for
from sfumato.run_report.svg_charts import plan
from sfumato.scene.gaussians import Gaussians

SIDE_PX = 640
# Half side of the view, as a multiple of the cameras' largest distance from the target, and height of the
# viewpoint as a multiple of the half side, so that the perspective of tall objects is small.
_REACH, _HEIGHT = 1.6, 12.0
_PAPER = (0.96, 0.96, 0.95)


def seen_from_above(gaussians: Gaussians, capture: Capture, renderer: str) -> str:
    """SVG of the cameras over a render from above; everything above the highest camera is cut off.

    Args:
        gaussians: of the scene.
        capture: its photographs, one or more.
        renderer: "raster" or "trace", as in the run, whose kernels are already compiled.
    """
    orbit = orbit_of_cameras([view.camera for view in capture.views])
    centres = np.stack([view.camera.centre_world.double().numpy() for view in capture.views])
    arms = centres - orbit.target
    heights = arms @ orbit.up
    across = np.linalg.norm(arms - heights[:, None] * orbit.up, axis=1)
    reach = _REACH * float(across.max() or np.linalg.norm(arms, axis=1).max() or 1.0)
    height = _HEIGHT * reach
    pose = looking_at(orbit.target + height * orbit.up, orbit.target, np.cross(orbit.up, side_of(orbit.up)))
    camera = pinhole(pose, (SIDE_PX, SIDE_PX), 2 * degrees(atan(1 / _HEIGHT)))
    # The near plane removes ceilings, which would hide the room.
    near = height - max(float(heights.max()), 0.1 * reach)
    # View-dependent colours from above are not supervised by any camera, so degree 0 is used.
    settings = settings_for(renderer, background=_PAPER, sh_degree=0, near=near, depth=False)
    with torch.no_grad():
        image = draw(gaussians, camera, settings).image
    address = f"data:image/png;base64,{b64encode(to_png(to_uint8(image))).decode()}"
    local = centres @ pose[:3, :3].T + pose[:3, 3]
    places = camera.focal_px[0] * local[:, :2] / local[:, 2:] + SIDE_PX / 2
    axes = np.stack([view.camera.camera_from_world[2, :3].double().numpy() for view in capture.views])
    directions = (axes @ pose[:3, :3].T)[:, :2]
    cameras = [
        ((float(x), float(y)), (float(u), float(v)), view.name in capture.test_names)
        for (x, y), (u, v), view in zip(places, directions, capture.views, strict=True)
    ]
    return plan("The scene and its cameras from above", address, (SIDE_PX, SIDE_PX), cameras)
