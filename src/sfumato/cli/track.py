"""`sfumato track`: a multi-view video to a scene that moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import command_that_goes_on, parse
from sfumato.runs.track_options import FIRST_STEPS, TrackOptions
from sfumato.tracking.track_config import TrackConfig

if TYPE_CHECKING:
    import numpy as np

    from sfumato.display import Display
    from sfumato.runs.track_run import TrackResult

# Steps on the contact sheet, and the height of each camera's picture there.
_SHEET_STEPS, _SHEET_HEIGHT_PX = 4, 180


@dataclass(frozen=True)
class TrackCommand:
    """Track 3D Gaussians through the synchronised videos of several cameras that stand still.

    DATA is a folder in the layout of PanopticSports or Neural 3D Video, with a transforms.json whose frames
    have times, or with a folder of frames or a video for each camera and a calibration. Ctrl-C stops between
    two steps in time; the same command goes on, also after a power cut. Exit codes: 0 done, 2 bad input, 130
    Ctrl-C, 143 SIGTERM, 1 anything else.

    Attributes:
        data: folder of the multi-view video.
        out: run folder to make: scene.ply, tracks.npz, metrics.json, renders.
        resume: go on with the run in the folder; the same command without it does so too.
        downscale: factor by which pictures are reduced, by area average.
        test_cameras: names of the cameras to hold out, to measure quality; None: those the dataset names.
        steps: steps in time at most; None: all.
        steps_first: training steps of the first step in time.
        max_gaussians: cap on the number of Gaussians; None: chosen from memory and pixels.
        config: options of tracking.
    """

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    out: Annotated[Path, arg(aliases=["-o"])]
    resume: FlagCreatePairsOff[bool] = False
    downscale: int = 1
    test_cameras: tuple[str, ...] | None = None
    steps: int | None = None
    steps_first: int = FIRST_STEPS
    max_gaussians: int | None = None
    config: Annotated[TrackConfig, arg(name="")] = field(default_factory=TrackConfig)

    def options(self) -> TrackOptions:
        """What the run is made from."""
        return TrackOptions(
            self.data, self.downscale, self.test_cameras, self.steps, self.steps_first, self.max_gaussians,
            self.config,
        )  # fmt: skip


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and track; the exit code."""
    given = parse(TrackCommand, "track", arguments)
    from rich.console import Console

    from sfumato.display import Display
    from sfumato.errors import ConfigError
    from sfumato.runs.track_folder import TrackFolder
    from sfumato.runs.track_run import run_tracking

    folder = TrackFolder(given.out)
    if given.resume and not folder.config.exists():
        raise ConfigError(f"{given.out} holds no tracked run to go on with; leave --resume out to begin one")
    display = Display(Console())
    result = run_tracking(given.out, given.options(), display=display)
    if result.stopped_by:
        display.say(f"to go on: {command_that_goes_on('track', arguments)}")
        return 128 + result.stopped_by
    if result.held_out and result.held_out.names:
        _write_pictures(folder.video, folder.sheet, result, display)
    display.say(f"the tracks are {folder.tracks}")
    return 0


def _write_pictures(video: Path, sheet: Path, result: TrackResult, display: Display) -> None:
    """The held-out videos beside the renders, as an mp4, and some of their frames on a sheet."""
    from sfumato.evaluation.sheet import progress_strip
    from sfumato.paths.video_writer import write_video

    assert result.scene is not None
    times = result.scene.times.tolist()
    sheet.parent.mkdir(parents=True, exist_ok=True)
    frames = list(_frames(result, display))
    fps = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 1.0
    height, width = frames[0].shape[:2]
    write_video(video, frames, (width, height), fps)
    chosen = sorted({round(i * (len(frames) - 1) / (_SHEET_STEPS - 1)) for i in range(_SHEET_STEPS)})
    rows = len(result.video.test_cameras)
    shown = [(f"{times[i]:.2f} s: video, render", frames[i]) for i in chosen]
    progress_strip(shown, sheet, height=_SHEET_HEIGHT_PX * rows)
    display.say(f"held-out videos, and beside them the renders: {video}")


def _frames(result: TrackResult, display: Display) -> Iterator[np.ndarray]:
    """uint8 frames of even size: a row for each held-out camera, its photograph and the render."""
    import numpy as np

    from sfumato.render.png import to_uint8

    scene, held_out = result.scene, result.held_out
    assert scene is not None and held_out is not None
    cameras = result.video.test_cameras
    width = 2 * max(camera.camera.width for camera in cameras)
    height = sum(camera.camera.height for camera in cameras)
    with display.counting("rendering", "steps") as report:
        for step, time in enumerate(scene.times.tolist()):
            page = np.zeros((height + height % 2, width + width % 2, 3), np.uint8)
            top = 0
            for truth, image in held_out.pictures(scene.at(time), step):
                both = np.concatenate([to_uint8(truth), to_uint8(image)], axis=1)
                page[top : top + both.shape[0], : both.shape[1]] = both
                top += both.shape[0]
            report(step + 1, scene.num_steps)
            yield page
