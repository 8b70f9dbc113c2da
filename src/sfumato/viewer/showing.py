"""A scene on the server: the page, its scene, and the photographs when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sfumato.viewer.assembly import assemble
from sfumato.viewer.page import SHEET, Payload, describe, make_sheet, pack, photograph_name
from sfumato.viewer.pictures import Sheet, to_jpeg
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.subject import Subject, open_subject

SCENE = "scene"
# Above this, what travels is the compressed scene; on one machine the exact one is as quick up to here.
EXACT_BYTES = 128 << 20


def show(server: PageServer, subject: Subject, payload: Payload, **also: Any) -> None:
    """Let a server show a scene.

    Args:
        server: not yet running.
        subject: the scene.
        payload: as the page reads it.
        also: more for the page's manifest.
    """
    sheet = make_sheet(subject.photographs)
    manifest = {**describe(subject, payload, SCENE, sheet), **also}
    server.add("", lambda: Answer("text/html; charset=utf-8", _document(manifest)))
    server.add(SCENE, lambda: Answer("application/octet-stream", payload.data))
    for index, photograph in enumerate(subject.photographs):
        if photograph.pixels:
            server.add(
                photograph_name(index),
                lambda pixels=photograph.pixels: Answer("image/jpeg", to_jpeg(pixels(), quality=92)),
            )
    if sheet:
        filled = _once(lambda: _fill(sheet, subject))
        server.add(SHEET, lambda: Answer("image/jpeg", filled()))


def show_path(server: PageServer, path: Path, *, data: Path | None = None) -> Subject:
    """Let a server show a run folder or a scene file.

    Args:
        server: not yet running.
        path: as of :func:`open_subject`.
        data: the run's dataset, if it is not where it was.

    Raises:
        SfumatoError: it cannot be read.
    """
    subject = open_subject(path, data=data)
    show(server, subject, pack(subject.gaussians, exact_bytes=EXACT_BYTES))
    return subject


def _document(manifest: Mapping[str, Any]) -> bytes:
    return "".join(assemble(manifest)).encode("utf-8")


def _fill(sheet: Sheet, subject: Subject) -> bytes:
    for index, photograph in enumerate(subject.photographs):
        sheet.put(index, photograph.pixels())
    return sheet.to_jpeg()


def _once(make):
    """A function that makes its value at the first call, in whichever thread comes first."""
    lock, made = threading.Lock(), cache(make)

    def get():
        with lock:
            return made()

    return get
