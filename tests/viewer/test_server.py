"""Who is answered by the page's server, and who is not."""

import http.client
import socket
import threading

import pytest

from sfumato.errors import ConfigError
from sfumato.viewer.server import HOST, Answer, PageServer


@pytest.fixture
def asked():
    return []


@pytest.fixture
def server(asked):
    server = PageServer()
    server.add("", lambda: Answer("text/html", b"page"))
    server.add("scene", lambda: Answer("application/octet-stream", b"\0\1"))
    server.on("control/stop", lambda: asked.append("stop"))
    with server:
        yield server


def ask(server, path, method="GET", host=None, **headers):
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for value in [f"{HOST}:{server.port}"] if host is None else host:
        connection.putheader("Host", value)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def test_the_holder_of_the_address_is_answered(server):
    status, body, headers = ask(server, f"/{server.token}/scene?version=3")
    assert (status, body) == (200, b"\0\1")
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert server.url == f"http://127.0.0.1:{server.port}/{server.token}/"
    assert ask(server, f"/{server.token}/", host=[f"localhost:{server.port}"])[0] == 200


@pytest.mark.parametrize("path", ["/", "/scene", "/x/scene", "//scene", "/{token}x/scene", "/{half}/scene"])
def test_a_wrong_token_is_refused(server, path):
    path = path.format(token=server.token, half=server.token[: len(server.token) // 2])
    assert ask(server, path)[0] == 403


@pytest.mark.parametrize(
    "host", [["evil.example"], ["127.0.0.1"], [], ["{own}", "evil.example"], ["evil:{port}"]]
)
def test_a_foreign_host_is_refused(server, host):
    own = f"{HOST}:{server.port}"
    host = [one.format(own=own, port=server.port) for one in host]
    assert ask(server, f"/{server.token}/scene", host=host)[0] == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"]
)
def test_a_foreign_origin_is_refused(server, origin):
    origin = origin.format(port=server.port)
    assert ask(server, f"/{server.token}/scene", Origin=origin)[0] == 403
    assert ask(server, f"/{server.token}/scene", Sec_Fetch_Site="cross-site")[0] == 403


@pytest.mark.parametrize(
    "name",
    [
        "../config.json",
        "..%2fconfig.json",
        "%2e%2e/scene",
        "/etc/passwd",
        "scene/..",
        "config.json",
        "scene\\",
    ],
)
def test_only_what_was_named_exists(server, name):
    assert ask(server, f"/{server.token}/{name}")[0] == 404


def test_only_the_page_itself_can_steer(server, asked):
    path = f"/{server.token}/control/stop"
    own = f"http://{HOST}:{server.port}"
    assert ask(server, path, "POST", Content_Length="0")[0] == 403
    assert ask(server, path, "POST", Content_Length="0", Origin=own)[0] == 403
    assert (
        ask(server, path, "POST", Content_Length="0", Origin="http://evil.example", X_Sfumato="page")[0]
        == 403
    )
    assert ask(server, path, "POST", Content_Length="99999999", Origin=own, X_Sfumato="page")[0] == 413
    assert ask(server, path, "POST", Content_Length="-1", Origin=own, X_Sfumato="page")[0] == 400
    assert ask(server, path)[0] == 404
    assert not asked
    assert ask(server, path, "POST", Content_Length="0", Origin=own, X_Sfumato="page")[0] == 200
    assert asked == ["stop"]
    assert ask(server, path + "x", "POST", Content_Length="0", Origin=own, X_Sfumato="page")[0] == 404


def test_it_listens_on_this_machine_alone(server):
    outside = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in outside - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, server.port), timeout=2).close()


def test_a_taken_port_is_an_error_of_one_line(server):
    with pytest.raises(ConfigError, match=f"cannot listen on port {server.port}"):
        PageServer(server.port)
    with pytest.raises(ConfigError, match="port"):
        PageServer(99999)


def test_a_watcher_that_leaves_ends_its_stream():
    ended = threading.Event()

    def stream():
        try:
            while True:
                yield b": beat\n\n"
        finally:
            ended.set()

    server = PageServer()
    server.add("events", lambda: Answer("text/event-stream", stream()))
    with server:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
        connection.request("GET", f"/{server.token}/events")
        assert connection.getresponse().read(8) == b": beat\n\n"
        connection.close()
        assert ended.wait(10)
