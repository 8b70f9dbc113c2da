"""Names of classes and modules are unique in the package; exceptions are listed with their reason."""

import ast
from collections import defaultdict

import pytest

from repository import PACKAGE, python_files, tree

# Every file is parsed.
pytestmark = pytest.mark.slow

MODULES = [path.relative_to(PACKAGE) for path in python_files("src/sfumato/")]
SHARED_MODULES = {
    "config": "the configuration of structure from motion, and that of training",
    "page": "the viewer's page, and the lesson's",
    "rays": "rays of a scene, and in ops/cpu the rays of each tracer",
    "tiles": "in ops/cpu, tiles of the rasterizer and of the tracer",
}


def is_free(module):
    """Whether a module's name is given: an operation of a backend, or a command."""
    operation = module.parent.as_posix() in ("ops", "ops/reference", "ops/cpu", "ops/gpu")
    return operation or module.parent.name == "cli" or module.name == "__init__.py"


def shared(names):
    """Names with more than one meaning."""
    return {name for name, places in names.items() if len(places) > 1}


def classes():
    found = defaultdict(list)
    for module in MODULES:
        for node in ast.walk(tree(PACKAGE / module)):
            if isinstance(node, ast.ClassDef):
                found[node.name.lstrip("_")].append(module)
    return found


def test_class_names_are_unique():
    assert not shared(classes())


def test_module_names_are_unique():
    found = defaultdict(list)
    for module in MODULES:
        if not is_free(module):
            found[module.stem].append(module)
    assert shared(found) == set(SHARED_MODULES)
