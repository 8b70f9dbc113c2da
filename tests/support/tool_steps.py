"""What tests do with the tools of the page."""

import base64
import io
import shlex
from contextlib import contextmanager

import numpy as np
from PIL import Image

from support.page_steps import stand

# What would be downloaded is kept instead.
KEPT = """HTMLAnchorElement.prototype.click = async function () {
  const blob = await (await fetch(this.href)).blob();
  const reader = new FileReader();
  reader.onload = () => (window.saved = [this.download, reader.result]);
  reader.readAsDataURL(blob);
}, true"""


def press_button(page, name):
    page.run(f"document.getElementById('{name}').click()")


def choose(page, **what):
    for kind, name in what.items():
        page.run(f"document.querySelector('#edit [data-{kind}={name}]').click()")


@contextmanager
def editing(page, window):
    """The page at a size and its first view, with a lasso at hand; afterwards all edits are undone."""
    page.resize(*window)
    stand(page, 0)
    if page.run("document.getElementById('edit').hidden"):
        press_button(page, "edit-toggle")
    choose(page, tool="lasso", how="new")
    yield
    page.run("for (let i = 0; i < 60; i++) document.getElementById('edit-undo').click()")
    press_button(page, "edit-toggle")


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


def lasso(page, points):
    do = {"button": "left", "buttons": 1}
    page.do("Input.dispatchMouseEvent", type="mousePressed", x=points[0][0], y=points[0][1], **do)
    for x, y in points[1:]:
        page.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, **do)
    page.do("Input.dispatchMouseEvent", type="mouseReleased", x=points[-1][0], y=points[-1][1], **do)


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
