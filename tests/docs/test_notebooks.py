"""Notebooks run from the first cell to the last, as in Jupyter, on a small capture."""

import ast
import json

import pytest

from repository import ROOT
from sfumato import load

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def run(path, **parameters):
    """The names after all cells, in the current folder; ``parameters`` replace those of the tagged cell."""
    scope, shown = {"__name__": "__main__"}, []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]), path.name)
        # A cell shows the value of its last line, if that is an expression.
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, path.name, "exec"), scope)
        if last:
            shown.append(eval(compile(ast.Expression(last.value), path.name, "eval"), scope))
        if "parameters" in cell["metadata"].get("tags", ()):
            scope.update(parameters)
    return scope, shown


@pytest.mark.slow
def test_the_first_hour(tmp_path, monkeypatch, capsys):
    data = ROOT / "demo" / "still_life"
    if not (data / "transforms.json").exists():
        pytest.skip("the demo's photographs are not in this checkout")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/still_life").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    scope, shown = run(ROOT / "docs/notebooks/first_hour.ipynb", DOWNSCALE=8, STEPS=8)
    said = capsys.readouterr().out
    assert "held out" in said and "step 7:" in said and "turn.mp4" in said
    assert scope["quality"].psnr > 10 and 0 < len(scope["solid"]) <= len(scope["scene"])
    assert scope["loss"].item() < 0.1
    assert len(load(tmp_path / "out/first_hour/scene.ply")) == len(scope["scene"])
    kinds = [type(one).__name__ for one in shown if one is not None]
    assert kinds == ["Camera", "Scene", "Render", "ScenePage"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_results(path):
    document = json.loads(path.read_text("utf-8"))
    assert document["nbformat"] == 4
    for cell in document["cells"]:
        assert cell["cell_type"] == "markdown" or not (cell["outputs"] or cell["execution_count"])
