"""A multi-view video from a folder with a dataset, frames or videos, calibrated or not."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from sfumato.capture.multiview import MultiViewVideo, load_multiview
from sfumato.capture.multiview.find_calibration import holds_calibration
from sfumato.capture.multiview.frame_folders import find_frames, first_frames
from sfumato.capture.multiview.panoptic import find_panoptic
from sfumato.capture.multiview.rig_checks import monocular
from sfumato.checks import file_path
from sfumato.display import Display
from sfumato.footage.kinds import VIDEO_SUFFIXES
from sfumato.sequences.calibrate import calibrate
from sfumato.sequences.decode_videos import decode_videos, find_videos


def load_sequence(
    path: str | Path,
    *,
    work: str | Path | None = None,
    downscale: int = 1,
    test_cameras: Sequence[str] | int | None = None,
    fps: float | None = None,
    offsets: Mapping[str, float | str] | Literal["auto"] | None = None,
    seed: int = 0,
    display: Display | None = None,
) -> MultiViewVideo:
    """Read synchronised videos of static cameras.

    A folder of frames is read as by ``load_multiview``. Videos (``cam01.mp4``, ...), one for each
    camera, are decoded first. Cameras without a calibration are calibrated from their first frames by
    structure from motion.

    Args:
        path: folder with a dataset, frames or videos, and perhaps a calibration.
        work: folder in which decoded frames and an estimated calibration are kept for reuse; None: a
            temporary folder, removed when the process ends.
        downscale: pictures are reduced by this factor, to floor(size / downscale).
        test_cameras: held out, as in ``load_multiview``.
        fps: frames per second, instead of the value of the videos or the dataset.
        offsets: of the cameras' clocks, as in ``load_multiview``.
        seed: of random points and of structure from motion.
        display: where progress is shown.

    Returns:
        The video.

    Raises:
        CaptureError: a file is missing, broken or contradicts another; there are fewer than two cameras; a
            camera moves; cameras cannot be calibrated.
        ConfigError: an option is out of range.
    """
    path, display = file_path("path", path), display or Display()
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        raise monocular(path)
    folder = None if work is None else file_path("work", work)
    frames = find_frames(path) if path.is_dir() and not find_panoptic(path) else None
    videos = find_videos(path) if frames is None and not find_panoptic(path) else {}
    if len(videos) == 1:
        raise monocular(next(iter(videos.values())))
    if videos:
        folder = folder or _temporary()
        frames = folder / "frames"
        decode_videos(videos, frames, display)
    calibration = None
    if frames is not None and not holds_calibration(path):
        folder = folder or _temporary()
        calibration = calibrate(first_frames(frames), folder, seed, display)
    return load_multiview(
        path,
        downscale=downscale,
        test_cameras=test_cameras,
        fps=fps,
        offsets=offsets,
        frames=frames if videos else None,
        calibration=calibration,
        seed=seed,
    )


def _temporary() -> Path:
    """A folder that is removed when the process ends, as views are decoded from it until then."""
    folder = Path(tempfile.mkdtemp(prefix="sfumato-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
