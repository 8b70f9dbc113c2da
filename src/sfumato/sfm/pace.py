"""The time budget of structure from motion: how many pictures fit, and the deadline of each stage.

Costs are seconds of two idle reference cores. ``slowness`` is the current factor of this machine, measured
first by a probe and then on the features of the first pictures, so that other load is taken into account.
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

# Cost of a video frame in all stages, on two idle cores whose probe takes PROBE_REFERENCE_S.
SECONDS_PER_FRAME = 0.6
PROBE_REFERENCE_S = 0.13
_PROBES, _PROBE_SIDE_PX = 3, 512
# Pictures whose features are timed to measure the slowness.
_LEAST_MEASURED = 4
# Cost of a photograph per megapixel to decode and to write, and the least cost of writing one.
_DECODED_S, _WRITTEN_S, _LEAST_WRITTEN_S = 0.012, 0.08, 0.02
# With the coarsest features: detection, matching of a pair, pairs per picture in a large set, and mapping of
# a hundred pictures, whose cost grows with this power of their number.
_FEATURES_S, _PAIR_S, _PAIRS_PER_PICTURE, _MAPPING_S, _MAPPING_EXPONENT = 0.12, 0.0065, 14, 36.0, 1.5


@dataclass(frozen=True)
class Costs:
    """Cost of each stage, seconds of two idle cores.

    Attributes:
        taking: decoding and saving a picture.
        features: detecting the features of a picture.
        pair: matching a pair.
        mapping: mapping a hundred pictures, with the resolution of ambiguities.
        writing: undistorting and writing a picture.
    """

    taking: float = 0.0
    features: float = _FEATURES_S
    pair: float = _PAIR_S
    mapping: float = _MAPPING_S
    writing: float = _LEAST_WRITTEN_S

    @staticmethod
    def of(size_px: tuple[int, int], kept_side_px: int) -> Costs:
        """Costs of photographs that are saved with a long side of at most ``kept_side_px``."""
        megapixels = math.prod(size_px) / 1e6
        written = _WRITTEN_S * megapixels * min(1.0, kept_side_px / max(size_px)) ** 2
        shrunk = written if kept_side_px < max(size_px) else 0.0
        return Costs(_DECODED_S * megapixels + shrunk, writing=max(written, _LEAST_WRITTEN_S))

    def finer(self, features: float) -> Costs:
        """Costs with finer features of this cost, which make later stages slower too."""
        more = features / _FEATURES_S
        return replace(self, features=features, pair=more * _PAIR_S, mapping=more * _MAPPING_S)

    def until_written(self, pictures: int) -> float:
        """Cost of mapping and writing this many pictures."""
        mapping = self.mapping * (pictures / 100) ** _MAPPING_EXPONENT
        return mapping + pictures * self.writing

    def from_features(self, pictures: int) -> float:
        """Cost of all stages but the first."""
        pairs = min(pictures * (pictures - 1) / 2, _PAIRS_PER_PICTURE * pictures)
        return pictures * self.features + pairs * self.pair + self.until_written(pictures)

    def whole(self, pictures: int) -> float:
        """Cost of all stages."""
        return pictures * self.taking + self.from_features(pictures)


class Pace:
    """The time budget, the time left, and the slowness of the machine.

    Args:
        minutes: for all stages; None: unlimited.
        clock: a monotonic clock in seconds.
    """

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.end_s = clock() + 60.0 * (minutes or math.inf)
        self.slowness = 1.0

    @property
    def is_limited(self) -> bool:
        """Whether there is a time budget."""
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
        """The time left, in seconds of two idle reference cores."""
        return self.left_s / self.slowness

    def probe(self) -> None:
        """Measure the slowness of this machine, if there is a time budget."""
        if self.is_limited:
            self.slowness = probe_s() / PROBE_REFERENCE_S * 2.0 / machine.cores()

    def until_s(self, costs_after: float) -> float:
        """Deadline of a stage.

        Args:
            costs_after: of the stages after it, in seconds of two idle cores.
        """
        return self.end_s - self.slowness * costs_after


class Thinning:
    """Decides, during feature detection, how many pictures are used.

    Args:
        pace: its ``slowness`` is updated by measurement.
        costs: of a picture.
        fewest: least number of pictures that are used.
    """

    def __init__(self, pace: Pace, costs: Costs, fewest: int) -> None:
        self._pace, self._costs, self._fewest = pace, costs, fewest
        self._first: tuple[float, int] | None = None

    def note(self, done: int) -> None:
        """Record that this many pictures have features now."""
        if not self._pace.is_limited:
            return
        # Not by the time left, which stays at 0 once it is over.
        now = self._pace.now_s
        if self._first is None:
            # The time before was mostly the start of the processes.
            self._first = (now, done)
            return
        before, first = self._first
        if done - first >= _LEAST_MEASURED:
            self._pace.slowness = max(now - before, 1e-6) / (done - first) / self._costs.features

    def is_enough(self, begun: int, done: int) -> bool:
        """Whether there is no time for more pictures than those that were started."""
        if not self._pace.is_limited or begun < self._fewest or self._first is None:
            return False
        return begun >= done + most_within(self._pace.budget, lambda n: self._rest(done, n))

    def _rest(self, done: int, more: int) -> float:
        """Remaining cost if this many more pictures are used."""
        return self._costs.from_features(done + more) - done * self._costs.features


def most_within(budget: float, cost: Callable[[int], float], most: int = 1 << 20) -> int:
    """The largest number from 0 to ``most`` whose cost is within the budget; ``cost`` must increase."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle - 1)
    return low


def frames_within(budget: float) -> int:
    """Number of video frames whose cameras can be found within a budget in seconds of two idle cores."""
    return min(MOST_FRAMES, max(FEWEST_FRAMES, int(budget / SECONDS_PER_FRAME)))


def probe_s() -> float:
    """Seconds that one core of this machine takes for the features of a small noise image."""
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
