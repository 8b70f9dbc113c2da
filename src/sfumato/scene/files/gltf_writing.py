"""Writing of glTF files with Gaussians: their attributes, arrays in one buffer, and the two containers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files import colour_space, values
from sfumato.scene.files.generator import extras_of
from sfumato.scene.files.gltf_container import BINARY_CHUNK, CHUNK_HEADER, HEADER, JSON_CHUNK, MAGIC
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import GENERATOR, Metadata, metadata_of

EXTENSION = "KHR_gaussian_splatting"
SPZ_EXTENSION = f"{EXTENSION}_compression_spz_2"
# Our own key in ``extras``, as glTF has no standard one.
ANTIALIASED = "antialiased"
SRGB, LINEAR = "srgb_rec709_display", "lin_rec709_display"
MAX_BYTES = 2**32 - 1

# Bytes of a Gaussian without SH: position, colour, rotation, scale and opacity.
_ROW_BYTES = 12 + 4 + 16 + 12 + 4
_FLOAT, _BYTE = 5126, 5121
_VERTICES = 34962


class _Attribute(NamedTuple):
    name: str
    array: np.ndarray


class Content:
    """Arrays of a file, one after another in a buffer of ``length`` bytes, and their JSON entries.

    Attributes:
        views, accessors: the JSON of the buffer views and of the accessors.
        extensions: names of the extensions that are used.
        length: bytes of the buffer.
    """

    views: list[dict[str, Any]]
    accessors: list[dict[str, Any]]
    extensions: list[str]
    length: int

    def __init__(self) -> None:
        self.views, self.accessors = [], []
        self.extensions = [EXTENSION]
        self.length = 0
        self._sources: list[Callable[[], Iterator[np.ndarray]]] = []

    def primitive(self, scene: Gaussians) -> dict[str, Any]:
        """Add Gaussians, float32 on the CPU, y up; the JSON of their primitive."""
        names = {name: self._describe(array, target=_VERTICES) for name, array in _attributes(scene)}
        bounds = {"min": scene.means.amin(0).tolist(), "max": scene.means.amax(0).tolist()}
        self.accessors[names["POSITION"]] |= bounds
        self._sources.append(lambda: (attribute.array for attribute in _attributes(scene)))
        kernel = {"kernel": "ellipse", "colorSpace": SRGB}
        primitive = {"attributes": names, "mode": 0, "extensions": {EXTENSION: kernel}}
        return primitive | ({"extras": {ANTIALIASED: True}} if metadata_of(scene).antialiased else {})

    def packed_primitive(self, scene: Gaussians, packed: bytes) -> dict[str, Any]:
        """Add Gaussians, float32 on the CPU, y up, as an `.spz` file; the JSON of their primitive.

        Its attributes have no numbers of their own: readers take them from the `.spz` file.
        """
        view = {"buffer": 0, "byteOffset": self.length, "byteLength": len(packed)}
        self.views.append(view)
        padded = np.frombuffer(packed + bytes(-len(packed) % 4), np.uint8)
        self._sources.append(lambda: iter([padded]))
        self.length += len(padded)
        widths = {"POSITION": 3, "COLOR_0": 4, f"{EXTENSION}:ROTATION": 4, f"{EXTENSION}:SCALE": 3}
        # The base colour is COLOR_0.
        widths |= dict.fromkeys(sh_names(scene.sh.shape[1])[1:], 3)
        attributes = {}
        for name, width in widths.items():
            kind = {"componentType": _BYTE, "normalized": True} if name == "COLOR_0" else {}
            accessor = {"componentType": _FLOAT, "count": len(scene), "type": f"VEC{width}"} | kind
            attributes[name] = len(self.accessors)
            self.accessors.append(accessor)
        bounds = {"min": scene.means.amin(0).tolist(), "max": scene.means.amax(0).tolist()}
        self.accessors[attributes["POSITION"]] |= bounds
        inner = {SPZ_EXTENSION: {"bufferView": len(self.views) - 1}}
        extension = {"kernel": "ellipse", "colorSpace": SRGB, "extensions": inner}
        self.extensions.append(SPZ_EXTENSION)
        return {"attributes": attributes, "mode": 0, "extensions": {EXTENSION: extension}}

    def numbers(self, array: np.ndarray) -> int:
        """Add float32 numbers [k] or [k, width]; the index of their accessor."""
        index = self._describe(array)
        rows = array.reshape(len(array), -1)
        self.accessors[index] |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self._sources.append(lambda: iter([array]))
        return index

    def arrays(self) -> Iterator[np.ndarray]:
        """All arrays, in order."""
        for source in self._sources:
            yield from source()

    def _describe(self, array: np.ndarray, *, target: int | None = None) -> int:
        view = {"buffer": 0, "byteOffset": self.length, "byteLength": array.nbytes}
        self.views.append(view if target is None else view | {"target": target})
        kind = {"componentType": _BYTE, "normalized": True} if array.dtype == np.uint8 else {}
        shape = "SCALAR" if array.ndim == 1 else f"VEC{array.shape[1]}"
        accessor = {"bufferView": len(self.views) - 1, "componentType": _FLOAT, "count": len(array)}
        self.accessors.append(accessor | {"type": shape} | kind)
        self.length += array.nbytes
        return len(self.accessors) - 1


def check_size(num_bytes: int) -> None:
    """Check that a file fits the limit of glTF.

    Raises:
        FormatError: the file would exceed 4 GiB.
    """
    if num_bytes > MAX_BYTES - 2**20:
        raise FormatError(f"the scene cannot be saved: it takes {num_bytes} bytes, and glTF ends at 4 GiB")


def bytes_of(scene: Gaussians) -> int:
    """Bytes that Gaussians take in a file."""
    return len(scene) * (_ROW_BYTES + 12 * scene.sh.shape[1])


def write(path: Path, content: Content, known: Metadata, parts: dict[str, Any]) -> None:
    """Write a file; as `.gltf` it is text, with the numbers in base64.

    Args:
        path: the file.
        content: its numbers.
        known: metadata of the scene.
        parts: further top-level entries of the JSON, such as nodes and meshes; node 0 is the root.
    """
    text = {
        "asset": {"version": "2.0", "generator": GENERATOR},
        **extras_of(known),
        "extensionsUsed": content.extensions,
        # Without them there is nothing to show.
        **({"extensionsRequired": content.extensions} if SPZ_EXTENSION in content.extensions else {}),
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        **parts,
        "buffers": [{"byteLength": content.length}],
        "bufferViews": content.views,
        "accessors": content.accessors,
    }
    with path.open("wb") as handle:
        if path.suffix.lower() == ".gltf":
            # Only numbers and names of attributes follow the buffer.
            dumped = json.dumps(text | {"buffers": [{"byteLength": content.length, "uri": "@"}]})
            before, _, after = dumped.rpartition("@")
            handle.write(f"{before}data:application/octet-stream;base64,".encode())
            handle.write(base64.b64encode(b"".join(array.tobytes() for array in content.arrays())))
            handle.write(after.encode())
            return
        write_chunks(handle, text, content.arrays(), content.length)


def write_chunks(
    handle: BufferedWriter, text: dict[str, Any], arrays: Iterable[np.ndarray], length: int
) -> None:
    """Write the header and both chunks of a binary glTF file.

    Args:
        handle: of the empty file.
        text: the JSON.
        arrays: its buffer, contiguous and in order.
        length: bytes of all arrays, a multiple of 4.

    Source: glTF 2.0, section 4.4 (binary glTF layout).
    """
    document = json.dumps(text).encode()
    document += b" " * (-len(document) % 4)
    whole = HEADER.size + 2 * CHUNK_HEADER.size + len(document) + length
    handle.write(HEADER.pack(MAGIC, 2, whole) + CHUNK_HEADER.pack(len(document), JSON_CHUNK) + document)
    handle.write(CHUNK_HEADER.pack(length, BINARY_CHUNK))
    for array in arrays:
        array.tofile(handle)


def sh_names(num_coefficients: int) -> list[str]:
    """Names of the attributes of SH coefficients."""
    places = [(degree, n) for degree in range(4) for n in range(2 * degree + 1)][:num_coefficients]
    return [f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{n}" for degree, n in places]


def _attributes(scene: Gaussians) -> Iterator[_Attribute]:
    """The attributes of a scene whose y points up, in the order of the file."""
    yield _Attribute("POSITION", np.ascontiguousarray(scene.means.numpy()))
    opacities = values.opacities_of_logits(scene.logit_opacities.numpy())
    colours = colour_space.linear(np.clip(values.colour_of_base(scene.sh[:, 0].numpy()), 0, 1))
    yield _Attribute("COLOR_0", np.rint(np.column_stack([colours, opacities]) * 255).astype(np.uint8))
    unit = scene.quats.numpy() / np.linalg.norm(scene.quats.numpy(), axis=1, keepdims=True)
    yield _Attribute(f"{EXTENSION}:ROTATION", np.ascontiguousarray(unit[:, [1, 2, 3, 0]]))
    yield _Attribute(f"{EXTENSION}:SCALE", np.exp(scene.log_scales.numpy()))
    yield _Attribute(f"{EXTENSION}:OPACITY", opacities)
    for k, name in enumerate(sh_names(scene.sh.shape[1])):
        yield _Attribute(name, np.ascontiguousarray(scene.sh[:, k].numpy()))
