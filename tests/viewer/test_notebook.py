import html
import re

import pytest
import torch

import sfumato


def test_a_notebook_shows_the_page_of_the_scene(tmp_path, one_blob):
    shown = sfumato.show(one_blob, height_px=300)
    cell = shown._repr_html_()
    assert "height: 300px" in cell and cell.count("<iframe") == 1
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', cell)[1])
    shown.save(tmp_path / "scene.html")
    assert page == shown.text == (tmp_path / "scene.html").read_text("utf-8")
    assert page.startswith("<!") and "1 Gaussian" in repr(shown)


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
