"""The summary of a run's results."""

import pytest

from sfumato.evaluation.held_out import Report, ViewScore
from sfumato.runs.results import remarks


def report(plain, affine, kept=None):
    return Report((ViewScore("a.jpg", "a", (8, 8), plain, affine, 0.5, None, kept),), (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("plain", "affine", "is_said"),
    [(17.0, 26.0, True), (27.0, 28.5, True), (27.0, 27.9, False), (16.8, 19.9, False), (19.6, 21.3, False)],
)
def test_different_colours_are_reported_if_structure_agrees(plain, affine, is_said):
    said = [f"PSNR is {affine:.2f} dB after an affine colour"] if is_said else []
    assert [words[: words.index(" for each view")] for words in remarks(report(plain, affine))] == said


def test_fully_masked_views_are_named():
    (words,) = remarks(report(float("nan"), float("nan"), kept=0.0))
    assert words == "masks keep no pixel of 1 held-out views, which do not count: 'a.jpg'"
    assert not [*remarks(Report((), (0.0, 0.0, 0.0)))]
