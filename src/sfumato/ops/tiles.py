"""Which Gaussians touch which tile of the image, nearest first."""

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops.backend import as_array
from sfumato.ops.constants import TILE_HEIGHT_PX, TILE_WIDTH_PX


class Tiles(NamedTuple):
    """Pairs of a Gaussian and a tile that its ellipse touches, tile by tile, nearest first.

    Attributes:
        order: [m] int32 ids of the visible Gaussians, nearest first; a rank is a place in it.
        slot_starts: [m + 1] int64 where each rank's slots start.
        slot_pair: [s] int64 the pair of each slot, or -1 for a tile that the ellipse misses.
        pair_rank: [p] int32 rank of each pair's Gaussian.
        pair_mask: [p] int64, a bit for each of the tile's 8x8 blocks (of 8x4 px) that is touched.
        tile_starts: [t + 1] int64 where each tile's pairs start; tiles run along rows.
    """

    order: Tensor
    slot_starts: Tensor
    slot_pair: Tensor
    pair_rank: Tensor
    pair_mask: Tensor
    tile_starts: Tensor

    @property
    def gaussian_ids(self) -> Tensor:
        """[p] int32 Gaussian of each pair."""
        return self.order[self.pair_rank.long()]


@torch.library.custom_op("sfumato::bin_tiles", mutates_args=(), device_types="cpu")
def _bin_tiles(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    depth: Tensor,
    radius_px: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    import numpy as np

    from sfumato.ops.cpu.tiles import bin_tiles

    arrays = bin_tiles(*map(as_array, (mean_px, conic, opacities, depth, radius_px)), width, height)
    return tuple(torch.from_numpy(a.view(np.int64) if a.dtype == np.uint64 else a) for a in arrays)


@_bin_tiles.register_fake
def _(mean_px, conic, opacities, depth, radius_px, width, height):
    sizes = torch.library.get_ctx()
    visible, slots, pairs = (sizes.new_dynamic_size() for _ in range(3))
    tiles = -(-width // TILE_WIDTH_PX) * -(-height // TILE_HEIGHT_PX)
    lengths = (visible, visible + 1, slots, pairs, pairs, tiles + 1)
    dtypes = (torch.int32, torch.int64, torch.int64, torch.int32, torch.int64, torch.int64)
    return tuple(mean_px.new_empty(n, dtype=t) for n, t in zip(lengths, dtypes, strict=True))


def bin_tiles(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    depth: Tensor,
    radius_px: Tensor,
    *,
    width: int,
    height: int,
) -> Tiles:
    """Sort visible Gaussians by depth and list them for each tile that they touch.

    A Gaussian touches a tile if the ellipse in which its alpha reaches 1/255 covers the centre of
    a pixel there (widened by a hundredth of a pixel).

    Args:
        mean_px: [n, 2] centres, pixels.
        conic: [n, 3] inverse covariances, 1/px^2.
        opacities: [n] peak opacities.
        depth: [n] order, nearest first; ties keep the order of the rows.
        radius_px: [n, 2] int32; 0 where culled.
        width, height: of the image, pixels.

    Returns:
        Tiles. Float64 input is binned in float32.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.

    Gradients: none.
    """
    check_shapes(
        mean_px=(mean_px, "n 2"),
        conic=(conic, "n 3"),
        opacities=(opacities, "n"),
        depth=(depth, "n"),
        radius_px=(radius_px, "n 2"),
    )
    floats = (t.detach().float() for t in (mean_px, conic, opacities, depth))
    return Tiles(*_bin_tiles(*floats, radius_px, width, height))
