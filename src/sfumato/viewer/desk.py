"""Where pictures are asked for by the server's threads and drawn by somebody else, the newest wish alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sfumato.errors import SfumatoError
from sfumato.viewer.exact import RenderedImage, Wish


class Desk:
    """Holds one wish. A newer one takes the place of one that nobody has begun, whose asker gets nothing.

    Args:
        changed: notified when a wish comes.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._waiting: _Asked | None = None

    @property
    def has_wish(self) -> bool:
        return self._waiting is not None

    def ask(self, wish: Wish, patience_s: float) -> RenderedImage | None:
        """Wait for a picture.

        Args:
            wish: what it is to show.
            patience_s: how long to wait at most.

        Returns:
            The picture, or None where a newer wish came or nobody drew it in time.

        Raises:
            SfumatoError: it cannot be drawn.
        """
        asked = _Asked(wish)
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

    def serve(self, paint: Callable[[Wish], RenderedImage]) -> bool:
        """Draw what is asked for, in the caller's thread; False if nothing is."""
        with self._changed:
            asked, self._waiting = self._waiting, None
        if asked is None:
            return False
        try:
            asked.picture = paint(asked.wish)
        except SfumatoError as error:
            asked.error = error
        with self._changed:
            asked.is_over = True
            self._changed.notify_all()
        return True


class _Asked:
    def __init__(self, wish: Wish) -> None:
        self.wish, self.is_over = wish, False
        self.picture: RenderedImage | None = None
        self.error: SfumatoError | None = None
