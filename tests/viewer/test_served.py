"""The served page: pictures agree with our renderer, drawn by the browser or by the server."""

import pytest

from sfumato.scene.files import save
from sfumato.viewer.page import write_page
from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_path, show_subject
from support.browser import WITHOUT_WEBGL, Browser
from support.page_steps import WINDOW_PX, bare, stand
from support.small_scenes import drawn, psnr, small_scene, small_subject

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def subject():
    return small_subject()


def test_a_scene_file_is_shown_without_cameras(tmp_path):
    save(small_scene(), tmp_path / "blobs.ply")
    server = PageServer()
    show_path(server, tmp_path / "blobs.ply")
    with server, Browser(WINDOW_PX) as browser:
        browser.open(server.url)
        assert browser.run("document.getElementById('facts').textContent") == "80 Gaussians"
        assert browser.run("document.getElementById('cameras').hidden")
        assert browser.canvas().std() > 10


def test_served_pages_show_photographs_and_thumbnails(subject):
    server = PageServer()
    show_subject(server, subject)
    with server, Browser(WINDOW_PX) as browser:
        browser.open(server.url)
        bare(browser, True)
        stand(browser, 0)
        expected = drawn(subject.gaussians, subject.photographs[0].camera.resized(*WINDOW_PX))
        assert psnr(browser.canvas(), expected) > 35
        browser.press("p")
        browser.wait("document.getElementById('photo').classList.contains('ready')")
        browser.press("c")
        browser.wait("document.querySelectorAll('#strip button').length === 4")
        browser.run("window.sheet = Object.assign(new Image(), { src: 'thumbnails.jpg' }), true")
        assert browser.run("sheet.decode().then(() => sheet.naturalWidth)") >= 4 * 72
        exact_view_is_that_of_our_renderer(browser, subject)


def exact_view_is_that_of_our_renderer(browser, subject):
    for key in ("p", "Escape", "c"):
        browser.press(key)
    stand(browser, 2)
    browser.press("t")
    browser.settle()
    expected = drawn(subject.gaussians, subject.photographs[2].camera.resized(*WINDOW_PX))
    assert psnr(browser.exact(), expected) > 36
    browser.run("document.getElementById('toast').hidden = true")
    # Also in the window, without anything drawn by the page itself.
    assert psnr(browser.picture()[60:-60], expected[60:-60]) > 30
    browser.press("4")
    browser.settle()
    error = browser.exact()
    assert error.mean() < 40 and psnr(error, expected) < 20
    browser.press("t")
    browser.settle()
    assert not browser.run("sfumato.isExact()")
    assert psnr(browser.canvas(), expected) > 30


def test_without_webgl_the_server_renders(subject, tmp_path):
    server = PageServer()
    show_subject(server, subject)
    write_page(subject, tmp_path / "scene.html")
    with server, Browser(WINDOW_PX, WITHOUT_WEBGL) as browser:
        browser.open(server.url)
        assert browser.run("document.createElement('canvas').getContext('webgl2') === null")
        assert "Sfumato draws the pictures itself" in browser.run(
            "document.getElementById('toast').textContent"
        )
        assert browser.run("document.getElementById('facts').textContent").startswith("80 Gaussians")
        bare(browser, True)
        stand(browser, 1)
        expected = drawn(subject.gaussians, subject.photographs[1].camera.resized(*WINDOW_PX))
        assert psnr(browser.exact(), expected) > 36
        browser.drag((100, 100), (190, 140))
        browser.settle()
        assert psnr(browser.exact(), expected) < 25
        browser.press("2")
        browser.settle()
        assert psnr(browser.exact(), expected) < 20
        assert not browser.complaints()
        # A page opened from disk cannot render then: it reports this and a remedy.
        browser.do("Page.navigate", url=(tmp_path / "scene.html").as_uri())
        browser.wait("document.querySelector('#loading.failed') !== null")
        assert "sfumato view" in browser.run("document.getElementById('loading').innerText")
        # And the photographs can be seen.
        width = "(one) => one.decode().then(() => one.naturalWidth)"
        images = "[...document.querySelectorAll('#gallery img')]"
        assert browser.run(f"Promise.all({images}.map({width}))") == [96] * 4
        assert browser.run("document.querySelector('#gallery img').offsetWidth") > 100
