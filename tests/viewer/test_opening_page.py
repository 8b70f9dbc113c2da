"""The initial view of the page in a real browser, and the field of view of portrait windows."""

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


def test_without_cameras_the_page_opens_with_the_best_view(browser, tmp_path):
    subject = replace(small_subject(), photographs=())
    write_page(subject, tmp_path / "scene.html")
    browser.open((tmp_path / "scene.html").as_uri())
    browser.settle()
    # In the page y is up: a rotation by 180 degrees about z.
    shown = orbit_of_best_view(subject.gaussians).start * (-1, -1, 1)
    assert np.allclose(eye(browser), shown, atol=1e-3)


def test_a_portrait_window_keeps_the_vertical_field_of_view_of_the_photographs(browser, tmp_path):
    subject = small_subject()
    write_page(subject, tmp_path / "scene.html")
    browser.open((tmp_path / "scene.html").as_uri())
    browser.settle()
    focal = browser.run("sfumato.camera.projectionMatrix.elements[5]")
    width, height = browser.run("[innerWidth, innerHeight]")
    photograph = subject.photographs[0].camera
    assert height > width and focal == pytest.approx(2 * photograph.focal_px[1] / photograph.height, rel=1e-3)
