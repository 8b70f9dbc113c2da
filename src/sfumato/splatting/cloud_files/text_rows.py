"""Rows of numbers in text files, in blocks of bounded size."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.splatting.cloud_files.cloud_file import PIECE_POINTS

# Largest number of characters of a number with its separator, and of a line.
_NUMBER_CHARACTERS, LINE_CHARACTERS = 64, 4096
_SEPARATORS = bytes.maketrans(b",;\t", b"   ")


def number_rows(
    lines: Iterable[bytes], path: Path, *, columns: int, most: int | None = None
) -> Iterator[np.ndarray]:
    """Parse lines of numbers to tables.

    Args:
        lines: blank ones are skipped; numbers are separated by spaces, tabs, commas or semicolons.
        path: the file, for errors.
        columns: numbers in each line.
        most: largest number of lines to read; None: all.

    Yields:
        [m, columns] float64.

    Raises:
        FormatError: a line is too long or has another number of columns.
    """
    rows = itertools.islice((line.translate(_SEPARATORS) for line in lines if not line.isspace()), most)
    longest = max(LINE_CHARACTERS, _NUMBER_CHARACTERS * columns)
    done = 0
    while block := list(itertools.islice(rows, PIECE_POINTS)):
        if max(map(len, block)) > longest:
            raise FormatError(f"{path} has a line of more than {longest} characters")
        try:
            table = np.loadtxt(block, np.float64, comments=None, ndmin=2)
        except ValueError:
            table = np.empty((0, 0))
        if table.shape != (len(block), columns):
            # Python accepts some numbers that NumPy does not, such as 1_000.
            wrong = next((i for i, row in enumerate(block) if not is_numbers(row, columns)), None)
            where = f"a point from {done + 1} on" if wrong is None else f"point {done + wrong + 1}"
            raise FormatError(f"{path}: {where} is not {columns} numbers")
        done += len(block)
        yield table


def is_numbers(row: bytes, columns: int) -> bool:
    """Whether a line consists of exactly ``columns`` numbers."""
    words = row.translate(_SEPARATORS).split()
    try:
        return len([float(word) for word in words]) == columns
    except ValueError:
        return False
