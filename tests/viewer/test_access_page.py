"""The page for everyone: names, roles, contrast, room for fingers, and a hint at the start."""

import sys
from pathlib import Path

import pytest

from sfumato.viewer.server import PageServer
from sfumato.viewer.showing import show_subject
from support.browser import Browser
from support.page_steps import stand
from support.small_scenes import small_subject

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DESK, PHONE = (1440, 900), (390, 844)
# Brought by tools/viewer/get_browser.mjs; under the Mozilla Public License 2.0, and not in the repository.
AXE = Path(sys.prefix) / "browser" / "axe.min.js"
CARDS = ("crop", "edit", "measure", "notes", "film", "view")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    server = PageServer()
    show_subject(server, small_subject(), tmp_path_factory.mktemp("run"))
    with server, Browser(DESK, pixel_ratio=0.25) as browser:
        browser.open(server.url)
        yield browser


def serious(page):
    """What axe finds serious or critical."""
    found = page.run("axe.run(document).then((all) => all.violations)")
    return [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: make test brings it where Node.js is installed")
@pytest.mark.parametrize(("size_px", "theme"), [(DESK, "dark"), (PHONE, "light")])
def test_axe_finds_nothing_serious(page, size_px, theme):
    page.resize(*size_px)
    if page.run("typeof axe === 'undefined'"):
        page.run(AXE.read_text("utf-8") + "; true")
    page.run(f"location.hash = '#theme={theme}'")
    page.wait(f"document.documentElement.dataset.theme === '{theme}'")
    page.press("c")
    for name in CARDS:
        page.run(f"document.getElementById('{name}-toggle').click()")
    stand(page, 1)
    page.press("p")
    page.press("2")
    page.settle()
    assert not serious(page)
    page.run("document.getElementById('help').showModal()")
    assert not serious(page)
    page.run("document.getElementById('help').close()")
    for name in reversed(CARDS):
        if not page.run(f"document.getElementById('{name}').hidden"):
            page.run(f"document.getElementById('{name}-toggle').click()")
    for key in ("p", "c", "Escape", "1"):
        page.press(key)
    page.settle()


def test_fingers_have_room_on_a_phone(page):
    page.resize(*PHONE)
    for name in (None, *CARDS):
        if name:
            page.run(f"document.getElementById('{name}-toggle').click()")
        small = page.run(
            """[...document.querySelectorAll("button, select, input:not([type=range])")].filter((one) => {
              const { width, height } = one.getBoundingClientRect();
              return width && (width < 44 || height < 44);
            }).map((one) => one.id || one.textContent)"""
        )
        assert not small, name
        if name:
            page.run(f"document.getElementById('{name}-toggle').click()")
    # Nothing is wider than the phone.
    assert page.run("document.documentElement.scrollWidth") <= PHONE[0]


def test_depth_has_words_and_a_unit(page):
    page.press("2")
    page.wait("!document.querySelector('#legend [data-of=depth]').hidden")
    words = page.run("document.querySelector('#legend [data-of=depth]').textContent")
    assert words.startswith("depth ") and words.count("units") == 2
    page.press("1")


def test_a_hint_is_there_until_something_is_done(page):
    page.do("Page.reload")
    page.wait("window.sfumato !== undefined && !document.getElementById('hint').hidden")
    assert page.run("document.getElementById('hint').textContent").startswith("Drag to look around")
    page.click(200, 200)
    assert page.run("document.getElementById('hint').hidden")


def test_with_fingers_alone_only_gestures_are_named(page):
    page.do("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)
    page.do(
        "Emulation.setEmulatedMedia",
        features=[{"name": "hover", "value": "none"}, {"name": "pointer", "value": "coarse"}],
    )
    if not page.run("matchMedia('(hover: none) and (pointer: coarse)').matches"):
        pytest.skip("this browser does not emulate fingers")
    page.do("Page.reload")
    page.wait("window.sfumato !== undefined && document.getElementById('hint').textContent !== ''")
    assert page.run("document.getElementById('hint').textContent").startswith("One finger")
    page.run("document.getElementById('help').showModal()")
    assert page.run("[...document.querySelectorAll('dl kbd')].every((one) => !one.offsetWidth)")
    assert "one finger" in page.run("document.querySelector('dl').innerText")
