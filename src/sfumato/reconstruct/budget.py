"""How the time of a reconstruction is spent: how many pictures, how large, and how long to train."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from sfumato import machine
from sfumato.sfm.loading import load_colmap

# Cameras may take this share of the whole; training always gets at least the other.
CAMERAS_SHARE, LEAST_TRAINING_SHARE = 0.4, 0.3
# Two cores whose probe takes PROBE_REFERENCE_S take these for a frame, from decoding to the written dataset.
SECONDS_PER_FRAME = 0.6
PROBE_REFERENCE_S = 0.13
_FEWEST_FRAMES, _MOST_FRAMES = 20, 200
# Pixels of a photograph for each minute of training on two cores: with more of them too few steps are left,
# with fewer detail is lost.
PIXELS_PER_MINUTE = 45_000
_LEAST_SIDE_PX = 200
# Comparing and writing a held-out view of a megapixel, and what is done once at the end.
_SECONDS_PER_VIEW, _SECONDS_AT_END = 1.5, 4.0
_PROBE_SIDE_PX = 512


class Budget:
    """The time for a whole reconstruction, from now on.

    Args:
        minutes: of the whole.
    """

    def __init__(self, minutes: float) -> None:
        self.whole_s = 60.0 * minutes
        self._began = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @property
    def left_minutes(self) -> float:
        """What is left; a share of the whole in any case, as the cameras may have taken all of it."""
        return max(self.whole_s - self.spent_s, LEAST_TRAINING_SHARE * self.whole_s) / 60.0

    def training_minutes(self, sizes: Sequence[tuple[int, int]]) -> float:
        """What is left to train for.

        Args:
            sizes: (width, height) of the held-out views, whose comparison comes after it.
        """
        megapixels = sum(width * height for width, height in sizes) / 1e6
        after_s = _SECONDS_AT_END + _SECONDS_PER_VIEW * megapixels
        left_s = self.whole_s - self.spent_s - after_s
        return max(left_s, LEAST_TRAINING_SHARE * self.whole_s) / 60.0


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
    extractor.extract(picture)
    return time.perf_counter() - began


def frames_within(seconds: float, probe: float) -> int:
    """How many frames cameras can be found of.

    Args:
        seconds: that it may take.
        probe: what ``probe_s`` measured.
    """
    per_frame_s = SECONDS_PER_FRAME * (probe / PROBE_REFERENCE_S) * 2.0 / machine.cores()
    return min(_MOST_FRAMES, max(_FEWEST_FRAMES, int(seconds / per_frame_s)))


def downscale_for(size_px: tuple[int, int], minutes: float) -> int:
    """How many times smaller photographs are worth being trained with.

    Args:
        size_px: (width, height) of the largest.
        minutes: of training.
    """
    wanted = PIXELS_PER_MINUTE * minutes * machine.cores() / 2.0
    factor = round(math.sqrt(math.prod(size_px) / wanted))
    return max(1, min(factor, min(size_px) // _LEAST_SIDE_PX))
