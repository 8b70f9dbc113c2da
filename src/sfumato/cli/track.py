"""`sfumato track`: reconstruct a dynamic scene from a multi-view video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from sfumato.cli.arguments import parse, resume_command
from sfumato.cli.help import Help
from sfumato.runs.track_options import SequenceOptions, TrackOptions
from sfumato.tracking.track_config import TrackConfig

if TYPE_CHECKING:
    import numpy as np

    from sfumato.display import Display
    from sfumato.runs.track_folder import TrackFolder
    from sfumato.runs.track_run import TrackResult
    from sfumato.scene.dynamic import DynamicScene
    from sfumato.scene.scene import Scene
    from sfumato.tracking.held_out_cameras import HeldOutCameras

# Steps on the contact sheet, and the height of each camera's picture there.
_SHEET_STEPS, _SHEET_HEIGHT_PX = 4, 180

_HELP = Help(
    examples=(
        "sfumato track demo/moving_room -o out/room",
        "sfumato track videos/ -o out/mine --test-cameras cam03 --minutes 20",
    )
)


@dataclass(frozen=True)
class TrackCommand:
    """Track 3D Gaussians through the synchronised videos of several static cameras.

    DATA is a folder in the layout of PanopticSports or Neural 3D Video, with a transforms.json whose frames
    have times, or with a folder of frames or a video for each camera and a calibration. Ctrl-C stops between
    two time steps; the same command resumes, also after a power cut. Exit codes: 0 done, 2 bad input, 130
    Ctrl-C, 143 SIGTERM, 1 anything else.

    Attributes:
        data: folder of the multi-view video.
        out: run folder to create: scene.ply, tracks.npz, scene.html, metrics.json, renders.
        resume: resume the run in the folder; the same command without this option does so too.
        view: watch the run in the browser, at an address that only this machine can open.
        sequence, config: groups of options.
    """

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    out: Annotated[Path, arg(aliases=["-o"])]
    resume: FlagCreatePairsOff[bool] = False
    view: FlagCreatePairsOff[bool] = False
    sequence: Annotated[SequenceOptions, arg(name="")] = field(default_factory=SequenceOptions)
    config: Annotated[TrackConfig, arg(name="")] = field(default_factory=TrackConfig)


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and track; the exit code."""
    given = parse(TrackCommand, "track", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato.cli.pages import TrackingViewer
    from sfumato.display import Display
    from sfumato.errors import ConfigError
    from sfumato.runs.track_folder import TrackFolder
    from sfumato.runs.track_run import run_tracking

    folder = TrackFolder(given.out)
    if given.resume and not folder.config.exists():
        raise ConfigError(f"{given.out} holds no tracked run to resume; leave --resume out to begin one")
    options = TrackOptions(given.data, given.sequence, given.config)
    display = Display(Console())
    with TrackingViewer(folder, display, wanted=given.view) as watching:
        result = run_tracking(given.out, options, display=display, watch=watching.whole)
        watching.end(result)
        if not result.stopped_by:
            _write_results(folder, result, display)
            watching.offer(folder.page)
    if result.stopped_by:
        display.say(f"to resume: {resume_command('track', arguments)}")
        return 128 + result.stopped_by
    display.say(f"the tracks are {folder.tracks}")
    return 0


def _write_results(folder: TrackFolder, result: TrackResult, display: Display) -> None:
    """Write the held-out videos and the page of a tracked run."""
    from sfumato.cli.pages import write_tracked_page

    if result.scene and result.held_out and result.held_out.cameras:
        _write_pictures(folder, result.held_out, result.scene, display)
    write_tracked_page(folder, result, display)


def _write_pictures(
    folder: TrackFolder, held_out: HeldOutCameras, scene: DynamicScene, display: Display
) -> None:
    """Write the held-out videos beside the renders as an mp4, and some of its frames as a contact sheet."""
    from sfumato.evaluation.sheet import progress_strip
    from sfumato.paths.video_writer import even, write_video

    times, last = scene.times.tolist(), scene.num_steps - 1
    folder.video.parent.mkdir(parents=True, exist_ok=True)
    sizes = [camera.camera.size_px for camera in held_out.cameras]
    size_px = even((2 * max(width for width, _ in sizes), sum(height for _, height in sizes)))
    chosen = {round(i * last / (_SHEET_STEPS - 1)) for i in range(_SHEET_STEPS)}
    shown: list[tuple[str, np.ndarray]] = []

    def frames() -> Iterator[np.ndarray]:
        for step, time in enumerate(times):
            report(step, len(times))
            page = _page(held_out, scene.at(time), step, size_px)
            if step in chosen:
                shown.append((f"{time:.2f} s: video, render", page))
            yield page

    with display.counting("rendering", "steps") as report:
        write_video(folder.video, frames(), last / (times[-1] - times[0]) if last else 1.0)
    progress_strip(shown, folder.sheet, height=_SHEET_HEIGHT_PX * len(sizes))
    display.say(f"held-out videos and renders, side by side: {folder.video}")


def _page(held_out: HeldOutCameras, scene: Scene, step: int, size_px: tuple[int, int]) -> np.ndarray:
    """A row for each held-out camera: its photograph and the render, or black; uint8 [h, w, 3]."""
    import numpy as np

    from sfumato.render.png import to_uint8

    page, top = np.zeros((size_px[1], size_px[0], 3), np.uint8), 0
    for camera, pictures in zip(held_out.cameras, held_out.pictures(scene, step), strict=True):
        if pictures is not None:
            both = np.concatenate([to_uint8(picture) for picture in pictures], axis=1)
            page[top : top + both.shape[0], : both.shape[1]] = both
        top += camera.camera.height
    return page
