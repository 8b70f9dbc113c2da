"""Where a scene can be trusted, as its page is told: ``trust.npz`` and ``envelope.json`` beside it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.envelope.trust import (
    DISPLACEMENT_EXPONENT,
    DISPLACEMENT_OFFSET,
    FARTHEST,
    Trust,
    displacement_term,
)
from sfumato.envelope.trust_file import read_trust, seen_bits
from sfumato.errors import FormatError
from sfumato.json_files import read_json
from sfumato.render.settings import Settings
from sfumato.runs.folder import RunFolder
from sfumato.scene.gaussians import Gaussians

_log = logging.getLogger("sfumato")

_MOST_BYTES = 4 << 20
_MOST_NEXT, _MOST_LETTERS = 5, 240
# Fading begins at the expected error that so many of the Gaussians stay below, seen from where they were
# photographed; of more than these a part is looked at.
_SHARE_BELOW, _LOOKED_AT = 0.95, 100_000
# Displacement of what the nearest training view shows, in the median, up to which a visitor stands inside.
REACH = 0.5
# Codes of one byte for (r + r₀)^a, evenly in its logarithm.
_CODES = 255
NOT_MEASURED = "not known where this scene can be trusted; sfumato eval RUN --envelope finds out"
MOVES = "where a scene that moves can be trusted is not measured"


@dataclass(frozen=True)
class NextPhotograph:
    """A view that is worth a photograph.

    Attributes:
        centre: of the camera, world frame.
        direction: that it looks in, unit vector, world frame.
        says: where that is, in words.
    """

    centre: tuple[float, ...]
    direction: tuple[float, ...]
    says: str


@dataclass(frozen=True)
class KnownTrust:
    """What is known of where a scene can be trusted.

    Attributes:
        trust: of its Gaussians.
        next_photographs: the best first.
    """

    trust: Trust
    next_photographs: Sequence[NextPhotograph] = ()


@dataclass(frozen=True)
class TrustPayload:
    """The trust of n Gaussians as the page reads it.

    Attributes:
        data: n times ``seen`` uint64, little-endian, then n codes uint8 of (r + r₀)^a.
        told: what the manifest says of it.
    """

    data: bytes
    told: dict[str, Any]


def read_known_trust(folder: Path, gaussians: Gaussians, settings: Settings) -> KnownTrust | None:
    """What lies beside the scene of a run folder; None where there is nothing.

    Both files are untrusted. One that is damaged or of another scene is left out, and a warning says so.

    Args:
        folder: that ``scene.ply`` lies in.
        gaussians: read from it.
        settings: of our own renderer.
    """
    run = RunFolder(folder)
    if not run.trust.is_file():
        return None
    try:
        trust = read_trust(run.trust, gaussians, settings)
    except FormatError as error:
        _log.warning("shown without trust: %s", error)
        return None
    if not torch.isfinite(trust.evidence.places).all():
        _log.warning("shown without trust: %s: places are too far away", run.trust)
        return None
    return KnownTrust(trust, _read_next(run.envelope))


def _read_next(path: Path) -> list[NextPhotograph]:
    """Views that are worth a photograph, as far as the file can be read; it is not trusted."""
    try:
        document = read_json(path, _MOST_BYTES)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        _log.warning("shown without the next photographs: %s: %s", path, error)
        return []
    rows = document.get("next_photographs") if isinstance(document, dict) else None
    found = [_next(row) for row in rows[:_MOST_NEXT]] if isinstance(rows, list) else []
    return [one for one in found if one]


def _next(row: object) -> NextPhotograph | None:
    if not isinstance(row, dict):
        return None
    centre, direction, says = (_vector(row.get("centre")), _vector(row.get("direction")), row.get("says"))
    length = math.hypot(*direction) if direction else 0.0
    if not centre or not direction or not length > 1e-6 or not isinstance(says, str):
        return None
    # A lone surrogate could not be written.
    plain = says[:_MOST_LETTERS].encode("utf-8", "replace").decode("utf-8")
    return NextPhotograph(centre, tuple(value / length for value in direction), " ".join(plain.split()))


def _vector(values: object) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) != 3:
        return None
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return None
    # Far beyond any scene, and NaN.
    return tuple(float(value) for value in values) if all(abs(value) < 1e9 for value in values) else None


def pack_trust(known: KnownTrust) -> TrustPayload:
    """The trust of a scene as bytes for the page, Gaussians in the order of the scene."""
    trust = known.trust
    terms = trust.residual_term().double().clamp(max=1e6)
    low, high = (float(terms.min()), float(terms.max())) if len(terms) else (1.0, 1.0)
    span = math.log(high / low)
    codes = (terms / low).log() * (_CODES / span if span > 0 else 0.0)
    data = (
        seen_bits(trust.evidence).astype("<u8").tobytes() + codes.round().numpy().astype(np.uint8).tobytes()
    )
    return TrustPayload(
        data,
        {
            "places": trust.evidence.places.double().tolist(),
            "term": {"low": low, "log_step": span / _CODES},
            "displacement": {
                "offset": DISPLACEMENT_OFFSET,
                "exponent": DISPLACEMENT_EXPONENT,
                "farthest": FARTHEST,
            },
            "scale": trust.calibration.scale,
            "power": trust.calibration.power,
            "fades_from": _fades_from(trust),
            "reach": REACH,
            "next": [
                {"centre": list(one.centre), "direction": list(one.direction), "says": one.says}
                for one in known.next_photographs
            ],
        },
    )


def _fades_from(trust: Trust) -> float:
    """The expected error above which a Gaussian fades."""
    at_home = trust.residual_term() * displacement_term(torch.zeros(()))
    some = at_home[:: max(1, len(at_home) // _LOOKED_AT)]
    if not len(some):
        return 1.0
    return float(torch.quantile(trust.calibration.expected(some).nan_to_num(1.0), _SHARE_BELOW).clamp(1e-4))
