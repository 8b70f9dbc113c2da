"""Optional packages: the commands that install them work wherever Sfumato was installed from."""

import sys
from pathlib import Path

import pytest

from repository import ROOT
from sfumato import extras
from sfumato.errors import ConfigError, FormatError
from sfumato.footage.frame_options import FrameOptions
from sfumato.footage.photo_selection import select_photos

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib


def test_the_packages_are_those_of_the_extras():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    own = {
        name: tuple(given) for name, given in declared.items() if name not in ("test", "docs", "still-life")
    }
    assert own == extras.PACKAGES


def test_the_command_is_for_the_python_that_runs(monkeypatch):
    here = Path(sys.executable)
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(extras.shutil, "which", lambda name: str(here.parent / "pip"))
    assert extras.command_for("las") == "pip install 'laspy>=2.5' 'lazrs>=0.6'"
    # The pip of the path is another one's, or there is none in this environment.
    monkeypatch.setattr(extras.shutil, "which", lambda name: "/elsewhere/bin/pip")
    assert extras.command_for("e57") == f"{here} -m pip install 'pye57>=0.4.15'"
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    assert extras.command_for("e57") == f"uv pip install --python {here} 'pye57>=0.4.15'"


def test_a_missing_package_is_one_line_of_the_wanted_kind(monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(
        ConfigError, match=r"^--insert needs the package trimesh, which is not installed; run: "
    ):
        extras.extra_module("trimesh", "mesh", "--insert")
    with pytest.raises(FormatError, match="trimesh>=4"):
        extras.extra_module("trimesh", "mesh", "ball.obj", FormatError)


def test_photographs_are_not_looked_at_before_their_reader_is_there(tmp_path, monkeypatch):
    from sfumato.footage.kinds import Kind
    from sfumato.footage.photos import MissingReader

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(
        "sfumato.footage.photo_selection.examine", lambda *given: pytest.fail("one was looked at")
    )
    with pytest.raises(MissingReader, match=r"b\.heic needs the package pillow_heif"):
        select_photos(sources_of(tmp_path, Kind), tmp_path, FrameOptions(), lambda *given: None)


def sources_of(folder, kinds):
    from sfumato.footage.photo_selection import Source

    return [
        Source(folder / "a.jpg", kinds.PICTURE, "photographs"),
        Source(folder / "b.heic", kinds.HEIC, "photographs"),
    ]
