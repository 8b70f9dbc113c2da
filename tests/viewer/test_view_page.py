"""The view in the page: saved pictures, turning, walking, field of view, background, light and dark."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_subject
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare, eye, stand
from support.small_scenes import drawn, psnr, small_subject

pytestmark = pytest.mark.browser
WINDOW = (900, 560)


@pytest.fixture(scope="module")
def subject():
    return small_subject()


@pytest.fixture(scope="module")
def page(subject):
    server = PageServer()
    show_subject(server, subject)
    with server, Browser(WINDOW) as browser:
        browser.open(server.url)
        # What would be saved is kept instead.
        browser.run(
            """HTMLAnchorElement.prototype.click = async function () {
              const blob = await (await fetch(this.href)).blob();
              const reader = new FileReader();
              reader.onload = () => (window.saved = [this.download, reader.result]);
              reader.readAsDataURL(blob);
            }, true"""
        )
        yield browser


def saved(page):
    page.run("document.getElementById('shot').click()")
    page.wait("window.saved !== undefined")
    name, address = page.run("[saved, delete window.saved][0]")
    assert name == "blobs.png"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))


def set_input(page, name, value):
    page.run(
        f"""(() => {{
          const input = document.getElementById({name!r});
          input.value = {value!r};
          input.dispatchEvent(new Event("input"));
        }})()"""
    )
    page.settle()


def test_a_saved_picture_is_that_of_the_window_or_of_a_chosen_size(page, subject):
    page.resize(*WINDOW_PX)
    stand(page, 0)
    bare(page, True)
    camera = subject.photographs[0].camera
    assert psnr(saved(page), drawn(subject.gaussians, camera.resized(*WINDOW_PX))) > 30
    before = page.canvas()
    page.run("document.getElementById('shot-size').value = '1920x1080'")
    large = saved(page)
    assert large.shape == (1080, 1920, 3)
    # As high as the picture and in its middle, for it is less wide.
    left = (1920 - 1440) // 2
    assert psnr(large[:, left:-left], drawn(subject.gaussians, camera.resized(1440, 1080))) > 28
    page.settle()
    assert psnr(page.canvas(), before) > 45, "the window is as it was"
    page.run("document.getElementById('shot-size').value = ''")
    bare(page, False)


def test_it_rotates_by_itself_until_one_takes_over(page):
    page.resize(*WINDOW)
    page.press("r")
    page.settle()
    before = eye(page)
    page.run("document.getElementById('rotate').click()")
    page.wait(
        f"Math.hypot(...sfumato.camera.position.toArray().map((v, i) => v - {before.tolist()}[i])) > 0.1"
    )
    assert page.run("document.getElementById('rotate').getAttribute('aria-pressed')") == "true"
    middle = np.array(page.run("sfumato.manifest.middle"))
    page.drag((450, 250), (470, 250))
    page.settle()
    assert not page.run("sfumato.isRotating()")
    assert page.run("document.getElementById('rotate').getAttribute('aria-pressed')") == "false"
    # Round the point it looks at: neither nearer nor higher.
    assert abs(eye(page)[1] - before[1]) < 1e-3 and np.linalg.norm(eye(page) - before) > 0.1
    assert np.isfinite(middle).all()


def test_walking_keeps_the_height_and_looks_around_on_the_spot(page):
    page.press("r")
    page.settle()
    page.run("document.getElementById('walk').click()")
    before = eye(page)
    page.drag((450, 250), (520, 300))
    page.settle()
    assert np.allclose(eye(page), before, atol=1e-5)
    for kind in ("keydown", "keyup"):
        event = f"new KeyboardEvent('{kind}', {{code: 'KeyW', key: 'w', bubbles: true}})"
        page.run(f"document.body.dispatchEvent({event})")
        page.run("new Promise((done) => setTimeout(done, 400)).then(() => true)")
    page.settle()
    after = eye(page)
    assert np.linalg.norm(after - before) > 0.05 and abs(after[1] - before[1]) < 1e-5
    page.run("document.getElementById('walk').click()")


def test_field_of_view_background_and_theme_are_kept_in_a_link(page):
    page.press("r")
    page.settle()
    set_input(page, "fov", "90")
    fov = page.run("360 / Math.PI * Math.atan(1 / sfumato.camera.projectionMatrix.elements[5])")
    assert abs(fov - 90) < 0.01
    set_input(page, "background", "#ff8000")
    bare(page, True)
    assert np.abs(page.canvas()[2, 2].astype(int) - (255, 128, 0)).max() <= 1
    bare(page, False)
    theme = page.run("document.documentElement.dataset.theme")
    ground = page.run("getComputedStyle(document.getElementById('bar')).backgroundColor")
    page.run("document.getElementById('theme').click()")
    assert page.run("getComputedStyle(document.getElementById('bar')).backgroundColor") != ground
    page.press("l")
    kept = page.run("location.hash")
    other = {"dark": "light", "light": "dark"}[theme]
    assert all(word in kept for word in ("fov=90", "background=ff8000", f"theme={other}"))
    page.run("document.getElementById('theme').click()")
    page.run("document.getElementById('view-reset').click()")
    page.settle()
    page.press("l")
    assert "fov" not in page.run("location.hash") and "background" not in page.run("location.hash")
    page.run(f"location.hash = {kept!r}")
    page.settle()
    assert page.run("document.documentElement.dataset.theme") == other
    assert page.run("sfumato.fovNow()") == 90
    page.run("document.getElementById('view-reset').click()")


def test_the_exact_view_has_the_background_too(page):
    set_input(page, "background", "#00ff00")
    page.press("t")
    page.settle()
    assert np.abs(page.exact()[2, 2].astype(int) - (0, 255, 0)).max() < 12
    page.press("t")
    page.run("document.getElementById('view-reset').click()")
    page.settle()
