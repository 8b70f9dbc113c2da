"""Access control of the page's server."""

import http.client
import os
import socket
import struct
import threading

import pytest

from sfumato.errors import CaptureError, ConfigError
from sfumato.viewer import server as module
from sfumato.viewer.peers import is_trusted_peer
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
def test_only_registered_names_exist(server, name):
    assert ask(server, f"/{server.token}/{name}")[0] == 404


def test_only_the_page_itself_can_control_the_run(server, asked):
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


def test_it_listens_on_loopback_only(server):
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


def opened(server, monkeypatch):
    """The address that the browser is opened with."""
    addresses = []
    monkeypatch.setattr(module.webbrowser, "open", addresses.append)
    server.open_browser()
    (address,) = addresses
    assert server.token not in address
    return address.removeprefix(f"http://{HOST}:{server.port}")


def test_the_ticket_on_the_browsers_command_line_is_valid_once(server, monkeypatch):
    path = opened(server, monkeypatch)
    assert ask(server, path, host=["evil.example"])[0] == 403
    assert ask(server, path + "x")[0] == 403 and ask(server, path)[0] == 403, "a wrong ticket invalidates it"
    path = opened(server, monkeypatch)
    status, body, headers = ask(server, path)
    assert (status, body, headers["Location"]) == (303, b"", server.url)
    assert headers["Cache-Control"] == "no-store"
    assert ask(server, path)[0] == 403 and ask(server, "/open/")[0] == 403


def test_tickets_expire(server, monkeypatch):
    path = opened(server, monkeypatch)
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 3600.0)
    assert ask(server, path)[0] == 403


def test_other_users_cannot_use_the_ticket(server, monkeypatch):
    path = opened(server, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(module, "is_trusted_peer", lambda address: False)
        assert ask(server, path)[0] == 403
    assert ask(server, path)[0] == 303, "the ticket is still valid"


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="the system has no table of connections")
def test_connections_of_other_users_are_recognised(server, tmp_path):
    with socket.create_connection((HOST, server.port)) as connection:
        address = connection.getsockname()
        assert is_trusted_peer(address)
    end = f"{struct.unpack('=I', socket.inet_aton(HOST))[0]:08X}:{address[1]:04X}"
    for user, mine in ((os.getuid(), True), (0, True), (os.getuid() + 7, False)):
        for name in ("tcp", "tcp6"):
            at = end if name == "tcp" else "0000000000000000FFFF0000" + end
            table = tmp_path / name
            table.write_text(f"sl local ...\n0: {at} 0100007F:1F90 01 0:0 00:0 0 {user} 0\n")
            assert is_trusted_peer(address, [table]) == mine
    assert is_trusted_peer(address, [tmp_path / "none"])


def raw(server, data, *, reset=False):
    """Send bytes and return the response, or reset the connection."""
    with socket.create_connection((HOST, server.port), timeout=10) as connection:
        connection.sendall(data)
        if not reset:
            return connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return b""


def test_clients_cause_no_output_in_the_terminal(server, capfd):
    before = set(threading.enumerate())
    for part in (b"GET", b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"):
        raw(server, part, reset=True)
        # Requests are accepted in order, each by a thread.
        assert ask(server, f"/{server.token}/scene")[0] == 200
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
            assert not thread.is_alive()
    for length, status in (("9" * 5000, b"413"), ("1_0", b"400"), ("1025", b"413")):
        assert (
            raw(server, f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode()).split()[1] == status
        )
    assert capfd.readouterr() == ("", "")


def test_a_missing_picture_is_not_found_with_a_one_line_warning(server, caplog):
    def gone(*_):
        raise CaptureError("photo.jpg cannot be read: no such file")

    server.add("photo-0.jpg", gone)
    server.reply("exact", gone)
    own = f"http://{HOST}:{server.port}"
    assert ask(server, f"/{server.token}/photo-0.jpg")[0] == 404
    headers = {"Content_Length": "0", "Origin": own, "X_Sfumato": "page"}
    assert ask(server, f"/{server.token}/exact", "POST", **headers)[0] == 400
    assert [line.partition(": ")[2] for line in caplog.messages] == [
        "photo.jpg cannot be read: no such file"
    ] * 2


def test_internal_errors_are_one_line(server, caplog):
    server.add("fault", lambda: 1 / 0)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, f"/{server.token}/fault")
    assert caplog.messages == ["a request of the page failed: ZeroDivisionError: division by zero"]
