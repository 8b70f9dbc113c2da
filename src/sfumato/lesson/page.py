"""The lesson as one self-contained document: page frame, trainer, chapters and figures, in all languages.

A chapter is a folder ``chapters/NN_name`` with a fragment of HTML for each language that begins with
``<h2>``. ``<figure data-figure="FILE">`` shows a file of ``figures``; ``data-alt`` describes it where its
caption does not.
``<div data-trainer></div>`` marks the place of the trainer. Missing chapters are omitted.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import cache
from html import escape
from importlib.resources import files
from itertools import accumulate

from sfumato.viewer.assembly import page_code, web_source

_PACKAGE = "sfumato.lesson"
# Native name by language code. The first language can also be read without JavaScript.
LANGUAGES = {"en": "English", "es": "Español", "fr": "Français", "it": "Italiano"}
# No external resources; the reader's own picture is loaded from a blob.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
_TYPES = {
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_FIGURE = re.compile(r'<figure\b[^>]*\bdata-figure="([^"]+)"[^>]*>')
_ALT = re.compile(r'\bdata-alt="([^"]*)"')
_MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)
_DISPLAYED = re.compile(r'(<math display="block">)(.*?)</math>', re.DOTALL)
# Separator of equations within one formula.
_GAP = '<mspace width="1.4em"></mspace>'
# Innermost pairs of brackets.
_BRACKETS = re.compile(r"<mo>\(</mo>((?:(?!<mo>[()]</mo>).)*)<mo>\)</mo>", re.DOTALL)
_TITLE = re.compile(r"<h2\b[^>]*>(.*?)</h2>", re.DOTALL)


def assemble() -> str:
    """The page of the lesson, a self-contained HTML document."""
    first, *others = LANGUAGES
    filled = {
        "policy": lambda: POLICY,
        "title": lambda: escape(words(first)["page.title"]),
        "style": lambda: web_source("page.css", _PACKAGE),
        "languages": lambda: "\n".join(map(_choice, LANGUAGES)),
        "contents": lambda: _contents(first),
        "chapters": lambda: _chapters(first),
        "others": lambda: "\n".join(map(_template, others)),
        "words": lambda: _json({one: words(one) for one in LANGUAGES}),
        "code": lambda: page_code(_PACKAGE),
    }
    parts = _PLACE.split(web_source("page.html", _PACKAGE))
    return "".join(filled[part]() if index % 2 else part for index, part in enumerate(parts))


@cache
def words(language: str) -> dict[str, str]:
    """The texts of page frame and trainer in a language, by key, with placeholders ``{name}``."""
    return json.loads((files(_PACKAGE) / "words" / f"{language}.json").read_text("utf-8"))


def chapters() -> list[str]:
    """The folders of the existing chapters, in order."""
    folder = files(_PACKAGE) / "chapters"
    return sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def chapter(folder: str, language: str) -> str:
    """The fragment of a chapter in a language; if it is missing, that of the first language with its code."""
    first = next(iter(LANGUAGES))
    there = files(_PACKAGE) / "chapters" / folder
    own = there / f"{language}.html"
    if own.is_file():
        return own.read_text("utf-8")
    return f'<div lang="{first}">{(there / f"{first}.html").read_text("utf-8")}</div>'


def _choice(language: str) -> str:
    name = LANGUAGES[language]
    return f'<a href="#{language}" lang="{language}" hreflang="{language}" title="{name}">{name}</a>'


def _template(language: str) -> str:
    texts = f"<nav>{_contents(language)}</nav><div>{_chapters(language)}</div>"
    return f'<template data-language="{language}">{texts}</template>'


def _place(folder: str, language: str) -> str:
    """The URL fragment of a chapter, without the #."""
    return f"{language}/{folder.partition('_')[2]}"


def _contents(language: str) -> str:
    return "<ol>{}</ol>".format(
        "".join(
            f'<li><a href="#{_place(folder, language)}">{_title(folder, language)}</a></li>'
            for folder in chapters()
        )
    )


def _title(folder: str, language: str) -> str:
    found = _TITLE.search(chapter(folder, language))
    if found is None:
        raise ValueError(f"chapter {folder}, {language}: it does not begin with <h2>")
    return found[1].strip()


def _chapters(language: str) -> str:
    return "\n".join(_section(folder, language) for folder in chapters())


def _section(folder: str, language: str) -> str:
    text = chapter(folder, language)
    # Each figure is in the page once, with the first language; the script shows it in the others.
    is_first = language == next(iter(LANGUAGES))
    text = _FIGURE.sub(lambda found: found[0] + _image(found, is_first), text)
    text = _MATH.sub(lambda found: _with_groups(found[0]), text)
    text = _DISPLAYED.sub(_equations, text)
    text = re.sub(r"<table\b", '<div class="wide"><table', text).replace("</table>", "</table></div>")
    return f'<section class="chapter" id="{_place(folder, language)}">\n{text}</section>'


def _with_groups(math: str) -> str:
    """A formula with each pair of brackets in its own row, so that brackets stretch to their content."""

    def group(found: re.Match[str]) -> str:
        row = f"<mo>\x01</mo>{found[1]}<mo>\x02</mo>"
        opened = [1 if tag[1] != "/" else -1 for tag in re.findall(r"</?\w[^>]*(?<!/)>", found[1])]
        return f"<mrow>{row}</mrow>" if min(accumulate(opened, initial=0)) == sum(opened) == 0 else row

    while (grouped := _BRACKETS.sub(group, math)) != math:
        math = grouped
    return math.replace("\x01", "(").replace("\x02", ")")


def _equations(found: re.Match[str]) -> str:
    """The equations of a line as separate formulas, so that narrow windows can break between them."""
    parts = found[2].split(_GAP)
    return f'<div class="equations">{"".join(f"{found[1]}{part}</math>" for part in parts)}</div>'


def _image(found: re.Match[str], with_data: bool) -> str:
    alt = _ALT.search(found[0])
    source = f' src="{_address(found[1])}"' if with_data else ""
    return f'<img alt="{alt[1] if alt else ""}"{source} decoding="sync">'


@cache
def _address(name: str) -> str:
    """A figure as a data URL."""
    file = files(_PACKAGE) / "figures" / name
    if not file.is_file():
        raise ValueError(f"there is no figure {name} in {_PACKAGE}/figures")
    return f"data:{_TYPES[name.rpartition('.')[2]]};base64,{b64encode(file.read_bytes()).decode()}"


def _json(value: object) -> str:
    # "<" is escaped, as a text could otherwise close the script element.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
