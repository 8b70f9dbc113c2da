"""Scenes as Niantic's `.spz`: quantised attributes, compressed.

Versions 1 to 3 are one gzip stream: a header of 16 bytes, the attributes one after another, and optional
extensions. Version 4 has a header of 32 bytes, extensions, a table of sizes, and one Zstandard stream per
attribute. The attributes are described in ``spz_fields``.

Source: the format's description in nianticlabs/spz.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sfumato.errors import ConfigError, FormatError
from sfumato.scene.files import spz_fields as fields
from sfumato.scene.files import values
from sfumato.scene.files.codec import Codec
from sfumato.scene.files.rounding import (
    moved,
    moved_closer,
    typical_log_size,
    warn_of_moved,
    warn_of_moved_closer,
)
from sfumato.scene.files.spz_container import (
    ANTIALIASED,
    MAGIC,
    SpzHeader,
    axes_code,
    open_4,
    open_stream,
    write_4,
    write_stream,
)
from sfumato.scene.files.spz_packing import GZIP_MAGIC, Gzip, Plain, gzip_head
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, Scene, metadata_of

OPTIONS = ("version", "antialiased", "sh1_bits", "sh_rest_bits")
_VERSION, _SH_BITS = 3, 5

_log = logging.getLogger(__name__)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file that begins with ``head`` is an `.spz` file."""
    return MAGIC in (head[:4], gzip_head(head, 4) if head[:2] == GZIP_MAGIC else b"")


def load(path: Path) -> Scene:
    """Read Gaussians from an `.spz` file of version 1 to 4.

    Args:
        path: the file.

    Returns:
        float32 on the CPU, in the file's order, in the axes of the field's `.ply` files: right, down,
        front. SH of degree 4, and extensions other than that of the axes, are dropped with a warning.

    Raises:
        FormatError: it is not an `.spz` file, is of an unknown version, truncated, larger than it declares,
            or compressed more than a scene can be.
        ConfigError: it needs a package that is not installed.
    """
    with path.open("rb") as handle:
        start = handle.read(8)
        handle.seek(0)
        if start[:4] == MAGIC and int.from_bytes(start[4:], "little") > 3:
            header, blocks, extensions = open_4(path, handle)
        else:
            header, blocks, extensions = open_stream(path, Gzip if start[:2] == GZIP_MAGIC else Plain, handle)
        arrays = _empty(header)
        for name, part, packed in blocks:
            _unpack(header, name, packed, {key: array[part] for key, array in arrays.items()})
        fields.turn_axes(arrays, axes_code(path, extensions()))
    if header.degree > values.MAX_SH_DEGREE:
        _log.warning("%s has %s", path, values.degrees_dropped(header.degree))
    return values.scene_of(arrays, Metadata(antialiased=bool(header.flags & ANTIALIASED)))


def save(
    gaussians: Gaussians,
    path: Path,
    *,
    version: int = _VERSION,
    antialiased: bool | None = None,
    sh1_bits: int = _SH_BITS,
    sh_rest_bits: int = _SH_BITS,
) -> None:
    """Write Gaussians as an `.spz` file.

    Positions get as many fractional bits as their extent allows, up to what the Gaussians' sizes need;
    distant outliers that would cost all others these bits are moved closer and scaled down in proportion.
    Scales outside exp(-10) to exp(5.9), coefficients outside -1 to 1 and base colours outside -0.44 to 1.44
    are clamped. Warnings count the Gaussians that are moved closer, that are larger or smaller than the
    format holds, and that quantisation moves by more than half their size.

    Args:
        gaussians: the scene, any device or float type, in axes right, down, front.
        path: the file to write.
        version: 2 (coarser rotations), 3, or 4 (Zstandard; few viewers read it).
        antialiased: mark the scene for anti-aliased rendering; None: by its metadata.
        sh1_bits: number of the 8 bits kept for SH of degree 1.
        sh_rest_bits: the same for degree 2 and 3; with 4, the value of other writers, files are a tenth
            smaller and renders differ by about 1/100 instead of 1/200.

    Raises:
        FormatError: a field holds NaN or infinity, or a position that 24 bits cannot hold.
        ConfigError: an option is out of range, or needs a package that is not installed.
    """
    if version not in (2, 3, 4):
        raise ConfigError(f"spz files are written as version 2, 3 or 4, not {version}")
    if not (1 <= sh1_bits <= 8 and 1 <= sh_rest_bits <= 8):
        raise ConfigError(f"sh1_bits {sh1_bits} and sh_rest_bits {sh_rest_bits} must be 1 to 8")
    arrays = values.checked_arrays(gaussians)
    bits = fields.fractional_bits(arrays["means"], arrays["log_scales"])
    if bits is None:
        far = float(np.abs(arrays["means"]).max())
        raise FormatError(f"the scene cannot be saved: a position is {far:g}; .spz reaches to {2**23 - 2}")
    arrays, nearer = moved_closer(arrays, fields.reach(bits))
    warn_of_moved_closer(nearer, len(gaussians), fields.reach(bits), ".spz")
    known = metadata_of(gaussians)
    known = known if antialiased is None else replace(known, antialiased=antialiased)
    _write(path, arrays, bits, known, version, (sh1_bits, sh_rest_bits))


CODEC = Codec(".spz", (".spz",), recognises, load, save, OPTIONS)


def save_if_enough(gaussians: Gaussians, path: Path) -> bool:
    """Write Gaussians as ``save`` does by default, if the format holds them accurately.

    Returns:
        Whether they are written: no Gaussian is too far away, too large or too small.
    """
    arrays = values.checked_arrays(gaussians)
    bits = fields.fractional_bits(arrays["means"], arrays["log_scales"])
    if bits is None or not _is_enough(arrays, bits):
        return False
    _write(path, arrays, bits, metadata_of(gaussians), _VERSION, (_SH_BITS, _SH_BITS))
    return True


def _write(
    path: Path,
    arrays: dict[str, np.ndarray],
    bits: int,
    known: Metadata,
    version: int,
    sh_bits: tuple[int, int],
) -> None:
    """Write checked arrays within reach of ``bits``, with warnings of losses."""
    _warn_of_losses(arrays, bits)
    values.warn_of_lost_metadata(replace(known, antialiased=False), ".spz")
    degree = math.isqrt(arrays["sh"].shape[1]) - 1
    header = SpzHeader(version, len(arrays["means"]), degree, bits, ANTIALIASED * known.antialiased)
    (write_stream if version < 4 else write_4)(path, header, _packer(header, arrays, sh_bits))


def _is_enough(arrays: dict[str, np.ndarray], bits: int) -> bool:
    """Whether positions with this many fractional bits, and the range of scales, hold a scene accurately."""
    if (np.abs(arrays["means"]) > fields.reach(bits)).any():
        return False
    largest = arrays["log_scales"].max(axis=1)
    steps_per_size = np.exp2(bits) * np.exp(typical_log_size(arrays["log_scales"]))
    return (
        steps_per_size >= fields.LEAST_STEPS_PER_SIZE
        and not (_too_large(largest) | _too_small(largest)).any()
    )


def _warn_of_losses(arrays: dict[str, np.ndarray], bits: int) -> None:
    """Warn of Gaussians that the format cannot hold."""
    if not len(arrays["means"]):
        return
    largest = arrays["log_scales"].max(axis=1)
    for cut, word, limit in (
        (_too_large(largest), "larger", fields.MAX_LOG_SCALE),
        (_too_small(largest), "smaller", fields.MIN_LOG_SCALE),
    ):
        if cut.any():
            _log.warning(
                "%d Gaussians are %s than %.3g, which is what .spz holds, and become so; keep a .ply, or "
                "scale the scene with sfumato edit",
                *(int(np.count_nonzero(cut)), word, np.exp(limit)),
            )
    stored = np.rint(arrays["means"] * np.exp2(bits)) / np.exp2(bits)
    log_scales = np.maximum(arrays["log_scales"], fields.MIN_LOG_SCALE)
    warn_of_moved(moved(arrays["means"], stored, log_scales), len(largest), ".spz")


def _too_large(largest: np.ndarray) -> np.ndarray:
    """[n] whether largest log scales [n] are above the range of the format."""
    return largest > fields.MAX_LOG_SCALE + 1 / 32


def _too_small(largest: np.ndarray) -> np.ndarray:
    """[n] whether largest log scales [n] are below the range of the format."""
    return largest < fields.MIN_LOG_SCALE - 1 / 32


def _empty(header: SpzHeader) -> dict[str, np.ndarray]:
    num_coefficients = (min(header.degree, values.MAX_SH_DEGREE) + 1) ** 2
    return {
        "means": np.empty((header.count, 3), np.float32),
        "log_scales": np.empty((header.count, 3), np.float32),
        "quats": np.empty((header.count, 4), np.float32),
        "logit_opacities": np.empty(header.count, np.float32),
        "sh": np.empty((header.count, num_coefficients, 3), np.float32),
    }


def _unpack(header: SpzHeader, name: str, data: bytes, into: dict[str, np.ndarray]) -> None:
    """Unpack one block of an attribute into views of the fields."""
    packed = np.frombuffer(data, np.uint8).reshape(-1, header.widths[name])
    if name == "positions":
        into["means"][:] = fields.unpack_positions(packed, header.fractional_bits)
    elif name == "alphas":
        into["logit_opacities"][:] = fields.unpack_alphas(packed)
    elif name == "colours":
        into["sh"][:, 0] = fields.unpack_colours(packed)
    elif name == "scales":
        into["log_scales"][:] = fields.unpack_scales(packed)
    elif name == "rotations":
        into["quats"][:] = fields.unpack_rotations(packed)
    else:
        into["sh"][:, 1:] = fields.unpack_sh(packed, into["sh"].shape[1] - 1)


def _packer(header: SpzHeader, arrays: dict[str, np.ndarray], sh_bits: tuple[int, int]) -> Callable:
    """A function from the name of an attribute and a range to a function that returns its bytes."""
    signs = fields.axis_signs(fields.AXES_RUB)
    signs_of_sh = fields.sh_signs(signs, header.degree)

    def packed(name: str, part: slice) -> bytes:
        if name == "positions":
            rows = fields.pack_positions(arrays["means"][part] * signs, header.fractional_bits)
        elif name == "alphas":
            rows = fields.pack_alphas(arrays["logit_opacities"][part])
        elif name == "colours":
            rows = fields.pack_colours(arrays["sh"][part, 0])
        elif name == "scales":
            rows = fields.pack_scales(arrays["log_scales"][part])
        elif name == "rotations":
            quats = arrays["quats"][part] * fields.quat_signs(signs)
            rows = fields.pack_rotations(quats, header.widths[name])
        else:
            rows = fields.pack_sh(arrays["sh"][part, 1:] * signs_of_sh, *sh_bits)
        return rows.tobytes()

    return lambda name, part: lambda: packed(name, part)
