"""Pages of the site that are made from the code, and links that leave ``docs``: a hook of MkDocs."""

import io
import json
import re
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

# Files outside docs that are pages of the site.
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "README.md": "index.md"}
# MkDocs wants an empty line between a paragraph and a list.
_LIST = re.compile(r"^(?![*\s|#]|\d+\. )(.+)\n(?=\* |1\. )", re.MULTILINE)
_FROM_OUTSIDE = re.compile(r'<script src="https://unpkg.com/iframe-worker/shim"></script>')
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)]*)?\)")


def on_files(files, config):
    """Add the pages that are made: commands, Python in detail, changes, contributing."""
    made = {"commands.md": commands(), "api.md": api(), "first_hour.md": notebook("first_hour")}
    for source in ("CHANGELOG.md", "CONTRIBUTING.md"):
        made[PAGES[source]] = (ROOT / source).read_text("utf-8").replace("](docs/", "](")
    return Files([*files, *(File.generated(config, path, content=text) for path, text in made.items())])


def on_page_markdown(markdown, page, config, files):
    """Point links to the pages of the site; where there is none, the name of a file is left."""
    markdown = _LIST.sub(r"\1\n\n", markdown)
    return _LINK.sub(lambda found: link(found, Path(page.file.src_uri)), markdown)


def on_post_page(output, page, config):
    """Put a script of our own where the plug-in for pages on the disk would load one from another host."""
    script = (Path(__file__).parent / "worker.js").read_text("utf-8")
    output = _FROM_OUTSIDE.sub(lambda found: f"<script>{script}</script>", output)
    if outside := re.search(
        r"<(?:script|link|img)[^>]*(?:src|rel=\"stylesheet\"[^>]*href)=\"https?:[^>]*>", output
    ):
        raise PluginError(f"{page.file.src_uri} would load {outside[0]}")
    return output


def notebook(name):
    """A notebook as a page, which says where the notebook is.

    Args:
        name: of the file in docs/notebooks, without its suffix.
    """
    path = ROOT / "docs/notebooks" / f"{name}.ipynb"
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"]).replace("](../", "](")
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.insert(1, f"This page is the notebook `docs/notebooks/{name}.ipynb`, which the tests run.")
    return "\n\n".join(parts) + "\n"


def link(found, page):
    """A link of a page as the site has it.

    Args:
        found: match of _LINK.
        page: path of the page in docs.
    """
    text, target, anchor = found[1], found[2], found[3] or ""
    if re.match(r"[a-z]+:", target):
        return found[0]
    inside = ROOT / "docs" / page.parent
    full = (inside / target).resolve()
    if full.suffix == ".ipynb":
        return f"[{text}]({'../' * (len(page.parts) - 1)}{full.stem}.md{anchor})"
    if (ROOT / "docs") in full.parents:
        return found[0]
    place = full.relative_to(ROOT).as_posix()
    if place in PAGES:
        up = "../" * (len(page.parts) - 1)
        return f"[{text}]({up}{PAGES[place]}{anchor})"
    return f"{text} (`{place}`)"


def commands():
    """Help of every command, with all options."""
    from sfumato.cli import VERBS, main

    lines = ["# Commands", "", "What `--help-all` shows of each command."]
    for verb, words in VERBS.items():
        with redirect_stdout(io.StringIO()) as shown, suppress(SystemExit):
            main([verb, "--help-all"])
        lines += ["", f"## sfumato {verb}", "", f"{words}.", "", "```text", shown.getvalue().strip(), "```"]
    return "\n".join(lines)


def api():
    """Signatures and docstrings of all public names, in the order of docs/python.md."""
    import sfumato

    lines = ["# Python in detail", "", "Signatures and docstrings of what `import sfumato` offers."]
    for row in (ROOT / "docs" / "python.md").read_text("utf-8").splitlines():
        if title := re.match(r"\| \*\*(.+)\*\* \|", row):
            lines += ["", f"## {title[1]}"]
        elif names := re.match(r"\| (`\w+`(?:, `\w+`)*) \|", row):
            for name in re.findall(r"`(\w+)`", names[1]):
                value = getattr(sfumato, name)
                # The operations have a page of their own.
                if name != "ops":
                    lines += ["", f"::: {value.__module__}.{value.__qualname__}"]
    return "\n".join(lines)
