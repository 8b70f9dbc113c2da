"""Docstrings are complete and agree with signatures."""

import ast
import re

import pytest

from repository import PACKAGE, arguments, functions, name, python_files, tree

# Every file is parsed.
pytestmark = pytest.mark.slow

SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Gradients", "Source", "Yields")
FORMS_OF_TENSOR = {"Tensor", "Tensor | None"}
# Public by name, documented elsewhere.
SAID_ELSEWHERE = {
    "state_dict": "as torch's",
    "load_state_dict": "as torch's",
    "from_state_dict": "as torch's",
    "prepare": "in the class Part",
    "apply": "in the class Part",
    "drawn": "in the class Part",
    "penalty": "in the class Part",
    "parameters": "in the class Part",
    "step": "in the class Part",
    "observe": "in the class Densifier",
    "refine": "in the class Densifier",
    "watch": "in the protocol RenderedGaussians",
    "pull": "in the protocol RenderedGaussians",
}
# Tensors of any shape, or of none.
WITHOUT_SHAPE = {"like", "radial_coeffs", "tangential_coeffs", "thin_prism_coeffs", "viewmats_rs"}

MODULES = python_files("src/sfumato/")


def is_public(place):
    return not any(part.startswith("_") for part in place.split("."))


def public_functions(path):
    """(place, node) of public functions and methods; not nested and private ones."""
    names = {qualified for qualified, _ in functions(path)}
    for qualified, node in functions(path):
        nested = any(qualified.startswith(f"{other}.") for other in names)
        if is_public(qualified) and not nested and not has_no_body(node):
            yield f"{name(path)}:{qualified}", node


def has_no_body(node):
    """Whether a function only has a signature, as in a protocol."""
    return len(node.body) == 1 and ast.unparse(node.body[0]) == "..."


def records(path):
    """(place, class node) of the public classes of a file."""
    for node in tree(path).body:
        is_protocol = isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
        if isinstance(node, ast.ClassDef) and is_public(node.name) and not is_protocol:
            yield f"{name(path)}:{node.name}", node


def section(node, title):
    """The lines of a section of a docstring, without its heading."""
    text = ast.get_docstring(node) or ""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)+)", text + "\n", re.MULTILINE)
    return found.group(1) if found else ""


def entries(node, title):
    """{name: description} of an Args or Attributes section; "a, b: text" describes both."""
    found = {}
    for item in re.split(r"^    (?=\S)", section(node, title), flags=re.MULTILINE)[1:]:
        names, _, text = item.partition(":")
        found |= {one.strip().lstrip("*"): text.strip() for one in names.split(",")}
    return found


def documented(path):
    """(place, node, described arguments) of the functions with an Args section, private ones too."""
    for qualified, node in functions(path):
        described = entries(node, "Args")
        if described:
            yield f"{name(path)}:{qualified}", node, described


def signature(node):
    """{name: annotation as text or None}, starred arguments included."""
    every = [*arguments(node), *filter(None, (node.args.vararg, node.args.kwarg))]
    return {argument.arg: argument.annotation and ast.unparse(argument.annotation) for argument in every}


def is_kernel(place):
    return "/ops/cpu/" in place or "/ops/gpu/kernels/" in place


def test_modules_and_public_names_have_docstrings():
    missing = [name(path) for path in MODULES if path.read_text() and not ast.get_docstring(tree(path))]
    for path in MODULES:
        for place, node in [*public_functions(path), *records(path)]:
            one_line = isinstance(node, ast.FunctionDef) and len(node.body) == 1 and is_property(node)
            if not ast.get_docstring(node) and node.name not in SAID_ELSEWHERE and not one_line:
                missing.append(place)
    assert not missing


def is_property(node):
    return any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list)


def test_the_first_line_is_a_sentence():
    wrong = []
    for path in MODULES:
        for place, node in [(name(path), tree(path)), *public_functions(path), *records(path)]:
            first = (ast.get_docstring(node) or "Said elsewhere.").split("\n\n")[0]
            if not first.endswith((".", ":", "?", ")")):
                wrong.append(place)
    assert not wrong


def test_documented_arguments_are_those_of_the_signature():
    wrong = []
    for path in MODULES:
        for place, node, described in documented(path):
            given = set(signature(node))
            wrong += [f"{place}: no argument {one}" for one in set(described) - given]
            # Kernels document their arrays, not every scalar.
            if not is_kernel(place):
                wrong += [f"{place}: {one} is not described" for one in given - set(described)]
    assert not wrong


def test_documented_fields_are_those_of_the_record():
    wrong = []
    for path in MODULES:
        for place, node in records(path):
            described = entries(node, "Attributes")
            fields = [f for f in node.body if isinstance(f, ast.AnnAssign) and is_public(f.target.id)]
            if described:
                difference = set(described) ^ {field.target.id for field in fields}
                wrong += [f"{place}: {one}" for one in difference]
    assert not wrong


def test_tensors_show_their_shape():
    wrong = []
    for path in MODULES:
        for place, node, described in documented(path):
            kinds = signature(node)
            wrong += [
                f"{place}: {one}"
                for one, text in described.items()
                if kinds.get(one) in FORMS_OF_TENSOR and "[" not in text and one not in WITHOUT_SHAPE
            ]
        for place, node in records(path):
            described = entries(node, "Attributes")
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and ast.unparse(field.annotation) in FORMS_OF_TENSOR:
                    text = described.get(field.target.id)
                    wrong += [f"{place}: {field.target.id}"] if text and "[" not in text else []
    assert not wrong


def test_public_operations_have_every_section():
    wrong = []
    for path in (PACKAGE / "ops").glob("*.py"):
        for place, node in public_functions(path):
            if any("check_shapes" in ast.dump(part) for part in node.body):
                text = ast.get_docstring(node)
                missing = [title for title in ("Args", "Raises") if f"{title}:" not in text]
                wrong += [f"{place}: {title}" for title in missing]
    assert not wrong


def test_sections_are_known():
    heading = re.compile(r"^([A-Z][a-z]+):$", re.MULTILINE)
    wrong = []
    for path in MODULES:
        for place, node in [*public_functions(path), *records(path)]:
            found = heading.findall(ast.get_docstring(node) or "")
            wrong += [f"{place}: {title}" for title in found if title not in SECTIONS]
    assert not wrong
