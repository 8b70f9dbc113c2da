"""``scene.html``: a scene with its viewer in one file, opened without a network."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import sfumato
from sfumato.edit.leaders import leader_pairs
from sfumato.outputs import replacing
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import load, ply, spz
from sfumato.scene.files.four_dgs import packed_motion
from sfumato.scene.files.four_dgs_motion import Grid
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import metadata_of
from sfumato.viewer.assembly import assemble
from sfumato.viewer.extent import place
from sfumato.viewer.opening import opening_of
from sfumato.viewer.overlays import find_floaters, in_words, to_bits, too_many
from sfumato.viewer.photographs import Sheet, shrunk, side_px_in_page, to_jpeg
from sfumato.viewer.poster import embedded, meta_of, poster_of
from sfumato.viewer.subject import Photograph, Subject, subject_of_file
from sfumato.viewer.trusted import MOVES, NOT_MEASURED, TrustPayload, pack_trust

# Threads that prepare photographs, and photographs per batch.
_DECODERS, _AT_A_TIME = 2, 16
# Divisible by 3, so that base64 of parts is base64 of the whole.
_PART_BYTES = 3 << 20

SCENE, MOVING, MOTION = "scene", "moving", "motion"
SHEET = "thumbnails.jpg"
FLOATERS, TRUST = "floaters", "trust"


@dataclass(frozen=True)
class Payload:
    """A scene encoded for the page.

    Attributes:
        data: the file.
        type: Spark's name of its format.
        frame: axes of the file relative to the scene's: "rdf" the same, "rub" with y and z negated.
    """

    data: bytes
    type: str
    frame: str


def pack(gaussians: Gaussians, *, exact_bytes: int = 0) -> Payload:
    """Encode a scene for the page.

    Args:
        gaussians: the scene.
        exact_bytes: up to this size the scene is not compressed; a larger one is, if the compressed format
            can represent its positions and sizes.
    """
    size = 4 * sum(tensor.numel() for tensor in gaussians.tensors().values())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.spz"
        if size > exact_bytes and spz.save_if_enough(gaussians, path):
            return Payload(path.read_bytes(), "spz", "rub")
        path = Path(folder) / "scene.ply"
        ply.save(gaussians, path)
        return Payload(path.read_bytes(), "ply", "rdf")


@dataclass(frozen=True)
class PackedSubject:
    """A static or dynamic scene encoded for the page.

    Attributes:
        still: the static Gaussians; None if all move.
        moving: the moving Gaussians, or None.
        motion: their motion, as the content of ``motion.bin`` of a .4dgs file with its grid, or None.
        trust: trust of the scene, or None.
    """

    still: Payload | None
    moving: Payload | None = None
    motion: tuple[Grid, bytes] | None = None
    trust: TrustPayload | None = None


def pack_subject(subject: Subject, *, exact_bytes: int = 0) -> PackedSubject:
    """Encode a scene as in ``pack``, with moving Gaussians separate from static ones."""
    if subject.moving is None:
        trust = pack_trust(subject.trust) if subject.trust else None
        return PackedSubject(pack(subject.gaussians, exact_bytes=exact_bytes), trust=trust)
    still, moving = split_moving_scene(subject.moving, subject.gaussians)
    return PackedSubject(
        pack(still, exact_bytes=exact_bytes) if len(still) else None,
        pack(moving, exact_bytes=exact_bytes),
        packed_motion(subject.moving),
    )


def split_moving_scene(scene: DynamicScene, gaussians: Gaussians) -> tuple[Gaussians, Gaussians]:
    """The static and the moving Gaussians of a dynamic scene."""
    moves = torch.zeros(len(gaussians), dtype=torch.bool, device=scene.ids.device)
    moves[scene.ids] = True
    return gaussians.select(~moves), gaussians.select(moves)


def describe(
    subject: Subject, packed: PackedSubject, sheet: Sheet | None, photographed: Sequence[int] = (0,)
) -> dict[str, Any]:
    """The manifest of a scene.

    Args:
        subject: the scene.
        packed: the encoded scene.
        sheet: thumbnails of its photographs, or None.
        photographed: steps of a dynamic scene that have photographs.
    """
    placing = place(subject.gaussians, [photograph.camera for photograph in subject.photographs])
    return {
        "version": sfumato.__version__,
        "title": subject.title,
        "facts": list(subject.facts),
        "background": list(subject.settings.background),
        "near": subject.settings.near,
        "antialiased": subject.is_antialiased,
        "scene": _told(SCENE, packed.still),
        "streams": None,
        "motion": _motion(subject, packed, photographed),
        "up": placing.up,
        "middle": placing.middle,
        "radius": placing.radius,
        "bounds": {"low": placing.low, "high": placing.high},
        "frustum": placing.frustum,
        **opening_of(subject, placing),
        "count": len(subject.gaussians),
        "floaters": {
            "name": FLOATERS,
            "missing": too_many(len(subject.gaussians)),
            "by": "support" if subject.trust else "isolation",
        },
        "trust": _trust(subject, packed),
        "cameras": [_camera(i, one, sheet) for i, one in enumerate(subject.photographs)],
        "thumbnails": {"name": SHEET, "size_px": sheet.size_px} if sheet else None,
        "exact": None,
        "live": False,
        "source": subject.title,
        "metres_per_unit": metadata_of(subject.gaussians).metres_per_unit,
        "save": None,
        "saveView": None,
        "edits": None,
        "film": None,
    }


def _trust(subject: Subject, packed: PackedSubject) -> dict[str, Any]:
    """Manifest entry for the trust of the scene, or why it is unknown."""
    if packed.trust:
        return {"name": TRUST, **packed.trust.manifest, "missing": None}
    return {"missing": MOVES if subject.moving else NOT_MEASURED}


def _told(name: str, payload: Payload | None) -> dict[str, str] | None:
    return {"name": name, "type": payload.type, "frame": payload.frame} if payload else None


def _motion(subject: Subject, packed: PackedSubject, photographed: Sequence[int]) -> dict[str, Any] | None:
    """Manifest entry for the moving Gaussians."""
    scene = subject.moving
    if scene is None or packed.motion is None:
        return None
    grid, _ = packed.motion
    return {
        "scene": _told(MOVING, packed.moving),
        "name": MOTION,
        "count": len(scene.ids),
        "still": len(scene) - len(scene.ids),
        "times": scene.times.tolist(),
        "origin": grid.origin.tolist(),
        "quantum": grid.quantum,
        "leaders": leader_pairs(scene),
        "photographs": list(photographed),
    }


def _camera(index: int, photograph: Photograph, sheet: Sheet | None) -> dict[str, Any]:
    camera = photograph.camera
    pose = np.linalg.inv(camera.camera_from_world.detach().double().numpy())
    return {
        "name": photograph.name,
        "held_out": photograph.held_out,
        "world_from_camera": [float(f"{value:.9g}") for value in pose[:3].ravel()],
        "focal_px": list(camera.focal_px),
        "centre_px": list(camera.centre_px),
        "size_px": list(camera.size_px),
        "photo": photograph_name(index) if photograph.pixels else None,
        "psnr": photograph.psnr,
        "ssim": photograph.ssim,
        "thumbnail": list(sheet.places[index]) if sheet else None,
    }


def photograph_name(index: int, step: int | None = None) -> str:
    """The page's name for the photograph of a camera; in a dynamic scene, at a step."""
    return f"photo-{index}.jpg" if step is None else f"photo-{index}-{step}.jpg"


def make_sheet(photographs: Sequence[Photograph]) -> Sheet | None:
    """An empty sheet for thumbnails of photographs; None if any has no image."""
    if not photographs or any(photograph.pixels is None for photograph in photographs):
        return None
    return Sheet([photograph.camera.size_px for photograph in photographs])


def write_page(
    scene: Gaussians | Path | Subject,
    path: Path,
    *,
    photographs: Sequence[Photograph] = (),
    url: str | None = None,
) -> str | None:
    """Write a scene with its viewer as one file.

    Args:
        scene: Gaussians, a scene file, or a subject with everything about it.
        path: the file, such as scene.html.
        photographs: cameras and photographs, unless ``scene`` is a subject.
        url: URL at which the page will be published; a preview image is then written beside it, as .jpg.

    Returns:
        The number of floaters, as a sentence; None for too large a scene.

    Raises:
        FormatError: the scene file cannot be read.
        SfumatoError: the page cannot be written.
    """
    if isinstance(scene, Path):
        subject = subject_of_file(scene, scene.stem, load(scene), photographs)
    elif isinstance(scene, Gaussians):
        subject = Subject(path.stem, scene, photographs)
    else:
        subject = scene
    packed, sheet = pack_subject(subject), make_sheet(subject.photographs)
    floating = find_floaters(subject.gaussians, subject.trust.trust if subject.trust else None)
    manifest = describe(subject, packed, sheet)
    pieces = _pieces(subject, packed, sheet, floating)
    poster = poster_of(subject, manifest)
    meta = meta_of(subject.title, poster, path, url)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        for part in assemble(manifest, pieces, meta=meta, poster=embedded(poster)):
            out.write(part)
    return None if floating is None else in_words(floating)


def _pieces(
    subject: Subject, packed: PackedSubject, sheet: Sheet | None, floating: Tensor | None
) -> Iterator[tuple[str, Iterator[str]]]:
    for name, data in pieces_of(packed).items():
        yield name, _base64(data)
    if floating is not None:
        yield FLOATERS, _base64(to_bits(floating))
    if sheet is None:
        return
    side_px = side_px_in_page([photograph.camera.size_px for photograph in subject.photographs])

    def prepared(index: int) -> bytes:
        pixels = subject.photographs[index].pixels
        assert pixels is not None
        small = shrunk(pixels(), side_px)
        sheet.put(index, small)
        return to_jpeg(small)

    with ThreadPoolExecutor(_DECODERS) as pool:
        for start in range(0, len(subject.photographs), _AT_A_TIME):
            some = range(start, min(start + _AT_A_TIME, len(subject.photographs)))
            for index, jpeg in zip(some, pool.map(prepared, some), strict=True):
                yield photograph_name(index, 0 if subject.moving else None), _base64(jpeg)
    yield SHEET, _base64(sheet.to_jpeg())


def pieces_of(packed: PackedSubject) -> dict[str, bytes]:
    """The encoded parts of a scene, by the names that the page uses."""
    pieces = {name: one.data for name, one in ((SCENE, packed.still), (MOVING, packed.moving)) if one}
    if packed.motion:
        pieces[MOTION] = packed.motion[1]
    if packed.trust:
        pieces[TRUST] = packed.trust.data
    return pieces


def _base64(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _PART_BYTES):
        yield base64.b64encode(data[start : start + _PART_BYTES]).decode("ascii")
