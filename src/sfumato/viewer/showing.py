"""Serving a scene: the page, the scene data, and images rendered on request."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sfumato.edit.script import MAX_SCRIPT_BYTES
from sfumato.errors import SfumatoError
from sfumato.viewer.assembly import assemble
from sfumato.viewer.exact import ExactRenderer, RenderedImage, RenderRequest, read_request
from sfumato.viewer.film import FILM, offer_films
from sfumato.viewer.overlays import find_floaters, to_bits, too_many
from sfumato.viewer.page import (
    FLOATERS,
    SHEET,
    PackedSubject,
    describe,
    make_sheet,
    pack_subject,
    photograph_name,
    pieces_of,
)
from sfumato.viewer.page_edits import EDITS, SAVE, EditedScenes, offer_saving
from sfumato.viewer.page_views import SAVE_VIEW, offer_views
from sfumato.viewer.photographs import Sheet, to_jpeg
from sfumato.viewer.server import Answer, PageServer
from sfumato.viewer.subject import Photograph, Subject
from sfumato.viewer.tracked_subject import open_any

_log = logging.getLogger("sfumato")

EXACT = "exact"
# Larger scenes are sent compressed; up to this size, uncompressed ones are as fast on one machine.
EXACT_BYTES = 128 << 20

_Made = TypeVar("_Made")


def show(server: PageServer, subject: Subject, packed: PackedSubject, **also: Any) -> None:
    """Serve a scene.

    Args:
        server: not yet running.
        subject: the scene.
        packed: the encoded scene.
        also: further manifest entries.
    """
    sheet = make_sheet(subject.photographs)
    steps = list(range(max((len(one.pixels_at) for one in subject.photographs), default=0)))
    manifest = {**describe(subject, packed, sheet, steps), **also}
    server.add("", lambda: Answer("text/html; charset=utf-8", _document(manifest)))
    for name, data in pieces_of(packed).items():
        server.add(name, partial(Answer, "application/octet-stream", data))
    for index, photograph in enumerate(subject.photographs):
        if photograph.pixels and not steps:
            server.add(photograph_name(index), partial(_photograph, photograph.pixels))
        for step in steps:
            pixels = photograph.at(step)
            if pixels:
                server.add(photograph_name(index, step), partial(_photograph, pixels))
    if sheet:
        filled = _once(lambda: _fill(sheet, subject))
        server.add(SHEET, lambda: Answer("image/jpeg", filled()))


def offer_exact(
    server: PageServer,
    photographs: Sequence[Photograph],
    draw: Callable[[RenderRequest], RenderedImage | None],
) -> None:
    """Serve images of our own renderer on request.

    Args:
        server: not yet running.
        photographs: photographs of the scene.
        draw: renders a request; returns None if there is a newer one.
    """

    def answer(body: bytes) -> Answer | None:
        picture = draw(read_request(body, photographs))
        if picture is None:
            return None
        headers = {"X-Seconds": f"{picture.seconds:.4f}"}
        if picture.range:
            headers["X-Range"] = "{:.6g} {:.6g}".format(*picture.range)
        return Answer("image/jpeg", picture.jpeg, headers)

    server.reply(EXACT, answer)


def show_path(server: PageServer, path: Path, *, data: Path | None = None, repair: bool = False) -> Subject:
    """Serve a run folder or a scene file.

    Args:
        server: not yet running.
        path: as in :func:`open_any`.
        data: the run's dataset, if it was moved.
        repair: as in ``sfumato.load``.

    Raises:
        SfumatoError: it cannot be read.
    """
    subject = open_any(path, data=data, repair=repair)
    show_subject(server, subject, path)
    return subject


def show_subject(server: PageServer, subject: Subject, path: Path | None = None) -> None:
    """Serve a finished scene with all features of the page.

    Args:
        server: not yet running.
        subject: the scene.
        path: where it was read from; edits are saved there. None: they cannot be saved.
    """
    also: dict[str, Any] = {"exact": EXACT, "edits": EDITS}
    shown = subject.moving or subject.gaussians
    edited = EditedScenes(shown)
    server.reply(EDITS, edited.take, MAX_SCRIPT_BYTES)
    if path is not None:
        also.update(source=str(path), film=FILM, save=SAVE, saveView=SAVE_VIEW)
    show(server, subject, pack_subject(subject, exact_bytes=EXACT_BYTES), **also)
    trust = subject.trust.trust if subject.trust else None
    floating = _once(lambda: find_floaters(subject.gaussians, trust))

    def bits() -> Answer:
        found = floating()
        assert found is not None
        return Answer("application/octet-stream", to_bits(found))

    if not too_many(len(subject.gaussians)):
        server.add(FLOATERS, bits)
    if path is not None:
        offer_films(server, path, subject, edited)
        offer_saving(server, path, shown, floating)
        offer_views(server, path)
    renderer = ExactRenderer(subject.photographs, subject.settings, floating)
    offer_exact(server, subject.photographs, _Drawing(renderer, edited).draw)


class _Drawing:
    """Renders one request at a time and drops those that were superseded while they waited."""

    def __init__(self, renderer: ExactRenderer, edited: EditedScenes) -> None:
        self._renderer, self._edited = renderer, edited
        self._drawing, self._newest = threading.Lock(), 0

    def draw(self, request: RenderRequest) -> RenderedImage | None:
        self._newest = mine = self._newest + 1
        with self._drawing:
            if mine != self._newest:
                return None
            return self._renderer.render(request, self._edited.of(request.edits))


def _photograph(pixels: Callable[[], np.ndarray]) -> Answer:
    return Answer("image/jpeg", to_jpeg(pixels(), quality=92))


def _document(manifest: Mapping[str, Any]) -> bytes:
    return "".join(assemble(manifest)).encode("utf-8")


def _fill(sheet: Sheet, subject: Subject) -> bytes:
    for index, photograph in enumerate(subject.photographs):
        if photograph.pixels is None:
            continue
        try:
            sheet.put(index, photograph.pixels())
        except (SfumatoError, OSError) as error:
            _log.warning("no thumbnail: %s", error)
    return sheet.to_jpeg()


def _once(make: Callable[[], _Made]) -> Callable[[], _Made]:
    """A thread-safe function that computes its value at the first call."""
    lock, made = threading.Lock(), cache(make)

    def get() -> _Made:
        with lock:
            return made()

    return get
