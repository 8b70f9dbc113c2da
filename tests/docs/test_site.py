"""The site has every document, and the commands that documents show can be typed."""

import io
import re
import shlex
from contextlib import redirect_stdout, suppress
from functools import cache

import pytest

from repository import ROOT, name
from sfumato.cli import VERBS, main
from support.documents import PAGES, command_lines

# Made by tools/site/pages.py.
MADE = {"commands.md", "api.md", "changelog.md", "contributing.md", "first_hour.md"}


@cache
def options(verb):
    """Names of the options of a command."""
    with redirect_stdout(io.StringIO()) as shown, suppress(SystemExit):
        main([verb, "--help-all"])
    return set(re.findall(r"(?<![\w.-])--?[a-zA-Z][\w.-]*", shown.getvalue()))


def test_the_site_has_every_document_once():
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r": (\S+\.md)$", nav, re.MULTILINE)
    assert len(listed) == len(set(listed))
    documents = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert set(listed) == documents | MADE


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=name)
def test_commands_that_pages_show_can_be_typed(path):
    for line in command_lines(path):
        _, verb, *words = shlex.split(line)
        assert verb in VERBS, line
        for word in words:
            if re.match(r"--?[a-zA-Z]", word):
                assert word.partition("=")[0] in options(verb), f"{line}: there is no {word}"
