"""Scenes as glTF 2 with KHR_gaussian_splatting, binary (`.glb`) or text (`.gltf`).

Gaussians are points of a mesh with the attributes ``POSITION``, ``KHR_gaussian_splatting:ROTATION``
(x, y, z, w), ``:SCALE`` and ``:OPACITY`` (not their logarithms and logits) and
``:SH_DEGREE_l_COEF_n``, one for each coefficient, in our basis and order. y points up. Compressed ones
(KHR_gaussian_splatting_compression_spz_2) hold an `.spz` file instead, in the frame of the mesh.
"""

from __future__ import annotations

import logging
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.scene.changes import merged
from sfumato.scene.files import colour_space, spz, values
from sfumato.scene.files.codec import Codec
from sfumato.scene.files.generator import source_in
from sfumato.scene.files.gltf_container import MAGIC, Document, as_dict, as_list, read_document
from sfumato.scene.files.gltf_writing import (
    ANTIALIASED,
    EXTENSION,
    LINEAR,
    SPZ_EXTENSION,
    SRGB,
    Content,
    bytes_of,
    check_size,
    sh_names,
    write,
)
from sfumato.scene.files.node_transforms import Y_DOWN_UP, Y_UP_FROM_SCENE, placed
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, Scene, metadata_of, with_metadata

SPZ_EXTENSIONS = (SPZ_EXTENSION, f"{EXTENSION}_compression_spz")
# Extensions that a file may require although Gaussians can be read without them.
NEEDLESS = ("KHR_materials_", "KHR_texture_", "KHR_mesh_quantization", "EXT_texture_", "KHR_lights_")
# A mesh can be instanced many times; a file may have one Gaussian per this many bytes.
BYTES_PER_GAUSSIAN = 8
# Version of .spz files in glTF files.
_SPZ_VERSION = 2
ALWAYS_ALLOWED = 65536

# .spz files are read as right, up, back; a scene has right, down, front.
SPZ_FROM_SCENE = np.diag([1.0, -1.0, -1.0, 1.0])
# Versions of splat-transform from the first on and before the second write logarithms as scales.
_LOG_SCALES_BY = re.compile(r"splat-transform v?([0-9]{1,4})\.([0-9]{1,4})")
_LOG_SCALES_FROM, _LOG_SCALES_BEFORE = (1, 9), (2, 7)
_SH_DEGREE = re.compile(f"{EXTENSION}:SH_DEGREE_([0-9]{{1,3}})_COEF_[0-9]+")
_log = logging.getLogger(__name__)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is binary glTF, or text that is glTF by its name or its content."""
    if head.startswith(MAGIC):
        return True
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    return path.suffix.lower() == ".gltf" or b'"asset"' in head or EXTENSION.encode() in head


def load(path: Path) -> Scene:
    """Read the Gaussians of a glTF file's scene, all meshes of its nodes together.

    Args:
        path: the file; buffers in separate files must lie beside it.

    Returns:
        float32 on the CPU, y down. Linear colours are sRGB-encoded, exactly for SH of degree 0 and to first
        order for the others, with a warning.

    Raises:
        FormatError: not glTF 2, without Gaussians, with an unsupported compression, or truncated.
    """
    document = read_document(path)
    for name in as_list(document.root.get("extensionsRequired")):
        if name not in (EXTENSION, *SPZ_EXTENSIONS) and not str(name).startswith(NEEDLESS):
            raise FormatError(f"{path} needs the extension {ascii(name)[:60]}, which is not supported")
    allowed = ALWAYS_ALLOWED + sum(buffer.length for buffer in document.buffers) // BYTES_PER_GAUSSIAN
    parts: list[Gaussians] = []
    remarks: set[str] = set()
    for world_from_mesh, mesh in document.placed_meshes():
        for primitive in as_list(mesh.get("primitives")):
            extension = as_dict(as_dict(primitive).get("extensions")).get(EXTENSION)
            if not isinstance(extension, dict):
                continue
            part = _read_primitive(document, primitive, extension, allowed)
            remarks |= _remarks(primitive, extension)
            allowed -= len(part)
            parts.append(placed(part, Y_UP_FROM_SCENE @ world_from_mesh, str(path)))
    if not parts:
        raise FormatError(f"{path} holds no Gaussians: no mesh of its scene has {EXTENSION}")
    for remark in sorted(remarks):
        _log.warning("%s has %s", path, remark)
    scene = merged(*parts)
    return with_metadata(scene, replace(scene.metadata, source=source_in(document.root)))


def save(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians as a glTF file, float32; programs without the extension show coloured points.

    Args:
        gaussians: the scene, any device or float type, y down.
        path: the file to write; as `.gltf` it is text, with the numbers in base64.

    Raises:
        FormatError: a field holds NaN or infinity, or the file would pass the 4 GiB that glTF allows.
    """
    values.checked_arrays(gaussians)
    if not len(gaussians):
        raise FormatError("the scene cannot be saved: a glTF file cannot be without points")
    values.warn_of_lost_metadata(metadata_of(gaussians), "glTF", up=Y_DOWN_UP, metres_per_unit=1.0)
    write_scene(gaussians, path)


def write_scene(gaussians: Gaussians, path: Path) -> None:
    """The same without checks of the values and warnings."""
    on_host = gaussians.map(lambda tensor: tensor.detach().to("cpu", torch.float32))
    scene = placed(on_host, Y_UP_FROM_SCENE, "the scene")
    check_size(bytes_of(scene))
    content = Content()
    meshes = [{"primitives": [content.primitive(scene)]}]
    write(path, content, metadata_of(scene), {"nodes": [{"mesh": 0}], "meshes": meshes})


def write_packed_scene(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians as a `.glb` file with an `.spz` file inside, about an eighth of the size.

    Args:
        gaussians: the scene, float32 or float64, y down.
        path: the file to write.

    Raises:
        FormatError: a field holds NaN or infinity, or a position that 24 bits cannot hold.

    Source: glTF extension KHR_gaussian_splatting_compression_spz_2.
    """
    on_host = gaussians.map(lambda tensor: tensor.detach().to("cpu", torch.float32))
    scene = placed(on_host, Y_UP_FROM_SCENE, "the scene")
    content = Content()
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "part.spz"
        # Within glTF the coordinates of the .spz file are in the frame of the mesh; undo the writer's change
        # of axes.
        spz.save(placed(scene, SPZ_FROM_SCENE, "the scene"), packed, version=_SPZ_VERSION)
        primitive = content.packed_primitive(scene, packed.read_bytes())
    parts = {"nodes": [{"mesh": 0}], "meshes": [{"primitives": [primitive]}]}
    write(path, content, metadata_of(scene), parts)


CODEC = Codec("glTF", (".glb", ".gltf"), recognises, load, save)


def _read_primitive(
    document: Document, primitive: dict[str, Any], extension: dict[str, Any], allowed: int
) -> Gaussians:
    """The Gaussians of one primitive, in the frame of its mesh."""
    inner = as_dict(extension.get("extensions"))
    packed = next((inner[name] for name in SPZ_EXTENSIONS if name in inner), None)
    if packed is not None:
        found = _read_spz(document, as_dict(packed).get("bufferView"))
        if len(found) > allowed:
            raise FormatError(f"{document.path} places its Gaussians more often than a scene does")
        return found
    attributes = as_dict(primitive.get("attributes"))
    needed = ["POSITION", *(f"{EXTENSION}:{name}" for name in ("ROTATION", "SCALE", "OPACITY"))]
    missing = [name for name in needed if name not in attributes]
    names = sh_names(values.MAX_SH_COEFFICIENTS)
    num_coefficients = max((k for k in (16, 9, 4, 1) if names[k - 1] in attributes), default=0)
    missing += [name for name in names[:num_coefficients] if name not in attributes]
    colour = "COLOR_0" if not num_coefficients and "COLOR_0" in attributes else None
    if missing or not (num_coefficients or colour):
        raise FormatError(f"{document.path} has Gaussians without {', '.join(missing) or names[0]}")
    count = document.count(attributes["POSITION"])
    wanted = [*needed, *names[:num_coefficients], *([colour] if colour else [])]
    for name in wanted:
        if document.count(attributes[name]) != count:
            raise FormatError(f"{document.path} has another number of {name} than of POSITION")
    if count > allowed:
        raise FormatError(f"{document.path} places its Gaussians more often than a scene does")
    sh = np.empty((count, max(num_coefficients, 1), 3), np.float32)
    for k in range(num_coefficients):
        sh[:, k] = document.numbers(attributes[names[k]], 3)
    if colour:
        sh[:, 0] = _base_of_vertex_colour(document, attributes[colour], extension)
    elif extension.get("colorSpace") == LINEAR:
        colour_space.encode_sh(sh)
    arrays = {
        "means": document.numbers(attributes["POSITION"], 3),
        "log_scales": _log_scales(document, attributes[needed[2]]),
        "quats": np.roll(document.numbers(attributes[needed[1]], 4), 1, axis=1),
        "logit_opacities": values.logit_of_opacities(document.numbers(attributes[needed[3]], 1)[:, 0]),
        "sh": sh,
    }
    noted = as_dict(primitive.get("extras")).get(ANTIALIASED) is True
    return values.scene_of(arrays, Metadata(antialiased=noted))


def _log_scales(document: Document, index: object) -> np.ndarray:
    """[n, 3] logarithms of the scales in an accessor."""
    numbers = document.numbers(index, 3)
    writer = _LOG_SCALES_BY.search(str(document.root["asset"].get("generator", "")))
    if writer and _LOG_SCALES_FROM <= (int(writer[1]), int(writer[2])) < _LOG_SCALES_BEFORE:
        return numbers
    # The sign of a scale has no effect: only its square is used.
    return values.log_of_scales(np.abs(numbers))


def _remarks(primitive: dict[str, Any], extension: dict[str, Any]) -> set[str]:
    """Messages about data of a primitive that is approximated or dropped."""
    found = set()
    degrees = [_SH_DEGREE.fullmatch(name) for name in as_dict(primitive.get("attributes"))]
    most = max((int(degree[1]) for degree in degrees if degree), default=0)
    if most > values.MAX_SH_DEGREE:
        found.add(values.degrees_dropped(most))
    if extension.get("kernel", "ellipse") != "ellipse":
        found.add(f"Gaussians of kernel {ascii(extension['kernel'])[:60]}, which are read as ellipses")
    space = extension.get("colorSpace", SRGB)
    if space == LINEAR:
        found.add("linear colours, whose dependence on the view is sRGB-encoded to first order only")
    elif space != SRGB:
        found.add(f"colours in {ascii(space)[:60]}, which are read as sRGB-encoded ones")
    return found


def _read_spz(document: Document, view: object) -> Gaussians:
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "part.spz"
        packed.write_bytes(document.view_bytes(view))
        if not spz.recognises(packed.read_bytes()[:64], packed):
            raise FormatError(f"{document.path} has compressed Gaussians that are not an .spz file")
        try:
            found = spz.load(packed)
        except FormatError as error:
            raise FormatError(str(error).replace(str(packed), f"{document.path} (its .spz part)")) from None
    # Within glTF the coordinates of the .spz file are in the frame of the mesh; undo the reader's change of
    # axes.
    return placed(found, SPZ_FROM_SCENE, str(document.path))


def _base_of_vertex_colour(document: Document, index: object, extension: dict[str, Any]) -> np.ndarray:
    """Degree-0 coefficients of COLOR_0, which is linear, for Gaussians that have no other colour."""
    is_vec4 = document.item("accessors", index).get("type") == "VEC4"
    colours = np.clip(document.numbers(index, 4 if is_vec4 else 3)[:, :3], 0, 1)
    return values.base_of_colour(colour_space.encoded(colours))
