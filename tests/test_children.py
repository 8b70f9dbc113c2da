"""Child processes import the same modules as this one, and nothing from the current folder."""

import subprocess
import sys

import pytest

import sfumato
from sfumato.children import FOLDER, child_command


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The current folder contains modules that leave a mark when imported."""
    for name in ("json", "pickle", "sfumato", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(code, *arguments, **options):
    command = [*child_command(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout.strip()


@pytest.mark.parametrize("place", ["", ".", None])
def test_nothing_is_imported_from_the_current_folder(trap, monkeypatch, place):
    monkeypatch.syspath_prepend(str(trap) if place is None else place)
    code = "import json, pickle, numpy, sfumato; print(sfumato.__file__)"
    assert printed(code) == sfumato.__file__
    assert not (trap / "mark").exists()


def test_environment_variables_add_no_other_paths(trap, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(trap))
    assert printed("import json, sfumato; print(sfumato.__file__)") == sfumato.__file__
    assert not (trap / "mark").exists()


def test_children_inherit_the_import_path(tmp_path, monkeypatch):
    folder = tmp_path / "n\udcff é" if sys.platform == "linux" else tmp_path / "é"
    folder.mkdir()
    (folder / "only_here.py").write_text("word = 'found'")
    monkeypatch.syspath_prepend(str(folder))
    assert printed("import only_here; print(only_here.word)") == "found"


def test_arguments_arrive(trap):
    assert printed("import sys; print(sys.argv[1:])", "a", "b c") == "['a', 'b c']"


def test_the_package_lies_in_its_folder():
    assert (FOLDER / "sfumato" / "children.py").is_file()
