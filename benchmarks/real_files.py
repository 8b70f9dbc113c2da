"""Files of other tools: our render of what we read of them beside that of the viewer's page.

    python benchmarks/real_files.py DATA --pictures out

DATA is the folder whose folder ``splats`` holds the files. The page gets the file itself where its decoder
knows the format, and what we read of it otherwise; it runs in a headless Chromium with software WebGL. Both
draw the same two cameras, which look at the middle of the scene from the front and from the right above.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import HERE, print_table
from harness import save as keep

from sfumato.evaluation.saved_images import save_image
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.files import load
from sfumato.scene.gaussians import Gaussians
from sfumato.viewer.page import Payload, pack
from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show
from sfumato.viewer.subject import Photograph, Subject

# The tests of the page drive the same browser and compare in the same way.
sys.path.insert(0, str(HERE.parent / "tests"))

SUFFIXES = (".ply", ".spz", ".splat", ".ksplat", ".sog", ".glb", ".gltf")
NAMES = ("meta.json", "lod-meta.json")
SIZE_PX = (320, 240)
FOCAL_PX = 340.0
# Forward, x right, y down, z front: from the front, and from the right and above.
DIRECTIONS = {"front": (0.0, 0.0, 1.0), "right": (-0.75, 0.35, 0.56)}
# Farther away than this times the spread of its Gaussians, a scene is small in the picture.
DISTANCE = 2.6
FEW = 50


def files(data: Path) -> Iterator[Path]:
    """The scene files of other tools, sorted."""
    for path in sorted((data / "splats").rglob("*")):
        if path.suffix.lower() in SUFFIXES or path.name in NAMES:
            yield path


def cameras(scene: Gaussians) -> dict[str, Camera]:
    """Cameras that see most of a scene; of one with few Gaussians, the largest that is opaque."""
    sizes = scene.scales.amax(dim=1)
    if len(scene) < FEW:
        largest = int((sizes * scene.opacities).argmax())
        middle, away = scene.means[largest], DISTANCE * 4 * float(sizes[largest])
    else:
        middle = scene.means.median(dim=0).values
        away = DISTANCE * float(((scene.means - middle).norm(dim=1) + sizes).quantile(0.8))
    found = {}
    for name, direction in DIRECTIONS.items():
        forward = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
        right = torch.nn.functional.normalize(
            torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), forward), dim=0
        )
        pose = torch.eye(4)
        pose[:3, :3] = torch.stack([right, torch.linalg.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ (middle - away * forward)
        centre = SIZE_PX[0] / 2, SIZE_PX[1] / 2
        found[name] = Camera(pose, (FOCAL_PX, FOCAL_PX), centre, SIZE_PX)
    return found


def payload(path: Path, scene: Gaussians) -> tuple[Payload, bool]:
    """What the page gets, and whether that is the file itself."""
    kind = path.suffix.lower().lstrip(".")
    data = path.read_bytes()
    if kind in ("ply", "splat", "ksplat"):
        return Payload(data, kind, "rdf"), True
    if kind == "spz" and data[:2] == b"\x1f\x8b":
        return Payload(data, kind, "rub"), True
    if path.name == "meta.json":
        bundle = io.BytesIO()
        with zipfile.ZipFile(bundle, "w") as archive:
            for part in (path, *sorted(path.parent.glob("*.webp"))):
                archive.write(part, part.name)
        return Payload(bundle.getvalue(), "pcsogszip", "rdf"), True
    return pack(scene, exact_bytes=1 << 30), False


def compare(browser: Any, path: Path, pictures: Path | None) -> dict[str, Any]:
    """The figures of one file."""
    from small_scenes import BACKGROUND, drawn, psnr

    scene = load(path)
    assert all(bool(torch.isfinite(field).all()) for field in scene.tensors().values())
    given, is_file = payload(path, scene)
    views = cameras(scene)
    photographs = [Photograph(name, camera) for name, camera in views.items()]
    subject = Subject(path.name, scene, photographs, settings=RasterSettings(background=BACKGROUND))
    found: dict[str, Any] = {"gaussians": len(scene), "sh_degree": scene.sh_degree, "page_has_file": is_file}
    server = PageServer()
    show(server, subject, given)
    with server:
        browser.open(server.url)
        if not browser.run("document.body.classList.contains('bare')"):
            browser.press("h")
        found["psnr"] = {}
        for index, (name, camera) in enumerate(views.items()):
            browser.run(f"sfumato.standIn(sfumato.cameras[{index}], 0), true")
            browser.wait("sfumato.standingIn() !== null")
            browser.settle()
            expected, page = drawn(scene, camera), browser.canvas()
            found["psnr"][name] = float(psnr(page, expected))
            if pictures is not None:
                label = "_".join([*path.parent.parts[-2:], path.name, name])
                save_image(pictures / f"{label}.png", np.concatenate([expected, page], axis=1))
    return found


def main() -> None:
    """Compare every file, print a table and keep the figures."""
    import browser as driving

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="part of the paths that are compared")
    parser.add_argument("--pictures", type=Path, help="folder for both renders, side by side")
    parser.add_argument("--quick", action="store_true", help="nothing is kept")
    given = parser.parse_args()
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    results = {}
    # A hundred thousand Gaussians, drawn by software on a busy machine, take their time.
    driving.PATIENCE_S = 900.0
    with driving.Browser(SIZE_PX) as browser:
        for path in files(given.data):
            name = path.relative_to(given.data / "splats").as_posix()
            if given.only in name:
                results[name] = compare(browser, path, given.pictures)
                print(name, results[name], flush=True)
    rows = [
        [
            name,
            found["gaussians"],
            found["sh_degree"],
            "file" if found["page_has_file"] else "our reading",
            *found["psnr"].values(),
        ]
        for name, found in results.items()
    ]
    headings = ("file", "Gaussians", "SH", "page has", *(f"{name}, dB" for name in DIRECTIONS))
    print_table("Our renders beside the page's", headings, rows)
    keep("real_files", results, quick=given.quick or bool(given.only))


if __name__ == "__main__":
    main()
