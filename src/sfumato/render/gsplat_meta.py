"""The third result of ``rasterization``: intermediates by name, some computed on access."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor


class Intermediates(MutableMapping):
    """A dictionary whose entries may be computed on first access.

    Training code reads a handful of entries; lists of tile intersections take time and memory, so they are
    computed only if they are read.
    """

    def __init__(self, ready: dict[str, Any], lazy: dict[str, Callable[[], Any]]) -> None:
        self._ready = dict(ready)
        self._lazy = dict(lazy)

    def __getitem__(self, name: str) -> Any:
        if name in self._lazy:
            self._ready[name] = self._lazy.pop(name)()
        return self._ready[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._lazy.pop(name, None)
        self._ready[name] = value

    def __delitem__(self, name: str) -> None:
        if self._lazy.pop(name, None) is None:
            del self._ready[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._ready, *self._lazy])

    def __len__(self) -> int:
        return len(self._ready) + len(self._lazy)

    def __contains__(self, name: object) -> bool:
        return name in self._ready or name in self._lazy

    def __repr__(self) -> str:
        return f"Intermediates({', '.join(self)})"


class TileLists:
    """Which tile rectangles the Gaussians of some images touch; m rows over all images, t tiles per image.

    Args:
        mean_px: [m, 2] centres, pixels.
        radius_px: [m, 2] half sizes; a row with 0 touches no tile.
        depths: [m] camera z.
        image_ids: [m] the image of each row.
        grid: (number of images, tile size in pixels, tiles along x, tiles along y).
    """

    def __init__(
        self,
        mean_px: Tensor,
        radius_px: Tensor,
        depths: Tensor,
        image_ids: Tensor,
        grid: tuple[int, int, int, int],
    ) -> None:
        self._rows = (mean_px.detach(), radius_px, depths.detach(), image_ids)
        self._grid = grid
        self._lists: dict[str, Tensor] | None = None

    def __getitem__(self, name: str) -> Tensor:
        """One of tiles_per_gauss [m] int32, isect_ids [p] int64, flatten_ids [p] int32, isect_offsets.

        The p pairs are sorted by image, tile and depth. isect_ids holds these three in its bits,
        flatten_ids the row, and isect_offsets [images, y, x] int32 where each tile's pairs begin.
        """
        if self._lists is None:
            self._lists = self._intersect()
        return self._lists[name]

    def _intersect(self) -> dict[str, Tensor]:
        mean_px, radius_px, depths, image_ids = self._rows
        n_images, tile_size, tiles_x, tiles_y = self._grid
        size = torch.tensor([tiles_x, tiles_y], device=mean_px.device)
        # int64 after the clamp: a radius may be far beyond what a tile index can hold.
        first = torch.floor((mean_px - radius_px) / tile_size).clamp_min(0).minimum(size).long()
        beyond = torch.ceil((mean_px + radius_px) / tile_size).clamp_min(0).minimum(size).long()
        spans = (beyond - first) * (radius_px > 0).all(-1, keepdim=True)
        counts = spans.prod(-1)
        rows = torch.repeat_interleave(counts)
        within = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        x = first[rows, 0] + within % spans[rows, 0]
        y = first[rows, 1] + within // spans[rows, 0]
        tiles = y * tiles_x + x
        tile_bits = (tiles_x * tiles_y).bit_length()
        # Bits of a non-negative float sort as the number does; the mask keeps a negative one in its field.
        depth_bits = depths.float().view(torch.int32).long()[rows] & 0xFFFFFFFF
        keys = (image_ids[rows] << (32 + tile_bits)) | (tiles << 32) | depth_bits
        keys, order = torch.sort(keys, stable=True)
        starts = torch.arange(n_images * tiles_x * tiles_y, device=rows.device)
        ids = (image_ids[rows] * (tiles_x * tiles_y) + tiles)[order]
        offsets = torch.searchsorted(ids, starts, out_int32=True)
        return {
            "tiles_per_gauss": counts.to(torch.int32),
            "isect_ids": keys,
            "flatten_ids": rows[order].to(torch.int32),
            "isect_offsets": offsets.reshape(n_images, tiles_y, tiles_x),
        }
