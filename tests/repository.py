"""The repository's own files, for the tests that read them."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "sfumato"
FOLDERS = ("src", "tests", "tools", "benchmarks", "examples", "docs", ".ci", "demo")
NOT_OURS = {".git", "__pycache__", "node_modules"}
TEXT = {".py", ".md", ".toml", ".txt", ".json", ".cfg", ".yml", ".yaml", ".sh", ""}


@cache
def text_files():
    """Every file of the repository that is read as text, at its root and in its folders."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += (ROOT / folder).rglob("*")
    return tuple(
        path
        for path in sorted(found)
        if path.is_file()
        and path.suffix in TEXT
        and not any(part in NOT_OURS or part.endswith(".egg-info") for part in path.parts)
        and not path.name.startswith(".coverage")
    )


def python_files(*folders):
    """Python files under folders relative to the root."""
    return [path for path in text_files() if path.suffix == ".py" and name(path).startswith(folders)]


def name(path):
    """A file's path from the root, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path):
    """Syntax tree of a Python file."""
    return ast.parse(path.read_text("utf-8"))


@cache
def functions(path):
    """(qualified name, node) of every function and method in a file, nested ones included."""

    def walk(node, prefix):
        for child in ast.iter_child_nodes(node):
            # Expressions contain no definitions, and are most of a tree.
            if isinstance(child, ast.expr):
                continue
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + child.name, child
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")
            else:
                yield from walk(child, prefix)

    return tuple(walk(tree(path), ""))


def arguments(function):
    """The argument nodes of a function, without ``self`` and ``cls``."""
    found = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [argument for argument in found if argument.arg not in ("self", "cls")]
