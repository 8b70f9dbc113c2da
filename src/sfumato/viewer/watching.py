"""Server-sent events and packed scenes for pages that watch a training run; waiting until a signal."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.scene.files import splat
from sfumato.scene.gaussians import Gaussians
from sfumato.viewer.page import Payload, pack

# Larger snapshots omit view-dependent colour: 32 bytes per Gaussian instead of up to 248.
EXACT_BYTES = 48 << 20


class Reports:
    """Follows the lines appended to ``events.jsonl``.

    Args:
        path: the file, which may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def new(self) -> list[str]:
        """Complete lines since the last call."""
        try:
            with self._path.open("rb") as handle:
                handle.seek(self._at)
                data = handle.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        return whole.decode("utf-8", "replace").splitlines()


def event(kind: str, data: str) -> bytes:
    """A server-sent event."""
    return f"event: {kind}\ndata: {data}\n\n".encode()


def packed(gaussians: Gaussians) -> Payload:
    """Encode a scene as fast as possible."""
    floats = sum(tensor.numel() for tensor in gaussians.tensors().values())
    if 4 * floats <= EXACT_BYTES:
        return pack(gaussians, exact_bytes=EXACT_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.splat"
        splat.save(replace(gaussians, sh=gaussians.sh[:, :1]), path)
        return Payload(path.read_bytes(), "splat", "rdf")


@contextmanager
def ended_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, in addition to their existing handlers."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        asked.set()
        if callable(before[number]):
            before[number](number, frame)

    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
