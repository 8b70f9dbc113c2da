"""The decoder of the viewer's page reads our files with the right positions, sizes, opacities and colours."""

import base64

import numpy as np
import pytest

from repository import PACKAGE
from sfumato.maths.sh import SH_C0
from sfumato.scene.files import load, save
from support.browser import Browser
from support.scene_files import blob

pytestmark = pytest.mark.browser

DECODE = """(async () => {
  const fileBytes = Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0));
  const mesh = new vendor.SplatMesh({ fileBytes, fileType: "%s", extSplats: true });
  await mesh.initialized;
  const found = [];
  mesh.forEachSplat((i, centre, scales, turn, opacity, colour) => found.push(
    [...centre.toArray(), ...scales.toArray(), opacity, colour.r, colour.g, colour.b]));
  mesh.dispose();
  return found;
})()"""


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A page with only the viewer's decoder, without a network."""
    page = tmp_path_factory.mktemp("decoder") / "page.html"
    script = (PACKAGE / "viewer" / "web" / "vendor" / "vendor.js").as_uri()
    page.write_text(f'<!doctype html><meta charset="utf-8"><script src="{script}"></script>')
    with Browser() as browser:
        browser.go_offline()
        browser.do("Page.navigate", url=page.as_uri())
        browser.wait("window.vendor !== undefined")
        yield browser


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.ply", "ply", {}),
        ("a.compressed.ply", "ply", {}),
        ("a.splat", "splat", {}),
        ("a.spz", "spz", {"version": 2}),
        ("a.spz", "spz", {"version": 3}),
        ("a.sog", "pcsogszip", {}),
    ],
)
@pytest.mark.slow
def test_the_page_decodes_what_we_write(decoder, tmp_path, name, kind, options):
    path = tmp_path / name
    save(blob(300, 3), path, **options)
    packed = base64.b64encode(path.read_bytes()).decode("ascii")
    found = np.array(decoder.run(DECODE % (packed, kind)))
    expected = load(path)
    means = expected.means.numpy()
    if kind == "spz":
        # The page negates y and z of such a file when displaying it.
        means = means * [1, -1, -1]
    assert found.shape == (300, 10)
    assert np.abs(found[:, :3] - means).max() < 1e-5
    # Half precision, except for positions.
    assert np.abs(np.log(found[:, 3:6]) - expected.log_scales.numpy()).max() < 2e-3
    assert np.abs(found[:, 6] - expected.opacities.numpy()).max() < 2e-3
    assert np.abs(found[:, 7:] - (0.5 + SH_C0 * expected.sh[:, 0].numpy())).max() < 2e-3
