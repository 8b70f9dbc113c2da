"""Scenes as glTF 2 with KHR_gaussian_splatting, binary (`.glb`) or text (`.gltf`).

Gaussians are points of a mesh with the attributes ``POSITION``, ``KHR_gaussian_splatting:ROTATION``
(x, y, z, w), ``:SCALE`` and ``:OPACITY`` (not their logarithms and logits) and
``:SH_DEGREE_l_COEF_n``, one for each coefficient, in our basis and order. y points up. Compressed ones
(KHR_gaussian_splatting_compression_spz_2) hold an `.spz` file instead, in the frame of the mesh.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.scene.changes import merged
from sfumato.scene.files import colour_space, spz, values
from sfumato.scene.files.codec import Codec
from sfumato.scene.files.generator import extras_of, source_in
from sfumato.scene.files.gltf_container import (
    BINARY_CHUNK,
    CHUNK_HEADER,
    HEADER,
    JSON_CHUNK,
    MAGIC,
    Document,
    as_dict,
    as_list,
    read_document,
)
from sfumato.scene.files.node_transforms import Y_DOWN_UP, Y_UP_FROM_SCENE, placed
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import GENERATOR, Metadata, Scene, metadata_of, with_metadata

EXTENSION = "KHR_gaussian_splatting"
# Our own key in ``extras``, as glTF has none.
ANTIALIASED = "antialiased"
SRGB, LINEAR = "srgb_rec709_display", "lin_rec709_display"
SPZ_EXTENSIONS = ("KHR_gaussian_splatting_compression_spz_2", "KHR_gaussian_splatting_compression_spz")
# Extensions that a file may require although Gaussians can be read without them.
NEEDLESS = ("KHR_materials_", "KHR_texture_", "KHR_mesh_quantization", "EXT_texture_", "KHR_lights_")
MAX_BYTES = 2**32 - 1
# A mesh can be instanced many times; a file may have one Gaussian per this many bytes.
BYTES_PER_GAUSSIAN = 8
ALWAYS_ALLOWED = 65536

# Bytes of a Gaussian without SH: position, colour, rotation, scale and opacity.
_ROW_BYTES = 12 + 4 + 16 + 12 + 4
# .spz files are read as right, up, back; a scene has right, down, front.
SPZ_FROM_SCENE = np.diag([1.0, -1.0, -1.0, 1.0])
# Versions of splat-transform from the first on and before the second write logarithms as scales.
_LOG_SCALES_BY = re.compile(r"splat-transform v?([0-9]{1,4})\.([0-9]{1,4})")
_LOG_SCALES_FROM, _LOG_SCALES_BEFORE = (1, 9), (2, 7)
_SH_DEGREE = re.compile(f"{EXTENSION}:SH_DEGREE_([0-9]{{1,3}})_COEF_[0-9]+")
_FLOAT, _BYTE = 5126, 5121
_log = logging.getLogger(__name__)


class _Attribute(NamedTuple):
    name: str
    array: np.ndarray


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
        path: the file; buffers in files of their own must lie beside it.

    Returns:
        float32 on the CPU, y down. Linear colours are sRGB-encoded, exactly for SH of degree 0 and to first
        order for the others, with a warning.

    Raises:
        FormatError: no glTF 2, no Gaussians in it, an unsupported compression, or truncated.
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
    on_host = gaussians.map(lambda tensor: tensor.detach().to("cpu", torch.float32))
    scene = placed(on_host, Y_UP_FROM_SCENE, "the scene")
    length = len(scene) * (_ROW_BYTES + 12 * scene.sh.shape[1])
    if length > MAX_BYTES - 2**20:
        raise FormatError(f"the scene cannot be saved: it takes {length} bytes, and glTF ends at 4 GiB")
    values.warn_of_unsaid(metadata_of(gaussians), "glTF", up=Y_DOWN_UP, metres_per_unit=1.0)
    text = _describe(scene, length)
    with path.open("wb") as handle:
        if path.suffix.lower() == ".gltf":
            # Only numbers and names of attributes follow the buffer.
            dumped = json.dumps(text | {"buffers": [{"byteLength": length, "uri": "@"}]})
            before, _, after = dumped.rpartition("@")
            handle.write(f"{before}data:application/octet-stream;base64,".encode())
            handle.write(base64.b64encode(b"".join(a.array.tobytes() for a in _attributes(scene))))
            handle.write(after.encode())
            return
        content = json.dumps(text).encode()
        content += b" " * (-len(content) % 4)
        whole = HEADER.size + 2 * CHUNK_HEADER.size + len(content) + length
        handle.write(HEADER.pack(MAGIC, 2, whole) + CHUNK_HEADER.pack(len(content), JSON_CHUNK) + content)
        handle.write(CHUNK_HEADER.pack(length, BINARY_CHUNK))
        for attribute in _attributes(scene):
            attribute.array.tofile(handle)


CODEC = Codec("glTF", (".glb", ".gltf"), recognises, load, save)


def _sh_names(num_coefficients: int) -> list[str]:
    places = [(degree, n) for degree in range(4) for n in range(2 * degree + 1)][:num_coefficients]
    return [f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{n}" for degree, n in places]


def _attributes(scene: Gaussians) -> Iterator[_Attribute]:
    """The attributes of a scene whose y points up, in the order of the file."""
    yield _Attribute("POSITION", scene.means.numpy())
    opacities = values.opacities_of_logits(scene.logit_opacities.numpy())
    colours = colour_space.linear(np.clip(values.colour_of_base(scene.sh[:, 0].numpy()), 0, 1))
    yield _Attribute("COLOR_0", np.rint(np.column_stack([colours, opacities]) * 255).astype(np.uint8))
    unit = scene.quats.numpy() / np.linalg.norm(scene.quats.numpy(), axis=1, keepdims=True)
    yield _Attribute(f"{EXTENSION}:ROTATION", np.ascontiguousarray(unit[:, [1, 2, 3, 0]]))
    yield _Attribute(f"{EXTENSION}:SCALE", np.exp(scene.log_scales.numpy()))
    yield _Attribute(f"{EXTENSION}:OPACITY", opacities)
    for k, name in enumerate(_sh_names(scene.sh.shape[1])):
        yield _Attribute(name, np.ascontiguousarray(scene.sh[:, k].numpy()))


def _describe(scene: Gaussians, length: int) -> dict[str, Any]:
    """The JSON of a file that holds the attributes one after another."""
    views, accessors, names, start = [], [], {}, 0
    for index, (name, array) in enumerate(_attributes(scene)):
        views.append({"buffer": 0, "byteOffset": start, "byteLength": array.nbytes, "target": 34962})
        kind = {"componentType": _BYTE, "normalized": True} if array.dtype == np.uint8 else {}
        shape = "SCALAR" if array.ndim == 1 else f"VEC{array.shape[1]}"
        accessors.append(
            {"bufferView": index, "componentType": _FLOAT, "count": len(scene), "type": shape} | kind
        )
        names[name] = index
        start += array.nbytes
    accessors[0] |= {"min": scene.means.amin(0).tolist(), "max": scene.means.amax(0).tolist()}
    kernel = {"kernel": "ellipse", "colorSpace": SRGB}
    primitive = {"attributes": names, "mode": 0, "extensions": {EXTENSION: kernel}}
    if metadata_of(scene).antialiased:
        primitive["extras"] = {ANTIALIASED: True}
    return {
        "asset": {"version": "2.0", "generator": GENERATOR},
        **extras_of(metadata_of(scene)),
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": length}],
        "bufferViews": views,
        "accessors": accessors,
    }


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
    names = _sh_names(values.MAX_SH_COEFFICIENTS)
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
    """[n, 3] logarithms of what an accessor says of scales."""
    numbers = document.numbers(index, 3)
    writer = _LOG_SCALES_BY.search(str(document.root["asset"].get("generator", "")))
    if writer and _LOG_SCALES_FROM <= (int(writer[1]), int(writer[2])) < _LOG_SCALES_BEFORE:
        return numbers
    # The sign of a scale means nothing: what counts is its square.
    return values.log_of_scales(np.abs(numbers))


def _remarks(primitive: dict[str, Any], extension: dict[str, Any]) -> set[str]:
    """What of a primitive cannot be kept as it is meant, in words."""
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
            raise FormatError(f"{document.path} has compressed Gaussians that are no .spz file")
        try:
            found = spz.load(packed)
        except FormatError as error:
            raise FormatError(str(error).replace(str(packed), f"{document.path} (its .spz part)")) from None
    # Within glTF the numbers of the .spz file are meant in the frame of the mesh, as they are.
    return placed(found, SPZ_FROM_SCENE, str(document.path))


def _base_of_vertex_colour(document: Document, index: object, extension: dict[str, Any]) -> np.ndarray:
    """Degree-0 coefficients of COLOR_0, which is linear, for Gaussians that have no other colour."""
    is_vec4 = document.item("accessors", index).get("type") == "VEC4"
    colours = np.clip(document.numbers(index, 4 if is_vec4 else 3)[:, :3], 0, 1)
    return values.base_of_colour(colour_space.encoded(colours))
