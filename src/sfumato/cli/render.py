"""`sfumato render`: render a scene along a camera path, as a video or as frames."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from sfumato.cli.arguments import parse
from sfumato.cli.help import Help
from sfumato.errors import ConfigError

if TYPE_CHECKING:
    from sfumato.cli.render_plan import RenderPlan
    from sfumato.display import Display
    from sfumato.paths.frame_folder import FrameFolder

_MAX_FRAMES = 99_999
_MAX_SIDE_PX = 16_384
_MAX_FPS = 1000.0
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?"
_INSERT = re.compile(
    rf"(?P<file>.+):(?P<material>mirror|glass|diffuse)"
    rf"(?::(?P<at>{_NUMBER},{_NUMBER},{_NUMBER}))?(?::(?P<scale>{_NUMBER}))?"
)

_HELP = Help(
    examples=(
        "sfumato render out/mine -o mine.mp4",
        "sfumato render scene.ply -o frames --path swing --seconds 4",
        "sfumato render out/mine -o ball.mp4 --insert ball.obj:glass",
    )
)


@dataclass(frozen=True)
class Inserted:
    """A parsed ``--insert``.

    Attributes:
        file: the mesh.
        material: a material of render.insert.
        at: translation, scene units.
        scale: scale factor, applied before the translation.
    """

    file: Path
    material: str
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0


@dataclass(frozen=True)
class RenderCommand:
    """Render a scene along a camera path.

    SCENE is a run folder or a scene file of any format. In a dynamic scene, time advances uniformly along the
    path. After an interruption the same command resumes. Exit codes: 0 done, 2 bad input, 130 Ctrl-C, 1
    anything else.

    Attributes:
        scene: run folder or scene file.
        out: a video, .mp4, or else a folder of PNG frames.
        path: auto: an orbit limited to where the scene can be trusted, back and forth if that is not a full
            circle, or along the photographs if it is hardly any of it; orbit: a full circle around the point
            that the cameras look at, trusted or not; swing: back and forth on the photographed side;
            training: the path of the photographs, smoothed; or a JSON file of key-frames or cameras (format:
            sfumato.paths.path_files).
        data: the posed dataset whose cameras the path follows; by default that of the run folder.
        depth: also render depth, near is light, into a second video or the folder depth.
        normals: also render normals in the camera's frame, into another video or the folder normals.
        size: image size in pixels, such as 1280x720; by default that of the cameras, at most 1080 high.
        seconds: duration; by default 8, or the value in the JSON file.
        fps: frames per second.
        at: of a dynamic scene, show only the moment at this many seconds.
        time_from: of a dynamic scene, time of the first frame in seconds; by default its first step.
        time_to: time of the last frame; by default its last step.
        up: up direction of the scene, for an orbit or a swing; by default the mean up direction of the
            cameras, and -y for a scene file without cameras.
        fov: vertical field of view in degrees; by default that of the cameras.
        background: background colour, red, green and blue in [0, 1]; None: that of the run, else black.
        device: compute device, cpu or cuda (untested so far); auto: cpu.
        renderer: rasterizer, ray tracer, or surface splatting for scenes of measured clouds; None: that of
            the run, else the rasterizer.
        insert: a mesh to place in the scene, FILE:MATERIAL[:x,y,z][:scale], such as ball.obj:glass:0,1,2:0.5;
            mirror, glass or diffuse; scaled, then moved to x, y, z in the scene's frame. May be given several
            times. Requires ray tracing, which is then used.
        antialiased: render with the anti-aliasing filter, for scenes trained with it; run folders and some
            files record this.
        no_antialiased: render without the filter, whatever the run folder or file records.
        repair: skip broken Gaussians of the scene file, such as NaN, and report their number.
        overwrite: replace existing output.
    """

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    out: Annotated[Path, arg(aliases=["-o"])]
    path: str = "auto"
    data: Path | None = None
    depth: FlagCreatePairsOff[bool] = False
    normals: FlagCreatePairsOff[bool] = False
    size: str | None = None
    seconds: float | None = None
    fps: float = 30.0
    at: float | None = None
    time_from: float | None = None
    time_to: float | None = None
    up: tuple[float, float, float] | None = None
    fov: float | None = None
    background: tuple[float, float, float] | None = None
    device: str = "auto"
    renderer: Literal["raster", "trace", "surface"] | None = None
    insert: UseAppendAction[tuple[str, ...]] = ()
    antialiased: FlagCreatePairsOff[bool] = False
    no_antialiased: FlagCreatePairsOff[bool] = False
    repair: FlagCreatePairsOff[bool] = False
    overwrite: FlagCreatePairsOff[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.fps <= _MAX_FPS:
            raise ConfigError(f"--fps is {self.fps:g}; give a number above 0, up to {_MAX_FPS:g}")
        if self.seconds is not None and not 0 < self.seconds * self.fps <= _MAX_FRAMES:
            raise ConfigError(
                f"--seconds is {self.seconds:g}; give a number above 0, for at most {_MAX_FRAMES} frames"
            )
        if self.background is not None and not all(0 <= value <= 1 for value in self.background):
            raise ConfigError(f"--background is {self.background}; give three numbers in [0, 1]")
        if self.fov is not None and not 0 < self.fov < 180:
            raise ConfigError(f"--fov is {self.fov:g}; give degrees above 0 and below 180")
        if self.out.suffix.lower() in (".avi", ".gif", ".mkv", ".mov", ".webm", ".png", ".jpg"):
            raise ConfigError(f"--out {self.out}: give a name that ends in .mp4, or a folder for PNG frames")
        if self.at is not None and (self.time_from is not None or self.time_to is not None):
            raise ConfigError("--at selects a single moment: leave --time-from and --time-to out")
        if self.antialiased and self.no_antialiased:
            raise ConfigError("--antialiased and --no-antialiased exclude each other")
        if self.insert and self.renderer not in (None, "trace"):
            raise ConfigError(f"--insert needs the ray tracer: leave --renderer {self.renderer} out")
        if self.insert and self.normals:
            raise ConfigError("--normals are those of the Gaussians: leave it out with --insert")

    @property
    def inserts(self) -> tuple[Inserted, ...]:
        """The parsed ``--insert`` options.

        Raises:
            ConfigError: one is malformed.
        """
        made = []
        for text in self.insert:
            found = _INSERT.fullmatch(text)
            scale = float(found["scale"] or 1.0) if found else 0.0
            if found is None or not 0 < scale < 1e9:
                raise ConfigError(
                    f"--insert is {text!r}; give FILE:mirror, FILE:glass or FILE:diffuse, then :x,y,z and "
                    ":scale above 0 if wished"
                )
            x, y, z = map(float, (found["at"] or "0,0,0").split(","))
            made.append(Inserted(Path(found["file"]), found["material"], (x, y, z), scale))
        return tuple(made)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of images to render."""
        wanted = {"colour": True, "depth": self.depth, "normals": self.normals}
        return tuple(kind for kind, is_wanted in wanted.items() if is_wanted)

    @property
    def size_px(self) -> tuple[int, int] | None:
        """(width, height), or None for that of the path's cameras.

        Raises:
            ConfigError: the size is malformed.
        """
        if self.size is None:
            return None
        found = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", self.size)
        size_px = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= min(size_px) <= max(size_px) <= _MAX_SIDE_PX:
            raise ConfigError(f"--size is {self.size!r}; give WIDTHxHEIGHT, such as 1280x720")
        return size_px


def command(arguments: Sequence[str]) -> int:
    """Parse the arguments and render; the exit code."""
    given = parse(RenderCommand, "render", arguments, shown=_HELP)
    from rich.console import Console

    from sfumato.cli.render_plan import plan_of
    from sfumato.display import Display
    from sfumato.extras import extra_module
    from sfumato.paths.frame_folder import FrameFolder

    if given.insert:
        extra_module("trimesh", "mesh", "--insert")
    display = Display(Console())
    is_video = given.out.suffix.lower() == ".mp4"
    outputs = _videos(given) if is_video else {}
    for path in outputs.values():
        if path.is_dir() or (path.exists() and not given.overwrite):
            raise ConfigError(f"{path} exists; give --overwrite to replace it, or another --out")
    frames = FrameFolder(given.out.with_name(f"{given.out.name}.frames") if is_video else given.out)
    frames.check_free()
    plan = plan_of(given, is_video)
    _render(given, plan, frames, outputs, display)
    made = " and ".join(str(path) for path in outputs.values()) or str(frames.path)
    width, height = plan.cameras[0].size_px
    display.say(f"{made}: {len(plan.cameras):,} frames of {width}x{height}")
    return 0


def _videos(given: RenderCommand) -> dict[str, Path]:
    """The video file of each kind."""
    stem = given.out.with_suffix("")
    return {
        kind: given.out if kind == "colour" else stem.with_name(f"{stem.name}.{kind}{given.out.suffix}")
        for kind in given.kinds
    }


def _render(
    given: RenderCommand, plan: RenderPlan, frames: FrameFolder, outputs: dict[str, Path], display: Display
) -> None:
    """Render the frames and encode them as videos."""
    from sfumato.capture.images import decode
    from sfumato.outputs import folder_lock
    from sfumato.paths.frame_renderer import frame_renderer
    from sfumato.paths.video_writer import write_video

    # The frames of a video are temporary, so those of another video may be replaced.
    overwrite = given.overwrite or bool(outputs)
    with folder_lock(frames.path, "rendering into"):
        frames.begin(plan.cameras, _facts(given, plan), given.kinds, overwrite=overwrite)
        count, whole = len(plan.cameras), len(plan.cameras) * len(given.kinds)
        with display.counting("rendering", "frames") as report:
            for number, kind in enumerate(given.kinds):
                paint = frame_renderer(kind, plan.scene_of, plan.cameras, plan.look)
                before = number * count
                frames.make(kind, count, paint, partial(_report_total, report, before, whole))
        for kind, path in outputs.items():
            pictures = (decode(frames.frame(kind, i), turn=False) for i in range(count))
            with display.waiting(f"encoding {path.name}"):
                write_video(path, pictures, plan.fps)
    if outputs:
        frames.remove()


def _report_total(report: Callable[[int, int], None], before: int, whole: int, count: int) -> None:
    """Report the progress of one kind as a part of that of all kinds."""
    report(before + count, whole)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _facts(given: RenderCommand, plan: RenderPlan) -> dict[str, Any]:
    """Everything besides the cameras that the frames depend on."""
    from sfumato.render.settings import renderer_of

    meshes = [[text, _sha256(what.file)] for text, what in zip(given.insert, given.inserts, strict=True)]
    return {
        "scene_sha256": ", ".join(map(_sha256, plan.scene_files)),
        # Omitted if empty, so that frames of older versions can be resumed.
        **({"inserts": meshes} if meshes else {}),
        **({"times": list(plan.times)} if plan.times else {}),
        "background": list(plan.look.settings.background),
        "renderer": renderer_of(plan.look.settings),
        "antialiased": getattr(plan.look.settings, "antialiased", None),
        "depth_and_normals": [given.depth, given.normals],
    }
