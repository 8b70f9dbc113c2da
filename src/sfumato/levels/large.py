"""Simplification of scenes larger than memory: cell by cell, through a temporary file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sfumato.levels.cells import Report, divided
from sfumato.levels.scene_source import SceneSource
from sfumato.levels.simplify import simplify, wanted_count
from sfumato.outputs import replacing
from sfumato.scene.changes import merged
from sfumato.scene.files.ply_writing import writing
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import with_metadata

# Gaussians that are simplified at a time; a whole scene of up to this many is simplified in memory.
CELL = 500_000
# A cell keeps at least this many; if the total is then too large, Gaussians are merged across cells at the
# end.
_LEAST = 1000


def simplify_source(
    source: SceneSource, count: int | float, out: Path, *, cell: int = CELL, report: Report | None = None
) -> int:
    """Write a simplified scene to a `.ply` file, with a bounded number of Gaussians in memory.

    Gaussians of different cells are not merged, unless fewer than 1,000 are left of each.

    Args:
        source: the scene.
        count: as in ``simplify``.
        out: the file.
        cell: Gaussians that are simplified at a time, on average and at most.
        report: called with the number of Gaussians done and of all.

    Returns:
        The number of Gaussians written.

    Raises:
        SfumatoError: the scene cannot be read, or the file cannot be written.
    """
    wanted = wanted_count(source.count, count)
    with replacing(out) as temporary, divided(source.blocks, source.count, cell, out.parent) as store:
        targets = _targets(store.counts, min(wanted, source.count))
        total = int(targets.sum())

        def simplified(number: int) -> Gaussians:
            part = simplify(store.read(number), int(targets[number]))
            if report:
                report(int(store.counts[: number + 1].sum()), source.count)
            return with_metadata(part, source.metadata)

        cells = [number for number in range(store.tree.num_cells) if store.counts[number]]
        if total > wanted:
            parts = [simplified(number) for number in cells]
            whole = simplify(with_metadata(merged(*parts), source.metadata), wanted)
            with writing(temporary, whole, len(whole)) as add:
                add(whole)
            return len(whole)
        first = simplified(cells[0])
        with writing(temporary, first, total) as add:
            add(first)
            for number in cells[1:]:
                add(simplified(number))
    return total


def _targets(counts: np.ndarray, wanted: int) -> np.ndarray:
    """[cells] Gaussians kept of each: in proportion; their sum is ``wanted`` unless that is small."""
    ends = np.rint(np.cumsum(counts) * (wanted / counts.sum())).astype(np.int64)
    return np.maximum(np.diff(ends, prepend=0), np.minimum(counts, _LEAST))
