"""Choices that depend on the time budget: which pictures are used, their size, and the number of features.

The choices are kept in a file, so that an interrupted run resumes with the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sfumato.capture.images import read_header
from sfumato.display import Display, clock
from sfumato.errors import CaptureError
from sfumato.footage import Dropped, Footage, FrameOptions
from sfumato.footage.frame_options import FEWEST_FRAMES, LONGEST_PHOTO_SIDE_PX, MOST_FRAMES
from sfumato.footage.frames_file import LEFT_OUT
from sfumato.json_files import read_json
from sfumato.outputs import write_json
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.features import FeatureSettings
from sfumato.sfm.pace import Costs, Pace, Thinning, frames_within, most_within

# With fewer pictures around an object, neighbours overlap too little: of 20, a third were not registered.
FEWEST_PICTURES = 30
# Photographs of this size give the same features in half the time.
_SHORT_OF_TIME_SIDE_PX = 1600
# Files that are opened to estimate the number and size of photographs.
_SAMPLED_FILES = 40
# Photographs are selected for this multiple of the time budget, as the probe is inaccurate.
_OPTIMISM = 1.5
_MAX_BYTES = 64 << 20


class SfmPlan:
    """The choices for a time budget; without one, the given options.

    Args:
        config: options of structure from motion.
        frames: options of the selection of pictures.
        path: of the file that keeps the choices.
    """

    def __init__(self, config: SfmConfig, frames: FrameOptions, path: Path) -> None:
        self._config, self._frames = config, frames
        self.pace = Pace(config.minutes)
        self._costs = Costs()
        self._chosen = _Chosen(path)

    def frame_options(self, files: Sequence[Path], display: Display) -> FrameOptions:
        """Options of the selection of pictures from these files; options that were given are kept."""
        number, size_px = _photographs(files)
        if not self.pace.is_limited:
            return self._frames
        longest = self._frames.max_side_px or LONGEST_PHOTO_SIDE_PX
        plain = self._chosen.once(
            "frames",
            [self._config.minutes, asdict(self._frames)],
            lambda: self._fitting(number, size_px, longest, has_videos=number < len(files)),
        )
        self._costs = Costs.of(size_px, plain["max_side_px"] or longest) if number else Costs()
        if doubt := self._doubt(number):
            display.say(doubt)
        return FrameOptions(**plain)

    def _fitting(
        self, number: int, size_px: tuple[int, int], longest: int, *, has_videos: bool
    ) -> dict[str, Any]:
        frames, budget = self._frames, self.pace.budget
        if has_videos and frames.max_frames is None and frames_within(budget) < MOST_FRAMES:
            frames = replace(frames, max_frames=frames_within(budget))
        costs = Costs.of(size_px, longest)
        if number and costs.whole(number) > budget and frames.max_side_px is None:
            frames = replace(frames, max_side_px=_SHORT_OF_TIME_SIDE_PX)
            costs = Costs.of(size_px, _SHORT_OF_TIME_SIDE_PX)
        # Feature detection measures the slowness better than the probe, and drops pictures if necessary.
        budget *= _OPTIMISM
        if number and costs.whole(number) > budget and frames.max_photos is None:
            frames = replace(frames, max_photos=max(FEWEST_PICTURES, most_within(budget, costs.whole)))
        return asdict(frames)

    def _doubt(self, number: int) -> str:
        """A line with the estimated time if the budget is too small even for the fewest pictures."""
        least = min(FEWEST_PICTURES, number or FEWEST_FRAMES)
        needed_s = self._costs.whole(least) * self.pace.slowness
        if needed_s <= self.pace.left_s:
            return ""
        return (
            f"there are {clock(self.pace.left_s)} for the cameras, and those of {least} pictures take about "
            f"{clock(needed_s)} on this machine now: going on with the least; give more --minutes"
        )

    def settings(self, footage: Footage) -> FeatureSettings:
        """Settings of feature detection."""
        pictures, config = footage.pictures, self._config
        if not self.pace.is_limited:
            return FeatureSettings.chosen(pictures, config)
        budget = self.pace.budget - len(pictures) * self._costs.writing
        plain = self._chosen.once(
            "features",
            [config.minutes, len(pictures), config.feature_side_px, config.max_features],
            lambda: asdict(FeatureSettings.chosen(pictures, config, budget)),
        )
        settings = FeatureSettings(**plain)
        self._costs = self._costs.finer(settings.seconds)
        return settings

    def thinning(self) -> Thinning | None:
        """The limit of feature detection by time; None if the number of pictures was given."""
        is_given = self._frames.max_frames is not None or self._frames.max_photos is not None
        if is_given or not self.pace.is_limited:
            return None
        return Thinning(self.pace, self._costs, FEWEST_PICTURES)

    def is_outdated(self) -> bool:
        """Whether pictures were left out for another time budget than the present one."""
        for_any, for_now = None, [self._config.minutes]
        return bool(self._chosen.of("left out", for_any)) and not self._chosen.of("left out", for_now)

    def leave_out(self, names: set[str]) -> None:
        """Record the pictures that did not fit the budget."""
        self._chosen.keep("left out", [self._config.minutes], sorted(names))

    def thinned(self, footage: Footage) -> Footage:
        """The footage without the pictures that did not fit the budget."""
        names = set(self._chosen.of("left out", [self._config.minutes]) or ())
        out = [picture for picture in footage.pictures if picture.name in names]
        dropped = [Dropped(p.source, p.name, f"{LEFT_OUT}no time for its features") for p in out]
        return Footage(
            footage.folder,
            tuple(picture for picture in footage.pictures if picture.name not in names),
            tuple(sorted([*footage.dropped, *dropped], key=lambda one: (one.name, one.source))),
        )

    def say(self, footage: Footage, display: Display) -> None:
        """Print how many pictures are used, if time or number exclude some."""
        used, out = len(footage.pictures), footage.spared
        if not out:
            return
        words = f"using {used} of {used + out} pictures"
        if self.pace.is_limited:
            words += (
                f" to fit {self._config.minutes:.3g} minutes for the cameras; to use all, give more "
                "--minutes, or their number as max-photos"
            )
        display.say(words)

    def pairs_until_s(self, pictures: int) -> float:
        """Deadline of matching, which leaves time for the stages after it."""
        return self.pace.until_s(self._costs.until_written(pictures))

    def cameras_until_s(self, pictures: int) -> float:
        """Deadline of mapping; it gets the time it needs even if earlier stages took too long."""
        needed_s = self.pace.slowness * self._costs.until_written(pictures)
        return max(self.pace.until_s(pictures * self._costs.writing), self.pace.now_s + needed_s)


def _photographs(files: Sequence[Path]) -> tuple[int, tuple[int, int]]:
    """Estimated number of photographs, and (width, height) of the largest of those opened."""
    some = files[:: max(1, math.ceil(len(files) / _SAMPLED_FILES))]
    sizes = []
    for path in some:
        with suppress(CaptureError):
            sizes.append(read_header(path).size_px)
    number = round(len(files) * len(sizes) / max(len(some), 1))
    return number, max(sizes, key=math.prod, default=(1, 1))


class _Chosen:
    """Choices in a JSON file, each with the conditions that it was made for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def once(self, name: str, made_for: object, choose: Callable[[], Any]) -> Any:
        """The earlier choice for the same conditions, or a new one."""
        known = self.of(name, made_for)
        return self.keep(name, made_for, choose()) if known is None else known

    def of(self, name: str, made_for: object) -> Any:
        """The choice for these conditions, if there is one; with None, for any conditions."""
        entry = self._read().get(name, {})
        return entry.get("value") if made_for in (None, entry.get("for")) else None

    def keep(self, name: str, made_for: object, value: Any) -> Any:
        """Store a value and return it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path, {**self._read(), name: {"for": made_for, "value": value}})
        return value

    def _read(self) -> dict[str, dict[str, Any]]:
        with suppress(OSError, ValueError):
            value = read_json(self._path, _MAX_BYTES)
            if isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values()):
                return value
        return {}
