"""The PLY container: a text header naming elements and properties, then their rows.

Independent of Gaussians. Every size is checked against the file's length before memory is allocated for it.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError

HEADER_LIMIT_BYTES = 64 * 1024
# Enough rows to amortise Python's work, few enough to stay in the L2 cache while columns are picked.
BLOCK_BYTES = 512 * 1024
# Largest length of a number in a text file, with surrounding blanks.
_NUMBER_CHARACTERS = 64
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"}
TYPES |= {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
TYPES |= {"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"}
STRUCT_CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"}


@dataclass(frozen=True)
class Property:
    """A column: NumPy type code, and for a list the type code of its length."""

    name: str
    kind: str
    length_kind: str | None = None

    @property
    def item_bytes(self) -> int:
        return int(self.kind[1])


@dataclass(frozen=True)
class Element:
    """A table: ``count`` rows of ``properties``."""

    name: str
    count: int
    properties: tuple[Property, ...]

    @property
    def has_lists(self) -> bool:
        return any(column.length_kind for column in self.properties)

    @property
    def row_bytes(self) -> int:
        """Bytes of one binary row, not counting the items of lists."""
        return sum(int((column.length_kind or column.kind)[1]) for column in self.properties)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.properties]


@dataclass(frozen=True)
class PlyHeader:
    """The header of a PLY file; ``order`` is "<", ">" or "" for text, ``comments`` without the keyword."""

    path: Path
    order: str
    elements: tuple[Element, ...]
    body_start_bytes: int
    file_bytes: int
    comments: tuple[str, ...] = ()

    def sole(self, name: str) -> Element:
        """The element called ``name``, which must exist."""
        return next(element for element in self.elements if element.name == name)

    def element(self, name: str) -> Element | None:
        """The element called ``name``, if there is one."""
        return next((element for element in self.elements if element.name == name), None)


def shown(text: str) -> str:
    """A name from a file, quoted, on one line and of bounded length."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def read_header(path: Path) -> PlyHeader:
    """Parse the header of a PLY file.

    Args:
        path: the file.

    Returns:
        Its declared elements and where the rows begin.

    Raises:
        FormatError: it is not a PLY file, or its header is too long, malformed or ambiguous.
    """
    with path.open("rb") as handle:
        head = handle.read(HEADER_LIMIT_BYTES)
        file_bytes = os.fstat(handle.fileno()).st_size
    lines: list[str] = []
    offset = 0
    while not lines or lines[-1] != "end_header":
        end = head.find(b"\n", offset)
        if end < 0:
            limit = f"within {HEADER_LIMIT_BYTES} bytes" if file_bytes > len(head) else "before the file ends"
            raise FormatError(f"{path} has no end_header line {limit}")
        lines.append(head[offset:end].decode("utf-8", "replace").strip())
        offset = end + 1
        if lines[0] != "ply":
            raise FormatError(f"{path} is not a PLY file: its first line is not 'ply'")
    order, elements = _parse(path, lines[1:-1])
    comments = tuple(line.partition(" ")[2].strip() for line in lines if line.startswith("comment "))
    return PlyHeader(path, order, elements, offset, file_bytes, comments)


def _parse(path: Path, lines: Iterable[str]) -> tuple[str, tuple[Element, ...]]:
    order: str | None = None
    elements: list[Element] = []
    for line in lines:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3 and words[1] in ORDERS and order is None:
            order = ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3:
            elements.append(_parse_element(path, elements, words[1], words[2]))
        elif words[0] == "property" and elements:
            last = elements[-1]
            column = _parse_property(path, last, words, line)
            elements[-1] = Element(last.name, last.count, (*last.properties, column))
        else:
            raise FormatError(f"{path} has a header line that cannot be understood: {shown(line)}")
    if order is None:
        raise FormatError(f"{path} has no format line in its header")
    return order, tuple(elements)


def _parse_element(path: Path, known: list[Element], name: str, count: str) -> Element:
    if not (count.isascii() and count.isdigit() and len(count) <= 15):
        raise FormatError(f"{path} declares {shown(count)} rows of element {shown(name)}")
    if any(element.name == name for element in known):
        raise FormatError(f"{path} declares element {shown(name)} twice")
    return Element(name, int(count), ())


def _parse_property(path: Path, element: Element, words: list[str], line: str) -> Property:
    is_list = len(words) == 5 and words[1] == "list" and TYPES.get(words[2], "f")[0] != "f"
    if not (is_list or len(words) == 3) or words[-2] not in TYPES:
        raise FormatError(f"{path} has a property line that cannot be understood: {shown(line)}")
    if words[-1] in element.names:
        raise FormatError(f"{path} declares property {shown(words[-1])} twice")
    return Property(words[-1], TYPES[words[-2]], TYPES[words[2]] if is_list else None)


def read_columns(header: PlyHeader, element: Element, targets: Mapping[str, np.ndarray]) -> None:
    """Fill arrays with columns of one element that ``check_length`` has passed, block by block.

    Args:
        header: of the file.
        element: one of the header's, without list properties among or between the columns.
        targets: property name -> [count] array or strided view, written with conversion to its dtype.

    Raises:
        FormatError: the file is shorter or longer than it declares, or contains text that is not a number.
    """
    start = 0
    for block in column_blocks(header, element, list(targets)):
        stop = start + len(next(iter(block.values())))
        with np.errstate(over="ignore", invalid="ignore"):
            for name, target in targets.items():
                target[start:stop] = block[name]
        start = stop


def column_blocks(
    header: PlyHeader, element: Element, names: Sequence[str]
) -> Iterator[Mapping[str, np.ndarray]]:
    """Columns of one element that ``check_length`` has passed, some rows at a time.

    Args:
        header: of the file.
        element: one of the header's, without list properties among or between the columns.
        names: of the columns, at least one.

    Yields:
        Property name -> [m] array, valid until the next block.

    Raises:
        FormatError: see ``read_columns``.
    """
    with header.path.open("rb") as handle:
        handle.seek(header.body_start_bytes)
        before = header.elements[: header.elements.index(element)]
        if header.order:
            for skipped in before:
                _skip_rows(handle, header, skipped)
            _check_end(handle.tell(), header, element)
            yield from _read_binary(handle, header, element, names)
        else:
            yield from _read_text(
                handle, header, element, sum(e.count for e in before if e.properties), names
            )


def check_length(header: PlyHeader, element: Element) -> None:
    """Refuse a file too short for the rows of ``element``; to be called before allocating memory for them."""
    if element.has_lists:
        raise FormatError(f"{header.path} has list properties in element {shown(element.name)}")
    row_bytes = element.row_bytes if header.order else 2 * len(element.properties)
    held = header.file_bytes - header.body_start_bytes
    # The last line of a text file may lack its newline.
    if element.count * row_bytes > held + (not header.order):
        raise FormatError(
            f"{header.path} declares {element.count} rows of {shown(element.name)}, at least "
            f"{element.count * row_bytes} bytes, but holds {held}; it is truncated or its count is wrong"
        )


def _check_end(start_bytes: int, header: PlyHeader, element: Element) -> None:
    after = header.elements[header.elements.index(element) + 1 :]
    needed = start_bytes + sum(e.count * e.row_bytes for e in (element, *after))
    if needed > header.file_bytes:
        raise FormatError(
            f"{header.path} has {header.file_bytes} bytes where its header asks for at least {needed}; "
            "it is truncated or its counts are wrong"
        )
    rest = header.file_bytes - needed
    # Less than a row may be padding or a stray newline; more means that the count is wrong.
    if not any(e.has_lists for e in after) and element.row_bytes and rest >= element.row_bytes:
        raise FormatError(f"{header.path} holds {rest} bytes more than the rows its header declares")


def _skip_rows(handle: BufferedReader, header: PlyHeader, element: Element) -> None:
    if not element.has_lists:
        handle.seek(element.count * element.row_bytes, os.SEEK_CUR)
        return
    for _ in range(element.count):
        for column in element.properties:
            items = 1
            if column.length_kind:
                length = struct.Struct(header.order + STRUCT_CODES[column.length_kind])
                packed = handle.read(length.size)
                items = length.unpack(packed)[0] if len(packed) == length.size else -1
            end = handle.tell() + items * column.item_bytes
            if items < 0 or end > header.file_bytes:
                raise FormatError(f"{header.path} is truncated or broken in element {shown(element.name)}")
            handle.seek(end)


def _read_binary(
    handle: BufferedReader, header: PlyHeader, element: Element, names: Sequence[str]
) -> Iterator[Mapping[str, np.ndarray]]:
    # Fields are named by position: NumPy may not allow the names of the file.
    dtype = np.dtype([(f"c{i}", header.order + p.kind) for i, p in enumerate(element.properties)])
    fields = {name: f"c{element.names.index(name)}" for name in names}
    block = max(1, BLOCK_BYTES // max(1, dtype.itemsize))
    buffer = np.empty(min(block, element.count), dtype)
    for start in range(0, element.count, block):
        rows = buffer[: min(block, element.count - start)]
        if handle.readinto(rows.view(np.uint8).data) != rows.nbytes:
            raise FormatError(f"{header.path} ended while it was read")
        yield {name: rows[field] for name, field in fields.items()}


def _read_text(
    handle: BufferedReader, header: PlyHeader, element: Element, skip: int, names: Sequence[str]
) -> Iterator[Mapping[str, np.ndarray]]:
    lines = (line for line in handle if not line.isspace())
    next(itertools.islice(lines, skip, skip), None)
    block = max(1, BLOCK_BYTES // (8 * len(element.properties)))
    longest = _NUMBER_CHARACTERS * len(element.properties)
    for start in range(0, element.count, block):
        wanted = min(block, element.count - start)
        chunk = list(itertools.islice(lines, wanted))
        if max(map(len, chunk), default=0) > longest:
            raise FormatError(f"{header.path} has a row of more than {longest} characters")
        try:
            table = np.loadtxt(chunk, np.float64, comments=None, ndmin=2) if len(chunk) == wanted else None
        except ValueError as error:
            raise FormatError(f"{header.path} has a row of {shown(element.name)} with bad numbers") from error
        if table is None or table.shape != (wanted, len(element.properties)):
            raise FormatError(
                f"{header.path} does not hold {element.count} rows of {len(element.properties)} numbers"
            )
        yield {name: table[:, element.names.index(name)] for name in names}
    if header.elements[-1] is element and next(lines, None) is not None:
        raise FormatError(f"{header.path} holds more rows than the {element.count} its header declares")
