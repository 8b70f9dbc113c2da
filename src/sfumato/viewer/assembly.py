"""Assembly of the page's sources into one self-contained document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:const|function) (\w+))", re.MULTILINE)
_VIEWER = "sfumato.viewer"
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
# Nothing is loaded from other origins: code and pictures are embedded in the page or come from its own
# server. Spark creates its workers and its WebAssembly from data: and blob: URLs.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: data:; worker-src blob: data:; "
    "style-src 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


def assemble(
    manifest: Mapping[str, Any],
    pieces: Iterable[tuple[str, Iterable[str]]] = (),
    *,
    meta: str = "",
    poster: str = "",
) -> Iterator[str]:
    """Assemble the page, in parts to be written in order.

    Args:
        manifest: data for the page, JSON values.
        pieces: (name, base64 in parts) of the embedded data.
        meta: HTML for the head of the document.
        poster: address of a picture that is shown while loading; "": none.

    Returns:
        Parts of an HTML document.
    """
    filled = {
        "policy": lambda: [POLICY],
        "meta": lambda: [meta],
        "poster": lambda: [f'<img id="poster" alt="" src="{poster}">' if poster else ""],
        "title": lambda: [escape(str(manifest["title"]))],
        "style": lambda: [web_source("page.css")],
        "vendor": lambda: [web_source("vendor/vendor.js")],
        "code": lambda: [page_code()],
        "data": lambda: _data(manifest, pieces),
    }
    for index, part in enumerate(_PLACEHOLDER.split(web_source("page.html"))):
        yield from filled[part]() if index % 2 else [part]


def _data(manifest: Mapping[str, Any], pieces: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    # With "<" in it, a name in the manifest could close the script element.
    plain = json.dumps(manifest, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    yield f'<script type="application/json" id="manifest">{plain}</script>\n'
    for name, base64 in pieces:
        yield f'<script type="text/plain" id="data-{escape(name)}">'
        yield from base64
        yield "</script>\n"


@cache
def page_code(package: str = _VIEWER) -> str:
    """The modules of a page as one script: each in a function of its own, after the modules it imports.

    Args:
        package: package whose folder ``web`` contains the modules; ``main.js`` is the entry point.
    """
    ordered: dict[str, str] = {}
    _gather(package, "main", ordered, ())
    return "\n".join(ordered.values())


def _gather(package: str, name: str, ordered: dict[str, str], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"modules of the page import each other in a circle: {' '.join((*above, name))}")
    if name in ordered:
        return
    text = web_source(f"{name}.js", package)
    for _, other in _IMPORT.findall(text):
        _gather(package, other, ordered, (*above, name))
    exported = ", ".join(found for _, found in _EXPORT.findall(text))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(r"const \1 = module_\2;", text))
    ordered[name] = f"const module_{name} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"


@cache
def web_source(name: str, package: str = _VIEWER) -> str:
    """The text of a file in a package's folder ``web``."""
    return (files(package) / "web" / name).read_text("utf-8")
