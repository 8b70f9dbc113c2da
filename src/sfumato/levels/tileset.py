"""Writing of OGC 3D Tiles: a tileset whose tiles are glTF files with Gaussians, at several levels of detail.

Source: OGC 3D Tiles 1.1 (22-025r4), sections 7 and 8; glTF extension KHR_gaussian_splatting.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import ConfigError, FormatError
from sfumato.levels.cells import Report, divided
from sfumato.levels.pyramid import CELL_OF_LEVELS, STEP, Box, joined_boxes, level_files, rounded
from sfumato.levels.scene_source import SceneSource
from sfumato.levels.staging import staged
from sfumato.outputs import write_text
from sfumato.scene.changes import merged
from sfumato.scene.files import TILESET, gltf, values
from sfumato.scene.files.gltf_writing import EXTENSION, SPZ_EXTENSION
from sfumato.scene.files.node_transforms import Y_DOWN_UP, Y_UP_FROM_SCENE
from sfumato.scene.scene import with_metadata

# The folder of the tiles, `LEVEL_NUMBER.glb`, beside the tileset.
FOLDER = "tiles"
# Readers of tiles turn the y up of glTF files to z up.
_Z_UP_FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_Z_UP_FROM_SCENE = _Z_UP_FROM_Y_UP @ Y_UP_FROM_SCENE[:3, :3]
_NAME = re.compile(r"[0-9]+_[0-9]+\.glb")
# CesiumJS shows Gaussians only where both extensions are required.
_NEEDED = [EXTENSION, SPZ_EXTENSION]


def write_tileset(
    source: SceneSource, path: Path, *, cell: int = CELL_OF_LEVELS, report: Report | None = None
) -> list[int]:
    """Write a scene as 3D Tiles 1.1, with a bounded number of Gaussians in memory.

    The frame of the tileset is local: (-x, -z, -y) of the scene, so that z is up; a viewer of a globe places
    it by a transform. Scene units are taken as metres.

    Args:
        source: the scene.
        path: `tileset.json` in the folder to write to; tiles are written beside it.
        cell: Gaussians of the finest level in a tile, on average and at most.
        report: called with the number of Gaussians done and of all.

    Returns:
        The number of Gaussians of each level.

    Raises:
        ConfigError: the file has another name, or its folder of tiles is a link.
        FormatError: the scene cannot be read, or has no Gaussians.
        SfumatoError: the folder cannot be written.
    """
    if path.name != TILESET:
        raise ConfigError(f"{path}: a tileset must be called {TILESET}")
    if not source.count:
        raise FormatError("the scene cannot be saved: a tileset cannot be without Gaussians")
    values.warn_of_lost_metadata(source.metadata, TILESET, up=Y_DOWN_UP, metres_per_unit=1.0)
    counts: list[int] = []
    tiles: dict[tuple[int, int], tuple[list[int], int]] = {}
    with staged(path) as staging:
        folder = staging / FOLDER
        folder.mkdir()
        with divided(source.blocks, source.count, cell, staging) as store:
            boxes: dict[int, Box] = {}
            for file in level_files(store, boxes, report):
                scene = with_metadata(merged(*(part for _, part in file.parts)), source.metadata)
                gltf.write_packed_scene(scene, folder / f"{file.level}_{file.number}.glb")
                tiles[file.level, file.number] = [cell for cell, _ in file.parts], len(file)
                counts += [0] * (file.level + 1 - len(counts))
                counts[file.level] += len(file)
        _replace_tiles(path, folder)
        write_text(path, json.dumps(_tileset(tiles, boxes, len(counts) - 1), allow_nan=False))
    return counts


def _tileset(
    tiles: dict[tuple[int, int], tuple[list[int], int]], boxes: dict[int, Box], coarsest: int
) -> dict[str, Any]:
    roots = [_tile(tiles, boxes, coarsest, number) for level, number in tiles if level == coarsest]
    whole = joined_boxes(list(boxes.values()))
    # The root has no content and so must always be refined: without its children the whole scene is missing.
    error = float(np.linalg.norm(whole[1] - whole[0]))
    root = {"boundingVolume": _volume(whole), "geometricError": error, "refine": "REPLACE", "children": roots}
    return {
        "asset": {"version": "1.1"},
        "extensionsUsed": ["3DTILES_content_gltf"],
        "extensions": {
            "3DTILES_content_gltf": {"extensionsUsed": _NEEDED, "extensionsRequired": _NEEDED},
        },
        "geometricError": error,
        "root": root,
    }


def _tile(
    tiles: dict[tuple[int, int], tuple[list[int], int]], boxes: dict[int, Box], level: int, number: int
) -> dict[str, Any]:
    """A tile with those of the next finer level that cover the same cells."""
    cells, count = tiles[level, number]
    box = joined_boxes([boxes[cell] for cell in cells])
    tile: dict[str, Any] = {
        "boundingVolume": _volume(box),
        # How far apart its Gaussians are, as on a surface; the finest level has no error.
        "geometricError": float(np.linalg.norm(box[1] - box[0]) / np.sqrt(count)) if level else 0.0,
        "refine": "REPLACE",
        "content": {"uri": f"{FOLDER}/{level}_{number}.glb"},
    }
    finer = [n for n in range(STEP * number, STEP * (number + 1)) if (level - 1, n) in tiles]
    if finer:
        tile["children"] = [_tile(tiles, boxes, level - 1, n) for n in finer]
        # Errors grow towards the root, as the format asks.
        tile["geometricError"] = max(
            tile["geometricError"], *(child["geometricError"] for child in tile["children"])
        )
    return tile


def _volume(box: Box) -> dict[str, list[float]]:
    """A box of the scene in the frame of the tileset: its middle and three half axes."""
    middle, half = _Z_UP_FROM_SCENE @ (box[0] + box[1]) / 2, np.abs(_Z_UP_FROM_SCENE) @ (box[1] - box[0]) / 2
    numbers = [*middle, half[0], 0, 0, 0, half[1], 0, 0, 0, half[2]]
    return {"box": rounded(numbers)}


def _replace_tiles(path: Path, folder: Path) -> None:
    """Move tiles beside the tileset, in place of those of an earlier one."""
    target = path.parent / FOLDER
    if target.is_symlink():
        raise ConfigError(f"{target} is a link; give another folder, as its target would be overwritten")
    path.unlink(missing_ok=True)
    target.mkdir(exist_ok=True)
    for tile in target.glob("*.glb"):
        if _NAME.fullmatch(tile.name):
            tile.unlink()
    for tile in folder.iterdir():
        tile.rename(target / tile.name)
