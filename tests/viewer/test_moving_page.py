"""Dynamic scenes in a real browser: pictures agree with our renderer; playback, links and trails work."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.render.png import to_uint8
from sfumato.render.rasterize import rasterize
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.viewer.page import write_page
from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_subject
from sfumato.viewer.subject import Photograph
from sfumato.viewer.tracked_subject import moving_subject
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare, stand
from support.small_moving_scene import small_moving_scene, small_moving_subject
from support.small_scenes import camera_at, drawn, psnr, small_subject

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def subject():
    return small_moving_subject()


@pytest.fixture(scope="module")
def browser():
    with Browser(WINDOW_PX) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(subject, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "scene.html"
    write_page(subject, path)
    return path.as_uri()


@pytest.fixture(scope="module")
def page(browser, address):
    """``scene.html``, opened from disk."""
    browser.open(address)
    return browser


def at(page, time):
    page.run(f"sfumato.setTime({time})")
    page.settle()
    return page.canvas()


def now(page):
    return page.run("sfumato.timeNow().now")


@pytest.mark.parametrize("time", [1.0, 1.75, 2.0])
def test_each_step_is_that_of_our_renderer(page, subject, time):
    bare(page, True)
    stand(page, 0)
    camera, scene = subject.photographs[0].camera.resized(*WINDOW_PX), small_moving_scene()
    found = at(page, time)
    assert psnr(found, drawn(scene.at(time), camera)) > 35
    # The test is significant: the previous or next step differs clearly.
    other = time - 0.25 if time > 1 else time + 0.25
    assert psnr(found, drawn(scene.at(other), camera)) < 25


def test_the_scene_is_interpolated_between_steps(page, subject):
    bare(page, True)
    stand(page, 0)
    scene = small_moving_scene()
    # The page interpolates linearly between steps, while the scene follows a curve.
    before, after = scene.means[0], scene.means[1]
    middle = scene.at(1.125)
    rows = scene.ids[scene.alive(0)]
    place = {int(row): number for number, row in enumerate(middle.identities)}
    middle.means[[place[int(row)] for row in rows]] = 0.5 * (before + after)[scene.alive(0)]
    camera = subject.photographs[0].camera.resized(*WINDOW_PX)
    assert psnr(at(page, 1.125), drawn(middle, camera)) > 35


def test_it_plays_in_a_loop_at_a_speed_and_stops(page):
    page.run("document.activeElement.blur()")
    page.run("sfumato.setTime(1)")
    page.run("document.getElementById('speed').value = '4'")
    page.run("document.getElementById('speed').dispatchEvent(new Event('change'))")
    page.press(" ")
    page.wait("sfumato.timeNow().now > 1.2")
    # After the end it restarts.
    page.wait(
        "(window.latest = Math.max(window.latest ?? 0, sfumato.timeNow().now)) > sfumato.timeNow().now + 0.1"
    )
    page.press(" ")
    stopped = now(page)
    page.settle()
    assert now(page) == stopped and page.run("document.getElementById('play').ariaLabel") == "Play"
    page.run("document.getElementById('loop').click()")
    page.run("sfumato.setTime(1.9)")
    page.press(" ")
    page.wait("!sfumato.timeNow().playing")
    assert now(page) == 2.0
    page.press(",")
    assert now(page) == 1.75
    page.press(".")
    assert now(page) == 2.0
    page.run("document.getElementById('time').value = 1.6")
    page.run("document.getElementById('time').dispatchEvent(new Event('input'))")
    assert now(page) == pytest.approx(1.6)


def on_window(page, places):
    """[n, 3]: window pixels and depths of positions [n, 3]."""
    code = "sfumato.camera.projectionMatrix.clone().multiply(sfumato.camera.matrixWorldInverse).elements"
    clip = np.array(page.run(f"[...{code}]")).reshape(4, 4).T
    # The page shows the scene upright, rotated such that -y is up.
    ends = np.c_[places * [-1, -1, 1], np.ones(len(places))] @ clip.T
    return np.c_[(ends[:, :2] / ends[:, 3:] * [1, -1] + 1) / 2 * WINDOW_PX, ends[:, 3]]


def test_clicking_a_gaussian_draws_its_trail(page, subject):
    bare(page, True)
    stand(page, 0)
    page.press("v")
    at(page, 1.75)
    before = page.picture()
    scene = subject.moving
    earlier, here = (on_window(page, scene.means[step].numpy()) for step in (1, 3))
    inside = [((p[:, :2] > 12) & (p[:, :2] < np.array(WINDOW_PX) - 12)).all(axis=1) for p in (earlier, here)]
    front = min((inside[0] & inside[1]).nonzero()[0], key=lambda row: here[row, 2])
    page.click(*here[front, :2])
    assert page.run("sfumato.pickedNow()") == [front]
    page.settle()
    changed = np.abs(page.picture().astype(int) - before).max(axis=2) > 60
    x, y = here[front, :2].round().astype(int)
    assert changed[y - 3 : y + 4, x - 3 : x + 4].mean() > 0.6
    x, y = earlier[front, :2].round().astype(int)
    assert changed[y - 2 : y + 3, x - 2 : x + 3].any()
    assert changed.mean() < 0.1
    page.press("Escape")
    assert page.run("sfumato.pickedNow()") == [] and page.run("sfumato.standingIn() !== null")
    page.press("v")


def test_the_link_keeps_the_time(page, address):
    page.run("sfumato.setTime(1.6)")
    page.press("l")
    kept = page.run("location.href")
    assert "time=1.6" in kept
    page.do("Page.navigate", url="about:blank")
    page.open(kept)
    assert now(page) == pytest.approx(1.6)
    page.run("location.hash = '#time=1.25'")
    page.wait("sfumato.timeNow().now === 1.25")


def test_a_saved_page_compares_at_the_time_of_its_photographs(page, subject):
    bare(page, True)
    stand(page, 0)
    at(page, 1.5)
    page.press("p")
    page.wait("document.getElementById('photo').classList.contains('ready')")
    assert now(page) == 1.0
    assert page.run("document.querySelector('.side.left').textContent") == "photograph of 1.00 s"
    page.press("p")


def test_view_dependent_colours_follow_the_motion(browser, tmp_path):
    far, near = [-1.6, 0.0, 0.0], [1.6, 0.0, 0.0]
    means, turn = torch.tensor([far, [9.0, 9.0, 9.0]]), torch.tensor([1.0, 0.0, 0.0, 0.0])
    sh = torch.zeros(2, 4, 3)
    sh[:, 3] = torch.tensor([0.9, 0.0, -0.9])
    gaussians = Gaussians(means, torch.full((2, 3), -1.2), turn.expand(2, 4), torch.full((2,), 4.0), sh)
    one = torch.ones(1, dtype=torch.int64)
    poses = torch.tensor([[far], [near]]), turn.expand(2, 1, 4)
    scene = DynamicScene(gaussians, 0 * one, torch.tensor([0.0, 1.0]).double(), *poses, 0 * one, 2 * one)
    camera = camera_at(0.0)
    subject = moving_subject("ball", scene)
    write_page(replace(subject, photographs=[Photograph("cam", camera)]), tmp_path / "ball.html")
    browser.open((tmp_path / "ball.html").as_uri())
    bare(browser, True)
    stand(browser, 0)
    colours = []
    for time in (0.0, 1.0):
        expected = drawn(scene.at(time), camera.resized(*WINDOW_PX), (0.0, 0.0, 0.0))
        assert psnr(at(browser, time), expected) > 35
        colours.append(expected.reshape(-1, 3).max(axis=0))
    # The test is significant: from the other side the Gaussian has another colour.
    assert np.abs(colours[0].astype(int) - colours[1]).max() > 40


def test_gaussians_in_front_of_the_near_plane_are_culled(browser, subject, tmp_path):
    near = replace(subject, settings=replace(subject.settings, near=4.0))
    write_page(near, tmp_path / "near.html")
    browser.open((tmp_path / "near.html").as_uri())
    bare(browser, True)
    stand(browser, 0)
    scene, camera = small_moving_scene().at(1.0), subject.photographs[0].camera.resized(*WINDOW_PX)
    cut = to_uint8(rasterize(scene, camera, near.settings).image)
    assert psnr(browser.canvas(), cut) > 35 and psnr(cut, drawn(scene, camera)) < 25


def test_a_static_scene_has_no_timeline(browser, tmp_path):
    write_page(small_subject(), tmp_path / "still.html")
    browser.open((tmp_path / "still.html").as_uri())
    assert browser.run("document.getElementById('timeline').offsetHeight") == 0
    browser.press(" ")
    browser.press("l")
    assert "time" not in browser.run("location.hash")


def test_the_served_page_draws_exactly_and_compares_at_each_time(browser, subject):
    server = PageServer()
    show_subject(server, subject)
    with server:
        browser.open(server.url)
        bare(browser, True)
        stand(browser, 2)
        browser.press("t")
        camera = subject.photographs[2].camera.resized(*WINDOW_PX)
        for time in (1.6, 1.75):
            browser.run(f"sfumato.setTime({time})")
            browser.settle()
            assert psnr(browser.exact(), drawn(small_moving_scene().at(time), camera)) > 36
        browser.press("o")
        browser.press("t")
        browser.press("p")
        browser.wait("document.getElementById('photo').classList.contains('ready')")
        assert browser.run("document.getElementById('photo').src").endswith("photo-2-3.jpg")
        assert not browser.complaints()
