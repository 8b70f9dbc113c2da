"""The public names: their four lists agree, and tools see their signatures."""

import ast
import inspect
import re
import subprocess
import sys

import pytest

import sfumato
from repository import PACKAGE, ROOT, text_files, tree

INIT = PACKAGE / "__init__.py"
# Loaded as a module, not from one.
MODULES = {"ops"}
NAMES = sorted(set(sfumato.__all__) - MODULES)
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(sfumato, name))]
# `save` passes its keyword arguments to the format, which checks them.
TAKES_OPTIONS = {"save": "options"}


def seen_by_type_checkers():
    """The public names under ``if TYPE_CHECKING``, with their modules."""
    (block,) = [node for node in tree(INIT).body if isinstance(node, ast.If)]
    return {alias.name: line.module for line in block.body for alias in line.names}


def test_every_list_of_public_names_is_the_same():
    assert sfumato.__all__ == sorted(sfumato.__all__)
    assert dir(sfumato) == sorted([*sfumato.__all__, "__version__"])
    homes = {name: f"sfumato.{home}" for name, home in sfumato._HOMES.items()}
    assert seen_by_type_checkers() == homes | dict.fromkeys(MODULES, "sfumato")
    assert sorted(homes) == NAMES


def test_the_interface_page_lists_every_public_name_once():
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs/python.md").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted(named) == sorted(sfumato.__all__)


def test_pages_and_examples_use_existing_names():
    wrong = []
    for path in text_files():
        if path.suffix == ".md" or "examples" in path.parts:
            text = path.read_text("utf-8")
            used = re.findall(r"\bsfumato\.([A-Za-z]\w*)", text)
            used += re.findall(r"from sfumato import ([\w, ]+)", text.replace("\n    ", ""))
            names = {name.strip() for group in used for name in group.split(",")}
            folders = {one.stem for one in PACKAGE.iterdir()}
            wrong += [(path.name, name) for name in names - set(dir(sfumato)) - folders]
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_defined_at_its_home(name):
    found = getattr(sfumato, name)
    assert found.__module__ == f"sfumato.{sfumato._HOMES[name]}" and found.__name__ == name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_has_a_real_signature(name):
    signature = inspect.signature(getattr(sfumato, name))
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            assert TAKES_OPTIONS.get(name) == parameter.name


def test_the_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.slow
def test_operations_are_reachable_without_importing_them():
    code = "import sfumato; print(sfumato.ops.project.__name__)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "project"
