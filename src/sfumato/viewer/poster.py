"""The preview image of a page: shown while it loads, and with links to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from sfumato.outputs import write_bytes
from sfumato.paths.look import looking_at, pinhole
from sfumato.paths.orbit import DEFAULT_FOV_DEG
from sfumato.render.draw import draw
from sfumato.render.png import to_uint8
from sfumato.scene.cameras import Camera
from sfumato.viewer.photographs import to_jpeg
from sfumato.viewer.subject import Subject

# The usual size of preview images of links.
_SIZE_PX = (1200, 630)


def poster_of(subject: Subject, manifest: Mapping[str, Any]) -> bytes | None:
    """The initial view of the page, JPEG of at most 1200 pixels; None for an empty scene.

    Args:
        subject: the scene.
        manifest: its manifest.
    """
    if not len(subject.gaussians):
        return None
    camera = _camera(subject, manifest)
    render = draw(subject.gaussians.detach(), camera, replace(subject.settings, depth=False))
    return to_jpeg(to_uint8(render.image))


def _camera(subject: Subject, manifest: Mapping[str, Any]) -> Camera:
    if subject.photographs and manifest["first"] >= 0:
        camera = subject.photographs[manifest["first"]].camera
        scale = min(1.0, _SIZE_PX[0] / max(camera.size_px))
        return camera.resized(*(max(1, round(side * scale)) for side in camera.size_px))
    opening, up = manifest["opening"], manifest["up"]
    return pinhole(
        looking_at(opening["at"], opening["to"], up), _SIZE_PX, opening.get("fov_deg", DEFAULT_FOV_DEG)
    )


def embedded(poster: bytes | None) -> str:
    """The image as a data URL; "" if there is none."""
    return f"data:image/jpeg;base64,{base64.b64encode(poster).decode('ascii')}" if poster else ""


def meta_of(title: str, poster: bytes | None, page: Path, url: str | None) -> str:
    """Open Graph metadata of a page as HTML; with a known URL, also writes the preview image.

    Args:
        title: title of the page.
        poster: its preview image.
        page: file of the page, beside which the image is written.
        url: URL at which the page will be published; None: unknown.

    Raises:
        SfumatoError: the image cannot be written.
    """
    picture, address = page.with_suffix(".jpg"), None
    if url and poster:
        write_bytes(picture, poster)
        address = f"{url.rpartition('/')[0]}/{picture.name}"
    told = {"og:title": title, "og:type": "website", "og:image": address}
    return "\n".join(
        f'<meta property="{name}" content="{escape(value)}">' for name, value in told.items() if value
    )
