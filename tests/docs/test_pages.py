"""The README's code runs, and documents refer to existing files and operations."""

import re

import pytest

from repository import ROOT, name, text_files
from sfumato import ops

PAGES = [path for path in text_files() if path.suffix == ".md"]


def code_blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_code_of_the_readme_runs():
    (block,) = code_blocks(ROOT / "README.md")
    scope = {}
    exec(compile(block, "README.md", "exec"), scope)
    scene, render = scope["scene"], scope["render"]
    assert render.image.shape == (48, 64, 3) and render.alpha.max() > 0.4
    for field in ("means", "log_scales", "quats", "logit_opacities", "sh"):
        assert getattr(scene, field).grad.isfinite().all()
    assert scene.means.grad.abs().min() > 0


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_are_valid(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            place = (path.parent / target).resolve()
            assert place.exists(), f"{name(path)} links to {target}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_files_that_pages_name_exist(path):
    named = re.findall(
        r"`((?:src|tests|docs|tools|benchmarks|examples|demo)/[\w./]+)`", path.read_text("utf-8")
    )
    examples = {"tests/ops/test_x.py"}
    assert not [one for one in named if one not in examples and not (ROOT / one).exists()]


def test_every_operation_has_a_section():
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    sections = re.findall(r"^## (\w+)$", text, re.MULTILINE)
    assert sorted(sections) == sorted(one for one in ops.__all__ if one.islower())
    for operation in sections:
        assert f"[ops.{operation}](" in text


def test_commands_that_pages_name_exist():
    from sfumato.cli import VERBS

    rules = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        text = path.read_text("utf-8")
        assert set(re.findall(r"^    make (\w+)", text, re.MULTILINE)) <= set(rules)
        assert set(re.findall(r"^    sfumato (\w+)", text, re.MULTILINE)) <= set(VERBS)
