"""The chart of a run and the events it is drawn from."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sfumato.errors import SfumatoError
from sfumato.evaluation.chart import read_events, ticks, training_chart
from sfumato.evaluation.drawing import BLUE, GOLD, GREEN, INK, shortened, text_width


def events(n=50):
    return [
        {"step": i, "seconds": 0.1 * i, "loss": math.exp(-i / 20), "gaussians": 100.0 + i, "psnr": 20 + i / 5}
        for i in range(n)
    ]


def share(path, colour):
    """Fraction of pixels close to a colour; thin antialiased lines rarely have the exact colour."""
    distance = np.abs(np.asarray(Image.open(path)).astype(int) - colour).max(axis=-1)
    return float((distance < 25).mean())


def test_complete_events_are_read_and_broken_ones_skipped(tmp_path):
    lines = [
        '{"seconds": 1, "loss": NaN, "note": "x", "psnr": 30}',
        "[1]",
        "{",
        "",
        '{"seconds": 2}{',
        '{"loss": 1}',
    ]
    (tmp_path / "events.jsonl").write_text("\n".join([*lines, '{"seconds": 3, "loss": 0.5', ""]))
    assert read_events(tmp_path / "events.jsonl") == [{"seconds": 1.0, "psnr": 30.0}]
    with pytest.raises(SfumatoError, match="cannot be read"):
        read_events(tmp_path / "none.jsonl")


def test_draws_each_curve_that_has_points(tmp_path):
    training_chart(events(), tmp_path / "all.png")
    assert all(share(tmp_path / "all.png", colour) > 1e-4 for colour in (GOLD, BLUE, GREEN))
    training_chart([{k: e[k] for k in ("seconds", "loss")} for e in events()], tmp_path / "loss.png")
    assert share(tmp_path / "loss.png", BLUE) > 1e-4
    assert share(tmp_path / "loss.png", GOLD) == share(tmp_path / "loss.png", GREEN) == 0
    with pytest.raises(SfumatoError, match="no events"):
        training_chart([{"seconds": 1.0}], tmp_path / "none.png")


def test_the_final_value_of_all_views_is_drawn_as_a_ring(tmp_path):
    watched = [event | {"psnr_views": 4} for event in events()]
    drawn = []
    for every, name in ((4, "same.png"), (11, "more.png")):
        last = watched[-1] | {"psnr_all": 15.0, "psnr_all_views": every}
        training_chart([*watched[:-1], last], tmp_path / name)
        drawn.append(np.asarray(Image.open(tmp_path / name)).astype(int))
    panel = np.s_[126:426, 84:1160]
    assert not (drawn[0][panel] == INK).all(axis=-1).any() and (drawn[1][panel] == INK).all(axis=-1).any()


@pytest.mark.parametrize(
    "only",
    [
        [{"seconds": 0.0, "loss": 1.0}],
        [{"seconds": 5000.0, "loss": 1e-30, "psnr": -3.0, "gaussians": 0.0}],
        [{"seconds": 1.0, "loss": 0.0, "gaussians": 5e7}, {"seconds": 2.0, "loss": 1e9, "gaussians": 5e7}],
    ],
)
def test_draws_unusual_runs(tmp_path, only):
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, only)))
    training_chart(read_events(tmp_path / "events.jsonl"), tmp_path / "chart.png")
    assert Image.open(tmp_path / "chart.png").width == 1200


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_are_few_even_and_inside(low, span, most):
    found = ticks(low, low + span, most)
    assert len(found) <= most + 1
    tolerance = 1e-6 * max(1, abs(low), span)
    assert all(low - tolerance <= t <= low + span + tolerance for t in found)
    steps = np.diff(found)
    assert len(steps) == 0 or np.ptp(steps) <= tolerance


def test_long_names_keep_their_end():
    assert shortened("short.jpg", 15, 400) == "short.jpg"
    cut = shortened("a/very/long/path/" * 9 + "end.jpg", 15, 150)
    assert cut.startswith("...")
    assert cut.endswith("end.jpg")
    assert text_width(cut, 15) <= 150
