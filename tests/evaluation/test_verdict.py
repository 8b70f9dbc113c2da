"""The verdict on the quality of a scene."""

import math

import pytest

from sfumato.evaluation.verdict import verdict


@pytest.mark.parametrize(("psnr", "word"), [(31.0, "very good"), (25.0, "good")])
def test_a_good_scene_needs_no_advice(psnr, word):
    assert verdict(psnr, photographs=10, steps=10) == f"quality: {word}"


@pytest.mark.parametrize(
    ("photographs", "steps", "advice"),
    [
        (60, 1000, "more minutes"),
        (20, 3000, "40 photographs or more"),
        (20, 1000, "more minutes, 40 photographs or more"),
        (20, None, "40 photographs or more"),
        (None, 10, "sharper photographs from nearer places, --exposure if their brightness varies"),
        (60, 9000, "sharper photographs from nearer places, --exposure if their brightness varies"),
    ],
)
def test_advice_names_the_weakest_point_of_the_run(photographs, steps, advice):
    said = verdict(21.5, photographs=photographs, steps=steps)
    assert said == f"quality: fair; 25 dB and more is usual; next: {advice}"
    assert verdict(12.0, photographs=photographs, steps=steps) == said.replace("fair", "poor")


def test_without_held_out_views_there_is_no_verdict():
    assert verdict(None, photographs=9, steps=9) is None
    assert verdict(math.nan, photographs=9, steps=9) is None
