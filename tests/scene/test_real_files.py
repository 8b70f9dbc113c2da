"""Every real file of other tools is read; ``benchmarks/real_files.py`` compares pictures of them."""

import pytest
import torch

from sfumato.scene.files import load
from support.real_data import SPLATS

SUFFIXES = (".ply", ".spz", ".splat", ".ksplat", ".sog", ".glb", ".gltf")
NAMES = ("meta.json", "lod-meta.json")
PATHS = sorted(path for path in SPLATS.rglob("*") if path.suffix in SUFFIXES or path.name in NAMES)


@pytest.mark.skipif(not PATHS, reason="no real scene files: set SFUMATO_DATA to the folder of datasets")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(SPLATS).as_posix())
def test_every_file_of_another_tool_is_a_scene(path):
    scene = load(path)
    assert len(scene)
    assert all(bool(torch.isfinite(field).all()) for field in scene.tensors().values())
    assert float(scene.opacities.max()) > 0.05
    # Most visible Gaussians are smaller than a tenth of the scene.
    reach = (scene.means - scene.means.median(dim=0).values).norm(dim=1).quantile(0.9)
    assert len(scene) < 1000 or float(scene.scales.amax(dim=1).median()) < 0.1 * float(reach)
