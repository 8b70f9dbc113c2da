"""A one-slot queue of render requests from server threads to the thread that renders."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sfumato.errors import SfumatoError
from sfumato.viewer.exact import RenderedImage, RenderRequest


class RequestSlot:
    """Holds one request; a newer request replaces a pending one, whose caller gets None.

    Args:
        changed: notified when a request arrives.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._waiting: _PendingRequest | None = None

    @property
    def has_request(self) -> bool:
        return self._waiting is not None

    def ask(self, request: RenderRequest, patience_s: float) -> RenderedImage | None:
        """Request an image and wait for it.

        Args:
            request: the request.
            patience_s: time-out.

        Returns:
            The image, or None if a newer request replaced this one or it was not rendered in time.

        Raises:
            SfumatoError: the image cannot be rendered.
        """
        asked = _PendingRequest(request)
        with self._changed:
            if self._waiting:
                self._waiting.is_over = True
            self._waiting = asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: asked.is_over, patience_s)
            if self._waiting is asked:
                self._waiting = None
        if asked.error:
            raise asked.error
        return asked.picture

    def serve(self, render: Callable[[RenderRequest], RenderedImage]) -> bool:
        """Render the pending request in the caller's thread; False if there is none."""
        with self._changed:
            asked, self._waiting = self._waiting, None
        if asked is None:
            return False
        try:
            asked.picture = render(asked.request)
        except SfumatoError as error:
            asked.error = error
        with self._changed:
            asked.is_over = True
            self._changed.notify_all()
        return True


class _PendingRequest:
    def __init__(self, request: RenderRequest) -> None:
        self.request, self.is_over = request, False
        self.picture: RenderedImage | None = None
        self.error: SfumatoError | None = None
