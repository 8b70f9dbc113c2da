"""How many pictures there is time for, and when each stage of finding cameras has to be over.

Costs are seconds of two quiet cores. ``slowness`` says how many times longer things take here and now: first
by a probe, then as the features of the first pictures were found, so that a busy machine is noticed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sfumato import machine
from sfumato.footage.frame_options import FEWEST_FRAMES, MOST_FRAMES
from sfumato.sfm.loading import load_colmap

# Two quiet cores whose probe takes PROBE_REFERENCE_S take these for a frame of a video in all stages.
SECONDS_PER_FRAME = 0.6
PROBE_REFERENCE_S = 0.13
_PROBES, _PROBE_SIDE_PX = 3, 512
# Pictures of which the features tell how slow the machine is.
_LEAST_MEASURED = 4
# A photograph as it is decoded, and each time it is written; there is no less work than for a small one.
_DECODED_S, _WRITTEN_S, _LEAST_WRITTEN_S = 0.012, 0.08, 0.02
# With the coarsest features: finding them, comparing two pictures, how many others each is compared with in a
# large set, and mapping a hundred pictures, which grows with this power of their number.
_FEATURES_S, _PAIR_S, _PAIRS_PER_PICTURE, _MAPPING_S, _MAPPING_EXPONENT = 0.12, 0.0065, 14, 36.0, 1.5


@dataclass(frozen=True)
class Costs:
    """What pictures cost, seconds of two quiet cores.

    Attributes:
        taking: each is decoded and kept.
        features: of each are found.
        pair: each pair is compared.
        mapping: of a hundred pictures, places that look alike told apart.
        writing: each is undistorted and written.
    """

    taking: float = 0.0
    features: float = _FEATURES_S
    pair: float = _PAIR_S
    mapping: float = _MAPPING_S
    writing: float = _LEAST_WRITTEN_S

    @staticmethod
    def of(size_px: tuple[int, int], kept_side_px: int) -> Costs:
        """Of photographs that are kept with their long side at most ``kept_side_px``."""
        megapixels = math.prod(size_px) / 1e6
        written = _WRITTEN_S * megapixels * min(1.0, kept_side_px / max(size_px)) ** 2
        shrunk = written if kept_side_px < max(size_px) else 0.0
        return Costs(_DECODED_S * megapixels + shrunk, writing=max(written, _LEAST_WRITTEN_S))

    def finer(self, features: float) -> Costs:
        """With features that cost so much, and more work for those who use them."""
        more = features / _FEATURES_S
        return replace(self, features=features, pair=more * _PAIR_S, mapping=more * _MAPPING_S)

    def until_written(self, pictures: int) -> float:
        """Of mapping so many, and writing them."""
        mapping = self.mapping * (pictures / 100) ** _MAPPING_EXPONENT
        return mapping + pictures * self.writing

    def from_features(self, pictures: int) -> float:
        """Of all stages but the first."""
        pairs = min(pictures * (pictures - 1) / 2, _PAIRS_PER_PICTURE * pictures)
        return pictures * self.features + pairs * self.pair + self.until_written(pictures)

    def whole(self, pictures: int) -> float:
        """Of all stages."""
        return pictures * self.taking + self.from_features(pictures)


class Pace:
    """The time there is, how much of it is left, and how slow the machine is.

    Args:
        minutes: for all stages; None: as long as they need, and nothing is left out.
        clock: gives seconds that only grow.
    """

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.end_s = clock() + 60.0 * (minutes or math.inf)
        self.slowness = 1.0

    @property
    def is_limited(self) -> bool:
        """Whether there is an end."""
        return math.isfinite(self.end_s)

    @property
    def now_s(self) -> float:
        """The clock."""
        return self._clock()

    @property
    def left_s(self) -> float:
        """Seconds until the end, 0 if it is past."""
        return max(self.end_s - self._clock(), 0.0)

    @property
    def budget(self) -> float:
        """What is left, in seconds of two quiet cores."""
        return self.left_s / self.slowness

    def probe(self) -> None:
        """Find out how slow this machine is now, if that matters."""
        if self.is_limited:
            self.slowness = probe_s() / PROBE_REFERENCE_S * 2.0 / machine.cores()

    def until_s(self, costs_after: float) -> float:
        """When a stage has to be over.

        Args:
            costs_after: of the stages after it, in seconds of two quiet cores.
        """
        return self.end_s - self.slowness * costs_after


class Thinning:
    """Decides, while features are found, of how many pictures they are.

    Args:
        pace: its ``slowness`` becomes what is measured.
        costs: of a picture.
        fewest: that are used in any case.
    """

    def __init__(self, pace: Pace, costs: Costs, fewest: int) -> None:
        self._pace, self._costs, self._fewest = pace, costs, fewest
        self._first: tuple[float, int] | None = None

    def note(self, done: int) -> None:
        """So many pictures have features now."""
        if not self._pace.is_limited:
            return
        now = self._pace.left_s
        if self._first is None:
            # What came before was mostly the start of the processes.
            self._first = (now, done)
            return
        before, first = self._first
        if done - first >= _LEAST_MEASURED:
            self._pace.slowness = max(before - now, 1e-6) / (done - first) / self._costs.features

    def is_enough(self, begun: int, done: int) -> bool:
        """Whether there is no time for more pictures than those whose features were begun."""
        if not self._pace.is_limited or begun < self._fewest or self._first is None:
            return False
        return begun >= done + most_within(self._pace.budget, lambda n: self._rest(done, n))

    def _rest(self, done: int, more: int) -> float:
        """What is to be paid yet if so many more pictures are taken."""
        return self._costs.from_features(done + more) - done * self._costs.features


def most_within(budget: float, cost: Callable[[int], float], most: int = 1 << 20) -> int:
    """The largest number up to ``most`` whose cost, which grows with it, is within the budget; at least 0."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle - 1)
    return low


def frames_within(budget: float) -> int:
    """How many frames of a video cameras can be found of, in seconds of two quiet cores."""
    return min(MOST_FRAMES, max(FEWEST_FRAMES, int(budget / SECONDS_PER_FRAME)))


def probe_s() -> float:
    """Seconds one core of this machine takes for the features of a small picture of noise."""
    load_colmap()
    import pycolmap

    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.num_threads = 1
    extractor = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu)
    noise = np.random.default_rng(0).integers(0, 256, (_PROBE_SIDE_PX, _PROBE_SIDE_PX), dtype=np.uint8)
    picture = pycolmap.Bitmap.from_array(noise)
    extractor.extract(picture)
    began = time.perf_counter()
    for _ in range(_PROBES):
        extractor.extract(picture)
    return (time.perf_counter() - began) / _PROBES
