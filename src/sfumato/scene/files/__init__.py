"""Scene files: read by what they contain, written by what they are called."""

from __future__ import annotations

from pathlib import Path

from sfumato.errors import FormatError
from sfumato.outputs import replacing
from sfumato.scene.files import ply
from sfumato.scene.files.codec import Codec
from sfumato.scene.gaussians import Gaussians

CODECS: tuple[Codec, ...] = (ply.CODEC,)
HEAD_BYTES = 64


def load(path: str | Path) -> Gaussians:
    """Read a scene file; its format is told from its content.

    Args:
        path: a file of one of ``CODECS``.

    Returns:
        The scene in the file's frame, float32 on the CPU; quaternions as stored.

    Raises:
        FormatError: the file is missing, of no known format, truncated, inconsistent, or holds
            NaN, infinity or other values that no scene can have.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise FormatError(f"{path} is {'not a regular file' if path.exists() else 'missing'}")
        with path.open("rb") as handle:
            head = handle.read(HEAD_BYTES)
        for codec in CODECS:
            if codec.recognises(head):
                return codec.load(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}") from error
    raise FormatError(f"{path} is not a scene file; known formats: {_known()}")


def save(gaussians: Gaussians, path: str | Path) -> None:
    """Write a scene file in the format of its suffix, complete or not at all.

    Args:
        gaussians: the scene, in the frame the file shall have.
        path: where to; the suffix names the format.

    Raises:
        FormatError: the suffix is unknown or the scene holds NaN or infinity.
        SfumatoError: the file cannot be written.
    """
    path = Path(path)
    for codec in CODECS:
        if path.name.lower().endswith(codec.suffixes):
            with replacing(path) as temporary:
                codec.save(gaussians, temporary)
            return
    raise FormatError(f"cannot save {path}: unknown suffix {path.suffix!r}; known formats: {_known()}")


def _known() -> str:
    return ", ".join(suffix for codec in CODECS for suffix in codec.suffixes)
