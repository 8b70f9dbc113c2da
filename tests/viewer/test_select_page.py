"""Selecting and deleting in the page: what is drawn on the picture is what the script does."""

import json
import shlex

import numpy as np
import pytest

from sfumato.cli.edit import take_edits
from sfumato.edit.script import edits_from_plain, read_script, replay
from sfumato.scene.files import load, save
from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_path, show_subject
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare, stand
from support.small_scenes import drawn, psnr, small_scene, small_subject

pytestmark = pytest.mark.browser
WINDOW = (900, 560)


def press_button(page, name):
    page.run(f"document.getElementById('{name}').click()")


def choose(page, **what):
    for kind, name in what.items():
        page.run(f"document.querySelector('#edit [data-{kind}={name}]').click()")


def selected(page):
    words = page.run("document.getElementById('edit-words').textContent").split()[0]
    return 0 if words == "nothing" else int(words.replace(",", ""))


def script(page):
    return page.run("sfumato.scriptOf(sfumato.editsMade())")


def command(page, ending):
    """What "Copy command" of a card copies."""
    page.run("navigator.clipboard.writeText = async (words) => { window.copied = words; }, true")
    page.run(f"document.querySelector('#{ending} button').click()")
    page.wait("window.copied !== undefined")
    return shlex.split(page.run("[copied, delete window.copied][0]"))


@pytest.fixture(scope="module")
def subject():
    return small_subject()


@pytest.fixture(scope="module")
def page(subject):
    server = PageServer()
    show_subject(server, subject)
    with server, Browser(WINDOW) as browser:
        browser.open(server.url)
        yield browser


@pytest.fixture(autouse=True)
def fresh(page):
    page.resize(*WINDOW)
    stand(page, 0)
    if page.run("document.getElementById('edit').hidden"):
        press_button(page, "edit-toggle")
    page.run("for (let i = 0; i < 60; i++) document.getElementById('edit-undo').click()")
    choose(page, tool="lasso", how="new")


def lasso(page, points):
    do = {"button": "left", "buttons": 1}
    page.do("Input.dispatchMouseEvent", type="mousePressed", x=points[0][0], y=points[0][1], **do)
    for x, y in points[1:]:
        page.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, **do)
    page.do("Input.dispatchMouseEvent", type="mouseReleased", x=points[-1][0], y=points[-1][1], **do)


def test_what_a_lasso_selects_is_what_its_script_deletes(page, subject):
    lasso(page, [(300, 150), (480, 140), (500, 330), (380, 360), (310, 320)])
    count = selected(page)
    assert 5 < count < 60
    assert page.run("document.getElementById('caption').hidden") is False, "one still stands in the camera"
    press_button(page, "edit-delete")
    edited = replay(subject.gaussians, edits_from_plain(script(page), "here"))
    assert len(edited) == len(subject.gaussians) - count
    # And the picture is that of the edited scene.
    bare(page, True)
    camera = subject.photographs[0].camera.resized(*WINDOW_PX)
    assert psnr(page.canvas(), drawn(edited, camera)) > 30
    assert psnr(page.canvas(), drawn(subject.gaussians, camera)) < 25
    press_button(page, "edit-undo")
    page.settle()
    picture = page.canvas()
    # The selection has come back with what was deleted.
    assert psnr(picture, drawn(subject.gaussians, camera)) < 30
    press_button(page, "edit-undo")
    page.settle()
    assert psnr(page.canvas(), drawn(subject.gaussians, camera)) > 30
    bare(page, False)


def test_box_brush_add_subtract_and_invert(page, subject):
    choose(page, tool="box")
    page.drag((300, 120), (520, 380))
    first = selected(page)
    choose(page, tool="brush", how="add")
    page.drag((250, 250), (600, 250))
    more = selected(page)
    choose(page, tool="box", how="subtract")
    page.drag((380, 150), (460, 330))
    less = selected(page)
    assert 0 < first < more and 0 < less < more
    press_button(page, "edit-invert")
    assert selected(page) == len(subject.gaussians) - less
    press_button(page, "edit-keep")
    kept = replay(subject.gaussians, edits_from_plain(script(page), "here"))
    assert len(kept) == len(subject.gaussians) - less
    assert page.run("document.getElementById('edit-left').textContent").startswith(f"{len(kept)} of 80")
    # The command does the same as the script.
    words = command(page, "edit-ending")
    assert words[:5] == ["sfumato", "edit", "blobs", "-o", "blobs-edited.ply"]
    _, edits = take_edits(words[5:])
    again = replay(subject.gaussians, edits)
    assert np.array_equal(again.means.numpy(), kept.means.numpy())
    # Undo and redo by the keyboard.
    page.run(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'z', ctrlKey: true, bubbles: true}))"
    )
    assert selected(page) == len(kept) and not script(page)["edits"]
    page.run(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'y', ctrlKey: true, bubbles: true}))"
    )
    assert len(script(page)["edits"]) == 1


def test_dragging_looks_around_again_with_look(page):
    choose(page, tool="look")
    page.drag((300, 200), (420, 240))
    page.settle()
    assert selected(page) == 0 and page.run("sfumato.standingIn()") is None


def test_crop_and_floaters_end_in_commands(page, subject):
    page.run("location.hash = '#camera=shots/0.jpg&crop=-0.5,-9,-9,9,9,9'")
    page.wait("!document.getElementById('crop').hidden")
    _, edits = take_edits(command(page, "crop-ending")[5:])
    kept = replay(subject.gaussians, edits)
    assert 0 < len(kept) == int((subject.gaussians.means[:, 0] >= -0.5).sum()) < 80
    page.press("x")
    page.press("o")
    page.wait("!document.getElementById('floaters-card').hidden")
    assert command(page, "floaters-ending")[5:] == ["--clean"]
    page.press("o")
    page.wait("document.getElementById('floaters-card').hidden")


def test_save_writes_the_script_and_the_scene(tmp_path):
    save(small_scene(), tmp_path / "blobs.ply")
    server = PageServer()
    show_path(server, tmp_path / "blobs.ply")
    with server, Browser(WINDOW) as browser:
        browser.open(server.url)
        browser.press("k")
        choose(browser, tool="box")
        browser.drag((100, 60), (430, 500))
        count = selected(browser)
        browser.press("Delete")
        browser.run("document.querySelectorAll('#edit-ending button')[1].click()")
        browser.wait("document.getElementById('toast').textContent.startsWith('Saved')")
        made = script(browser)
    edited = load(tmp_path / "blobs-edited.ply")
    assert count > 0 and len(edited) == 80 - count
    assert json.loads((tmp_path / "blobs-edits.json").read_text())["edits"] == made["edits"]
    scene = load(tmp_path / "blobs.ply")
    again = replay(scene, read_script(tmp_path / "blobs-edits.json"))
    assert np.array_equal(again.means.numpy(), edited.means.numpy())
