"""Files exchanged with other tools, in both directions."""

import importlib.util
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from sfumato.scene.files import load, save
from sfumato.scene.gaussians import Gaussians
from support.scene_files import blob, turns
from support.spz_files import needs_zstandard

# The command of PlayCanvas' splat-transform, such as "node .../splat-transform/bin/cli.mjs".
SPLAT_TRANSFORM = shlex.split(os.environ.get("SFUMATO_SPLAT_TRANSFORM", ""))
# A Python with gsply, if this one does not have it.
GSPLY = os.environ.get("SFUMATO_GSPLY_PYTHON") or (importlib.util.find_spec("gsply") and sys.executable)

needs_splat_transform = pytest.mark.skipif(
    not SPLAT_TRANSFORM, reason="no splat-transform: set SFUMATO_SPLAT_TRANSFORM to its command"
)
needs_gsply = pytest.mark.skipif(
    not GSPLY, reason="no gsply: install it, or set SFUMATO_GSPLY_PYTHON to a Python that has it"
)
READ_BY_GSPLY = """
import sys, gsply, numpy
path, out = sys.argv[1:]
found = (gsply.read_spz if path.endswith(".spz") else gsply.plyread)(path)
sh = numpy.concatenate([found.sh0[:, None], found.shN.reshape(len(found.sh0), -1, 3)], axis=1)
numpy.savez(out, means=found.means, log_scales=found.scales, quats=found.quats,
            logit_opacities=numpy.ravel(found.opacities), sh=sh)
"""
WRITTEN_BY_GSPLY = """
import sys, gsply
source, out = sys.argv[1:]
found = gsply.plyread(source)
if out.endswith(".spz"):
    gsply.write_spz(out, found)
else:
    gsply.plywrite(out, found, compressed=out.endswith(".compressed.ply"))
"""

FILES = [
    ("a.ply", {}),
    ("a.compressed.ply", {}),
    ("a.splat", {}),
    ("a.spz", {"version": 2}),
    ("a.spz", {"version": 3}),
    pytest.param("a.spz", {"version": 4}, marks=needs_zstandard),
    ("a.sog", {}),
]
# Largest errors of each attribute, by format. Palettes of
# other writers have few entries for few Gaussians, and so far ones.
STEPS = {
    ".ply": {"means": 1e-6, "log_scales": 1e-6, "quats": 2e-6, "opacities": 1e-6, "base": 1e-6, "rest": 1e-6},
    ".compressed.ply": {
        "means": 3e-3,
        "log_scales": 2e-3,
        "quats": 3e-3,
        "opacities": 2.1e-3,
        "base": 7e-3,
        "rest": 0.016,
    },
    ".spz": {
        "means": 1.3e-4,
        "log_scales": 0.0313,
        "quats": 3e-3,
        "opacities": 2.1e-3,
        "base": 0.0135,
        "rest": 0.07,
    },
    ".sog": {
        "means": 4e-4,
        "log_scales": 0.02,
        "quats": 0.02,
        "opacities": 4.2e-3,
        "base": 0.02,
        "rest": 0.6,
    },
}
# Signs of SH of degree 1 to 3 where y and z change theirs: of y, z, x; of xy, yz, zz, xz, xx - yy; ...
SH_SIGNS = [1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1]
SAME = {"means": 1e-6, "log_scales": 1e-6, "quats": 2e-5, "opacities": 1e-6, "base": 1e-6, "rest": 1e-6}


def turned_over(scene: Gaussians) -> Gaussians:
    """The scene in axes right, up, back, which gsply keeps for .spz files."""
    return Gaussians(
        means=scene.means * torch.tensor([1.0, -1.0, -1.0]),
        log_scales=scene.log_scales,
        quats=scene.quats * torch.tensor([1.0, 1.0, -1.0, -1.0]),
        logit_opacities=scene.logit_opacities,
        sh=scene.sh * torch.tensor(SH_SIGNS)[:, None],
    )


def run_tool(*command) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-1000:]


def differences(found: Gaussians, expected: Gaussians) -> dict[str, float]:
    """The largest difference of each attribute; the order of the Gaussians may differ."""
    assert found.sh.shape == expected.sh.shape
    places = torch.from_numpy(cKDTree(found.means.numpy()).query(expected.means.numpy())[1])
    assert len(places.unique()) == len(found)
    found = found.select(places)
    pairs = {
        "means": (found.means, expected.means),
        "log_scales": (found.log_scales, expected.log_scales),
        # A rotation by 180 degrees has two quaternions.
        "quats": torch.broadcast_tensors(turns(found.quats), turns(expected.quats)),
        "opacities": (found.opacities, expected.opacities),
        "base": (found.sh[:, 0], expected.sh[:, 0]),
        "rest": (found.sh[:, 1:], expected.sh[:, 1:]),
    }
    apart = {name: (one - other).abs() for name, (one, other) in pairs.items()}
    one, other = pairs["quats"]
    apart["quats"] = torch.minimum((one - other).abs().amax(1), (one + other).abs().amax(1))
    return {name: float(error.max()) if error.numel() else 0.0 for name, error in apart.items()}


def assert_within(found: Gaussians, expected: Gaussians, steps: dict[str, float]) -> None:
    apart = differences(found, expected)
    assert not {name: error for name, error in apart.items() if error > steps[name]}, apart


@needs_splat_transform
@pytest.mark.parametrize(("name", "options"), FILES)
def test_splat_transform_reads_what_we_write(tmp_path, name, options):
    path, back = tmp_path / name, tmp_path / "back.ply"
    save(blob(400, 3), path, **options)
    run_tool(*SPLAT_TRANSFORM, "-q", path, back)
    # It decodes .splat quaternions with an offset of half a step.
    assert_within(load(back), load(path), SAME | ({"quats": 0.01} if name == "a.splat" else {}))


@needs_splat_transform
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ply", ()),
        ("a.compressed.ply", ()),
        ("a.spz", ("--spz-version", "3")),
        pytest.param("a.spz", ("--spz-version", "4"), marks=needs_zstandard),
        ("a.sog", ("-g", "cpu")),
        ("meta.json", ("-g", "cpu")),
        ("lod-meta.json", ("-g", "cpu", "-l", "0")),
        ("a.glb", ()),
    ],
)
def test_we_read_what_splat_transform_writes(tmp_path, name, options):
    scene = blob(400, 3)
    source, path = tmp_path / "source.ply", tmp_path / "out" / name
    path.parent.mkdir()
    save(scene, source)
    # The level of detail is an option of the input and so comes after it.
    before, after = (options[:2], options[2:]) if "-l" in options else (options, ())
    run_tool(*SPLAT_TRANSFORM, "-q", *before, source, *after, path)
    kind = {"a.glb": ".ply", "meta.json": ".sog", "lod-meta.json": ".sog"}.get(name, name[1:])
    assert_within(load(path), scene, STEPS[kind])


@needs_gsply
@pytest.mark.parametrize(
    ("name", "options"), [f for f in FILES if "sog" not in str(f) and "splat" not in str(f)]
)
def test_gsply_reads_what_we_write(tmp_path, name, options):
    path = tmp_path / name
    save(blob(400, 3), path, **options)
    run_tool(GSPLY, "-c", READ_BY_GSPLY, path, tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        theirs = Gaussians(**{key: torch.from_numpy(found[key].astype(np.float32)) for key in found})
    ours = load(path)
    assert_within(theirs, turned_over(ours) if name == "a.spz" else ours, SAME)


@needs_gsply
@pytest.mark.parametrize("name", ["a.ply", "a.compressed.ply", "a.spz"])
def test_we_read_what_gsply_writes(tmp_path, name):
    scene = blob(400, 3)
    save(scene, tmp_path / "source.ply")
    run_tool(GSPLY, "-c", WRITTEN_BY_GSPLY, tmp_path / "source.ply", tmp_path / name)
    ours = load(tmp_path / name)
    assert_within(turned_over(ours) if name == "a.spz" else ours, scene, STEPS[name[1:]])
