"""LZF, the compression of binary ``.pcd`` files: literal runs and back-references."""

from __future__ import annotations


def decompressed(data: bytes, size: int) -> bytearray | None:
    """Decompress LZF data.

    Args:
        data: compressed bytes.
        size: uncompressed size, bounded by the caller.

    Returns:
        Exactly ``size`` bytes; None if the data are damaged.
    """
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < 32:
                # A literal run.
                stop = at + control + 1
                if stop > end:
                    return None
                out += data[at:stop]
                at = stop
            else:
                length = control >> 5
                if length == 7:
                    length += data[at]
                    at += 1
                start = len(out) - ((control & 31) << 8) - data[at] - 1
                at += 1
                length += 2
                if start < 0:
                    return None
                _copy(out, start, length)
            if len(out) > size:
                return None
    except IndexError:
        return None
    return out if len(out) == size else None


def _copy(out: bytearray, start: int, length: int) -> None:
    """Append ``length`` bytes copied from ``start``; a copy that extends beyond the end repeats."""
    period = len(out) - start
    if period >= length:
        out += out[start : start + length]
    else:
        piece = bytes(out[start:])
        out += (piece * (length // period + 1))[:length]
