"""The opening view of a scene, saved beside it from the page."""

from __future__ import annotations

import json
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.paths.view_file import MAX_VIEW_BYTES, view_from_plain, view_path, write_view
from sfumato.viewer.server import Answer, PageServer

SAVE_VIEW = "save-view"


def offer_views(server: PageServer, shown: Path) -> None:
    """Let a server save the current view of the page as the one with which the scene opens.

    Args:
        server: not yet running.
        shown: run folder or scene file, in or beside which it is written.
    """

    def answer(body: bytes) -> Answer:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise ConfigError("the page's view is not JSON") from None
        path = view_path(shown)
        write_view(path, view_from_plain(document, "the page's view"))
        return Answer("application/json", json.dumps({"view": str(path)}).encode("utf-8", "replace"))

    server.reply(SAVE_VIEW, answer, MAX_VIEW_BYTES)
