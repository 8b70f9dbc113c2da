"""Commands of the documents run on tiny inputs under the names of the pages, each in a folder of its own.

Those of test_code_runs.py, which read and write scenes alone, run there, in the order of their page.
"""

import json
import re
import shlex
import shutil
import time
import urllib.request
import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import av
import laspy
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from repository import ROOT
from sfumato.cli import doctor, main, pages
from sfumato.fitting.fitted_image import load_fitted
from sfumato.outputs import write_json
from sfumato.runs.track_folder import load_tracked
from sfumato.scene.cameras import Camera
from sfumato.scene.files import load, save
from sfumato.scene.files.dynamic_files import save_dynamic
from support.capture_folders import picture
from support.capture_folders import save as save_picture
from support.clips import write_video
from support.documents import PAGES, command_lines
from support.moving_scenes import photograph
from support.rig_folders import poses as rig_poses
from support.rig_folders import write_bounds
from support.round_scene import ball, dataset
from support.small_moving_scene import small_moving_scene
from support.surfaces import sphere

ELSEWHERE = ("convert", "edit", "simplify")
NOT_RUN = {
    "sfumato reconstruct my_video.mp4 -o out/mine": "finding cameras in a video takes a minute",
    "sfumato reconstruct first.mp4 second.mp4 photos/ -o out/mine": "as above",
    "sfumato sfm PHOTOS -o data/mine": "finding cameras takes ten seconds of a core; tests/sfm does it",
    "sfumato reconstruct photos/ -o out/mine --sfm.known-distance a.jpg b.jpg 0.5": "as above",
    "sfumato track demo/moving_room -o out/room": "the same with --test-cameras runs",
    "sfumato train data/town -o out/town --blocks 8 --cluster local": "tests/blocks/test_dask_engine.py does",
    "sfumato train data/town -o /shared/town --blocks 8 --cluster tcp://10.0.0.5:8786": "needs a scheduler",
}
# Short runs, few features, frames and faces, and a free port. Of an option given twice the last counts; steps
# and minutes exclude each other.
ADDED = {
    "train": ("--steps", "4"),
    "reconstruct": ("--steps", "4"),
    "track": ("--steps-first", "15", "--nodes", "8", "--views-per-step", "8", "--max-gaussians", "300"),
    "render": ("--fps", "0.5", "--size", "48x36"),
    "mesh": ("--faces", "2000"),
    "fit": ("--steps", "20"),
    "--port": ("--port", "0"),
}
RIG = ("cam00", "cam05", "cam10", "cam15")


def run_here(line):
    """The words of a command, with what makes it cheap."""
    verb, *words = shlex.split(line)[1:]
    if "--minutes" in words:
        at = words.index("--minutes")
        del words[at : at + 2]
    for word in (verb, *words):
        # Decoding has no steps.
        if word in ADDED and words[0] != "photo.g2d":
            words += ADDED[word]
    return verb, words


SHOWN = sorted({line for path in (ROOT / "README.md", *PAGES) for line in command_lines(path)})
LINES = [line for line in SHOWN if line not in NOT_RUN and shlex.split(line)[1] not in ELSEWHERE]


@dataclass(frozen=True)
class Done:
    """A command that has run: its output or else its input, what it said or served, and when it began."""

    out: Path
    words: list[str]
    said: str
    began_ns: int


def visits(monkeypatch, capsys):
    """What servers serve, in a list; each is visited once at its printed address, then Ctrl-C ends it."""
    pages_read = []

    def visit(_):
        url = re.search(r"is at (http\S+)", capsys.readouterr().out)[1]
        pages_read.append(urllib.request.urlopen(url, timeout=20).read().decode())
        raise KeyboardInterrupt

    monkeypatch.setattr(pages, "threading", SimpleNamespace(Event=lambda: SimpleNamespace(wait=visit)))
    return pages_read


def check_run(done):
    metrics = json.loads((done.out / "metrics.json").read_text("utf-8"))
    assert len(load(done.out / "scene.ply")) == metrics["train"]["gaussians"] > 0
    assert 0 < metrics["test"]["psnr"] < 100
    for name in ("scene.html", "report.html"):
        assert "</html>" in (done.out / name).read_text("utf-8")
    assert ("can be watched at" in done.said) == ("--view" in done.words)
    assert (done.out / "blocks").exists() == ("8" in done.words)


def check_eval(done):
    for name in ("metrics.json", "renders/contact_sheet.png"):
        assert (done.out / name).stat().st_mtime_ns >= done.began_ns
    if "--envelope" in done.words:
        assert json.loads((done.out / "envelope.json").read_text("utf-8"))["curve"]
        assert (done.out / "trust.npz").stat().st_size > 0


def check_track(done):
    assert load_tracked(done.out).num_steps == 2
    assert json.loads((done.out / "metrics.json").read_text("utf-8"))["kind"] == "dynamic"
    assert (done.out / "renders/held_out.mp4").stat().st_size > 0


def check_render(done):
    if done.out.is_dir():
        frames = [np.asarray(Image.open(path)) for path in sorted(done.out.glob("*.png"))]
    else:
        with av.open(str(done.out)) as video:
            frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) > 1 and all(frame.std() > 1 for frame in frames)


def check_mesh(done):
    found = trimesh.load(done.out, force="mesh")
    assert 100 < len(found.faces) < 2500
    assert found.is_watertight or "--watertight" not in done.words


def check_splat(done):
    assert len(load(done.out)) == json.loads((done.out.parent / "metrics.json").read_text())["points"] == 300


def check_fit(done):
    if done.out.suffix == ".g2d":
        assert load_fitted(done.out).size_px == (40, 24)
    else:
        assert Image.open(done.out).size == (40, 24)


def check_lesson(done):
    page = done.out.read_text("utf-8") if "-o" in done.words else done.said
    assert "<title>" in page and "2D" in page and page.rstrip().endswith("</html>")


def check_view(done):
    assert "<canvas" in done.said and done.said.rstrip().endswith("</html>")


def check_doctor(done):
    assert "multiply-adds" in done.said and "What would make it faster" in done.said


def check_warmup(done):
    assert "kernels of the renderer raster are ready after" in done.said


CHECKS = {
    name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")
}
CHECKS |= {"train": check_run, "reconstruct": check_run}


def test_every_command_is_run_or_has_a_reason():
    """A page with a new command needs a check here, or a reason."""
    for line in SHOWN:
        verb = shlex.split(line)[1]
        assert verb in ELSEWHERE or verb in CHECKS or line in NOT_RUN, line
    assert set(SHOWN) >= NOT_RUN.keys()


def videos(folder):
    """Videos of two moments by four cameras, two of which have the names that a page uses."""
    folder.mkdir(parents=True)
    poses = [torch.from_numpy(pose) for pose in rig_poses(len(RIG))]
    for name, pose in zip(RIG, poses, strict=True):
        camera = Camera(pose, (60.0, 60.0), (32.0, 24.0), (64, 48))
        write_video(folder / f"{name}.mp4", [photograph(camera, step) for step in (0, 3)])
    write_bounds(folder / "poses_bounds.npy", len(RIG), 60.0, (64, 48))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with what the pages speak of."""
    folder = tmp_path_factory.mktemp("documents")
    dataset(folder / "data/mine")
    for name in ("data/town", "photos"):
        shutil.copytree(folder / "data/mine", folder / name)
    save(ball(), folder / "out/scan/scene.ply")
    moving = small_moving_scene()
    for name in ("out/room", "empty.4dgs"):
        save_dynamic(replace(moving, times=moving.times - moving.times[0]), folder / name)
    videos(folder / "demo/moving_room")
    cloud = laspy.LasData(laspy.LasHeader(point_format=2, version="1.2"))
    cloud.x, cloud.y, cloud.z = sphere(300).T
    cloud.red, cloud.green, cloud.blue = np.full((3, 300), 40_000)
    cloud.write(folder / "scan.laz", do_compress=True)
    trimesh.creation.icosphere(1, 1.3).export(folder / "ball.obj")
    frames = [{"position": [x, -1, -6], "look_at": [0, 0, 0], "time_s": 6 * x} for x in (0, 1)]
    write_json(folder / "path.json", {"version": 1, "keyframes": frames})
    save_picture(folder / "photo.png", picture(40, 24))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(shlex.split("fit photo.png -o photo.g2d --steps 1")) == 0
        assert main(shlex.split("train data/mine -o out/mine --steps 4")) == 0
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy as the current folder; no browser is opened, and speeds are measured briefly."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    monkeypatch.setattr(doctor, "PROBE_SECONDS", 0.01)
    # Without a process of its own, which takes seconds.
    layer = {"layer": "omp", "layers": {"omp": True}, "threads": 1}
    monkeypatch.setattr(doctor, "threading_layer", lambda: layer)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.removeprefix("sfumato "))
def test_commands_do_what_they_say(folder, line, capsys, monkeypatch):
    verb, words = run_here(line)
    out = Path(words[words.index("-o") + 1]) if "-o" in words else Path(words[0] if words else ".")
    if "--overwrite" in words:
        out.write_bytes(b"")
    elif "-o" in words:
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
    visited, began_ns = visits(monkeypatch, capsys), time.time_ns()
    assert main([verb, *words]) == 0, capsys.readouterr().err
    done = Done(out, words, visited[0] if visited else capsys.readouterr().out, began_ns)
    CHECKS[verb](done)
