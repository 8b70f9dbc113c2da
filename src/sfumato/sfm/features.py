"""SIFT features, detected by COLMAP and stored in its database."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato import machine
from sfumato.footage.frames_file import Footage, Picture
from sfumato.maths.spread import coarse_to_fine
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pace import Thinning
from sfumato.sfm.parts import PartialDatabases, parts_of
from sfumato.sfm.progress import Progress
from sfumato.sfm.stage_files import remove_database, using
from sfumato.sfm.worker_pool import Job, WorkerPool

if TYPE_CHECKING:
    import pycolmap

# Long side, number of features, and cost per picture in seconds of two idle cores: of all stages, and of its
# features alone.
_LEVELS = ((1600, 4096, 1.4, 0.34), (1280, 3072, 0.9, 0.22), (1000, 2048, 0.5, 0.12))
# Without a time budget: pictures per core up to which the finest level is used, and the next.
_FINE_UNTIL, _MEDIUM_UNTIL = 40, 300
# Pictures smaller than this are upsampled twofold first: small or blurred ones have too few features
# otherwise.
_DOUBLED_BELOW_PX = 1000
# Upsampling gives many more features; the maximum is reduced by this factor to limit the time of matching.
_DOUBLED_SHARE = 0.75
_PICTURES_OF_A_RICH_MODEL = 8
# Pictures per job, and the time-out per picture, many times the usual duration.
_PICTURES_AT_ONCE, _ALLOWED_S = 2, 60.0
# Time-out of the import, and its increase per picture.
_LISTING_S, _LISTED_S = 120.0, 2.0


@dataclass(frozen=True)
class FeatureSettings:
    """Settings of feature detection.

    Attributes:
        side_px: long side of the reduced pictures.
        count: maximum number of features per picture.
        doubled: whether pictures are upsampled twofold first.
    """

    side_px: int
    count: int
    doubled: bool

    @staticmethod
    def chosen(pictures: Sequence[Picture], config: SfmConfig, budget: float = math.inf) -> FeatureSettings:
        """Settings suited to the number of pictures and to this machine's cores.

        Args:
            pictures: all of them.
            config: the user's options.
            budget: for all pictures and stages, seconds of two idle cores.
        """
        side_px, count = _LEVELS[_level(len(pictures), budget)][:2]
        side_px = config.feature_side_px or side_px
        doubled = min(side_px, max(max(picture.size_px) for picture in pictures)) < _DOUBLED_BELOW_PX
        count = round(_DOUBLED_SHARE * count) if doubled else count
        return FeatureSettings(side_px, config.max_features or count, doubled)

    @property
    def seconds(self) -> float:
        """Estimated cost of a picture's features, seconds of two idle cores."""
        return next((level[3] for level in _LEVELS if self.side_px >= level[0]), _LEVELS[-1][3])


def _level(pictures: int, budget: float) -> int:
    if math.isinf(budget):
        per_core = pictures / machine.cores()
        return 0 if per_core <= _FINE_UNTIL else 1 if per_core <= _MEDIUM_UNTIL else 2
    affordable = (i for i, level in enumerate(_LEVELS) if level[2] * pictures <= budget)
    return next(affordable, len(_LEVELS) - 1)


def import_pictures(
    database: Path, footage: Footage, config: SfmConfig, known: Mapping[str, pycolmap.Camera] | None = None
) -> None:
    """Write cameras and pictures to a new database, in one fixed order.

    Args:
        database: file to create; an old one is removed.
        footage: the pictures; those of one ``camera`` share intrinsics.
        config: with the camera model.
        known: intrinsics by ``camera``, if they are given.
    """
    # Renamed once all pictures are in it, as an interrupted run resumes with an existing database.
    unfinished = database.with_name(f"part.{database.name}")
    cameras = []
    for pictures in by_camera(footage.pictures):
        camera = known[pictures[0].camera] if known else _first_guess(pictures, config)
        params = camera.params_to_string() if camera.has_prior_focal_length else ""
        names = [picture.name for picture in pictures]
        cameras.append({"model": camera.model_name, "params": params, "names": names})
    files = {"database": str(unfinished.resolve()), "images": str(footage.folder.resolve())}

    def prepare() -> dict[str, Any]:
        remove_database(unfinished)
        return {"work": "import", **files, "cameras": cameras}

    job = Job("listing the pictures", prepare, _LISTING_S + _LISTED_S * len(footage.pictures))
    with WorkerPool(1, database.parent) as pool:
        list(pool.results([job]))
    remove_database(database)
    unfinished.rename(database)


def by_camera(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    """Pictures grouped by camera, in order of their first names."""
    cameras: dict[str, list[Picture]] = {}
    for picture in sorted(pictures, key=lambda picture: picture.name):
        cameras.setdefault(picture.camera, []).append(picture)
    yield from cameras.values()


def extract(
    database: Path,
    footage: Footage,
    settings: FeatureSettings,
    report: Progress,
    thinning: Thinning | None = None,
) -> set[str]:
    """Detect the features of every picture that has none in the database yet, within the time budget.

    Args:
        database: with the pictures imported.
        footage: the pictures.
        settings: of the detection.
        report: called with the number of pictures that are done.
        thinning: decides when to stop; the pictures processed by then are evenly spaced.

    Returns:
        Names of the pictures that did not fit the budget.
    """
    names = [footage.pictures[place].name for place in coarse_to_fine(len(footage.pictures))]
    folder = database.with_name("parts")
    with parts_of(database, folder) as parts, WorkerPool(machine.cores(), folder) as pool:
        missing = [name for name in names if not parts.has_features(name)]
        done = begun = before = len(names) - len(missing)
        report(done, len(names))

        def jobs() -> Iterator[Job]:
            nonlocal begun
            for chunk in chunks(missing, _PICTURES_AT_ONCE):
                if thinning and thinning.is_enough(begun, done):
                    return
                begun += len(chunk)
                yield _job(parts, chunk, footage, settings)

        for request in pool.results(jobs()):
            parts.take_features(Path(request["database"]), request["names"])
            done += len(request["names"])
            if thinning:
                thinning.note(done)
            report(done, len(names))
    return set(missing[begun - before :])


def _job(parts: PartialDatabases, names: list[str], footage: Footage, settings: FeatureSettings) -> Job:
    """The job that detects the features of some pictures."""

    def prepare() -> dict[str, Any]:
        part = parts.cut(names, with_features=False)
        files = {"database": str(part.resolve()), "images": str(footage.folder.resolve())}
        return {"work": "extract", **files, "names": names, **asdict(settings)}

    return Job(f"finding features in {' and '.join(names)}", prepare, _ALLOWED_S * len(names))


def chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Consecutive lists of at most ``size`` items."""
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


def read_descriptors(database: Path) -> dict[str, np.ndarray]:
    """uint8 [n, 128] of every picture by name."""
    words = "SELECT name, data FROM images LEFT JOIN descriptors USING (image_id) ORDER BY image_id"
    with using(database) as found:
        rows = [(name.decode(), data or b"") for name, data in found.execute(words)]
    return {name: np.frombuffer(data, np.uint8).reshape(-1, 128) for name, data in rows}


def _first_guess(pictures: Sequence[Picture], config: SfmConfig) -> pycolmap.Camera:
    """A camera without distortion, with the focal length of the metadata, or a default one."""
    import pycolmap

    model = config.camera_model
    if model == "auto":
        model = "OPENCV" if len(pictures) >= _PICTURES_OF_A_RICH_MODEL else "SIMPLE_RADIAL"
    focal_px, (width, height) = pictures[0].focal_px, pictures[0].size_px
    camera = pycolmap.Camera.create_from_model_name(0, model, focal_px or float(width), width, height)
    camera.has_prior_focal_length = focal_px is not None
    return camera
