import base64
import html
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

import sfumato
from support.browser import Browser


def test_a_notebook_shows_the_page_of_the_scene(tmp_path, one_blob):
    shown = sfumato.show(one_blob, height_px=300)
    cell = shown._repr_html_()
    assert "height: 300px" in cell and cell.count("<iframe") == 1
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', cell)[1])
    shown.save(tmp_path / "scene.html")
    assert page == shown.text == (tmp_path / "scene.html").read_text("utf-8")
    assert page.startswith("<!") and "1 Gaussian" in repr(shown)


@pytest.mark.browser
@pytest.mark.slow
def test_the_cell_draws_the_scene(tmp_path, one_blob):
    cell = sfumato.show(one_blob, height_px=300)._repr_html_()
    (tmp_path / "cell.html").write_text(f"<!doctype html><title>a notebook</title>{cell}", "utf-8")
    with Browser((640, 340)) as browser:
        browser.do("Page.navigate", url=(tmp_path / "cell.html").as_uri())
        inside = "document.querySelector('iframe')?.contentWindow"
        browser.wait(f"{inside}?.sfumato !== undefined")
        browser.run(f"{inside}.sfumato.settled().then(() => true)")
        address = browser.run(f"{inside}.document.getElementById('stage').toDataURL('image/png')")
        assert not browser.complaints()
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))
    height, width, _ = drawn.shape
    # The Gaussian is bright in the middle of the view, and nothing is at its edge.
    assert drawn[height // 2, width // 2].max() > 100 and drawn[height // 2, 2].max() < 20


def test_what_cannot_be_shown_is_refused(one_blob):
    with pytest.raises(sfumato.ConfigError, match="nothing to show"):
        sfumato.show(one_blob.select(torch.zeros(1, dtype=torch.bool)))
    with pytest.raises(sfumato.ConfigError, match="height_px is 0"):
        sfumato.show(one_blob, height_px=0)


@pytest.fixture
def one_blob():
    return sfumato.Gaussians(
        torch.zeros(1, 3), torch.full((1, 3), -2.0), torch.ones(1, 4), torch.ones(1), torch.ones(1, 1, 3)
    )


def test_scenes_show_themselves(one_blob):
    page = one_blob.show(height_px=300)
    assert repr(page) == repr(sfumato.show(one_blob, 300)) and "height: 300px" in page._repr_html_()
