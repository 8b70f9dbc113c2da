"""Tests are where pytest finds them, named after what they test, and share only code in ``support``."""

import ast
import re

import pytest

from repository import PACKAGE, ROOT, name, python_files, tree

# Every file is parsed.
pytestmark = pytest.mark.slow

EVERYTHING = python_files("src/", "tests/", "tools/", "benchmarks/", "examples/")
PARTS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}


def imports(path):
    """Dotted names that a file imports."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


def test_pytest_collects_every_test():
    tests = [path for path in EVERYTHING if "test" in path.stem.split("_")]
    assert not [name(p) for p in tests if not (name(p).startswith("tests/") and p.name.startswith("test_"))]
    names = [path.name for path in tests]
    assert len(names) == len(set(names)), "two test files of one name hide each other"


def test_tests_share_only_code_in_support():
    tests = python_files("tests/")
    shared = {dotted.split(".")[0] for path in tests for dotted in imports(path)}
    assert not {package for package in shared if package.startswith("test_")}
    changing = {name(path) for path in tests if re.search(r"sys\.path\b", path.read_text("utf-8"))}
    assert not changing - {"tests/test_places_of_tests.py"}, "pytest's settings say where shared code lies"


def test_folders_of_tests_are_those_of_the_package():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders <= PARTS | {"docs", "demo", "tools", "benchmarks", "support"}
