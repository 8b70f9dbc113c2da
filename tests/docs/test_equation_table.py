"""docs/equations.md: every equation has a row, and every row names a function and a test of it."""

import ast
import importlib
import re
from functools import cache

import pytest

from repository import ROOT, tree

NUMBERS = range(1, 94)
PAGE = ROOT / "docs/equations.md"


@cache
def rows():
    """{number: [(meaning, function, test, erratum)]} of the tables."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0].isdigit():
            number, *rest = cells
            found.setdefault(int(number), []).append(rest)
    return found


def in_backticks(cell):
    (inside,) = re.findall(r"^`([^`]+)`$", cell)
    return inside


def looked_up(dotted):
    """The object of a dotted name below ``sfumato``."""
    parts = ["sfumato", *dotted.split(".")]
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise ImportError(dotted)


@cache
def equations_by_test(path):
    """{name of a test: the equations that its decorator names}."""
    found = {}
    for node in tree(ROOT / "tests" / path).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            named = [call for call in node.decorator_list if ast.unparse(call).startswith("equations(")]
            found[node.name] = {argument.value for call in named for argument in call.args}
    return found


def names_used(path, test):
    """Names and attributes in a test, and in the functions of its file that it calls."""
    bodies = {node.name: node for node in tree(ROOT / "tests" / path).body if hasattr(node, "name")}
    used, left = set(), {test}
    while left:
        nodes = list(ast.walk(bodies[left.pop()]))
        found = {node.id for node in nodes if isinstance(node, ast.Name)}
        found |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        left |= (found - used) & set(bodies)
        used |= found
    return used


def test_every_equation_has_one_row():
    assert sorted(rows()) == list(NUMBERS)
    assert not [number for number, found in rows().items() if len(found) != 1]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_names_a_function_and_a_test_of_it(number):
    ((meaning, function, test, _),) = rows()[number]
    assert meaning
    found = looked_up(in_backticks(function))
    assert callable(found) or isinstance(found, property)
    path, name = in_backticks(test).split("::")
    assert number in equations_by_test(path)[name], "the test does not say that it checks this equation"
    assert in_backticks(function).split(".")[-1] in names_used(path, name), "the test does not call it"


def test_a_wrong_name_is_detected():
    with pytest.raises((AttributeError, ImportError)):
        looked_up("ops.reference.trace.no_such_function")
    with pytest.raises((AttributeError, ImportError)):
        looked_up("no_such_module.trace")


def test_every_tested_equation_has_a_row():
    for path in sorted((ROOT / "tests/ops").glob("test_equations*.py")):
        found = equations_by_test(f"ops/{path.name}")
        assert found
        assert all(numbers and numbers <= set(NUMBERS) for numbers in found.values()), path.name
