"""Charts as SVG."""

import re
from xml.etree import ElementTree

import pytest

from sfumato.run_report.svg_charts import WIDTH, Band, bars, curve, plan


def numbers(svg, pattern):
    return [float(found) for found in re.findall(pattern, svg)]


def test_a_curve_goes_through_its_points():
    svg = curve(
        "loss", [(0.0, 1.0), (50.0, 0.1), (100.0, 0.01)], logarithmic=True, bands=[Band(0, 40, "half")]
    )
    ElementTree.fromstring(svg)
    places = re.search(r'points="([^"]+)"', svg)[1].split()
    xs, ys = zip(*(map(float, place.split(",")) for place in places), strict=True)
    # The middle point is halfway in both directions, because the scale is logarithmic.
    assert xs[1] == pytest.approx((xs[0] + xs[2]) / 2) and ys[1] == pytest.approx((ys[0] + ys[2]) / 2)
    assert ys[0] < ys[2] and xs[2] <= WIDTH
    (band,) = numbers(svg, r'class="band"[^>]* width="([\d.]+)"')
    assert band == pytest.approx(0.4 * (xs[2] - xs[0]), abs=0.1)


def test_a_single_point_is_a_dot():
    assert "<circle" in curve("PSNR", [(3.0, 20.0)])


def test_bars_are_as_long_as_their_values():
    svg = bars("PSNR", [("a", 10.0), ("<b>", 20.0)], "dB")
    ElementTree.fromstring(svg)
    first, second = numbers(svg, r'class="bar"[^>]* width="([\d.]+)"')
    assert second == pytest.approx(2 * first, abs=0.2) and "<b>" not in svg


def test_camera_symbols_open_in_the_viewing_direction():
    svg = plan("above", "data:,", (100, 100), [((50.0, 50.0), (0.0, 2.0), False)])
    ElementTree.fromstring(svg)
    places = re.search(r'points="([^"]+)"', svg)[1].split()
    tip, *far = [tuple(map(float, place.split(","))) for place in places]
    assert tip == (50.0, 50.0) and all(y > 60 for _, y in far) and far[0][0] != far[1][0]
