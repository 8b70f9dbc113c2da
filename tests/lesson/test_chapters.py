"""The chapters of the lesson: the same content in every language, no foreign sentences, existing figures."""

import re
from html.parser import HTMLParser

import pytest

from repository import PACKAGE

LESSON = PACKAGE / "lesson"
LANGUAGES = ("en", "es", "fr", "it")
CHAPTERS = [
    "01_two_dimensions",
    "02_projection",
    "03_rasterization",
    "04_gradient",
    "05_loss",
    "06_densification",
    "07_ray_tracing",
    "08_structure_from_motion",
    "09_motion",
    "10_measured_and_learned",
    "11_glossary",
]
MOST_FIGURE_BYTES = 2_000_000
VOID = {"img", "br", "hr"}
# Frequent words that belong to only one of the languages.
WORDS = {
    "en": "the of and is are which with from its to what",
    "es": "el los las por cada cuando donde hay según",
    "fr": "les des du et dans est sur pour chaque une aux",
    "it": "gli della delle di che è nel per ogni dove alla",
}
WORDS = {language: set(text.split()) for language, text in WORDS.items()}


class Fragment(HTMLParser):
    """The contents of a chapter: elements in order, sentences, figures, formulas."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.figures, self.alts, self.blocks = [], [], [], [], [""]
        self.foreign = 0
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.elements.append(tag)
        if tag not in VOID:
            self.open.append((tag, "lang" in given))
            self.foreign += "lang" in given
        if tag == "figure":
            self.figures.append(given["data-figure"])
            self.alts.append(given["data-alt"])
        if tag in ("math", "code"):
            self.blocks[-1] += "x"
        if tag in ("p", "li", "dd", "dt", "td", "th", "figcaption", "caption", "h2", "h3"):
            self.blocks.append("")

    def handle_endtag(self, tag):
        opened, is_foreign = self.open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        self.foreign -= is_foreign

    def handle_data(self, data):
        inside = {tag for tag, _ in self.open}
        if not self.foreign and not inside & {"math", "code", "pre"}:
            self.blocks[-1] += data


def text_of(chapter, language):
    return (LESSON / "chapters" / chapter / f"{language}.html").read_text("utf-8")


def formulas(text):
    """Formulas without decimal points, which differ between languages."""
    return [re.sub(r"(\d),(\d)", r"\1.\2", found) for found in re.findall(r"<math.*?</math>", text)]


def words(text):
    return re.findall(r"[^\W\d_]+", text.lower())


def test_every_chapter_is_there_in_every_language():
    folders = sorted(path.name for path in (LESSON / "chapters").iterdir())
    assert folders == CHAPTERS
    for chapter in CHAPTERS:
        files = {path.name for path in (LESSON / "chapters" / chapter).iterdir()}
        assert files == {f"{language}.html" for language in LANGUAGES}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_languages_say_the_same(chapter):
    english = text_of(chapter, "en")
    expected = Fragment(english)
    for language in LANGUAGES:
        text = text_of(chapter, language)
        found = Fragment(text)
        assert text.startswith("<h2>") and text.count("<h2>") == 1
        assert found.figures == expected.figures, language
        assert sorted(formulas(text)) == sorted(formulas(english)), language
        # English equivalents of some terms are in separate elements.
        structure = [
            [tag for tag in fragment.elements if tag not in ("i", "span")] for fragment in (found, expected)
        ]
        assert structure[0] == structure[1], language
        assert re.findall("<code>.*?</code>", text) == re.findall("<code>.*?</code>", english), language
        length = len(" ".join(found.blocks)) / len(" ".join(expected.blocks))
        assert 0.85 < length < 1.45, f"{language}: {length:.2f} times as long as the English text"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_of_another_language(language):
    for chapter in CHAPTERS:
        fragment = Fragment(text_of(chapter, language))
        for sentence in [*fragment.blocks, *fragment.alts]:
            counts = {one: sum(word in WORDS[one] for word in words(sentence)) for one in LANGUAGES}
            others = max(count for one, count in counts.items() if one != language)
            assert others <= counts[language] or len(words(sentence)) < 4, f"{chapter}: {sentence.strip()}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_and_marks_are_written_as_the_language_does(language):
    for chapter in CHAPTERS:
        fragment = Fragment(text_of(chapter, language))
        text = "\n".join([*fragment.blocks, *fragment.alts])
        assert "'" not in text and '"' not in text, f"{chapter}: a straight quotation mark"
        wrong = r"\d,\d" if language == "en" else r"\d\.\d(?!\d\d)"
        assert not re.findall(wrong, text), f"{chapter}: {re.findall('.{20}' + wrong, text)}"
        if language == "fr":
            bare = re.findall(r".{0,20}(?:(?<![\u202f])[;!?]|(?<!\u00a0):)", text)
            assert not bare, f"{chapter}: {bare}"
        else:
            assert not re.findall(r"\s[;:!?]", text), f"{chapter}: a space before a mark"
        if language == "es":
            assert text.count("¿") == text.count("?") and text.count("¡") == text.count("!"), chapter


def test_every_figure_exists_and_is_described_and_used():
    figures = {path.name: path.stat().st_size for path in (LESSON / "figures").iterdir()}
    shown = set()
    for chapter in CHAPTERS:
        for language in LANGUAGES:
            fragment = Fragment(text_of(chapter, language))
            shown |= set(fragment.figures)
            assert all(len(alt) > 40 for alt in fragment.alts), (chapter, language)
    assert shown == set(figures)
    assert sum(figures.values()) <= MOST_FIGURE_BYTES
    for name in figures:
        if name.endswith(".svg"):
            letters = re.findall(
                r">([^<>]*[a-zA-Z]{4,}[^<>]*)<", (LESSON / "figures" / name).read_text("utf-8")
            )
            assert not letters, f"{name}: pictures have no words: {letters}"
