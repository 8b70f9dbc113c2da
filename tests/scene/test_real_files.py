"""Every real file of other tools is read; ``benchmarks/real_files.py`` compares pictures of them."""

import pytest
import torch

from sfumato.scene.files import load
from support.scene_files import DATA

SUFFIXES = (".ply", ".spz", ".splat", ".ksplat", ".sog", ".glb", ".gltf")
PATHS = sorted(p for p in DATA.rglob("*") if p.suffix in SUFFIXES or p.name in ("meta.json", "lod-meta.json"))


@pytest.mark.skipif(not PATHS, reason="no shared data: set SFUMATO_DATA to its folder")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(DATA).as_posix())
def test_every_file_of_another_tool_is_a_scene(path):
    scene = load(path)
    assert len(scene)
    assert all(bool(torch.isfinite(field).all()) for field in scene.tensors().values())
    assert float(scene.opacities.max()) > 0.05
    # Of what a camera could see, most is no larger than a tenth of the scene.
    reach = (scene.means - scene.means.median(dim=0).values).norm(dim=1).quantile(0.9)
    assert len(scene) < 1000 or float(scene.scales.amax(dim=1).median()) < 0.1 * float(reach)
