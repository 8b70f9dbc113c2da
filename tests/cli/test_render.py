"""`sfumato render`: videos and frames, resuming, and errors of one line."""

import json
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.cli import main
from sfumato.paths import frame_renderer
from sfumato.paths.look import looking_at
from sfumato.paths.path_files import read_path
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.files import load, save
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, with_metadata
from support.command_line import SHORT, says


@pytest.fixture
def scene(tmp_path):
    n, generator = 200, torch.Generator().manual_seed(0)
    gaussians = Gaussians(
        torch.randn(n, 3, generator=generator),
        torch.full((n, 3), -1.5),
        torch.ones(n, 4),
        torch.ones(n),
        torch.randn(n, 4, 3, generator=generator),
    )
    save(gaussians, tmp_path / "scene.ply")
    return tmp_path / "scene.ply"


def render(*words):
    return main(["render", *map(str, words)])


SMALL = ("--size", "48x36", "--seconds", 0.5, "--fps", 10)


def test_frames_are_those_of_the_renderer(scene, tmp_path):
    out = tmp_path / "frames"
    assert render(scene, "-o", out, *SMALL, "--background", 1, 1, 1, "--depth", "--normals") == 0
    names = [f"{i:05d}.png" for i in range(5)]
    for folder in (out, out / "depth", out / "normals"):
        assert sorted(p.name for p in folder.glob("*.png")) == names
    camera = read_path(out / "render.json")[3]
    assert camera.size_px == (48, 36)
    expected = rasterize(load(scene), camera, RasterSettings(background=(1, 1, 1))).image
    pixels = np.asarray(Image.open(out / names[3]), np.float32) / 255
    assert np.abs(pixels - expected.clamp(0, 1).numpy()).max() < 0.01
    assert pixels.min(axis=2).std() > 0.05


def test_files_record_antialiasing_which_options_override(scene, tmp_path):
    thin = replace(load(scene), log_scales=load(scene).log_scales - 4)
    save(with_metadata(thin, Metadata(antialiased=True)), tmp_path / "mip.ply")
    for words, antialiased in (((), True), (("--no-antialiased",), False), (("--antialiased",), True)):
        out = tmp_path / f"frames{len(words)}{antialiased}"
        assert render(tmp_path / "mip.ply", "-o", out, *SMALL, *words) == 0
        camera = read_path(out / "render.json")[3]
        expected = rasterize(thin, camera, RasterSettings(antialiased=antialiased)).image.clamp(0, 1).numpy()
        other = rasterize(thin, camera, RasterSettings(antialiased=not antialiased)).image.clamp(0, 1).numpy()
        pixels = np.asarray(Image.open(out / "00003.png"), np.float32) / 255
        assert np.abs(pixels - expected).max() < 0.01 < np.abs(pixels - other).max()


def test_a_video_has_even_sides_and_leaves_no_frames(scene, tmp_path):
    out = tmp_path / "out.mp4"
    assert render(scene, "-o", out, "--size", "47x35", "--seconds", 0.5, "--fps", 10, "--normals") == 0
    for path in (out, tmp_path / "out.normals.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == (48, 36)
            assert len(list(container.decode(stream))) == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "out.normals.mp4", "scene.ply"]


def test_an_interrupted_render_resumes(scene, tmp_path, monkeypatch):
    painted = []

    def counted(*arguments):
        painted.append(arguments)
        if len(painted) == 3:
            raise KeyboardInterrupt
        return rasterize(*arguments)

    out = tmp_path / "out.mp4"
    monkeypatch.setattr(frame_renderer, "draw", counted)
    assert render(scene, "-o", out, *SMALL) == 130
    assert not out.exists() and len(list((tmp_path / "out.mp4.frames").glob("*.png"))) == 2
    assert render(scene, "-o", out, *SMALL) == 0
    assert len(painted) == 3 + 3
    assert out.exists() and not (tmp_path / "out.mp4.frames").exists()


@pytest.mark.slow
def test_frames_of_another_scene_are_not_reused(cli, scene, tmp_path):
    out = tmp_path / "frames"
    assert render(scene, "-o", out, *SMALL) == 0
    before = (out / "00002.png").read_bytes()
    assert render(scene, "-o", out, *SMALL) == 0, "nothing to do the second time"
    changed = load(scene).select(torch.arange(100))
    save(changed, scene)
    again = ["render", str(scene), "-o", str(out), *map(str, SMALL)]
    says(cli.complains(again), "frames of another scene", "--overwrite")
    assert (out / "00002.png").read_bytes() == before
    assert main([*again, "--overwrite"]) == 0
    assert (out / "00002.png").read_bytes() != before


def test_other_files_are_not_touched(cli, scene, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("notes")
    line = cli.complains(["render", str(scene), "-o", str(tmp_path / "mine"), *map(str, SMALL)])
    says(line, "holds other files")
    assert (tmp_path / "mine/notes.txt").read_text() == "notes"


@pytest.mark.slow
def test_a_run_is_rendered_along_its_photographs(cli, tmp_path):
    assert cli.train(*SHORT) == 0
    for path in ("training", "orbit", "swing", "auto"):
        assert render(cli.out, "-o", tmp_path / path, "--path", path, "--seconds", 0.3, "--fps", 10) == 0
        assert len(list((tmp_path / path).glob("*.png"))) == 3
        assert Image.open(tmp_path / path / "00000.png").size == (32, 24)
    other = tmp_path / "data2"
    cli.data.rename(other)
    line = cli.complains(["render", str(cli.out), "-o", str(tmp_path / "x"), "--path", "training"])
    says(line, "data")
    words = ("--path", "training", "--data", other, "--seconds", 0.1, "--fps", 10)
    assert render(cli.out, "-o", tmp_path / "y", *words) == 0


def keyframes(path):
    rows = [{"position": [x, -1, -6], "look_at": [0, 0, 0], "fov_deg": 40} for x in (-2, 0, 2)]
    path.write_text(json.dumps({"version": 1, "keyframes": rows}))
    return path


def test_key_frames_and_cameras_are_followed(scene, tmp_path):
    out, keys = tmp_path / "out", keyframes(tmp_path / "keys.json")
    assert render(scene, "-o", out, "--path", keys, "--size", "40x30", "--fps", 1) == 0
    cameras = json.loads((out / "render.json").read_text())["cameras"]
    assert len(cameras) == 4, "two seconds between key-frames"
    np.testing.assert_allclose(
        cameras[0]["camera_from_world"], looking_at((-2, -1, -6), (0, 0, 0)), atol=1e-9
    )
    assert render(scene, "-o", tmp_path / "again", "--path", out / "render.json") == 0
    for index in range(4):
        name = f"{index:05d}.png"
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    assert (
        render(scene, "-o", tmp_path / "wide", "--path", keys, "--size", "40x30", "--fps", 1, "--fov", 80)
        == 0
    )
    wide = json.loads((tmp_path / "wide/render.json").read_text())["cameras"]
    assert wide[0]["focal_px"][0] == pytest.approx(15 / np.tan(np.radians(40)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fps", "0"], ["--fps is 0"]),
        (["--seconds", "-1"], ["--seconds is -1"]),
        (["--seconds", "nan"], ["--seconds is nan"]),
        (["--seconds", "1e9"], ["--seconds", "99999 frames"]),
        (["--size", "big"], ["--size is 'big'", "1280x720"]),
        (["--size", "0x10"], ["--size"]),
        (["--size", "99999x10"], ["--size"]),
        (["--fov", "180"], ["--fov is 180"]),
        (["--background", "0", "0", "2"], ["--background"]),
        (["--path", "nix.json"], ["nix.json"]),
        (["--path", "training"], ["training path", "--data"]),
        (["--up", "0", "0", "0"], ["up is", "direction"]),
        (["--up", "0", "0", "1", "--path", "x.json"], ["--up", "leave it out"]),
        (["--data", "x", "--path", "x.json"], ["--data", "leave it out"]),
        (["--data", "nix"], ["nix"]),
    ],
)
def test_wrong_arguments_are_one_line(cli, scene, tmp_path, words, said):
    out = tmp_path / "frames"
    says(cli.complains(["render", str(scene), "-o", str(out), *words]), *said)
    assert not out.exists()


def test_wrong_files_are_one_line(cli, scene, tmp_path):
    video = tmp_path / "out.mp4"
    says(cli.complains(["render", str(tmp_path / "nix.ply"), "-o", str(video)]), "nix.ply", "missing")
    says(
        cli.complains(["render", str(scene), "-o", str(video), "--path", "spiral"]),
        "auto, orbit, swing, training",
    )
    says(cli.complains(["render", str(scene), "-o", str(video), "--path", "orbitt"]), "you meant orbit;")
    says(cli.complains(["render", str(scene), "-o", str(tmp_path / "out.avi")]), "out.avi", ".mp4")
    video.write_text("a film")
    says(cli.complains(["render", str(scene), "-o", str(video), *map(str, SMALL)]), "exists", "--overwrite")
    assert video.read_text() == "a film"
    (tmp_path / "file").write_text("")
    says(cli.complains(["render", str(scene), "-o", str(tmp_path / "file"), *map(str, SMALL)]), "is a file")
