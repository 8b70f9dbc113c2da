"""The glTF container, binary (`.glb`) or text (`.gltf`): JSON, and numbers in buffers.

Independent of Gaussians. Every offset, count and index is checked against its target before memory is
allocated for it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from sfumato.errors import FormatError
from sfumato.scene.files.gltf_buffers import Buffer, open_buffer, shown

MAGIC = b"glTF"
JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\0"
HEADER, CHUNK_HEADER = struct.Struct("<4sII"), struct.Struct("<I4s")
# Limit of brackets, commas and colons in the JSON, against files crafted to exhaust memory.
MAX_MARKS = 250_000
TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@dataclass(frozen=True)
class Document:
    """A glTF file: its JSON and its buffers."""

    path: Path
    root: dict[str, Any]
    buffers: tuple[Buffer, ...]

    def item(self, kind: str, index: object) -> dict[str, Any]:
        """An entry of one of the top-level lists, such as "nodes".

        Raises:
            FormatError: there is none at this index.
        """
        entries = self.root.get(kind, [])
        known = isinstance(entries, list) and type(index) is int and 0 <= index < len(entries)
        if not known or not isinstance(entries[index], dict):
            raise FormatError(f"{self.path} names {kind}[{shown(index)}], which it does not have")
        return entries[index]

    def view_bytes(self, index: object) -> bytes:
        """The bytes of a buffer view."""
        buffer, start, length, _ = self._view(index)
        return buffer.read(start, length)

    def count(self, index: object) -> int:
        """Number of elements that an accessor declares."""
        return self._whole(self.item("accessors", index), "count", 0)

    def numbers(self, index: object, components: int) -> np.ndarray:
        """The numbers of an accessor.

        Args:
            index: of the accessor.
            components: how many numbers an element has.

        Returns:
            [count, components] float32; normalised integers over 0 to 1 or -1 to 1.

        Raises:
            FormatError: it has another shape, is sparse, or leaves its buffer.
        """
        accessor = self.item("accessors", index)
        kind, shape = accessor.get("componentType"), accessor.get("type")
        dtype = TYPES.get(kind) if type(kind) is int else None
        if dtype is None or not isinstance(shape, str) or COMPONENTS.get(shape) != components:
            raise FormatError(f"{self.path}: accessor {index} is not of {components} numbers")
        if "sparse" in accessor or "bufferView" not in accessor:
            raise FormatError(f"{self.path}: accessor {index} has no plain data, which is not supported")
        buffer, start, length, stride = self._view(accessor["bufferView"])
        width = np.dtype(dtype).itemsize * components
        stride = stride or width
        count, offset = self._whole(accessor, "count", 0), self._whole(accessor, "byteOffset", 0)
        needed = offset + stride * (count - 1) + width if count else 0
        if stride < width or needed > length:
            raise FormatError(f"{self.path}: accessor {index} leaves its buffer view; the file is damaged")
        raw = buffer.read(start + offset, max(needed - offset, 0))
        if len(raw) != max(needed - offset, 0):
            raise FormatError(f"{self.path} is truncated in the data of accessor {index}")
        rows = np.ndarray((count, components), dtype, raw, strides=(stride, np.dtype(dtype).itemsize))
        found = rows.astype(np.float32)
        if accessor.get("normalized") is True and dtype != "<f4":
            found = np.maximum(found / np.iinfo(dtype).max, -1)
        return found

    def placed_meshes(self) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Meshes of the scene's nodes, each with its world_from_mesh [4, 4]."""
        if "scenes" in self.root:
            scene = self.item("scenes", self.root.get("scene", 0))
            roots = as_list(scene.get("nodes"))
        else:
            nodes = as_list(self.root.get("nodes"))
            below = {c for n in nodes for c in as_list(as_dict(n).get("children")) if type(c) is int}
            roots = [index for index in range(len(nodes)) if index not in below]
        waiting = [(index, np.eye(4)) for index in reversed(roots)]
        seen: set[int] = set()
        while waiting:
            index, world_from_parent = waiting.pop()
            node = self.item("nodes", index)
            if index in seen:
                raise FormatError(f"{self.path}: node {index} has several parents")
            seen.add(index)
            with np.errstate(over="ignore", invalid="ignore"):
                world_from_node = world_from_parent @ self._transform(node, index)
            if "mesh" in node:
                yield world_from_node, self.item("meshes", node["mesh"])
            waiting += [(child, world_from_node) for child in reversed(as_list(node.get("children")))]

    def _transform(self, node: dict[str, Any], index: int) -> np.ndarray:
        """parent_from_node [4, 4]."""
        if "matrix" in node:
            return self._vector(node["matrix"], 16, index).reshape(4, 4).T
        matrix = np.eye(4)
        turn = self._vector(node.get("rotation", [0, 0, 0, 1]), 4, index)
        if not np.isclose(np.linalg.norm(turn), 1, atol=0.1):
            raise FormatError(f"{self.path}: the rotation of node {index} is not a unit quaternion")
        scale = self._vector(node.get("scale", [1, 1, 1]), 3, index)
        matrix[:3, :3] = Rotation.from_quat(turn).as_matrix() * scale
        matrix[:3, 3] = self._vector(node.get("translation", [0, 0, 0]), 3, index)
        return matrix

    def _vector(self, found: object, length: int, index: int) -> np.ndarray:
        numbers = found if isinstance(found, list) else []
        if len(numbers) != length or not all(type(x) in (int, float) and abs(x) < 1e30 for x in numbers):
            raise FormatError(f"{self.path}: the transform of node {index} is not {length} numbers")
        return np.array(numbers, np.float64)

    def _view(self, index: object) -> tuple[Buffer, int, int, int]:
        view = self.item("bufferViews", index)
        number = self._whole(view, "buffer", None)
        if number >= len(self.buffers):
            raise FormatError(f"{self.path} names buffers[{number}], which it does not have")
        if "extensions" in view:
            raise FormatError(
                f"{self.path}: bufferViews[{index}] is compressed in a way that is not supported"
            )
        start, length = self._whole(view, "byteOffset", 0), self._whole(view, "byteLength", None)
        if start + length > self.buffers[number].length:
            raise FormatError(f"{self.path}: bufferViews[{index}] leaves its buffer; the file is truncated")
        return self.buffers[number], start, length, self._whole(view, "byteStride", 0)

    def _whole(self, entry: dict[str, Any], name: str, default: int | None) -> int:
        found = entry.get(name, default)
        if type(found) is not int or not 0 <= found < 2**53:
            raise FormatError(f"{self.path}: {name} is {shown(found)}, not a whole number of 0 or more")
        return found


def as_dict(found: object) -> dict[str, Any]:
    """A JSON object; empty for any other value."""
    return found if isinstance(found, dict) else {}


def as_list(found: object) -> list[Any]:
    """A JSON list; empty for any other value."""
    return found if isinstance(found, list) else []


def read_document(path: Path) -> Document:
    """Read a glTF file, binary or text; its buffers are read on demand.

    Args:
        path: the file. Buffers in separate files must lie beside it or in folders below.

    Raises:
        FormatError: it is not a glTF 2 file, is truncated, or its buffers are missing or elsewhere.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        binary = handle.read(4) == MAGIC
        handle.seek(0)
        text, inside = _read_chunks(path, handle, size) if binary else (handle.read(), None)
    root = _parse(path, text)
    # Free the text early: with embedded buffers it is large.
    del text
    if not isinstance(root.get("asset"), dict) or not str(root["asset"].get("version", "")).startswith("2."):
        raise FormatError(f"{path} is not a glTF file of version 2")
    entries = as_list(root.get("buffers"))
    buffers = [open_buffer(path, entry, inside if not i else None) for i, entry in enumerate(entries)]
    return Document(path, root, tuple(buffers))


def _read_chunks(path: Path, handle: Any, size: int) -> tuple[bytes, Buffer | None]:
    """The JSON text of a binary file, and where its binary chunk is."""
    start = handle.read(HEADER.size + CHUNK_HEADER.size)
    if len(start) < HEADER.size + CHUNK_HEADER.size:
        raise FormatError(f"{path} is truncated: it ends within its header")
    _, version, length = HEADER.unpack_from(start)
    json_length, kind = CHUNK_HEADER.unpack_from(start, HEADER.size)
    if version != 2 or kind != JSON_CHUNK:
        raise FormatError(f"{path} is not a binary glTF file of version 2")
    if length > size or len(start) + json_length > length:
        raise FormatError(f"{path} has {size} bytes where its header asks for {length}; it is truncated")
    text = handle.read(json_length)
    after = handle.read(CHUNK_HEADER.size)
    if len(after) < CHUNK_HEADER.size:
        return text, None
    binary_length, kind = CHUNK_HEADER.unpack(after)
    if kind != BINARY_CHUNK or handle.tell() + binary_length > size:
        raise FormatError(f"{path} is truncated in its binary chunk")
    return text, Buffer(binary_length, path=path, start=handle.tell())


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    if sum(text.count(mark) for mark in (b"[", b"{", b",", b":")) > MAX_MARKS:
        raise FormatError(f"{path} has more than {MAX_MARKS} entries in its JSON")
    try:
        root = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} has JSON that cannot be read: {shown(error)}") from None
    if not isinstance(root, dict):
        raise FormatError(f"{path} has JSON that is not an object")
    return root
