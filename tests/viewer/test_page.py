"""The page in a real browser: pictures agree with our renderer, cameras work, files open from disk."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.edit.clean import floaters
from sfumato.viewer.overlays import highlighted
from sfumato.viewer.page import write_page
from support.browser import Browser
from support.page_steps import SCALE, WINDOW_PX, bare, eye, stand
from support.small_scenes import drawn, psnr, small_scene, small_subject

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def subject():
    return small_subject()


@pytest.fixture(scope="module")
def browser():
    with Browser(WINDOW_PX) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(browser, subject, tmp_path_factory):
    """``scene.html``, opened from disk without a network."""
    path = tmp_path_factory.mktemp("page") / "scene.html"
    write_page(subject, path)
    browser.go_offline()
    browser.open(path.as_uri())
    return browser


@pytest.mark.parametrize("index", [0, 1, 3])
def test_the_picture_is_that_of_our_renderer(page, subject, index):
    bare(page, True)
    stand(page, index)
    expected = drawn(subject.gaussians, subject.photographs[index].camera.resized(*WINDOW_PX))
    found = page.canvas()
    assert found.shape == expected.shape
    assert psnr(found, expected) > 30
    # The test is significant: the picture of another camera differs clearly.
    other = subject.photographs[(index + 1) % 4].camera.resized(*WINDOW_PX)
    assert psnr(found, drawn(subject.gaussians, other)) < 22


def test_the_page_makes_no_requests(page):
    asked = page.run("performance.getEntriesByType('resource').map((one) => one.name)")
    assert not [one for one in asked if not one.startswith(("data:", "blob:"))]
    assert not page.complaints()


def test_a_click_on_a_frustum_moves_the_camera_there(page, subject):
    bare(page, False)
    page.resize(640, 480)
    page.press("r")
    page.settle()
    page.run("document.getElementById('cameras').click()")
    # From behind and above, where all frusta are visible.
    page.run("location.hash = '#at=0,-7,-9,0.9458,0,0,0.3247,0,0,0'")
    page.settle()
    x, y = page.run(
        """(() => {
          const p = sfumato.placeOf(sfumato.cameras[2]);
          return [(p.x + 1) / 2 * innerWidth, (1 - p.y) / 2 * innerHeight];
        })()"""
    )
    before = eye(page)
    page.click(x, y)
    page.wait("sfumato.standingIn() !== null")
    page.settle()
    assert page.run("sfumato.standingIn().name") == "shots/2.jpg"
    assert np.linalg.norm(eye(page) - before) > 2
    centre = subject.photographs[2].camera.centre_world.numpy()
    # The page shows the scene upright, rotated such that -y is up.
    assert np.allclose(eye(page), centre * [-1, -1, 1], atol=1e-4)
    page.press("Escape")
    page.resize(*WINDOW_PX)
    page.settle()


@pytest.mark.parametrize("is_reduced", [True, False])
def test_views_are_reached_in_a_flight_unless_less_motion_is_wanted(page, is_reduced):
    page.set_reduced_motion(is_reduced)
    places = page.run(
        """(async () => {
          const places = new Set();
          let waits = true;
          const look = () => {
            places.add(sfumato.camera.position.toArray().join());
            if (waits) requestAnimationFrame(look);
          };
          look();
          location.hash = '#at=' + [0, %s, -9, 1, 0, 0, 0, 0, 0, 0];
          await sfumato.settled();
          waits = false;
          return places.size;
        })()"""
        % (-1 if is_reduced else -2)
    )
    page.set_reduced_motion(True)
    assert places == 2 if is_reduced else places > 3


def test_the_photograph_lies_on_the_render(page, subject):
    bare(page, True)
    stand(page, 0)
    page.press("p")
    page.wait("document.getElementById('photo').classList.contains('ready')")
    page.run("document.querySelectorAll('#divider, .side, #toast').forEach((e) => e.style.opacity = 0)")
    window, render = page.picture(), page.canvas()
    page.press("p")
    middle = WINDOW_PX[0] // 2
    # Left of the divider is the photograph, enlarged four times by the browser; right of it is the render.
    assert psnr(window[4:-4, middle + 4 : -4], render[4:-4, middle + 4 : -4]) > 45
    photograph = np.kron(subject.photographs[0].pixels(), np.ones((SCALE, SCALE, 1), np.uint8))
    left = window[4:-4, 4 : middle - 4]
    assert psnr(left, photograph[4:-4, 4 : middle - 4]) > 25
    assert (left != render[4:-4, 4 : middle - 4]).mean() > 0.5


def test_depth_and_normals_can_be_switched_on_and_off(page):
    bare(page, True)
    stand(page, 0)
    pictures = {}
    for key, name in (("1", "colour"), ("2", "depth"), ("3", "normals")):
        page.press(key)
        page.settle()
        pictures[name] = page.canvas()
    assert psnr(pictures["colour"], pictures["depth"]) < 25
    assert psnr(pictures["normals"], pictures["depth"]) < 25
    page.press("1")
    page.settle()
    assert psnr(page.canvas(), pictures["colour"]) > 45


def test_nearer_is_lighter_in_the_depth_view(browser, tmp_path):
    gaussians = small_scene(60)
    is_near = torch.arange(60)[:, None] < 30
    means = 0.1 * gaussians.means + torch.where(
        is_near, torch.tensor([-1.0, 0.0, -1.0]), torch.tensor([3.0, 0.0, 3.0])
    )
    solid = replace(gaussians, means=means, logit_opacities=torch.full((60,), 6.0))
    write_page(replace(small_subject(), gaussians=solid), tmp_path / "two.html")
    browser.open((tmp_path / "two.html").as_uri())
    bare(browser, True)
    stand(browser, 0)
    browser.press("2")
    browser.settle()
    picture = browser.canvas().astype(float).sum(axis=2)
    ground = picture[0, 0]
    left, _, right = np.split(np.where(np.abs(picture - ground) > 40, picture, np.nan), 3, axis=1)
    assert np.nanmedian(left) > 400 and np.nanmedian(right) < 200


def test_the_crop_box_cuts_in_the_scenes_frame(browser, subject, tmp_path):
    low, high = (-9.0, -9.0, -9.0), (0.0, 9.0, 9.0)
    write_page(subject, tmp_path / "crop.html")
    box = ",".join(str(v) for v in (*low, *high))
    browser.open((tmp_path / "crop.html").as_uri() + f"#camera=shots/0.jpg&crop={box}")
    bare(browser, True)
    left = subject.gaussians.select(subject.gaussians.means[:, 0] < 0)
    camera = subject.photographs[0].camera.resized(*WINDOW_PX)
    found = browser.canvas()
    # The box's own outline is drawn over it.
    error = np.abs(found.astype(int) - drawn(left, camera)).mean(axis=2)
    assert np.mean(error < 12) > 0.95
    assert psnr(found, drawn(subject.gaussians, camera)) < 22


def test_a_link_keeps_the_view(browser, subject, tmp_path):
    write_page(subject, tmp_path / "link.html")
    url = (tmp_path / "link.html").as_uri()
    browser.open(url)
    browser.drag((100, 100), (190, 140))
    browser.settle()
    browser.press("l")
    kept, before = browser.run("location.href"), browser.canvas()
    assert kept.startswith(f"{url}#at=")
    browser.open(url)
    assert psnr(browser.canvas(), before) < 30
    browser.do("Page.navigate", url="about:blank")
    browser.open(kept)
    assert psnr(browser.canvas(), before) > 40


def test_names_cannot_close_their_html_element(browser, subject, tmp_path):
    title = "</script><script>window.broken = 1</script><!--"
    write_page(replace(subject, title=title), tmp_path / "title.html")
    browser.open((tmp_path / "title.html").as_uri())
    assert browser.run("document.getElementById('title').textContent") == title
    assert browser.run("window.broken === undefined")


def test_floaters_glow_where_our_renderer_has_them(page, subject):
    bare(page, True)
    stand(page, 0)
    before = page.canvas()
    page.press("o")
    page.wait("document.getElementById('floaters').getAttribute('aria-pressed') === 'true'")
    page.settle()
    mask = floaters(subject.gaussians)
    camera = subject.photographs[0].camera.resized(*WINDOW_PX)
    found = page.canvas()
    assert psnr(found, drawn(highlighted(subject.gaussians, mask), camera)) > 30
    # The test is significant: another mask of the same size gives a different picture.
    assert psnr(found, drawn(highlighted(subject.gaussians, mask.roll(1)), camera)) < 25
    page.wait("!document.querySelector('#legend [data-of=floaters]').hidden")
    words = page.run("document.querySelector('#legend [data-of=floaters]').textContent.replace(/\\s+/g, ' ')")
    assert f"{int(mask.sum())} floaters" in words
    page.press("o")
    page.settle()
    assert psnr(page.canvas(), before) > 45


def test_quality_colours_the_cameras(page):
    bare(page, False)
    page.resize(640, 480)
    page.press("c")
    page.run("location.hash = '#at=0,-7,-9,0.9458,0,0,0.3247,0,0,0'")
    page.settle()
    assert page.run("document.querySelector('#legend [data-of=quality]').hidden")
    before = page.canvas()
    page.press("m")
    page.settle()
    after = page.canvas()
    assert (before != after).any(axis=2).mean() > 0.002
    page.wait("!document.querySelector('#legend [data-of=quality]').hidden")
    words = page.run("document.querySelector('#legend [data-of=quality]').textContent.trim()")
    assert words.startswith("23") and "24 dB" in words
    titles = page.run("[...document.querySelectorAll('#strip button')].map((one) => one.title)")
    assert titles[:2] == ["shots/0.jpg", "shots/1.jpg, held out, 23.40 dB, SSIM 0.812"]
    page.press("m")
    page.settle()
    assert psnr(page.canvas(), before) > 45
    page.press("c")
    page.resize(*WINDOW_PX)


def test_the_exact_view_is_not_offered_without_a_server(page):
    assert page.run("document.getElementById('exact-toggle').hidden")
    page.press("t")
    assert not page.run("sfumato.isExact()")
