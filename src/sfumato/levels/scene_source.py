"""Scenes as blocks of Gaussians: `.ply` and Streamed SOG are read piece by piece, others as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sfumato.levels.cells import Blocks
from sfumato.scene.changes import with_degree
from sfumato.scene.files import compressed_ply, load, ply, recognised, sog, values
from sfumato.scene.files.ply_rows import read_blocks, read_layout
from sfumato.scene.files.sog_levels import INDEX, finest_level, level_parts, read_index
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, metadata_of

# Gaussians in a block: 30 MB of SH degree 3.
BLOCK = 131_072


@dataclass(frozen=True)
class SceneSource:
    """A scene that is read in blocks.

    Attributes:
        count: number of its Gaussians.
        blocks: yields them.
        metadata: of the scene.
        num_coefficients: of its SH.
    """

    count: int
    blocks: Blocks
    metadata: Metadata
    num_coefficients: int


def source_of_file(path: Path, *, repair: bool = False) -> SceneSource:
    """The Gaussians of a file, block by block.

    Args:
        path: scene file of any format. A `.ply` or `lod-meta.json` is never in memory as a whole.
        repair: leave out Gaussians with invalid values, for formats other than `.ply`.

    Raises:
        FormatError: it cannot be read.
    """
    codec = recognised(path)
    if codec is sog.CODEC and path.name == INDEX and not repair:
        return _source_of_levels(path)
    if codec is not ply.CODEC or codec is compressed_ply.CODEC or repair:
        return source_of_scene(load(path, repair=repair))
    layout = read_layout(path)
    if not layout.vertex.count:
        return source_of_scene(load(path))
    first = next(iter(read_blocks(layout, 1)))

    def blocks() -> Iterator[Gaussians]:
        for block in read_blocks(layout, BLOCK):
            yield values.checked(block, path, repair=False)

    return SceneSource(layout.vertex.count, blocks, first.metadata, layout.num_coefficients)


def source_of_scene(scene: Gaussians) -> SceneSource:
    """The same interface for a scene in memory."""

    def blocks() -> Iterator[Gaussians]:
        for start in range(0, len(scene), BLOCK):
            yield scene.map(lambda tensor, start=start: tensor[start : start + BLOCK])  # type: ignore[misc]

    return SceneSource(len(scene), blocks, metadata_of(scene), scene.sh.shape[1])


def _source_of_levels(path: Path) -> SceneSource:
    """The finest level of Streamed SOG, and its environment, file by file."""
    index = read_index(path)
    level = finest_level(index)
    files = sorted({piece.file for piece in index.pieces(level)})
    names = [index.names[file] for file in files] + ([index.environment] if index.environment else [])
    degree = max(sog.degree_of(path.parent / name) for name in names)
    count = index.count(level)
    if index.environment:
        count += len(sog.load_folder(path.parent / index.environment))

    def blocks() -> Iterator[Gaussians]:
        for part in level_parts(index, level, sog.load_folder):
            yield with_degree(values.checked(part, path, repair=False), degree)

    return SceneSource(count, blocks, metadata_of(next(iter(blocks()))), (degree + 1) ** 2)


def of_degree(source: SceneSource, degree: int) -> SceneSource:
    """The same without view-dependent colour above a degree."""
    k = (degree + 1) ** 2
    if k >= source.num_coefficients:
        return source

    def blocks() -> Iterator[Gaussians]:
        for block in source.blocks():
            yield replace(block, sh=block.sh[:, :k].contiguous())

    return replace(source, blocks=blocks, num_coefficients=k)
