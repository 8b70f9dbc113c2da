"""Scenes as blocks of Gaussians: a `.ply` is read piece by piece, other formats as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfumato.levels.cells import Blocks
from sfumato.scene.files import compressed_ply, load, ply, recognised, values
from sfumato.scene.files.ply_rows import read_blocks, read_layout
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
        path: scene file of any format. A `.ply` is never in memory as a whole.
        repair: leave out Gaussians with invalid values, for formats other than `.ply`.

    Raises:
        FormatError: it cannot be read.
    """
    codec = recognised(path)
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
