"""What a stranger types by mistake, for each command: one line, and what to type instead."""

import pytest
import torch

import sfumato
from support.desk import says


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """A folder to stand in, with a scene, a folder of nothing and a file of words."""
    monkeypatch.chdir(tmp_path)
    shapes = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacities": (), "sh": (1, 3)}
    scene = sfumato.Gaussians(**{name: torch.ones(3, *shape) for name, shape in shapes.items()})
    sfumato.save(scene, tmp_path / "scene.ply")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("convert nix.ply a.spz", ["nix.ply is missing; give a scene file"]),
        ("convert empty a.spz", ["empty is a folder; give a scene file"]),
        ("convert notes.txt a.spz", ["notes.txt is not a scene file; known formats: "]),
        ("convert scene.ply a", ["the name has no suffix; known formats: "]),
        ("convert scene.ply empty", ["cannot save empty: it is a folder"]),
        ("convert scene.ply notes.txt/a.spz", ["a part of this path is a file"]),
        ("convert -o a.spz scene.ply", ["there is no option -o"]),
        (
            "convert --overwite scene.ply a.spz",
            ["there is no option --overwite; perhaps you meant --overwrite"],
        ),
        ("convert scene.ply a.spz b.spz", ["more was given than there is room for: b.spz"]),
        ("convert scene.ply a.spz --spz-version 5", ["--spz-version is '5'; give 2 or 3 or 4"]),
        ("eval nix", ["nix is no run folder: it does not exist"]),
        ("eval scene.ply", ["scene.ply is no run folder: it is a file"]),
        ("eval empty", ["empty is no run folder: it has no config.json", "sfumato train"]),
        ("view nix", ["nix is missing; give a run folder or a scene file"]),
        ("view scene.ply --data empty --export a.html", ["--data is for run folders"]),
        ("view scene.ply --export notes.txt", ["--export notes.txt: give a name that ends in .html"]),
        ("view scene.ply --port 99999", ["port is 99999; give 0 to 65535"]),
        ("view scene.ply --port x", ["--port is 'x'; give a whole number"]),
        ("render nix -o a.mp4", ["nix is missing"]),
        ("render scene.ply -o a.mp4 --fps 0", ["error: --fps is 0; give a number above 0"]),
        (
            "render scene.ply -o a.mp4 --path notes.txt",
            ["notes.txt is no JSON file of key-frames or cameras"],
        ),
        ("render scene.ply -o a.mp4 --renderer rast", ["--renderer is 'rast'; give raster or trace"]),
        ("render scene.ply -o a.mp4 --up z", ["--up needs 3 values with spaces between them"]),
        ("sfm nix -o a", ["nix does not exist"]),
        ("sfm empty -o notes.txt/a", ["cannot write notes.txt/a", "a part of this path is a file"]),
        ("sfm empty -o a --max-frames x", ["--max-frames is 'x'; give a whole number"]),
        ("reconstruct empty -o a --max-frames 9", ["perhaps you meant --frames.max-frames"]),
        ("reconstruct scene.ply -o a", ["scene.ply is no picture or video"]),
        ("doctor --jsn", ["there is no option --jsn; perhaps you meant --json"]),
    ],
)
def test_every_mistake_gets_its_line(desk, scene, tmp_path, line, words):
    says(desk.complains(line.split()), *words)
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "scene.ply", "empty", "notes.txt", "data"}
    assert (tmp_path / "notes.txt").read_text() == "hello"
