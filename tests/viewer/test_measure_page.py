"""Places that are picked in the page: distances between them, and notes pinned to them."""

import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.viewer.page import write_page
from support.browser import Browser
from support.page_steps import bare, stand
from support.small_scenes import small_scene, small_subject

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WINDOW = (900, 560)
# Two balls in sight of the first camera, and a third one beside them.
CENTRES = [[-1.0, 0.0, 0.0], [1.0, 0.2, 0.0], [0.0, -1.0, 0.5]]
RADIUS = 0.15


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    balls = replace(
        small_scene(3),
        means=torch.tensor(CENTRES),
        log_scales=torch.full((3, 3), float(np.log(RADIUS / 3))),
        logit_opacities=torch.full((3,), 8.0),
    )
    path = tmp_path_factory.mktemp("page") / "scene.html"
    write_page(replace(small_subject(), gaussians=balls), path)
    with Browser(WINDOW) as browser:
        browser.open(path.as_uri())
        browser.run("navigator.clipboard.writeText = async (words) => { window.copied = words; }, true")
        yield browser


def on_screen(page, centre):
    return page.run(
        f"""(() => {{
          const p = sfumato.shown({centre}).project(sfumato.camera);
          return [(p.x + 1) / 2 * innerWidth, (1 - p.y) / 2 * innerHeight];
        }})()"""
    )


def click_on(page, centre):
    page.click(*on_screen(page, centre))


def words(page, name):
    return page.run(f"document.getElementById('{name}').textContent")


def test_a_distance_sets_the_unit(page):
    bare(page, False)
    page.resize(*WINDOW)
    stand(page, 0)
    page.run("document.getElementById('measure-toggle').click()")
    click_on(page, CENTRES[0])
    assert "other end" in words(page, "measure-words")
    click_on(page, CENTRES[1])
    found = float(words(page, "measure-words").split()[0])
    # Surfaces are picked, not centres.
    assert abs(found - np.hypot(2, 0.2)) < 2 * RADIUS
    assert words(page, "measure-words").endswith("units")
    assert page.run("document.getElementById('measure-known').disabled")
    page.run(
        """(() => {
          const input = document.getElementById("measure-true");
          input.value = 6;
          input.dispatchEvent(new Event("input"));
        })()"""
    )
    length = page.run(
        "Math.hypot(...sfumato.endsNow().slice(0, 3).map((v, i) => v - sfumato.endsNow()[3 + i]))"
    )
    page.run("document.getElementById('measure-known').click()")
    page.wait("window.copied !== undefined")
    option, first, second, metres = shlex.split(page.run("[copied, delete window.copied][0]"))
    assert option == "--sfm.known-distance"
    # Opposite cameras of the circle are 8 units apart across, less what both are turned up.
    places = {
        c["name"]: np.array(c["world_from_camera"]).reshape(3, 4)[:, 3]
        for c in page.run("sfumato.manifest.cameras")
    }
    assert float(metres) == pytest.approx(
        np.linalg.norm(places[first] - places[second]) * 6 / length, rel=1e-4
    )
    page.run("document.getElementById('measure-scale').click()")
    page.wait("window.copied !== undefined")
    scale = shlex.split(page.run("[copied, delete window.copied][0]"))
    assert scale[:5] == ["sfumato", "edit", "blobs", "-o", "blobs-edited.ply"] and scale[5] == "--scale"
    assert float(scale[6]) == pytest.approx(6 / length, rel=1e-4)
    page.run("document.getElementById('measure-toggle').click()")


def test_notes_stay_with_their_places_and_come_back_with_the_link(page):
    page.run("document.getElementById('notes-toggle').click()")
    click_on(page, CENTRES[2])
    page.wait("!document.getElementById('note-form').hidden")
    hostile = "<img src=x onerror='window.broken = 1'>, a note"
    page.run(f"document.getElementById('note-words').value = {hostile!r}")
    page.run("document.getElementById('note-form').requestSubmit()")
    page.run("document.getElementById('notes-toggle').click()")

    def away():
        """How far the pin is from where its place is drawn."""
        page.settle()
        return page.run(
            f"""(() => {{
              const p = sfumato.shown({CENTRES[2]}).project(sfumato.camera);
              const box = document.querySelector("#pins p").getBoundingClientRect();
              const [x, y] = [(p.x + 1) / 2 * innerWidth, (1 - p.y) / 2 * innerHeight];
              return Math.hypot(box.left + 12 - x, box.top + 34 - y);
            }})()"""
        )

    assert away() < 25
    page.drag((300, 200), (360, 220))
    page.settle()
    assert away() < 25
    page.press("l")
    kept = page.run("location.href")
    page.do("Page.navigate", url="about:blank")
    page.open(kept)
    assert words(page, "pins") == hostile and page.run("window.broken === undefined")
    page.run("document.querySelector('#note-list button').click()")
    assert words(page, "pins") == ""
    page.press("l")
    assert "note=" not in page.run("location.hash")


def behind(page, number):
    page.wait("sfumato.notesSettled()")
    return page.run(f"document.querySelectorAll('#pins p')[{number}].classList.contains('behind')")


def test_notes_are_dimmed_where_the_scene_is_in_front_of_them(page):
    stand(page, 0)
    eye = np.array(page.run("sfumato.inScene(sfumato.camera.position).toArray()"))
    on, far = (np.array(CENTRES[0]) + share * (np.array(CENTRES[0]) - eye) for share in (-0.02, 0.3))
    words = "&".join(f"note={','.join(f'{v:.6f}' for v in place)},here" for place in (on, far))
    page.run(f"location.hash = '#camera=shots/0.jpg&{words}'")
    page.wait("document.querySelectorAll('#pins p').length === 2")
    page.settle()
    assert [behind(page, 0), behind(page, 1)] == [False, True]
    # Without the ball there is nothing in front.
    page.run(f"location.hash = '#camera=shots/0.jpg&{words}&crop=-0.5,-9,-9,9,9,9'")
    page.wait("!document.getElementById('crop').hidden")
    page.wait("!document.querySelectorAll('#pins p')[1].classList.contains('behind')")
    page.press("x")
    page.wait("document.querySelectorAll('#pins p')[1].classList.contains('behind')")
    page.run("location.hash = '#camera=shots/0.jpg&note=x'")


def test_what_is_cropped_or_deleted_is_not_picked(page):
    stand(page, 0)
    page.run("document.getElementById('measure-toggle').click()")
    page.run("document.getElementById('measure-clear').click()")
    page.run("location.hash = '#camera=shots/0.jpg&crop=-0.5,-9,-9,9,9,9'")
    page.wait("!document.getElementById('crop').hidden")
    page.settle()
    click_on(page, CENTRES[0])
    assert words(page, "toast") == "There is no surface here" and page.run("sfumato.endsNow()") == []
    click_on(page, CENTRES[2])
    picked = np.array(page.run("sfumato.endsNow()"))
    eye = np.array(page.run("sfumato.inScene(sfumato.camera.position).toArray()"))
    # In a Gaussian, the surface is where the response along the line of sight is the largest.
    assert np.abs(picked - CENTRES[2]).max() < 0.02 * np.linalg.norm(np.array(CENTRES[2]) - eye)
    page.press("x")
    page.run("document.getElementById('measure-clear').click()")
    page.run("document.getElementById('edit-toggle').click()")
    page.run("document.querySelector('#edit [data-tool=box]').click()")
    x, y = on_screen(page, CENTRES[0])
    page.drag((x - 40, y - 40), (x + 40, y + 40))
    page.run("document.getElementById('edit-delete').click()")
    page.run("document.getElementById('edit-toggle').click()")
    if page.run("document.getElementById('measure').hidden"):
        page.run("document.getElementById('measure-toggle').click()")
    click_on(page, CENTRES[0])
    assert page.run("sfumato.endsNow()") == []
    for _ in range(2):
        page.run("document.getElementById('edit-undo').click()")
    click_on(page, CENTRES[0])
    assert len(page.run("sfumato.endsNow()")) == 3
    page.run("document.getElementById('measure-clear').click()")
    page.run("document.getElementById('measure-toggle').click()")


def test_a_link_of_broken_notes_shows_none(page):
    page.run(
        "location.hash = '#note=1,2,x,hello&note=1,2&note=' + '9,'.repeat(400) + '&measure=1,2,3,4,5,NaN'"
    )
    page.settle()
    notes = page.run("[...document.querySelectorAll('#pins p')].map((one) => one.textContent.length)")
    assert notes == [200]
    assert not page.complaints()
