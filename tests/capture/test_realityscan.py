import logging

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from sfumato.errors import CaptureError
from support.foreign_datasets import (
    HEIGHT,
    NAMES,
    POINTS,
    POSES,
    REALITYSCAN_TERMS,
    WIDTH,
    ideal_of,
    pixel_of,
    same_poses,
    save_pictures,
    write_ply,
    write_realityscan,
)

MIDDLE = np.array([WIDTH / 2, HEIGHT / 2])
HEADER = "#name,x,y,alt,heading,pitch,roll,f"


def test_cameras_and_points_are_read(tmp_path):
    path = write_realityscan(tmp_path)
    write_ply(tmp_path / "cameras.ply")
    for given in (tmp_path, path):
        source = read_source(given)
        same_poses(source)
        np.testing.assert_allclose(source.points.xyz, POINTS, atol=1e-6)
    assert sorted(frame.name for frame in source.frames) == [f"photos/{name}" for name in NAMES]
    assert len(load_capture(tmp_path).views) == 4


def test_a_published_row_gives_the_published_matrix(tmp_path):
    """Heading, pitch and roll of one camera, and its rotation in the XMP file of the same project.

    Source: forums.unrealengine.com, "Different rotation of cameras in XMP and CSV".
    """
    save_pictures(tmp_path, ["a.jpg"])
    row = "a.jpg,1,2,3,163.736597399311,83.4154313461628,174.386496244756,40"
    (tmp_path / "cameras.csv").write_text(f"{HEADER}\n{row}\n")
    wanted = [
        [0.982594073038806, 0.185426733553445, -0.0112166890261935],
        [-0.032113633044729, 0.11008102707942, -0.993403685341366],
        [-0.18296885582437, 0.976472781986697, 0.114],
    ]
    pose = read_source(tmp_path).frames[0].camera_from_world
    np.testing.assert_allclose(pose[:3, :3], wanted, atol=1e-3)
    np.testing.assert_allclose(pose @ [1, 2, 3, 1], [0, 0, 0, 1], atol=1e-12)


def test_zero_angles_look_down_with_the_top_towards_y(tmp_path):
    save_pictures(tmp_path, ["a.jpg"])
    (tmp_path / "cameras.csv").write_text(f"{HEADER}\na.jpg,0,0,0,0,0,0,36\n")
    pose = read_source(tmp_path).frames[0].camera_from_world
    np.testing.assert_allclose(pose @ [1, 2, -3, 1], [1, -2, 3, 1], atol=1e-12)


def test_the_lens_projects_as_brown_says(tmp_path):
    write_realityscan(tmp_path)
    t = REALITYSCAN_TERMS
    for frame in read_source(tmp_path).frames:
        x, y = ideal_of(frame.path.name)
        r2 = x * x + y * y
        radial = 1 + t["k1"] * r2 + t["k2"] * r2**2 + t["k3"] * r2**3
        there_x = x * radial + t["t2"] * (r2 + 2 * x * x) + 2 * t["t1"] * x * y
        there_y = y * radial + t["t1"] * (r2 + 2 * y * y) + 2 * t["t2"] * x * y
        # Positions are relative to the centre, in units of the longer side.
        wanted = np.array([there_x * t["f"] / 36 + t["px"], there_y * t["f"] / 36 + t["py"]]) * WIDTH
        np.testing.assert_allclose(pixel_of(frame, POINTS[1]), wanted + MIDDLE, atol=1e-9)


def test_columns_may_be_missing_or_in_another_order(tmp_path):
    save_pictures(tmp_path, ["a.jpg"])
    (tmp_path / "cameras.csv").write_bytes(
        b'\xef\xbb\xbf#name,f,roll,pitch,heading,alt,y,x\r\n"a.jpg",36,0,0,0,3,2,1\r\n\r\n'
    )
    frame = read_source(tmp_path).frames[0]
    assert frame.intrinsics.focal_px == (32.0, 32.0) and frame.intrinsics.centre_px == (16.0, 12.0)
    assert frame.intrinsics.lens.is_pinhole
    np.testing.assert_allclose(frame.camera_from_world @ [1, 2, 3, 1], [0, 0, 0, 1], atol=1e-12)


def test_positions_of_few_digits_are_warned_of(tmp_path, caplog):
    path = write_realityscan(tmp_path)
    with caplog.at_level(logging.WARNING, "sfumato"):
        read_source(tmp_path)
        assert not caplog.text
        lines = [line.split(",") for line in path.read_text().splitlines()]
        for words in lines[1:]:
            words[1] = f"{float(words[1]) + 500_000.0:.1f}"
        path.write_text("\n".join(map(",".join, lines)))
        read_source(tmp_path)
    assert "are rounded to about 0.1, which is coarse for their spread of" in caplog.text


def test_another_table_is_no_camera_table(tmp_path):
    (tmp_path / "prices.csv").write_text("name,price\na,1\n")
    with pytest.raises(CaptureError, match="holds no posed dataset"):
        read_source(tmp_path)
    with pytest.raises(CaptureError, match="has no column 'x'; export 'Internal/External"):
        read_source(tmp_path / "prices.csv")


def test_two_tables_are_refused(tmp_path):
    path = write_realityscan(tmp_path)
    (tmp_path / "more.csv").write_text(path.read_text())
    with pytest.raises(CaptureError, match=r"cameras\.csv and more\.csv; give one"):
        read_source(tmp_path)
    same_poses(read_source(path))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,1,2,3,0,0,0", "row 2 has 7 values for 8 columns"),
        ("a.jpg,1,2,3,0,0,0,36,1", "row 2 has 9 values for 8 columns"),
        ("a.jpg,1,2,3,0,0,nan,36", "roll must be a finite number, not 'nan'"),
        ("a.jpg,1,2,3,0,north,0,36", "pitch must be a finite number, not 'north'"),
        ("a.jpg,1,2,3,0,0,0,-36", "focal length"),
        ("a.jpg,1e300,2,3,0,0,0,36", "huge number"),
        ("b.jpg,1,2,3,0,0,0,36", r"1 of 1 images .* the first is 'b\.jpg'"),
        ("../b.png,1,2,3,0,0,0,36", r"1 of 1 images .* the first is '\.\./b\.png'"),
        ("", "lists no images"),
    ],
)
def test_bad_rows_are_refused_in_one_line(tmp_path, row, message):
    save_pictures(tmp_path / "set", ["a.jpg"])
    save_pictures(tmp_path, ["b.png"])
    (tmp_path / "set/cameras.csv").write_text(f"{HEADER}\n{row}\n")
    with pytest.raises(CaptureError, match=message) as caught:
        read_source(tmp_path / "set")
    assert "\n" not in str(caught.value) and "cameras.csv" in str(caught.value)


def test_a_fourth_radial_term_is_refused(tmp_path):
    write_realityscan(tmp_path, {**REALITYSCAN_TERMS, "k4": 0.9})
    with pytest.raises(CaptureError, match=r"the lens term k4 = 0\.9 is not supported"):
        read_source(tmp_path)


def test_poses_are_assigned_by_the_names_in_the_table(tmp_path):
    path = write_realityscan(tmp_path)
    path.write_text(path.read_text().replace(".jpg", ".TIFF"))
    same_poses(read_source(tmp_path))
    assert set(POSES) == {frame.path.name for frame in read_source(tmp_path).frames}
