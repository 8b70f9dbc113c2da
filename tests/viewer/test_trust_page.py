"""Trust in a real browser: its colours, fading, the map with its texts, and the pull back inside."""

from dataclasses import replace

import numpy as np
import pytest

from sfumato.viewer.page import write_page
from sfumato.viewer.trusted import KnownTrust, NextPhotograph
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare, eye, stand
from support.small_scenes import psnr, small_subject
from support.small_trust import small_trust

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MARKUP = "<img src=x onerror='window.broken = 1'> from the window"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    subject = small_subject()
    advice = NextPhotograph((0.0, -3.0, 0.0), (0.0, 1.0, 0.0), MARKUP)
    known = KnownTrust(small_trust(subject.gaussians), [advice])
    path = tmp_path_factory.mktemp("page") / "scene.html"
    write_page(replace(subject, trust=known), path)
    with Browser(WINDOW_PX) as browser:
        browser.open(path.as_uri())
        yield browser


def pressed(page, name):
    return page.run(f"document.getElementById('{name}').getAttribute('aria-pressed')") == "true"


def test_the_trust_view_colours_by_the_expected_error(page):
    bare(page, True)
    stand(page, 2)
    page.press("5")
    page.settle()
    colours = page.canvas().astype(float)
    red, green = colours[..., 0] - colours[..., 1], colours[..., 1] - colours[..., 0]
    # From the camera opposite to the only one that observed x > 0, which is on its left.
    right, left = np.s_[:, : WINDOW_PX[0] // 3], np.s_[:, -WINDOW_PX[0] // 3 :]
    assert (green[left] > 15).mean() > 5 * (red[left] > 15).mean()
    assert (red[right] > 15).mean() > 5 * (green[right] > 15).mean()
    page.press("1")
    page.settle()


def test_untrusted_gaussians_fade(page):
    bare(page, True)
    stand(page, 2)
    assert pressed(page, "fade-toggle")
    faded = page.canvas()
    page.press("g")
    page.settle()
    plain = page.canvas()
    assert not pressed(page, "fade-toggle")
    assert psnr(faded, plain) < 30
    assert faded.std(axis=2).mean() < plain.std(axis=2).mean()
    page.press("g")
    page.settle()
    assert psnr(page.canvas(), faded) > 45


def test_texts_of_the_map_are_escaped(page):
    bare(page, False)
    page.press("b")
    page.wait("document.getElementById('map-picture').width > 100")
    assert page.run("document.querySelector('#map-next button').textContent") == MARKUP
    assert page.run("window.broken === undefined")
    page.press("b")
    assert page.run("document.getElementById('map').hidden")


def test_visitors_are_pulled_back_inside(page):
    page.run("location.hash = '#at=0,0,-30,1,0,0,0,0,0,0'")
    page.wait("sfumato.camera.position.length() > 29")
    page.press("i")
    page.wait("sfumato.camera.position.length() < 15")
    assert pressed(page, "inside-toggle")
    page.press("i")
    page.settle()
    assert np.linalg.norm(eye(page)) > 3
    assert not page.complaints()
