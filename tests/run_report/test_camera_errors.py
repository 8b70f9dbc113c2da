"""The reprojection error of each camera in the report."""

import re
from types import SimpleNamespace

from sfumato.run_report.camera_errors import camera_errors


def shown(errors):
    return camera_errors(SimpleNamespace(sfm={"reprojection_errors_px": errors}))


def test_the_worst_cameras_come_first():
    text = shown({f"{i:02}.jpg": 0.1 + 0.01 * i for i in range(30)})
    values = [float(value) for value in re.findall(r"([\d.]+) px", text)]
    assert "the 24 largest of 30" in text and len(values) == 24
    assert values == sorted(values, reverse=True) and values[0] == 0.39
    assert "29.jpg" in text and "05.jpg" not in text


def test_broken_files_are_no_charts():
    assert shown({}) == shown(None) == shown([1]) == shown({"a.jpg": "x", "b.jpg": None}) == ""
    text = shown({"<b>.jpg": 0.5, "c.jpg": float("nan")})
    assert "<b>" not in text and "by picture" in text and "c.jpg" not in text
