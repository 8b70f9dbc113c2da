"""The lists of Gaussians that the GPU's kernels make for each tile, against every pixel of every Gaussian."""

from contextlib import contextmanager
from unittest import mock

import torch

from sfumato.errors import ConfigError
from support.op_scenes import HEIGHT, WIDTH, converted, ellipses


@contextmanager
def tiles_of(height):
    """Tiles of a height, px, whatever the image's size."""
    from sfumato.ops.gpu import binning

    with mock.patch.object(binning, "ENOUGH_TILES", 1 if height == 16 else 10**9):
        assert binning.tiling(40, 40).tile_height == height
        yield


def check_limit():
    """More pairs than can be counted are an error of one line."""
    from sfumato.ops.gpu import binning

    with mock.patch.object(binning, "MOST_PAIRS", 30):
        try:
            _check_lists(70, 37, 60)
        except ConfigError as error:
            assert "at most 30 are possible" in str(error) and "\n" not in str(error)
            return
    raise AssertionError("no error")


def check_lists(width, height, n, tall):
    """Each tile lists, nearest first, the Gaussians whose ellipse covers one of its pixels' centres."""
    with tiles_of(16 if tall else 8):
        _check_lists(width, height, n)


def _check_lists(width, height, n):
    from sfumato.ops.gpu import binning

    inputs = converted(ellipses(n, seed=3), torch.float32)
    inputs["mean_px"] *= torch.tensor([width, height]) / torch.tensor([WIDTH, HEIGHT]) * 1.4
    inputs["opacities"][:2] = torch.tensor([1 / 255, 0.001])
    inputs["radius_px"][2, 1] = 0
    inputs["depth"] = inputs["depth"].round(decimals=1)
    tiles = binning.tiling(width, height)
    parts = [inputs[name] for name in ("mean_px", "conic", "opacities", "depth", "radius_px")]
    lists = binning.bin_tiles(*parts, width, height)
    surely, perhaps = (_touched(inputs, tiles, width, height, margin) for margin in (0.0, 0.03))
    order = torch.sort(inputs["depth"], stable=True).indices
    for tile in range(tiles.number):
        start, end = lists.tile_starts[tile : tile + 2].tolist()
        ranks = lists.pair_rank[start:end]
        assert torch.equal(ranks.sort().values, ranks), "not nearest first"
        found = set(lists.order[ranks.long()].tolist())
        assert len(found) == end - start, "a Gaussian is listed twice"
        assert surely[tile] <= found <= perhaps[tile], (
            f"tile {tile}: without {surely[tile] - found}, with {found - perhaps[tile]}"
        )
    assert torch.equal(lists.order.long(), order)
    _check_slots(lists)


def _touched(inputs, tiles, width, height, margin):
    """Ids of the Gaussians that cover a pixel's centre of each tile, moved by up to ``margin`` along x."""
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    tile = (y[:, None] // tiles.tile_height * tiles.across + x // 16).long()
    found = [set() for _ in range(tiles.number)]
    values = {name: inputs[name].double() for name in ("mean_px", "conic", "opacities")}
    shown = (inputs["radius_px"] > 0).all(1) & (inputs["opacities"] > 1 / 255)
    for i in shown.nonzero()[:, 0].tolist():
        a, b, c = values["conic"][i]
        for shift_x, shift_y in ((0, 0), (margin, 0), (-margin, 0), (0, margin), (0, -margin)):
            dx, dy = x - values["mean_px"][i, 0] + shift_x, (y - values["mean_px"][i, 1] + shift_y)[:, None]
            sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
            for number in tile[sigma <= (255 * values["opacities"][i]).log()].unique().tolist():
                found[number].add(i)
    return found


def _check_slots(lists):
    """The slots of a rank are one run, in the order of ranks, and each pair has one."""
    slots, ranks = lists.pair_slot.sort()
    assert torch.equal(slots.long(), torch.arange(len(slots)))
    counts = lists.pair_rank[ranks].bincount(minlength=len(lists.order))
    assert torch.equal(lists.rank_starts.diff().long(), counts), "slots of a rank"
    assert torch.equal(lists.pair_rank[ranks].sort().values, lists.pair_rank[ranks]), "not in runs"
