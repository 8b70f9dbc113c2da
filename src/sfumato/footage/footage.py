"""Collection of videos and photographs of any kind in one folder of upright pictures."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sfumato.errors import CaptureError
from sfumato.footage.frame_options import FEWEST_PICTURES, FrameOptions
from sfumato.footage.frames_file import (
    FILE_NAME,
    IMAGES,
    Dropped,
    Footage,
    Picture,
    kinds_of,
    read_footage,
    write_footage,
)
from sfumato.footage.kinds import Kind, Progress, find_sources
from sfumato.footage.photo_selection import select_photos
from sfumato.footage.video_frames import select_frames
from sfumato.outputs import write_error, write_json

__all__ = ["Dropped", "Footage", "Picture", "gather", "read_footage"]

_UNFINISHED = ".images.part"


def _silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def gather(
    inputs: Sequence[Path],
    folder: Path,
    options: FrameOptions = FrameOptions(),  # noqa: B008
    *,
    report: Progress = _silent,
) -> Footage:
    """Select pictures from videos, photographs and folders of them.

    From videos, sharp frames evenly spaced along the camera motion; from photographs, all but broken ones and
    duplicates. Pictures are written upright to ``folder/images``, and described in ``folder/frames.json``,
    which appears last. The same input gives the same files.

    Args:
        inputs: files and folders, in any mix.
        folder: output folder; the result of an earlier call is replaced.
        options: number and size of the pictures.
        report: called often with the title of the step, the amount done, and the total (0: unknown).

    Raises:
        CaptureError: an input is missing, broken or of another kind, or fewer than three distinct pictures
            are found.
    """
    inputs, folder = [Path(given) for given in inputs], Path(folder)
    with warnings.catch_warnings():
        # Our own errors cover the relevant cases of Pillow's warnings.
        warnings.filterwarnings("ignore", module="PIL")
        pictures, dropped = _taken(inputs, folder, options, report)
    footage = Footage(
        folder / IMAGES,
        tuple(sorted(pictures, key=lambda picture: picture.name)),
        tuple(sorted(dropped, key=lambda one: (one.name, one.source))),
    )
    write_footage(footage, folder)
    return footage


def _taken(
    inputs: Sequence[Path], folder: Path, options: FrameOptions, report: Progress
) -> tuple[list[Picture], list[Dropped]]:
    sources, dropped = find_sources(inputs, report)
    # The output of an earlier call may lie in a folder of inputs.
    earlier = (folder / IMAGES).resolve()
    sources = [source for source in sources if not source.path.resolve().parent.is_relative_to(earlier)]
    photos = [source for source in sources if source.kind is not Kind.VIDEO]
    pictures: list[Picture] = []
    with _new_images(folder, inputs) as images:
        for source in sources:
            if source.kind is Kind.VIDEO:
                found, unusable = select_frames(source, images, options, report)
                pictures += found
                dropped += unusable
        if photos:
            found, unusable = select_photos(photos, images, options, report)
            pictures += found
            dropped += unusable
        if len(pictures) < FEWEST_PICTURES:
            raise CaptureError(_too_few(inputs, len(pictures), dropped))
        pictures, dropped = _without_lone_folder(images, pictures, dropped)
    return pictures, dropped


@contextmanager
def _new_images(folder: Path, inputs: Sequence[Path]) -> Iterator[Path]:
    """An empty folder that replaces ``folder/images`` when the block ends without an error."""
    final, unfinished = folder / IMAGES, folder / _UNFINISHED
    if any(given.resolve().is_relative_to(final.resolve()) for given in inputs):
        raise CaptureError(f"{final} is both input and output; give another output folder")
    is_own = (folder / FILE_NAME).is_file()
    if not is_own and final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise CaptureError(f"{final} holds files that did not come from here; give another output folder")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield unfinished
        # Marks the folder as ours, and as unreadable while it changes.
        write_json(folder / FILE_NAME, {"version": None})
        if final.exists():
            shutil.rmtree(final)
        os.replace(unfinished, final)
    except OSError as error:
        raise write_error(error.filename or final, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _without_lone_folder(
    images: Path, pictures: list[Picture], dropped: list[Dropped]
) -> tuple[list[Picture], list[Dropped]]:
    """If all pictures lie in one subfolder, move them up, so that they keep their file names."""
    folders = {name.rpartition("/")[0] for name in [*(p.name for p in pictures), *(d.name for d in dropped)]}
    (folder, *others) = folders
    if others or not folder:
        return pictures, dropped
    # Renamed first: a picture may have the folder's name.
    away = images.with_name(f"{images.name}.moved")
    os.replace(images / folder, away)
    shutil.rmtree(images)
    os.replace(away, images)
    start = f"{folder}/"
    return (
        [replace(one, name=one.name.removeprefix(start)) for one in pictures],
        [
            replace(one, name=one.name.removeprefix(start), reason=one.reason.replace(f" {start}", " "))
            for one in dropped
        ],
    )


def _too_few(inputs: Sequence[Path], count: int, dropped: Sequence[Dropped]) -> str:
    why = kinds_of(dropped)
    where = str(inputs[0]) if len(inputs) == 1 else f"the {len(inputs)} inputs together"
    return (
        f"{where}: only {count} distinct usable pictures{f' ({why} left out)' if why else ''}; at least "
        f"{FEWEST_PICTURES} are needed, and 20 or more from all around are better"
    )
