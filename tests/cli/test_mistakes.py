"""Typing mistakes for each command: one line with the correction, and no files are written."""

import pytest
import torch

import sfumato
from support.command_line import says


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """A working directory with a scene, an empty folder and a text file."""
    monkeypatch.chdir(tmp_path)
    shapes = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacities": (), "sh": (1, 3)}
    scene = sfumato.Gaussians(**{name: torch.ones(3, *shape) for name, shape in shapes.items()})
    sfumato.save(scene, tmp_path / "scene.ply")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("paint x", ["'paint' is not a command; there are: reconstruct, sfm, train, track, splat, eval"]),
        ("--out x", ["'--out' is not a command; there are: reconstruct, sfm, train, track, splat, eval"]),
        ("recontruct x", ["perhaps you meant reconstruct"]),
        ("Train x", ["perhaps you meant train"]),
        ("--hlep x", ["perhaps you meant --help"]),
        ("version x", ["perhaps you meant --version"]),
        (". x", ["'.' is a file or folder: a command comes before it"]),
        ("train data", ["missing: -o PATH, --out PATH", "sfumato train --help"]),
        ("eval", ["missing: RUN"]),
        ("train data -o run --steps 0", ["steps is 0", "give at least 1"]),
        ("train data -o run --steps x", ["--steps is 'x'; give a whole number"]),
        ("train data -o run --steps 1.5", ["--steps is '1.5'; give a whole number"]),
        ("train data -o run --steps 1e99", ["--steps is '1e99'; give a smaller whole number"]),
        ("train data -o run --steps 1e999", ["--steps is '1e999'; give a whole number"]),
        ("train data -o run --steps nan", ["--steps is 'nan'; give a whole number"]),
        ("train data -o run --steps", ["--steps needs a value"]),
        ("train data -o run -steps 3", ["no option -steps; perhaps you meant --steps"]),
        (
            "train data -o run --max_gausians 3",
            ["no option --max_gausians; perhaps you meant --max-gaussians"],
        ),
        ("train data -o run --scale 3 --prune-scale 3", ["no option --scale"]),
        ("train data -o run --prune-scale 3", ["perhaps you meant --adc.prune-scale"]),
        ("train data -o run --minutes ten", ["--minutes is 'ten'; give a number"]),
        ("train data -o run --minutes inf", ["minutes is inf"]),
        (
            "train data -o run --rates.means-start -1",
            ["error: rates.means_start is -1.0; give a number of at least 0"],
        ),
        ("train data -o run --adc.threshold nan", ["adc.threshold is nan; give a finite number"]),
        ("train data -o run --minutes -1", ["minutes is -1"]),
        ("train data -o run --minutes nan", ["minutes is nan"]),
        ("train data -o run --steps 5 --minutes 1", ["steps and minutes exclude each other"]),
        ("train data -o run --strategy luck", ["--strategy is 'luck'; give adc or mcmc"]),
        ("train data -o run --sh-degree 4", ["sh_degree is 4"]),
        ("train data -o run --max-gaussians 0", ["max_gaussians is 0"]),
        ("train data -o run --ssim-weight 2", ["ssim_weight is 2"]),
        ("train data -o run --downscale 0", ["downscale is 0"]),
        ("train data -o run --downscale 9", ["downscale 9 leaves"]),
        ("train data -o run --test-every 1", ["test_every is 1", "nothing to train on"]),
        ("train data -o run --test-every -1", ["test_every is -1"]),
        ("train data -o run --background 0 0", ["--background needs 3 values with spaces between them"]),
        ("train data -o run --background 0,0,0", ["--background needs 3 values with spaces between them"]),
        ("train data -o run --background 0 0 2", ["background", "[0, 1]"]),
        ("train data -o run --checkpoint-every 0", ["checkpoint_every is 0"]),
        ("train data -o run --stepz 3", ["no option --stepz; perhaps you meant --steps"]),
        ("train data -o run --rates.means 3", ["no option --rates.means"]),
        ("train data -o run something", ["too many arguments: something"]),
        ("train data -o run --device cuda", ["device 'cuda' is not available", "give auto or cpu"]),
        ("train data -o run --renderer trace --antialiased", ["antialiased", "rasterizer"]),
        ("train data -o run --resume --overwrite", ["not a run folder: it does not exist"]),
        ("convert nix.ply a.spz", ["nix.ply is missing; give a scene file"]),
        ("convert empty a.spz", ["empty is a folder; give a scene file"]),
        ("convert notes.txt a.spz", ["notes.txt is not a scene file; known formats: ", "lod-meta.json"]),
        ("convert scene.ply a", ["the name has no suffix; known formats: ", "lod-meta.json, tileset.json"]),
        ("convert scene.ply empty", ["cannot save empty: it is a folder"]),
        ("convert scene.ply notes.txt/a.spz", ["a part of this path is a file"]),
        ("convert -o a.spz scene.ply", ["there is no option -o"]),
        (
            "convert --overwite scene.ply a.spz",
            ["there is no option --overwite; perhaps you meant --overwrite"],
        ),
        ("convert scene.ply a.spz b.spz", ["too many arguments: b.spz"]),
        ("convert scene.ply a.spz --spz-version 5", ["--spz-version is '5'; give 2 or 3 or 4"]),
        ("eval nix", ["nix is not a run folder: it does not exist"]),
        ("eval scene.ply", ["scene.ply is not a run folder: it is a file"]),
        ("eval empty", ["empty is not a run folder: it has no config.json", "sfumato train"]),
        ("view nix", ["nix is missing; give a run folder or a scene file"]),
        ("view scene.ply --data empty --export a.html", ["--data is for run folders"]),
        ("view scene.ply --export notes.txt", ["--export notes.txt: give a name that ends in .html"]),
        ("view scene.ply --port 99999", ["port is 99999; give 0 to 65535"]),
        ("view scene.ply --port x", ["--port is 'x'; give a whole number"]),
        ("render nix -o a.mp4", ["nix is missing"]),
        ("render scene.ply -o a.mp4 --fps 0", ["error: --fps is 0; give a number above 0"]),
        (
            "render scene.ply -o a.mp4 --path notes.txt",
            ["notes.txt is not a JSON file of key-frames or cameras"],
        ),
        ("render scene.ply -o a.mp4 --renderer rast", ["--renderer is 'rast'; give raster or trace"]),
        ("render scene.ply -o a.mp4 --up z", ["--up needs 3 values with spaces between them"]),
        ("sfm nix -o a", ["nix does not exist"]),
        ("sfm empty -o notes.txt/a", ["cannot write notes.txt/a", "a part of this path is a file"]),
        ("sfm empty -o a --max-frames x", ["--max-frames is 'x'; give a whole number"]),
        ("reconstruct empty -o a --max-frames 9", ["perhaps you meant --frames.max-frames"]),
        ("reconstruct scene.ply -o a", ["scene.ply is not a picture or video"]),
        ("doctor --jsn", ["there is no option --jsn; perhaps you meant --json"]),
    ],
)
def test_every_mistake_gets_a_one_line_error(cli, scene, tmp_path, line, words):
    says(cli.complains(line.split()), *words)
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "scene.ply", "empty", "notes.txt", "data"}
    assert (tmp_path / "notes.txt").read_text() == "hello"
