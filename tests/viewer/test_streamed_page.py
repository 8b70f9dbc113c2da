"""Streamed scenes in a real browser: detail where it is needed, a budget that holds, and any web server."""

import functools
import http.client
import http.server
import threading
from dataclasses import replace

import numpy as np
import pytest

from sfumato import ConfigError
from sfumato.levels import pyramid
from sfumato.levels.scene_source import source_of_scene
from sfumato.levels.streamed_sog import write_streamed
from sfumato.viewer.server import PageServer
from sfumato.viewer.streamed_subject import show_streamed, write_streaming_page
from support.browser import Browser
from support.small_scenes import small_scene

COUNT = 4000


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    """A scene in 4 cells and 3 levels."""
    path = tmp_path_factory.mktemp("levels") / "town/lod-meta.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "COARSEST", 300)
        scene = small_scene(COUNT)
        small = replace(scene, log_scales=scene.log_scales - 1.5)
        write_streamed(source_of_scene(small), path, cell=1100)
    return path


@pytest.fixture(scope="module")
def browser():
    with Browser((160, 120)) as browser:
        yield browser


@pytest.fixture
def page(browser, levels):
    server = PageServer()
    show_streamed(server, levels)
    with server:
        browser.open(server.url)
        yield browser


def stream(browser, what):
    return browser.run(f"sfumato.streamNow().{what}")


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_loads_what_its_budget_allows_and_exchanges_it(page):
    assert stream(page, "parts") == 4 and stream(page, "levels") == [0] * 4
    assert stream(page, "drawn") == COUNT
    assert "4,000 Gaussians" in page.run("document.getElementById('facts').textContent")
    fine = page.canvas().astype(float)
    page.run("sfumato.setBudget(2200)")
    page.settle()
    found = stream(page, "levels")
    assert stream(page, "resident") <= 2200 and set(found) <= {0, 1, 2} and max(found) > 0
    page.run("sfumato.setBudget(300)")
    page.settle()
    assert stream(page, "levels") == [2] * 4 and stream(page, "files") == 1
    assert stream(page, "resident") == stream(page, "drawn") <= 300
    coarse = page.canvas().astype(float)
    page.run("sfumato.setBudget(1e6)")
    page.settle()
    again = page.canvas().astype(float)
    # Exchanged and back: the same picture.
    assert np.abs(again - fine).mean() < 0.5 < np.abs(coarse - fine).mean()
    assert not page.complaints()


@pytest.mark.browser
@pytest.mark.slow
def test_near_parts_get_more_detail_than_distant_ones(page):
    page.run("sfumato.setBudget(2000)")
    page.drag((80, 60), (100, 60))
    for _ in range(6):
        page.press("w")
    page.settle()
    seen = page.run("sfumato.streamNow()")
    assert seen["resident"] <= 2000 and len(set(seen["levels"])) > 1 and not page.complaints()


@pytest.mark.browser
@pytest.mark.slow
def test_its_folder_works_from_any_web_server(browser, levels):
    write_streaming_page(levels, levels.parent / "index.html")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(levels.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_address[1]}/")
        assert stream(browser, "levels") == [0] * 4
        server.shutdown()


def answer(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", f"/{server.token}/{path}")
    return connection.getresponse().status


def test_only_files_of_chunks_are_served(levels, tmp_path):
    (levels.parent / "secret.json").write_text("{}")
    (levels.parent / "0_0/secret.txt").write_text("x")
    (tmp_path / "outside.webp").write_bytes(b"x")
    (levels.parent / "0_0/link.webp").symlink_to(tmp_path / "outside.webp")
    server = PageServer()
    show_streamed(server, levels)
    with server:
        good = ("", "lod-meta.json", "0_0/meta.json", "0_0/means_l.webp")
        assert [answer(server, name) for name in good] == [200] * 4
        bad = (
            "secret.json",
            "0_0/secret.txt",
            "0_0/link.webp",
            "0_0/../secret.json",
            "0_0/%2e%2e/secret.json",
            "9_9/meta.json",
        )
        assert [answer(server, name) for name in bad] == [404] * len(bad)


def test_the_page_of_a_streamed_scene_is_in_its_folder(levels, tmp_path):
    with pytest.raises(ConfigError, match="in its folder"):
        write_streaming_page(levels, tmp_path / "index.html")
