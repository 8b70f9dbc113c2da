"""`.sog` scenes put together pixel by pixel."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from sfumato.scene.files import save
from support.scene_files import blob


def pixels(rows) -> np.ndarray:
    """[1, n, c] picture of one row."""
    return np.asarray(rows, np.uint8)[None]


def webp(picture: np.ndarray, **options) -> bytes:
    """A lossless WebP picture."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", **{"lossless": True, "exact": True} | options)
    return buffer.getvalue()


def parts(version: int = 2) -> tuple[dict, dict[str, bytes]]:
    """Description and pictures of two Gaussians with SH of degree 1."""
    centroids = np.zeros((1, 64 * 3, 3), np.uint8)
    centroids[0, :3] = [[1, 2, 3], [0, 0, 0], [0, 0, 1]]
    centroids[0, 9:12] = [[0, 0, 0], [3, 3, 3], [0, 0, 0]]
    pictures = {
        "means_l.webp": webp(pixels([[255, 0, 0], [0, 0, 0]])),
        "means_u.webp": webp(pixels([[255, 0, 0], [0, 1, 0]])),
        "scales.webp": webp(pixels([[0, 1, 2], [2, 2, 0]])),
        "quats.webp": webp(pixels([[128, 127, 128, 252], [255, 128, 128, 254]])),
        "sh0.webp": webp(pixels([[2, 1, 0, 51], [0, 0, 2, 204]])),
        "shN_centroids.webp": webp(centroids),
        "shN_labels.webp": webp(pixels([[0, 0, 0], [3, 0, 0]])),
    }
    means = {"mins": [0, -1, 0], "maxs": [float(np.log(3)), 0, 0]}
    means["files"] = ["means_l.webp", "means_u.webp"]
    palette = {"files": ["shN_centroids.webp", "shN_labels.webp"]}
    if version == 1:
        return {
            "means": means | {"shape": [2, 3], "dtype": "float32"},
            "scales": {"mins": [-5, -5, -5], "maxs": [-4, -4, -4], "files": ["scales.webp"]},
            "quats": {"encoding": "quaternion_packed", "files": ["quats.webp"]},
            "sh0": {"mins": [-1, -1, -1, -4], "maxs": [1, 1, 1, 4], "files": ["sh0.webp"]},
            "shN": palette | {"mins": -1, "maxs": 1},
        }, pictures
    return {
        "version": 2,
        "count": 2,
        "means": means,
        "scales": {"codebook": [-3, -2, -1], "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": [0, 0.25, 0.5], "files": ["sh0.webp"]},
        "shN": palette | {"count": 4, "bands": 1, "codebook": [0, 1, 2, 3]},
    }, pictures


def write_folder(folder: Path, version: int = 2) -> Path:
    """The same as files in a folder; returns the path of the description."""
    meta, pictures = parts(version)
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder / "meta.json"


def write_chunk(folder: Path, n: int, degree: int) -> None:
    """A chunk of a streamed scene."""
    save(blob(n, degree, seed=n), folder / "meta.json")
