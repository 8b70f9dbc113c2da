"""Distributions contain everything that tests read; versions agree; dependency groups match the extras."""

import re
import sys

import pytest

from repository import FOLDERS, ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
# Included in every source distribution automatically.
ALWAYS_PACKED = {"LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
# A file in worktrees of git, or written by a build.
NOT_PACKED = {".git", "PKG-INFO", "setup.cfg", ".coverage"}


def packed(word):
    """The arguments of every line of MANIFEST.in that begins with a word."""
    lines = (ROOT / "MANIFEST.in").read_text("utf-8").splitlines()
    return {one for line in lines if line.split()[:1] == [word] for one in line.split()[1:]}


def test_the_source_distribution_contains_the_whole_repository():
    assert packed("graft") == set(FOLDERS) - {"src"}
    for path in ROOT.iterdir():
        if path.is_file() and path.name not in ALWAYS_PACKED | NOT_PACKED:
            assert any(path.match(pattern) for pattern in packed("include")), path.name


def test_groups_hold_the_tools_of_the_test_extra():
    groups = PROJECT["dependency-groups"]
    tools = {one for one in PROJECT["project"]["optional-dependencies"]["test"] if "sfumato[" not in one}
    included = [one["include-group"] for one in groups["dev"] if isinstance(one, dict)]
    assert {one for group in included for one in groups[group]} == tools


def test_the_citation_and_the_changelog_name_the_version():
    version = PROJECT["project"]["version"]
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)[1] == version
    assert re.search(r"^## (\S+),", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[1] == version


@pytest.mark.parametrize("tool", ["ruff", "mypy"])
def test_hooks_before_a_commit_run_what_make_lint_runs(tool):
    hooks = set(re.findall(r"entry: (\S+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8")))
    assert tool in hooks and f"$(VENV)/bin/{tool}" in (ROOT / "Makefile").read_text("utf-8")


def test_the_minimum_versions_are_those_of_the_bounds():
    text = (ROOT / "constraints-lowest.txt").read_text("utf-8")
    lowest = dict(re.findall(r"^([\w-]+)==(.*)$", text, re.M))
    bounds = dict(re.match(r"([\w-]+)>=([\d.]+)", one).groups() for one in PROJECT["project"]["dependencies"])
    assert lowest.keys() == bounds.keys()
    for name, version in lowest.items():
        assert f"{version}.".startswith(f"{bounds[name]}."), name
