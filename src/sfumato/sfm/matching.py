"""Comparing pictures: matches of features, kept where one geometry explains them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sfumato import machine
from sfumato.sfm.features import chunks
from sfumato.sfm.progress import Report

_PAIRS_AT_ONCE = 60


def match(
    database: Path,
    pairs: Sequence[tuple[str, str]],
    folder: Path,
    report: Report,
    seed: int,
    tolerance_px: float,
) -> None:
    """Match and verify every pair that is not in the database yet.

    Args:
        database: with features.
        pairs: names of the pictures.
        folder: where the list of pairs may be written.
        report: told how many pairs are done.
        seed: of the search for the geometry.
        tolerance_px: largest distance of a feature from what the geometry says.
    """
    import pycolmap

    options = pycolmap.FeatureMatchingOptions()
    options.use_gpu = False
    options.num_threads = machine.cores()
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    verification.ransac.max_error = tolerance_px
    listed = pycolmap.ImportedPairingOptions()
    listed.match_list_path = folder / "pairs.txt"
    report(0, len(pairs))
    done = 0
    for chunk in chunks(pairs, _PAIRS_AT_ONCE * machine.cores()):
        listed.match_list_path.write_text("".join(f"{a} {b}\n" for a, b in chunk), "utf-8")
        pycolmap.match_image_pairs(database, options, listed, verification, pycolmap.Device.cpu)
        done += len(chunk)
        report(done, len(pairs))
    listed.match_list_path.unlink(missing_ok=True)


def are_all_compared(database: Path) -> bool:
    """Whether each picture has been compared with every other one."""
    import pycolmap

    with pycolmap.Database.open(database) as opened:
        count = opened.num_images()
        return opened.num_matched_image_pairs() >= count * (count - 1) // 2
