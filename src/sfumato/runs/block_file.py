"""The file that describes a block: the part of a scene that a run trains."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import ConfigError, FormatError
from sfumato.outputs import write_json
from sfumato.runs.tables import read_table, with_digest

if TYPE_CHECKING:
    from sfumato.capture.dataset import Capture
    from sfumato.scene.gaussians import Gaussians
    from sfumato.training.config import TrainConfig
    from sfumato.training.part import Part

VERSION = 1
SPLIT_RULE = "of the whole scene, not of a block"


@dataclass(frozen=True)
class SceneBlock:
    """A part of a scene that a run trains.

    Attributes:
        views: names of the photographs that it is trained on, one or more, and how often each is drawn,
            relative to the others; no others are held out.
        surroundings: scene file with the rest of the scene, which is not trained; None: there is none.
    """

    views: dict[str, float]
    surroundings: Path | None = None

    def of(self, capture: Capture) -> Capture:
        """The photographs of the block, none of them held out; points are those of the whole dataset.

        Raises:
            ConfigError: the dataset lacks one, or holds it out.
        """
        there = {view.name for view in capture.train_views}
        lacking = [name for name in self.views if name not in there]
        if lacking:
            raise ConfigError(
                f"{lacking[0]!r} of the block is not among the training photographs of {capture.path}; "
                "begin the whole run again"
            )
        views = tuple(view for view in capture.views if view.name in self.views)
        weights = tuple(self.views[view.name] for view in views)
        return replace(
            capture, views=views, test_names=frozenset(), split_rule=SPLIT_RULE, view_weights=weights
        )

    def scene_around(self) -> Gaussians | None:
        """The surroundings; None if there are none."""
        from sfumato.scene.files import load

        return None if self.surroundings is None else load(self.surroundings)


def parts_around(around: Gaussians | None, config: TrainConfig) -> list[Part]:
    """The parts of training with which surroundings are drawn."""
    from sfumato.training.parts.surroundings import Surroundings

    return [] if around is None else [Surroundings(around, config)]


def write_block(path: Path, views: Mapping[str, float], surroundings: Path | None = None) -> None:
    """Write the file of a block.

    Args:
        path: the file.
        views: names of its photographs, and how often each is drawn, relative to the others, up to 1.
        surroundings: scene file in the same folder, or None.

    Raises:
        SfumatoError: it cannot be written.
    """
    known = None if surroundings is None else {"file": surroundings.name, "sha256": _sha256(surroundings)}
    document = {"version": VERSION, "views": list(views), "weights": list(views.values())}
    write_json(path, with_digest({**document, "surroundings": known}))


def read_block(path: Path) -> SceneBlock:
    """The block that a file describes; the file is untrusted.

    Raises:
        ConfigError: it, or a file that it names, cannot be read.
        FormatError: it is damaged, or its surroundings are not those that it was written with.
    """
    document = read_table(path)
    views, known = document.get("views"), document.get("surroundings")
    if document.get("version") != VERSION:
        raise FormatError(f"{path} has version {document.get('version')!r}, this program reads {VERSION}")
    if not isinstance(views, list) or not views or not all(isinstance(name, str) for name in views):
        raise FormatError(f"{path} is damaged: it names no photographs; begin the whole run again")
    # Files of earlier versions have none.
    weights = document.get("weights", [1.0] * len(views))
    if not (
        isinstance(weights, list)
        and len(weights) == len(views) == len(set(views))
        and all(isinstance(weight, float) and 0 < weight <= 1 for weight in weights)
    ):
        raise FormatError(f"{path} is damaged: its photographs have no weights; begin the whole run again")
    known_views = dict(zip(views, weights, strict=True))
    if known is None:
        return SceneBlock(known_views)
    name, digest = (known.get("file"), known.get("sha256")) if isinstance(known, dict) else (None, None)
    if not isinstance(name, str) or Path(name).name != name:
        raise FormatError(f"{path} is damaged: its surroundings are not a file beside it")
    surroundings = path.parent / name
    if _sha256(surroundings) != digest:
        raise FormatError(f"{surroundings} is not the file that {path} was written with")
    return SceneBlock(known_views, surroundings)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while part := handle.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    return digest.hexdigest()
