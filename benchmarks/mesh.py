"""A mesh of the still life against the true depth of its held-out views, and the time it takes.

    python benchmarks/mesh.py [RUN]

RUN is a run of the still life; without it two are trained for three minutes each, one with the penalty for
surfaces. Depth of the mesh is where rays through the pixels of the still life's depth images hit it; its
errors are relative to the true depth.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from harness import HERE, print_table, save
from PIL import Image

from sfumato import Camera, Mesh, MeshConfig, load_capture, mesh
from sfumato.cli import main as sfumato
from sfumato.ops.mesh_hits import mesh_hits
from sfumato.scene.rays import camera_rays

DATA = HERE.parent / "demo" / "still_life"
UNITS_PER_VALUE = 0.001
LIMIT_ERROR, LIMIT_S = 0.01, 180.0
SURFACE_WEIGHT = "0.05"


def mesh_depth(mesh: Mesh, camera: Camera) -> np.ndarray:
    """[h, w] camera z of the mesh; NaN where a ray misses it."""
    vertices = torch.from_numpy(mesh.vertices).float()
    rays = camera_rays(camera, like=vertices)
    origins = rays.origins.expand_as(rays.directions).reshape(-1, 3).contiguous()
    directions = torch.nn.functional.normalize(rays.directions.reshape(-1, 3), dim=1)
    near, far = (torch.full((len(directions),), limit) for limit in (0.0, 1e6))
    hits = mesh_hits(vertices, torch.from_numpy(mesh.faces), origins, directions, near, far)
    along = directions @ camera.camera_from_world[2, :3].float()
    depth = torch.where(hits.face >= 0, hits.distance * along, torch.nan)
    return depth.reshape(camera.height, camera.width).numpy()


def compare(mesh: Mesh) -> dict[str, dict[str, float]]:
    """For each image of true depth, and for all held-out ones: median error, 90th percentile, share hit."""
    views = {Path(view.name).stem: view.camera for view in load_capture(DATA).views}
    rows, together = {}, []
    for path in sorted((DATA / "depth").glob("*.png")):
        true = np.asarray(Image.open(path)).astype(np.float64) * UNITS_PER_VALUE
        found = mesh_depth(mesh, views[path.stem].resized(true.shape[1], true.shape[0]))
        errors = (np.abs(found - true) / np.where(true > 0, true, np.nan)).ravel()
        rows[path.stem] = summary(errors)
        if path.stem.startswith("held_out"):
            together.append(errors)
    return rows | {"held-out views": summary(np.concatenate(together))}


def summary(errors: np.ndarray) -> dict[str, float]:
    """Figures of relative errors, which are NaN where there is no surface."""
    known = errors[np.isfinite(errors)]
    return {
        "median": float(np.median(known)),
        "90%": float(np.quantile(known, 0.9)),
        "hit": len(known) / len(errors),
    }


def measure(run: Path) -> dict[str, Any]:
    """Make a mesh of a run, print how far it is from the truth, and return the figures."""
    began = time.monotonic()
    found = mesh(run)
    seconds = time.monotonic() - began
    closed = mesh(run, MeshConfig(watertight=True))
    rows = compare(found)
    print_table(
        f"mesh of {len(found.faces):,} faces in {seconds:.0f} s",
        ("view", "median error", "90%", "hit"),
        [(name, *(f"{value:.2%}" for value in row.values())) for name, row in rows.items()],
    )
    error = rows["held-out views"]["median"]
    print(
        f"median error {error:.2%} of at most {LIMIT_ERROR:.0%}, {seconds:.0f} s of at most {LIMIT_S:.0f} s"
    )
    is_watertight = bool(trimesh.Trimesh(closed.vertices, closed.faces, process=False).is_watertight)
    print(
        f"the watertight mesh of {len(closed.faces):,} faces is {'' if is_watertight else 'NOT '}watertight"
    )
    return {"faces": len(found.faces), "seconds": seconds, "views": rows, "is_watertight": is_watertight}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?")
    given = parser.parse_args()
    if given.run is not None:
        measure(given.run)
        return
    result = {}
    for weight in ("0", SURFACE_WEIGHT):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            sfumato(["train", str(DATA), "-o", str(run), "--minutes", "3", "--surface-weight", weight])
            result[f"surface weight {weight}"] = measure(run)
    save("mesh", result, quick=False)


if __name__ == "__main__":
    main()
