"""Inputs of structure from motion, and checks of the output folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sfumato.capture.readers import PosedDataset, holds_cameras, read_source
from sfumato.errors import CaptureError, ConfigError
from sfumato.sfm.config import SfmConfig


def given_cameras(inputs: Sequence[Path], config: SfmConfig) -> PosedDataset | None:
    """The posed dataset among the inputs if its cameras are used, or None.

    Raises:
        ConfigError: there are other inputs.
        CaptureError: the dataset is broken.
    """
    posed = [path for path in inputs if holds_cameras(path)]
    if not posed or config.poses == "estimate":
        return None
    if len(inputs) > 1:
        raise ConfigError(
            f"{posed[0]} has cameras already and cannot be joined with other inputs; give it alone, or "
            "--poses estimate to find all cameras anew"
        )
    if config.known_distance:
        raise ConfigError("known_distance sets the scale of cameras that are found; these are given already")
    return read_source(posed[0])


def pictures_of(inputs: Sequence[Path]) -> list[Path]:
    """The inputs, with a posed dataset replaced by its own pictures only."""
    found = []
    for path in inputs:
        found += [frame.path for frame in read_source(path).frames] if holds_cameras(path) else [path]
    return found


def check_folders(inputs: Sequence[Path], out: Path) -> None:
    """Refuse an output folder that contains the input, lies in it, or holds files of another program.

    Raises:
        ConfigError: one of these is the case.
    """
    whole = out.resolve()
    for given in inputs:
        above = (given.resolve(), *given.resolve().parents)
        if given.resolve() == whole or any(whole / name in above for name in ("images", "sparse", "work")):
            raise ConfigError(f"--out {out} holds the input {given}; give another folder")
        if whole.is_relative_to(given.resolve()) and not holds_cameras(given):
            raise ConfigError(
                f"--out {out} lies in the input {given}, where the next run would take its pictures for "
                "photographs; give another folder"
            )
    is_own = (out / "work" / "stages.json").is_file()
    for name in ("images", "sparse"):
        if (out / name).exists() and not is_own:
            raise ConfigError(f"{out / name} exists and was not made here; give another --out")


def every_file(inputs: Sequence[Path]) -> list[Path]:
    """Every file among the inputs and in the folders among them.

    Raises:
        CaptureError: one does not exist.
    """
    found = []
    for path in inputs:
        if not path.exists():
            raise CaptureError(f"{path} does not exist; give videos, photographs or folders of them")
        found += [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return found
