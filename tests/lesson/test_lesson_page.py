"""The lesson's document: all texts in every language, chapters in order, and no external resources."""

import re

import pytest

from repository import PACKAGE
from sfumato.cli import main
from sfumato.lesson import page
from sfumato.lesson.page import LANGUAGES, assemble, words
from sfumato.viewer.assembly import page_code

WEB = PACKAGE / "lesson" / "web"
MOST_BYTES = 5_000_000


@pytest.fixture
def two_chapters(tmp_path, monkeypatch):
    """A package of two chapters, one of them only in English, and one figure."""
    for folder, languages in (("02_later", LANGUAGES), ("01_first", ["en"])):
        for language in languages:
            file = tmp_path / "chapters" / folder / f"{language}.html"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(
                f'<h2>{folder} {language}</h2><figure data-figure="a.png" data-alt="A dot"></figure>'
                "<table></table>"
            )
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.png").write_bytes(b"picture")
    for name in ("words", "web"):
        (tmp_path / name).symlink_to(PACKAGE / "lesson" / name)
    monkeypatch.setattr(page, "files", lambda package: tmp_path)
    page._address.cache_clear()
    yield tmp_path
    page._address.cache_clear()


def test_every_language_has_every_word():
    expected = words("en")
    for language in LANGUAGES:
        found = words(language)
        assert list(found) == list(expected), language
        for key, text in found.items():
            places = re.findall(r"\{\w+\}", expected[key])
            assert text.strip() and sorted(re.findall(r"\{\w+\}", text)) == sorted(places), (language, key)


def test_every_text_is_used():
    sources = "".join(path.read_text("utf-8") for path in WEB.iterdir())
    for key in words("en"):
        group, _, name = key.partition(".")
        is_filled_in = f"`{group}.${{" in sources and re.search(rf"\b{name.removesuffix('_note')}\b", sources)
        assert f'"{key}"' in sources or is_filled_in, key


def test_every_module_is_in_the_page():
    found = re.findall(r"^const module_(\w+) = ", page_code("sfumato.lesson"), re.MULTILINE)
    assert sorted(found) == sorted(path.stem for path in WEB.glob("*.js"))


def test_the_page_has_no_external_resources():
    document = assemble()
    # XML namespaces are not loaded.
    assert not set(re.findall(r"https?://[^\s\"'<)]+", document)) - {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1998/Math/MathML",
    }
    assert "default-src 'none'" in document and "connect-src" not in document
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]*\b(?:src|href)="(?!data:)', document)
    assert len(document.encode()) < MOST_BYTES


def test_chapters_come_in_order_and_each_figure_once(two_chapters):
    document = assemble()
    places = re.findall(r'<section class="chapter" id="([^"]+)"', document)
    assert places == [f"{language}/{name}" for language in LANGUAGES for name in ("first", "later")]
    assert re.findall(r'href="#(../\w+)">(\w+ \w+)</a>', document)[:2] == [
        ("en/first", "01_first en"),
        ("en/later", "02_later en"),
    ]
    assert document.count("data:image/png;base64,cGljdHVyZQ==") == 2  # once in each chapter of English
    assert document.count('<img alt="A dot"') == 8
    assert document.count('<div lang="en">') == 3


def test_mistakes_of_chapters_are_named(two_chapters):
    file = two_chapters / "chapters" / "01_first" / "en.html"
    file.write_text('<h2>A</h2><figure data-figure="b.png"></figure>')
    with pytest.raises(ValueError, match=r"no figure b\.png"):
        assemble()
    file.write_text("<p>A</p>")
    with pytest.raises(ValueError, match="chapter 01_first, en: it does not begin with <h2>"):
        assemble()


def test_the_command_writes_the_page(tmp_path, capsys):
    assert main(["lesson", "-o", str(tmp_path / "lesson.html")]) == 0
    assert (tmp_path / "lesson.html").read_text("utf-8") == assemble()
    assert "without a network" in " ".join(capsys.readouterr().out.split())
    assert main(["lesson", "-o", str(tmp_path / "lesson.pdf")]) == 2
    assert "give a name that ends in .html" in capsys.readouterr().err
