"""A server for one page, reachable only from this machine and only with the secret in its address.

It serves registered names, never any path of the file system. Requests made by other pages in the same
browser are recognised by their Host, Origin and Sec-Fetch-Site headers and refused.
"""

from __future__ import annotations

import logging
import secrets
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sfumato.errors import ConfigError, SfumatoError
from sfumato.viewer.peers import is_trusted_peer

_log = logging.getLogger("sfumato")

HOST = "127.0.0.1"
_MOST_BODY_BYTES = 1024
_MOST_DIGITS = 9
# Name under which the browser that we open requests the address, once and within this time.
_OPEN, _OPEN_S = "open", 60.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Answer:
    """An HTTP response body.

    Attributes:
        type: MIME type.
        data: the whole body, or parts that are sent as they become available.
        headers: further headers.
    """

    type: str
    data: bytes | Generator[bytes, None, None]
    headers: Mapping[str, str] = field(default_factory=dict)


class PageServer:
    """Serves registered names under a secret path on the loopback interface, in a background thread.

    Args:
        port: port to listen on; 0 picks a free one. The page is at ``url``.

    Raises:
        ConfigError: the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._pages: dict[str, Callable[[], Answer]] = {}
        self._find: Callable[[str], Answer | None] = lambda name: None
        self._actions: dict[str, Callable[[], None]] = {}
        self._questions: dict[str, Callable[[bytes], Answer | None]] = {}
        self._most_bytes: dict[str, int] = {}
        self._at_end: list[Callable[[], None]] = []
        self.token = secrets.token_urlsafe(16)
        try:
            self._http = _Server((HOST, port), _Handler)
        except OverflowError:
            raise ConfigError(f"port is {port}; give 0 to 65535") from None
        except OSError as error:
            raise ConfigError(
                f"cannot listen on port {port}: {error}; give another --port, or none"
            ) from None
        self._http.page = self
        self.port = self._http.server_address[1]
        self.url = f"http://{HOST}:{self.port}/{self.token}/"
        self._ticket, self._ticket_until_s = "", 0.0
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)

    def add(self, name: str, make: Callable[[], Answer]) -> None:
        """Answer GET requests for ``name`` with ``make()``, called for each request."""
        self._pages[name] = make

    def below(self, find: Callable[[str], Answer | None]) -> None:
        """Answer GET requests for other names with ``find(name)``; None: there is no such name."""
        self._find = find

    def on(self, action: str, do: Callable[[], None]) -> None:
        """Call ``do()`` when the page posts ``action``."""
        self._actions[action] = do

    def reply(
        self, question: str, make: Callable[[bytes], Answer | None], most_bytes: int = _MOST_BODY_BYTES
    ) -> None:
        """Answer POST requests to ``question`` with ``make(body)``; None: there is no answer now.

        Bodies of more than ``most_bytes`` are refused before they are read.
        """
        self._questions[question] = make
        self._most_bytes[question] = most_bytes

    def most_bytes(self, path: str) -> int:
        """How long the body of a request may be, by its path: only the page itself may post much."""
        given, _, name = path.lstrip("/").partition("/")
        is_own = secrets.compare_digest(given.encode(), self.token.encode())
        return self._most_bytes.get(name, _MOST_BODY_BYTES) if is_own else _MOST_BODY_BYTES

    def at_end(self, do: Callable[[], None]) -> None:
        """Call ``do()`` when the server ends."""
        self._at_end.append(do)

    def answer(self, name: str) -> Answer | None:
        """The response for a name; None if it is not registered or no longer available."""
        make = self._pages.get(name)
        try:
            return make() if make else self._find(name)
        except (SfumatoError, OSError) as error:
            _log.warning("the page asks for %s: %s", name, error)
            return None

    def open_browser(self) -> None:
        """Open the page in this user's browser.

        Every user of the machine can read the command line of a browser, so it contains a ticket instead of
        the secret. The ticket is valid once, within a minute, and for processes of this user.
        """
        self._ticket, self._ticket_until_s = secrets.token_urlsafe(16), time.monotonic() + _OPEN_S
        webbrowser.open(f"http://{HOST}:{self.port}/{_OPEN}/{self._ticket}")

    def redeem(self, ticket: str) -> bool:
        """Whether a ticket is valid; it is invalid afterwards."""
        given, self._ticket = self._ticket, ""
        is_good = bool(given) and secrets.compare_digest(ticket.encode(), given.encode())
        return is_good and time.monotonic() < self._ticket_until_s

    def post(self, name: str, body: bytes) -> Answer | HTTPStatus:
        """Handle a POST request of the page; returns the response or an HTTP error."""
        if name in self._actions:
            self._actions[name]()
            return Answer("text/plain", b"ok")
        if name not in self._questions:
            return HTTPStatus.NOT_FOUND
        try:
            return self._questions[name](body) or HTTPStatus.CONFLICT
        except (SfumatoError, OSError) as error:
            _log.warning("the page asks for %s: %s", name, error)
            return HTTPStatus.BAD_REQUEST

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        for do in self._at_end:
            do()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # With address reuse, two servers could listen on the same port and either might answer.
    allow_reuse_address = False
    page: PageServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections; log other errors as one line, to keep the output of the run readable."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            _log.error("a request of the page failed: %s: %s", type(error).__name__, error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "sfumato", ""
    timeout = 60

    def do_GET(self) -> None:
        if self.path.startswith(f"/{_OPEN}/"):
            self._open()
            return
        name = self._name()
        if name is None:
            return
        answer = self.server.page.answer(name)
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(answer)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdecimal()):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        # Python refuses to parse very long numbers.
        if len(length) > _MOST_DIGITS or int(length) > self.server.page.most_bytes(self.path):
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        name = self._name()
        if name is None:
            return
        # A form of another page cannot set a custom header, and every browser sends Origin with a POST.
        if "X-Sfumato" not in self.headers or "Origin" not in self.headers:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        found = self.server.page.post(name, body)
        if isinstance(found, HTTPStatus):
            self.send_error(found)
        else:
            self._send(found)

    def _open(self) -> None:
        """Redirect a browser with a valid ticket to the page's address."""
        ticket = self.path.removeprefix(f"/{_OPEN}/")
        if (
            self._is_foreign()
            or not is_trusted_peer(self.client_address)
            or not self.server.page.redeem(ticket)
        ):
            self.send_error(HTTPStatus.FORBIDDEN)
        else:
            there = {"Location": self.server.page.url}
            self._send(Answer("text/plain", b"", there), HTTPStatus.SEE_OTHER)

    def _is_foreign(self) -> bool:
        """Whether the request comes from another page."""
        hosts = [f"{name}:{self.server.page.port}" for name in (HOST, "localhost")]
        origin = self.headers.get("Origin")
        return (
            self.headers.get_all("Host", []) not in [[host] for host in hosts]
            or (origin is not None and origin not in [f"http://{host}" for host in hosts])
            or self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        )

    def _name(self) -> str | None:
        """The requested path, if the request is authorised; otherwise it is refused."""
        page, foreign = self.server.page, self._is_foreign()
        given, _, name = self.path.partition("?")[0].lstrip("/").partition("/")
        if foreign or not secrets.compare_digest(given.encode(), page.token.encode()):
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        return name

    def _send(self, answer: Answer, status: HTTPStatus = HTTPStatus.OK) -> None:
        data = answer.data
        self.send_response(status)
        for name, value in {**_HEADERS, **answer.headers, "Content-Type": answer.type}.items():
            self.send_header(name, value)
        if isinstance(data, bytes):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if isinstance(data, bytes):
            self.wfile.write(data)
            return
        with closing(data) as parts:
            for part in parts:
                self.wfile.write(part)
                self.wfile.flush()

    def log_message(self, format: str, *values: object) -> None:
        """Do not log requests: the terminal shows the output of the run."""
