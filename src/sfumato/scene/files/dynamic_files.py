"""Files of dynamic scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sfumato.checks import check_type, file_path
from sfumato.errors import FormatError
from sfumato.outputs import replacing
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import (
    HEAD_BYTES,
    four_dgs,
    gltf,
    gltf_motion,
    load,
    ply_sequence,
    save,
    usd,
    usd_motion,
    usd_stage,
)
from sfumato.scene.files.tracks import read_tracks, write_tracks

# Names in the folder of a tracked run.
SCENE_NAME, TRACKS_NAME = "scene.ply", "tracks.npz"
Save = Callable[[DynamicScene, Path], "str | None"]


def holds_motion(path: Path) -> bool:
    """Whether a path is a folder with tracks or a ``.4dgs`` file."""
    if path.is_dir():
        return (path / TRACKS_NAME).is_file()
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        return four_dgs.recognises(handle.read(HEAD_BYTES), path)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files from which a dynamic scene is read."""
    return (path / SCENE_NAME, path / TRACKS_NAME) if path.is_dir() else (path,)


def load_dynamic(path: str | Path) -> DynamicScene:
    """Read a dynamic scene.

    Args:
        path: a ``.4dgs`` file, or a folder with ``scene.ply`` and ``tracks.npz``, as of a tracked run.

    Raises:
        FormatError: there is no dynamic scene, or it is damaged.
    """
    path = file_path("path", path)
    if path.is_dir():
        return read_tracks(path / TRACKS_NAME, load(path / SCENE_NAME))
    if not path.exists():
        raise FormatError(f"{path} is missing; give the folder of a tracked run or a .4dgs file")
    if not holds_motion(path):
        raise FormatError(f"{path} is not a dynamic scene; give the folder of a tracked run or a .4dgs file")
    return four_dgs.load(path)


def save_dynamic(scene: DynamicScene, path: str | Path) -> str | None:
    """Write a dynamic scene, in the format given by the name: see ``WRITERS``.

    Args:
        scene: any device or float type, in axes right, down, front.
        path: the file or folder to write.

    Returns:
        A remark on the accuracy of the format for this scene, or None.

    Raises:
        FormatError: no format with motion has this name, or the scene holds what the format cannot.
        ConfigError: an argument is not a scene or a path.
        SfumatoError: the file cannot be written.
    """
    check_type("scene", scene, DynamicScene)
    path = file_path("path", path)
    return writer_of_name(path).save(scene, path)


@dataclass(frozen=True)
class Writer:
    """A format with motion.

    Attributes:
        name: used in messages, such as its suffix.
        fits: whether a file name is of this format.
        save: write a dynamic scene; returns a remark or None.
    """

    name: str
    fits: Callable[[Path], bool]
    save: Save


def writer_of_name(path: Path) -> Writer:
    """The format of a file name.

    Raises:
        FormatError: no format with motion has this name.
        ConfigError: a package that it needs is not installed.
    """
    found = next((writer for writer in WRITERS if writer.fits(path)), None)
    if found is None:
        names = ", ".join(writer.name for writer in WRITERS)
        raise FormatError(
            f"{path}: {path.suffix} files hold no motion; those that do: {names}; sfumato convert --at "
            "SECONDS saves one moment"
        )
    if path.suffix.lower() in usd.CODEC.suffixes:
        usd_stage.package(path)
    return found


def save_folder(scene: DynamicScene, folder: Path) -> None:
    """Write ``scene.ply`` and ``tracks.npz`` into a folder, without rounding.

    Raises:
        FormatError: the scene holds NaN or infinity.
        SfumatoError: they cannot be written.
    """
    save(scene.gaussians, folder / SCENE_NAME)
    write_tracks(scene, folder / TRACKS_NAME)


def _whole(save: Save) -> Save:
    """A writer that writes all of a file or nothing."""

    def written(scene: DynamicScene, path: Path) -> str | None:
        with replacing(path) as temporary:
            return save(scene, temporary)

    return written


def _has_suffix(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in suffixes


def files_there(path: Path) -> list[Path]:
    """The existing files among those that saving a dynamic scene under this name would write."""
    if ply_sequence.fits(path):
        return ply_sequence.frames_there(path)
    return [path] if path.exists() else []


WRITERS: tuple[Writer, ...] = (
    Writer(four_dgs.SUFFIX, _has_suffix(four_dgs.SUFFIX), _whole(four_dgs.save)),
    Writer("%04d.ply for a sequence", ply_sequence.fits, ply_sequence.save),
    Writer("USD (.usda, .usdc, .usdz)", _has_suffix(*usd.CODEC.suffixes), _whole(usd_motion.save)),
    Writer("glTF (.glb, .gltf)", _has_suffix(*gltf.CODEC.suffixes), _whole(gltf_motion.save)),
    Writer("a folder (a name without suffix)", lambda path: not path.suffix, save_folder),
)
