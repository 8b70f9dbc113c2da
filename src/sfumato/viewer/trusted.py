"""Trust of a scene for its page: reading ``trust.npz`` and ``envelope.json``, and encoding."""

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
# Fading starts at this quantile of the Gaussians' expected errors, seen from where they were photographed.
# The quantile is taken over at most about this many Gaussians.
_SHARE_BELOW, _LOOKED_AT = 0.95, 100_000
# Median displacement from the nearest training view up to which a position counts as inside the trusted
# region.
REACH = 0.5
# Highest one-byte code for (r + r₀)^a, uniform in its logarithm.
_CODES = 255
NOT_MEASURED = "not known where this scene can be trusted; sfumato eval RUN --envelope finds out"
MOVES = "the trust of dynamic scenes is not measured"


@dataclass(frozen=True)
class NextPhotograph:
    """A recommended view for a further photograph.

    Attributes:
        centre: camera centre, world frame.
        direction: viewing direction, unit vector, world frame.
        says: description of the view.
    """

    centre: tuple[float, ...]
    direction: tuple[float, ...]
    says: str


@dataclass(frozen=True)
class KnownTrust:
    """The measured trust of a scene.

    Attributes:
        trust: trust of its Gaussians.
        next_photographs: recommended views, the best first.
    """

    trust: Trust
    next_photographs: Sequence[NextPhotograph] = ()


@dataclass(frozen=True)
class TrustPayload:
    """The trust of n Gaussians encoded for the page.

    Attributes:
        data: n times ``seen`` uint64, little-endian, then n codes uint8 of (r + r₀)^a.
        manifest: its entry in the manifest.
    """

    data: bytes
    manifest: dict[str, Any]


def read_known_trust(folder: Path, gaussians: Gaussians, settings: Settings) -> KnownTrust | None:
    """Read the trust in a run folder; None if there is none.

    Both files are untrusted. A file that is damaged or belongs to another scene is ignored with a warning.

    Args:
        folder: folder of ``scene.ply``.
        gaussians: the Gaussians read from it.
        settings: settings of our own renderer.
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
    """Recommended views, as far as the untrusted file can be read."""
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
    # A lone surrogate cannot be encoded.
    plain = says[:_MOST_LETTERS].encode("utf-8", "replace").decode("utf-8")
    return NextPhotograph(centre, tuple(value / length for value in direction), " ".join(plain.split()))


def _vector(values: object) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) != 3:
        return None
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return None
    # Refuses NaN and values far beyond any scene.
    return tuple(float(value) for value in values) if all(abs(value) < 1e9 for value in values) else None


def pack_trust(known: KnownTrust) -> TrustPayload:
    """Encode the trust of a scene for the page, Gaussians in the order of the scene."""
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
    """The expected error above which the page fades a Gaussian."""
    undisplaced = trust.residual_term() * displacement_term(torch.zeros(()))
    some = undisplaced[:: max(1, len(undisplaced) // _LOOKED_AT)]
    if not len(some):
        return 1.0
    return float(torch.quantile(trust.calibration.expected(some).nan_to_num(1.0), _SHARE_BELOW).clamp(1e-4))
