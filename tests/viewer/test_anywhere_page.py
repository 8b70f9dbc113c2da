"""The page in other places: within a page, before it has loaded, with a file dropped on it, without WebGL."""

import base64
import io
import re
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from sfumato.paths.look import pinhole
from sfumato.scene.files import save
from sfumato.viewer.page import write_page
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare
from support.small_scenes import drawn, psnr, small_scene, small_subject


@pytest.fixture(scope="module")
def subject():
    return small_subject()


@pytest.fixture(scope="module")
def browser():
    with Browser(WINDOW_PX) as opened:
        yield opened


def test_the_poster_is_the_view_that_the_page_opens_with(subject, tmp_path):
    write_page(subject, tmp_path / "mine.html", url="https://example.org/scenes/mine.html")
    text = (tmp_path / "mine.html").read_text("utf-8")
    assert '<meta property="og:image" content="https://example.org/scenes/mine.jpg">' in text
    picture = np.asarray(Image.open(tmp_path / "mine.jpg"))
    # The second one is held out, so the page opens in the first.
    assert psnr(picture, drawn(subject.gaussians, subject.photographs[0].camera)) > 25
    found = re.search(r'<img id="poster" alt="" src="data:image/jpeg;base64,([^"]+)">', text)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1])))), picture)


def test_without_an_address_no_picture_is_named(subject, tmp_path):
    write_page(subject, tmp_path / "mine.html")
    assert "og:image" not in (tmp_path / "mine.html").read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]


@pytest.mark.browser
@pytest.mark.slow
def test_embedded_it_is_the_scene_alone(browser, subject, tmp_path):
    write_page(subject, tmp_path / "mine.html")
    url = (tmp_path / "mine.html").as_uri()
    browser.open(f"{url}#embed=1&camera=shots/2.jpg")
    assert browser.run("[...document.querySelectorAll('.chrome')].every((one) => !one.offsetWidth)")
    assert browser.run("document.getElementById('whole').href").endswith("#camera=shots%2F2.jpg")
    assert browser.run("sfumato.standingIn().name") == "shots/2.jpg"
    event = "new WheelEvent('wheel', {deltaY: -99, cancelable: true})"
    wheel = f"document.getElementById('stage').dispatchEvent({event})"
    # True: nothing has kept the page around it from scrolling.
    assert browser.run(wheel)
    browser.click(300, 200)
    assert not browser.run(wheel)


@pytest.mark.browser
@pytest.mark.slow
def test_a_dropped_file_is_shown(browser, subject, tmp_path):
    write_page(subject, tmp_path / "mine.html")
    other = small_scene(40, seed=9)
    save(other, tmp_path / "other.spz")
    data = base64.b64encode((tmp_path / "other.spz").read_bytes()).decode()
    browser.open((tmp_path / "mine.html").as_uri())
    bare(browser, True)
    before = browser.canvas()
    drop = """(async (name, data) => {
      const bytes = await (await fetch(`data:application/octet-stream;base64,${data}`)).arrayBuffer();
      const files = new DataTransfer();
      files.items.add(new File([bytes], name));
      const what = { dataTransfer: files, bubbles: true, cancelable: true };
      document.body.dispatchEvent(new DragEvent("drop", what));
    })"""
    browser.run(f"{drop}('notes.txt', 'AAAA')")
    browser.wait("document.getElementById('toast').textContent.startsWith('notes.txt cannot be shown')")
    browser.run(f"{drop}({'other.spz'!r}, {data!r})")
    is_there = "document.title === 'other.spz' && window.sfumato !== undefined"
    # A page that goes while it is asked does not answer.
    with suppress(AssertionError):
        browser.wait(is_there)
    browser.wait(is_there)
    browser.settle()
    assert browser.run("document.getElementById('facts').textContent") == "40 Gaussians"
    assert browser.run("document.getElementById('cameras').hidden")
    bare(browser, True)
    assert psnr(browser.canvas(), before) < 30 and browser.canvas().std() > 5
    assert not browser.complaints()
    # What it sees is our render from there.
    browser.run("document.getElementById('film-toggle').click(); document.getElementById('film-add').click()")
    (key,) = browser.run("sfumato.pathNow().keyframes")
    camera = pinhole(np.array(key["camera_from_world"]), WINDOW_PX, key["fov_deg"])
    assert psnr(browser.canvas(), drawn(other, camera, background=(0.0, 0.0, 0.0))) > 28


@pytest.mark.browser
@pytest.mark.slow
def test_a_headset_is_offered_where_there_is_one(browser, subject, tmp_path):
    """What no test machine has: only that it is asked for, and that a refusal is said."""
    write_page(subject, tmp_path / "mine.html")
    browser.open((tmp_path / "mine.html").as_uri())
    assert browser.run("document.getElementById('vr').hidden")
    headset = """Object.defineProperty(navigator, "xr", { value: {
      isSessionSupported: async () => true,
      requestSession: async (kind) => { throw new Error(`no ${kind}`); },
    }})"""
    browser.do("Page.addScriptToEvaluateOnNewDocument", source=headset)
    browser.do("Page.navigate", url="about:blank")
    browser.open((tmp_path / "mine.html").as_uri())
    browser.wait("!document.getElementById('vr').hidden")
    browser.run("document.getElementById('vr').click()")
    browser.wait("document.getElementById('toast').textContent === 'VR cannot begin: no immersive-vr'")
