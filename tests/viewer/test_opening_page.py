"""Where the page opens in a real browser, and what an upright window shows."""

from dataclasses import replace

import numpy as np
import pytest

from sfumato.paths.best_view import orbit_of_best_view
from sfumato.viewer.page import write_page
from support.browser import Browser
from support.page_steps import eye
from support.small_scenes import small_subject

pytestmark = [pytest.mark.browser, pytest.mark.slow]
UPRIGHT_PX = (240, 480)


@pytest.fixture(scope="module")
def browser():
    with Browser(UPRIGHT_PX) as browser:
        yield browser


def test_without_cameras_it_opens_where_the_scene_looks_best(browser, tmp_path):
    subject = replace(small_subject(), photographs=())
    write_page(subject, tmp_path / "scene.html")
    browser.open((tmp_path / "scene.html").as_uri())
    browser.settle()
    # In the page y points up: half a turn about z.
    shown = orbit_of_best_view(subject.gaussians).start * (-1, -1, 1)
    assert np.allclose(eye(browser), shown, atol=1e-3)


def test_an_upright_window_keeps_the_photographs_vertical_field_of_view(browser, tmp_path):
    subject = small_subject()
    write_page(subject, tmp_path / "scene.html")
    browser.open((tmp_path / "scene.html").as_uri())
    browser.settle()
    focal = browser.run("sfumato.camera.projectionMatrix.elements[5]")
    width, height = browser.run("[innerWidth, innerHeight]")
    photograph = subject.photographs[0].camera
    assert height > width and focal == pytest.approx(2 * photograph.focal_px[1] / photograph.height, rel=1e-3)
