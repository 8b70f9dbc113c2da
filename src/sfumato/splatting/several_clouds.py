"""Several files of points as one cloud, in one frame and with uniform colours."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sfumato.display import Display
from sfumato.errors import ConfigError
from sfumato.splatting.cloud_colours import colours_of
from sfumato.splatting.cloud_files import first_points, read_cloud
from sfumato.splatting.measured import MeasuredCloud
from sfumato.splatting.thinning import CloudCollector

# Tolerance for equal up vectors and relative tolerance for equal units.
_SAME = 1e-3

_log = logging.getLogger("sfumato")


def read_clouds(paths: Sequence[Path], *, max_points: int, display: Display | None = None) -> MeasuredCloud:
    """Read files of measured points as one cloud, within memory bounded by ``max_points``.

    Positions are kept in float64, in the common frame of the files. If the files differ in having colours or
    intensities, the colours of each are computed from its own columns.

    Args:
        paths: one or more files.
        max_points: a larger cloud is thinned to at most this many points, as in ``read_cloud``.
        display: shows the progress; None: nothing is shown.

    Raises:
        FormatError: as in ``read_cloud``.
        ConfigError: there is no file, or they differ in up direction or unit of length.
    """
    if not paths:
        raise ConfigError("there is no cloud; give one or more files of points")
    if len(paths) == 1:
        return read_cloud(paths[0], max_points=max_points, display=display)
    sources = {path: colours_of(first_points(path))[1] for path in paths}
    if is_mixed := len(set(sources.values())) > 1:
        told = ", ".join(f"{path} {source}" for path, source in sources.items())
        _log.warning("the clouds have different colours, of which each is shown by its own: %s", told)
    gathering, read = CloudCollector(max_points), 0
    up: tuple[float, float, float] | None = None
    unit: float | None = None
    for path in paths:
        cloud = read_cloud(path, max_points=max_points, display=display)
        read += len(cloud)
        up, unit = _agreed_up(path, up, cloud.up), _agreed_unit(path, unit, cloud.metres_per_unit)
        gathering.add(_with_colours(cloud, is_mixed or sources[path] == "rgb"))
    whole = gathering.finish().with_columns({"up": up, "metres_per_unit": unit})
    if len(whole) < read:
        _log.warning("%d points of %d clouds are thinned to %d", read, len(paths), len(whole))
    return whole


def _with_colours(cloud: MeasuredCloud, wanted: bool) -> MeasuredCloud:
    """The cloud with colours in [0, 1], if wanted, whatever the range of its file."""
    if not wanted:
        return cloud
    return cloud.with_columns({"rgb": colours_of(cloud)[0], "colour_range": 1.0, "intensity": None})


def _agreed_up(
    path: Path, known: tuple[float, float, float] | None, own: tuple[float, float, float] | None
) -> tuple[float, float, float] | None:
    if known and own and float(np.linalg.norm(np.subtract(known, own))) > _SAME:
        raise ConfigError(f"{path} has another direction upwards than the clouds before it; splat it apart")
    return known or own


def _agreed_unit(path: Path, known: float | None, own: float | None) -> float | None:
    if known and own and abs(known - own) > _SAME * known:
        raise ConfigError(f"{path} is in units of {own:g} m, those before it of {known:g} m; splat it apart")
    return known or own
