"""The quality of a scene in words, with advice."""

from __future__ import annotations

import math

# Least PSNR of held-out photographs for each verdict; below, it is poor.
_LEVELS_DB = ((29.0, "very good"), (25.0, "good"), (20.0, "fair"))
_USUAL_DB = 25.0
# With fewer photographs, or fewer steps per photograph, more of them are advised.
_FEW_PHOTOGRAPHS, _FEW_PASSES = 40, 60


def verdict(psnr: float | None, *, photographs: int | None, steps: int | None) -> str | None:
    """One line on the quality of a scene.

    Args:
        psnr: mean of the held-out views, dB.
        photographs: number of training photographs; None: not known.
        steps: of training; None: not known.

    Returns:
        Such as "quality: fair; 25 dB and more is usual; next: more minutes". None if no view was held out.
    """
    if psnr is None or not math.isfinite(psnr):
        return None
    word = next((word for least, word in _LEVELS_DB if psnr >= least), "poor")
    if psnr >= _USUAL_DB:
        return f"quality: {word}"
    advice = []
    if steps is not None and photographs is not None and steps < _FEW_PASSES * photographs:
        advice.append("more minutes")
    if photographs is not None and photographs < _FEW_PHOTOGRAPHS:
        advice.append(f"{_FEW_PHOTOGRAPHS} photographs or more")
    advice = advice or ["sharper photographs from nearer places", "--exposure if their brightness varies"]
    return f"quality: {word}; {_USUAL_DB:.0f} dB and more is usual; next: {', '.join(advice)}"
