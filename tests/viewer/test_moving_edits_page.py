"""Selecting and deleting in dynamic scenes in a real browser: at one time, with effect at all times."""

import numpy as np
import pytest

from sfumato.cli.edit import take_edits
from sfumato.edit import leaders
from sfumato.edit.script import edits_from_plain, replay
from sfumato.scene.files.dynamic_files import load_dynamic, save_dynamic
from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_subject
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare
from support.small_moving_scene import small_moving_scene, small_moving_subject
from support.small_scenes import drawn, psnr
from support.tool_steps import choose, command, editing, lasso, press_button, script, selected

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WINDOW = (900, 640)
RING = [(300, 150), (600, 140), (620, 330), (380, 400), (310, 320)]


@pytest.fixture(scope="module", autouse=True)
def one_neighbour():
    """Static Gaussians lie among the moving ones of the small scene; some late ones are near moving ones."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(leaders, "_NEIGHBOURS", 1)
        assert (leaders.leaders(small_moving_scene()) >= 0).sum() >= 2
        yield


@pytest.fixture(scope="module")
def subject():
    return small_moving_subject()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    save_dynamic(small_moving_scene(), folder / "blobs.4dgs")
    return folder


@pytest.fixture(scope="module")
def page(subject, folder):
    server = PageServer()
    show_subject(server, subject, folder / "blobs.4dgs")
    with server, Browser(WINDOW) as browser:
        browser.open(server.url)
        yield browser


@pytest.fixture
def fresh(page):
    page.run("sfumato.setPlaying(false)")
    with editing(page, WINDOW):
        yield


def to(page, time):
    page.run(f"sfumato.setTime({time})")
    page.settle()


def numbers(page):
    return page.run("document.getElementById('edit-left').textContent").split()[0]


def test_what_is_selected_at_one_time_is_gone_at_all_times(page, fresh, subject):
    scene, camera = subject.moving, subject.photographs[0].camera.resized(*WINDOW_PX)
    # Between two steps, the nearest is taken.
    to(page, 1.55)
    lasso(page, RING)
    assert page.run("sfumato.timeNow().now") == 1.5
    count = selected(page)
    press_button(page, "edit-delete")
    document = script(page)
    assert [edit["at"] for edit in document["edits"]] == [1.5]
    edited = replay(scene, edits_from_plain(document, "here"))
    assert 5 < count == len(scene) - len(edited) and int(numbers(page)) == len(edited)
    assert 0 < len(edited.ids) < len(scene.ids), "some of the deleted Gaussians move"
    bare(page, True)
    for time in (1.0, 1.5, 2.0):
        to(page, time)
        assert psnr(page.canvas(), drawn(edited.at(time), camera)) > 29
        assert psnr(page.canvas(), drawn(scene.at(time), camera)) < 26
    # So are the pictures of the server.
    page.press("t")
    page.settle()
    assert psnr(page.exact(), drawn(edited.at(2.0), camera)) > 36
    page.press("t")
    bare(page, False)
    _, edits = take_edits(command(page, "edit-ending")[5:])
    again = replay(scene, edits)
    assert np.array_equal(again.means.numpy(), edited.means.numpy(), equal_nan=True)


def test_what_is_born_later_is_selected_with_its_leader(page, fresh, subject):
    scene = subject.moving
    to(page, 1.0)
    lasso(page, [(5, 5), (895, 5), (895, 635), (5, 635)])
    press_button(page, "edit-delete")
    edited = replay(scene, edits_from_plain(script(page), "here"))
    assert int(numbers(page)) == len(edited)
    exists = scene.alive(0)
    gone = len(scene) - len(edited) - (len(scene) - len(scene.ids)) - int(exists.sum())
    assert gone > 0, "more than exist at that time"


def test_a_selection_stays_at_its_time(page, fresh, subject):
    to(page, 1.25)
    lasso(page, RING)
    first = selected(page)
    to(page, 2.0)
    choose(page, how="subtract")
    lasso(page, [(300, 150), (420, 140), (430, 330), (310, 320)])
    # The stroke went back, as one selection is of one time.
    assert page.run("sfumato.timeNow().now") == 1.25 and 0 < selected(page) < first
    assert "Back at 1.25 s" in page.run("document.getElementById('toast').textContent")
    press_button(page, "edit-invert")
    press_button(page, "edit-keep")
    kept = replay(subject.moving, edits_from_plain(script(page), "here"))
    # Gaussians that do not exist at that time go, as with sfumato edit.
    assert int(numbers(page)) == len(kept) < len(subject.moving)


def test_an_edited_scene_that_moves_is_saved_with_its_motion(page, fresh, folder):
    to(page, 1.0)
    lasso(page, RING)
    press_button(page, "edit-delete")
    count = int(numbers(page))
    page.run("document.querySelectorAll('#edit-ending button')[1].click()")
    page.wait("document.getElementById('toast').textContent.startsWith('Saved')")
    saved = load_dynamic(folder / "blobs-edited.4dgs")
    assert len(saved) == count and saved.num_steps == 5
    assert (folder / "blobs-edits.json").is_file()
