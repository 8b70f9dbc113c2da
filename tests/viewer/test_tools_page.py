"""The tools of the page: select and delete, films, saved pictures, how one moves, and what a link keeps."""

import json

import numpy as np
import pytest

from sfumato.cli.edit import take_edits
from sfumato.edit.script import edits_from_plain, read_script, replay
from sfumato.paths.path_files import read_path
from sfumato.scene.files import load, save
from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_subject
from support.browser import Browser
from support.page_steps import WINDOW_PX, bare, eye, stand
from support.small_scenes import drawn, psnr, small_subject
from support.tool_steps import (
    KEPT,
    choose,
    command,
    editing,
    lasso,
    press_button,
    saved,
    script,
    selected,
    set_input,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WINDOW = (900, 560)


@pytest.fixture(scope="module")
def subject():
    return small_subject()


@pytest.fixture(scope="module")
def folder(subject, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    save(subject.gaussians, folder / "blobs.ply")
    return folder


@pytest.fixture(scope="module")
def page(subject, folder):
    server = PageServer()
    show_subject(server, subject, folder / "blobs.ply")
    with server, Browser(WINDOW) as browser:
        browser.open(server.url)
        browser.run(KEPT)
        yield browser


@pytest.fixture
def fresh(page):
    """Nothing is selected or removed, and a lasso is at hand."""
    with editing(page, WINDOW):
        yield


def test_what_a_lasso_selects_is_what_its_script_deletes(page, fresh, subject):
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
    # So is that of the server, with floaters that are left, too.
    page.press("t")
    page.settle()
    assert psnr(page.exact(), drawn(edited, camera)) > 36
    page.press("o")
    page.settle()
    assert not page.run("document.getElementById('toast').textContent.startsWith('No picture')")
    page.press("o")
    page.press("t")
    press_button(page, "edit-undo")
    page.settle()
    picture = page.canvas()
    # The selection has come back with what was deleted.
    assert psnr(picture, drawn(subject.gaussians, camera)) < 30
    press_button(page, "edit-undo")
    page.settle()
    assert psnr(page.canvas(), drawn(subject.gaussians, camera)) > 30
    bare(page, False)


def test_box_brush_add_subtract_and_invert(page, fresh, subject):
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
    source = page.run("sfumato.manifest.source")
    assert words[:5] == ["sfumato", "edit", source, "-o", source.replace(".ply", "-edited.ply")]
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


def test_dragging_looks_around_again_with_look(page, fresh):
    choose(page, tool="look")
    page.drag((300, 200), (420, 240))
    page.settle()
    assert selected(page) == 0 and page.run("sfumato.standingIn()") is None


def test_crop_and_floaters_end_in_commands(page, fresh, subject):
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


def test_save_writes_the_script_and_the_scene(page, fresh, folder):
    choose(page, tool="box")
    page.drag((330, 60), (430, 500))
    count = selected(page)
    page.press("Delete")
    page.run("document.querySelectorAll('#edit-ending button')[1].click()")
    page.wait("document.getElementById('toast').textContent.startsWith('Saved')")
    edited = load(folder / "blobs-edited.ply")
    assert count > 0 and len(edited) == 80 - count
    assert json.loads((folder / "blobs-edits.json").read_text())["edits"] == script(page)["edits"]
    again = replay(load(folder / "blobs.ply"), read_script(folder / "blobs-edits.json"))
    assert np.array_equal(again.means.numpy(), edited.means.numpy())


def test_key_frames_of_the_page_become_a_film(page, subject, folder):
    press_button(page, "film-toggle")
    centres = []
    for index in (0, 1):
        stand(page, index)
        press_button(page, "film-add")
        centres.append(subject.photographs[index].camera.centre_world.tolist())
    page.run(
        """(() => {
          const [, second] = document.querySelectorAll("#film-keys input");
          second.value = 0.1;
          second.dispatchEvent(new Event("change"));
          document.getElementById("film-size").value = "640x360";
          document.getElementById("film-play").click();
        })()"""
    )
    page.wait("document.getElementById('film-play').textContent === 'Preview'")
    document = page.run("sfumato.pathNow()")
    press_button(page, "film-make")
    page.wait("document.getElementById('toast').textContent.startsWith('The film is')")
    assert (folder / "blobs-film.mp4").stat().st_size > 1000
    assert json.loads((folder / "blobs-film.json").read_text()) == document
    path = read_path(folder / "blobs-film.json")
    assert path.times_s == (0, 0.1)
    for camera, centre in zip(path.cameras, centres, strict=True):
        assert camera.centre_world.tolist() == pytest.approx(centre, abs=1e-4)
    press_button(page, "film-toggle")


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
    # The same way round, so that the two add up.
    page.drag((470, 250), (450, 250))
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
        page.run("new Promise((done) => setTimeout(done, 150)).then(() => true)")
    page.settle()
    after = eye(page)
    assert np.linalg.norm(after - before) > 0.01 and abs(after[1] - before[1]) < 1e-5
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
