"""A scene in a notebook: the page of ``sfumato view`` within a cell."""

from __future__ import annotations

import html
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.outputs import write_text
from sfumato.scene.gaussians import Gaussians
from sfumato.viewer.page import write_page

_MOST_PX = 10_000


@dataclass(frozen=True)
class ScenePage:
    """A scene as one page of HTML, which a notebook shows.

    Attributes:
        text: the page; it needs no network.
        height_px: height of the notebook's cell.
        count: number of Gaussians.
    """

    text: str
    height_px: int
    count: int

    def __repr__(self) -> str:
        size = f"{len(self.text) / 1e6:.1f} MB"
        return f'ScenePage({self.count:,} Gaussians, {size}; .save("scene.html") writes it for a browser)'

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.text)}" title="3D scene" allowfullscreen '
            f'style="width: 100%; height: {self.height_px}px; border: 0"></iframe>'
        )

    def save(self, path: str | Path) -> None:
        """Write the page, complete or not at all.

        Raises:
            SfumatoError: it cannot be written.
        """
        write_text(path, self.text)


def show(scene: Gaussians, height_px: int = 480) -> ScenePage:
    """Show a scene in a notebook, to turn and look at; elsewhere ``save`` the result.

    Args:
        scene: the Gaussians. They are compressed as in ``scene.html``.
        height_px: height of the notebook's cell.

    Raises:
        ConfigError: the scene is empty, or the height is not within 1 to 10,000.
    """
    if not len(scene):
        raise ConfigError("this scene has no Gaussians, so there is nothing to show")
    if not 1 <= height_px <= _MOST_PX:
        raise ConfigError(f"height_px is {height_px}; give 1 to {_MOST_PX:,}")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "scene.html"
        write_page(scene.detach(), page)
        return ScenePage(page.read_text("utf-8"), height_px, len(scene))
