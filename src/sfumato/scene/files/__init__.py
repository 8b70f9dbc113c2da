"""Scene files: the format is detected from the content, and written by the suffix."""

from __future__ import annotations

import logging
from pathlib import Path

from sfumato.checks import check_type, file_path
from sfumato.errors import ConfigError, FormatError
from sfumato.outputs import replacing
from sfumato.scene.files import (
    compressed_ply,
    four_dgs,
    gltf,
    ksplat,
    ply,
    sog,
    sog_levels,
    splat,
    spz,
    usd,
    values,
)
from sfumato.scene.files.codec import Codec
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, identities_of, metadata_of

# The first codec that recognises a file reads it, and the first with its suffix writes it: formats with a
# signature come first, and longer suffixes before shorter ones.
CODECS: tuple[Codec, ...] = (
    compressed_ply.CODEC,
    ply.CODEC,
    spz.CODEC,
    sog.CODEC,
    gltf.CODEC,
    usd.CODEC,
    ksplat.CODEC,
    splat.CODEC,
)
HEAD_BYTES = 64 * 1024
# Descriptions of folders with levels of detail, which are made from a scene by ``sfumato.levels``.
TILESET = "tileset.json"
NAMES_OF_LEVELS = (sog_levels.INDEX, TILESET)

_log = logging.getLogger(__name__)


def load(path: str | Path, *, repair: bool = False) -> Scene:
    """Read a scene file; its format is detected from its content.

    Args:
        path: a file of one of ``CODECS``.
        repair: drop Gaussians with invalid values, and count them in a warning.

    Returns:
        The scene in the file's frame, float32 on the CPU, quaternions as stored; with the file's
        ``metadata``.

    Raises:
        FormatError: the file is missing, of no known format, truncated, inconsistent, or holds
            NaN, infinity or other invalid values.
        ConfigError: ``path`` is not a path.
    """
    return load_with_format(path, repair=repair)[0]


def load_with_format(path: str | Path, *, repair: bool = False) -> tuple[Scene, str]:
    """As ``load``, and the name of the file's format."""
    path = file_path("path", path)
    try:
        codec = recognised(path)
        return values.checked(codec.load(path), path, repair=repair), codec.name
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}") from error


def recognised(path: Path) -> Codec:
    """The codec of a file, by its content.

    Raises:
        FormatError: the file is missing or of no known format.
        OSError: it cannot be read.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file" if path.exists() else "missing"
        raise FormatError(f"{path} is {what}; give a scene file")
    with path.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
    if four_dgs.recognises(head, path):
        raise FormatError(
            f"{path} is dynamic: sfumato.load_tracked reads it; sfumato convert --at SECONDS saves one moment"
        )
    for codec in CODECS:
        if codec.recognises(head, path):
            return codec
    known = ", ".join([*(suffix for codec in CODECS for suffix in codec.suffixes), sog_levels.INDEX])
    raise FormatError(f"{path} is not a scene file; known formats: {known}")


def save(gaussians: Gaussians, path: str | Path, **options: object) -> None:
    """Write a scene file in the format of its suffix, complete or not at all.

    Args:
        gaussians: the scene, in the frame of the file. Metadata of a ``Scene`` are written if the format can
            hold them; warnings name what it cannot.
        path: the file to write; the suffix names the format.
        options: of that format, such as ``version`` for ``.spz``; see the ``save`` of its module.

    Raises:
        FormatError: the suffix is unknown or of a format that is only read, or the scene holds NaN,
            infinity, or what the format cannot hold.
        ConfigError: the format has no such option or value, or an argument is not a scene or a path.
        SfumatoError: the file cannot be written.
    """
    check_type("gaussians", gaussians, Gaussians)
    path = file_path("path", path)
    codec = codec_of_name(path)
    unknown = sorted(set(options) - set(codec.options))
    if unknown:
        known = ", ".join(codec.options) or "none"
        raise ConfigError(f"{codec.name} files have no option {', '.join(unknown)}; there are: {known}")
    if codec is not ply.CODEC:
        _warn_of_motion(gaussians, codec.name)
    assert codec.save is not None
    with replacing(path) as temporary:
        codec.save(gaussians, temporary, **options)


def _warn_of_motion(gaussians: Gaussians, format_name: str) -> None:
    if identities_of(gaussians) is not None:
        _log.warning("%s files cannot store the identities of this scene's Gaussians", format_name)
    if metadata_of(gaussians).time is not None and format_name != compressed_ply.CODEC.name:
        _log.warning("%s files cannot store the time of a scene", format_name)


def codec_of_name(path: Path) -> Codec:
    """The codec that writes files with this suffix.

    Raises:
        FormatError: the suffix is unknown, or the format is only read.
        ConfigError: a package that it needs is not installed.
    """
    if path.name in NAMES_OF_LEVELS:
        raise FormatError(f"cannot save {path}: it has levels of detail; sfumato.save_levels writes them")
    codec = next((c for c in CODECS if path.name.lower().endswith(c.suffixes)), None)
    if codec is not None and codec.save is not None:
        if codec.check:
            codec.check(path)
        return codec
    known = ", ".join(suffix for c in CODECS for suffix in c.suffixes if c.save is not None)
    known += f"; with levels of detail: {', '.join(NAMES_OF_LEVELS)}"
    if path.is_dir():
        what = "it is a folder"
    elif codec is not None:
        what = f"{codec.name} files are only read"
    else:
        what = f"unknown suffix {path.suffix!r}" if path.suffix else "the name has no suffix"
    raise FormatError(f"cannot save {path}: {what}; known formats: {known}")
