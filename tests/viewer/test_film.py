"""Films that the page's server makes."""

import http.client
import json
import time

import pytest

from sfumato.errors import SfumatoError
from sfumato.viewer.film import FILM, offer_films, read_film
from sfumato.viewer.server import HOST, PageServer
from support.small_scenes import small_subject

KEYS = [
    {"position": [0, -1, -4], "look_at": [0, 0, 0], "fov_deg": 50, "time_s": 0},
    {"position": [2, -1, -3], "look_at": [0, 0, 0], "time_s": 0.5},
]
REQUEST = {"path": {"version": 1, "keyframes": KEYS}, "size": [64, 48], "fps": 8}


def changed(**also):
    return json.dumps(REQUEST | also).encode()


def keys(*rows, **also):
    return changed(path={"version": 1, "keyframes": list(rows), **also})


def ask(server, name, method="GET", body=None):
    connection = http.client.HTTPConnection(HOST, server.port, timeout=20)
    own = {"Origin": f"http://{HOST}:{server.port}", "X-Sfumato": "page"}
    connection.request(method, f"/{server.token}/{name}", body, own)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_a_film_is_that_of_its_key_frames():
    film = read_film(changed())
    assert len(film.cameras) == 4 and film.fps == 8
    assert film.cameras[0].size_px == (64, 48)
    assert film.cameras[0].centre_world.tolist() == pytest.approx([0, -1, -4], abs=1e-6)
    assert film.cameras[-1].centre_world.tolist() == pytest.approx([2, -1, -3], abs=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 9999,
        changed(size=[64]),
        changed(size=[64, 1e9]),
        changed(size=[64.5, 48]),
        changed(fps=float("inf")),
        changed(fps="8"),
        changed(path={"version": 1, "cameras": [{}]}),
        keys(KEYS[0]),
        keys(KEYS[0], {**KEYS[1], "time_s": 1e9}),
        keys(KEYS[0], {**KEYS[1], "time_s": -1}),
        keys({k: v for k, v in KEYS[0].items() if k != "time_s"}, KEYS[1]),
        keys(KEYS[0], {**KEYS[1], "position": [0, 0, 0]}),
        keys(*({**KEYS[0], "time_s": i} for i in range(501))),
    ],
)
def test_what_is_no_film_or_too_much_is_refused(body):
    with pytest.raises(SfumatoError) as error:
        read_film(body)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_one_film_at_a_time_and_nothing_is_left_of_a_stopped_one(tmp_path):
    with PageServer() as server:
        offer_films(server, tmp_path, small_subject())
        long = keys(KEYS[0], {**KEYS[1], "time_s": 600})
        assert ask(server, FILM, "POST", long)[0] == 200
        assert ask(server, FILM, "POST", changed())[0] == 409
        assert ask(server, FILM, "POST", changed(edits="unknown"))[0] == 400
        assert ask(server, f"{FILM}-stop", "POST")[0] == 200
        deadline = time.monotonic() + 60
        while (told := json.loads(ask(server, f"{FILM}-state")[1]))["state"] == "making":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert told["state"] == "stopped" and not list(tmp_path.iterdir())
        # A server that ends leaves nothing half made either.
        assert ask(server, FILM, "POST", long)[0] == 200
    assert not list(tmp_path.iterdir())
