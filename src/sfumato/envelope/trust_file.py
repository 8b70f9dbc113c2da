"""``trust.npz``: evidence from the training views on each Gaussian of a scene file.

Arrays, for n Gaussians in the order of the file and k places, at most 64:

* ``places [k, 3]`` float64, centres of representative training cameras, world frame, scene units;
* ``seen [n]`` uint64, bit i set if a camera of place i has seen the Gaussian;
* ``residuals [n]`` float32, mean absolute colour error of the training pixels it contributes to;
* ``views [n]`` int32, number of training views that have seen it;
* ``in_front [n]`` float32, share of its contribution in views in which it lies in front of the surface;
* ``uncovered [1]`` float64, mean colour error of uncovered background; not in older files;
* ``checksum [1]`` uint32, CRC-32 of the means [n, 3] float32, which identifies the scene;
* ``scale_and_power [2]``, ``anchors [g]``, ``log_ratios [g q]`` float64, as in ``Calibration``; older files
  have no anchors, and one row of ratios;
* ``refit_logit_opacities [2, n]`` float32, ``refit_sh [2, n, k, 3]`` float16, ``usual_deviation [1]``
  float64, as in ``Refits``; not in older files, or with one training view.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.checks import file_path
from sfumato.envelope.refits import PARTS, Refits
from sfumato.envelope.sightings import MOST_PLACES, UNKNOWN, Sightings
from sfumato.envelope.trust import Calibration, Trust
from sfumato.errors import FormatError
from sfumato.npy_files import names_in, read_arrays
from sfumato.outputs import replacing
from sfumato.render.settings import Settings
from sfumato.scene.gaussians import Gaussians

_ARRAYS: dict[str, tuple[type, int]] = {
    "places": (np.float64, 2),
    "seen": (np.uint64, 1),
    "residuals": (np.float32, 1),
    "views": (np.int32, 1),
    "in_front": (np.float32, 1),
    "checksum": (np.uint32, 1),
    "scale_and_power": (np.float64, 1),
    "log_ratios": (np.float64, 1),
}
_OF_REFITS: dict[str, tuple[type, int]] = {
    "refit_logit_opacities": (np.float32, 2),
    "refit_sh": (np.float16, 4),
    "usual_deviation": (np.float64, 1),
}
_OF_BACKGROUND: dict[str, tuple[type, int]] = {"uncovered": (np.float64, 1)}
_OF_ANCHORS: dict[str, tuple[type, int]] = {"anchors": (np.float64, 1)}
# Groups of arrays that older files lack.
_OPTIONAL = (_OF_REFITS, _OF_BACKGROUND, _OF_ANCHORS)
_OF_GAUSSIANS = ("seen", "residuals", "views", "in_front")
_MOST_QUANTILES, _MOST_ANCHORS, _LARGEST_RATIO = 1024, 64, 100.0


def write_trust(trust: Trust, path: str | Path) -> None:
    """Write the evidence and the calibration.

    Raises:
        SfumatoError: the file cannot be written.
    """
    path, found = file_path("path", path), trust.evidence
    arrays = {
        "places": found.places.double().numpy(),
        "seen": seen_bits(found),
        "residuals": found.residuals.numpy(),
        "views": found.views.numpy(),
        "in_front": found.in_front.numpy(),
        "checksum": np.array([_checksum(trust.gaussians)]),
        "scale_and_power": np.array([trust.calibration.scale, trust.calibration.power]),
        "log_ratios": np.array(trust.calibration.log_ratios).ravel(),
        "anchors": np.array(trust.calibration.anchors),
        "uncovered": np.array([found.uncovered]),
    }
    kinds = _ARRAYS | _OF_BACKGROUND | _OF_ANCHORS
    if trust.refits is not None:
        kinds |= _OF_REFITS
        arrays["refit_logit_opacities"] = trust.refits.logit_opacities.numpy()
        arrays["refit_sh"] = trust.refits.sh.numpy()
        arrays["usual_deviation"] = np.array([trust.refits.usual_deviation])
    typed: dict[str, Any] = {name: arrays[name].astype(kind) for name, (kind, _) in kinds.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **typed)


def read_trust(path: str | Path, gaussians: Gaussians, settings: Settings) -> Trust:
    """Read the trust of Gaussians that were read from the scene file beside it.

    Raises:
        FormatError: the file is missing, damaged, or does not belong to these Gaussians.
    """
    path = file_path("path", path)
    try:
        present = set(names_in(path))
        wanted = _ARRAYS | {
            name: kind for group in _OPTIONAL if present & set(group) for name, kind in group.items()
        }
        arrays = read_arrays(path, wanted)
    except FileNotFoundError:
        raise FormatError(f"{path}: missing; run sfumato eval RUN --envelope") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} is not a readable trust file: {error}") from None
    _check(arrays, path)
    n = len(gaussians)
    if len(arrays["seen"]) != n:
        raise FormatError(f"{path} has {len(arrays['seen']):,} Gaussians, but the scene beside it has {n:,}")
    if arrays["checksum"].tolist() != [_checksum(gaussians)]:
        raise FormatError(
            f"{path} does not belong to the scene beside it; run sfumato eval RUN --envelope again"
        )
    places = arrays["places"]
    bits = (arrays["seen"][:, None] >> np.arange(len(places), dtype=np.uint64)) & np.uint64(1)
    evidence = Sightings(
        places=torch.from_numpy(places).to(gaussians.means),
        seen=torch.from_numpy(bits.astype(bool)),
        residuals=torch.from_numpy(arrays["residuals"]),
        views=torch.from_numpy(arrays["views"].astype(np.int64)),
        in_front=torch.from_numpy(arrays["in_front"]),
        uncovered=_one_number("uncovered", arrays, path) if "uncovered" in arrays else UNKNOWN,
    )
    scale, power = arrays["scale_and_power"].tolist()
    anchors = arrays["anchors"].tolist() if "anchors" in arrays else Calibration().anchors
    rows = arrays["log_ratios"].reshape(len(anchors), -1).tolist()
    calibration = Calibration(scale, power, tuple(anchors), tuple(tuple(row) for row in rows))
    refits = _refits(arrays, gaussians, path) if "refit_sh" in arrays else None
    return Trust(gaussians, evidence, settings, calibration, refits)


def _refits(arrays: dict[str, np.ndarray], gaussians: Gaussians, path: Path) -> Refits:
    logits, sh = arrays["refit_logit_opacities"], arrays["refit_sh"]
    wanted = (PARTS, len(gaussians), *gaussians.sh.shape[1:])
    if logits.shape != wanted[:2] or sh.shape != wanted:
        raise FormatError(
            f"{path}: refits are {list(logits.shape)} and {list(sh.shape)}, not of this scene's Gaussians"
        )
    if not (np.isfinite(logits).all() and np.isfinite(sh).all()):
        raise FormatError(f"{path}: refits hold NaN or infinity")
    usual = _one_number("usual_deviation", arrays, path)
    return Refits(torch.from_numpy(logits), torch.from_numpy(sh), usual)


def _one_number(name: str, arrays: dict[str, np.ndarray], path: Path) -> float:
    values = arrays[name].tolist()
    if len(values) != 1 or not 0 <= values[0] < np.inf:
        raise FormatError(f"{path}: {name} is {values[:3]}, not one number of at least 0")
    return float(values[0])


def _check(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Reject inconsistent shapes and numbers out of range."""
    places, ratios = arrays["places"], arrays["log_ratios"]
    if places.shape[1:] != (3,) or not 1 <= len(places) <= MOST_PLACES:
        raise FormatError(f"{path}: places are {list(places.shape)}; at most [{MOST_PLACES}, 3]")
    counts = {len(arrays[name]) for name in _OF_GAUSSIANS}
    if len(counts) > 1:
        raise FormatError(f"{path}: {', '.join(_OF_GAUSSIANS)} are of {sorted(counts)} Gaussians")
    for name in ("places", "residuals", "in_front", "scale_and_power", "log_ratios"):
        if not np.isfinite(arrays[name]).all():
            raise FormatError(f"{path}: {name} holds NaN or infinity")
    if min(arrays["residuals"].min(initial=0), arrays["in_front"].min(initial=0)) < 0:
        raise FormatError(f"{path}: an error or a share is negative")
    factors = arrays["scale_and_power"].tolist()
    if len(factors) != 2 or min(factors) <= 0:
        raise FormatError(f"{path}: scale and power are {factors[:3]}, not two numbers above 0")
    anchors = arrays.get("anchors", np.ones(1))
    are_anchors = 1 <= len(anchors) <= _MOST_ANCHORS and bool((np.diff(anchors, prepend=0.0) > 0).all())
    if not (are_anchors and np.isfinite(anchors).all()):
        raise FormatError(f"{path}: anchors are not ascending errors above 0")
    is_table = 1 <= len(ratios) <= _MOST_QUANTILES * len(anchors) and len(ratios) % len(anchors) == 0
    if not is_table or (np.diff(ratios.reshape(len(anchors), -1)) < 0).any():
        raise FormatError(f"{path}: log_ratios are not ascending quantiles")
    if np.abs(ratios).max() > _LARGEST_RATIO:
        raise FormatError(f"{path}: log_ratios are not ascending quantiles of up to {_LARGEST_RATIO:g}")


def seen_bits(evidence: Sightings) -> np.ndarray:
    """[n] uint64, bit i set if a camera of place i has seen the Gaussian."""
    powers = np.uint64(1) << np.arange(evidence.seen.shape[1], dtype=np.uint64)
    return (evidence.seen.numpy() * powers).sum(axis=1, dtype=np.uint64)


def _checksum(gaussians: Gaussians) -> int:
    return zlib.crc32(np.ascontiguousarray(gaussians.means.detach().numpy(), np.float32).tobytes())
