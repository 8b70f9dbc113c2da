import logging

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.capture.readers import read_source
from sfumato.errors import CaptureError
from support.foreign_datasets import (
    COLOURS,
    HEIGHT,
    METASHAPE_TERMS,
    METASHAPE_WORLD,
    NAMES,
    POINTS,
    POSES,
    WIDTH,
    ideal_of,
    pixel_of,
    same_poses,
    write_metashape,
    write_ply,
)

FISHEYE_TERMS = {"k1": 0.05, "k2": -0.02, "k3": 0.01, "k4": -0.004, "p1": 0.003, "p2": -0.002}


def metashape_pixel(terms, x, y, f=40.0):
    """Agisoft's manual, appendix "Camera models": frame cameras."""
    t = dict.fromkeys(("cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2"), 0.0) | terms
    r2 = x * x + y * y
    radial = 1 + t["k1"] * r2 + t["k2"] * r2**2 + t["k3"] * r2**3 + t["k4"] * r2**4
    there_x = x * radial + t["p1"] * (r2 + 2 * x * x) + 2 * t["p2"] * x * y
    there_y = y * radial + t["p2"] * (r2 + 2 * y * y) + 2 * t["p1"] * x * y
    u = WIDTH * 0.5 + t["cx"] + there_x * f + there_x * t["b1"] + there_y * t["b2"]
    return u, HEIGHT * 0.5 + t["cy"] + there_y * f


def test_cameras_and_points_are_in_the_world_of_the_component(tmp_path):
    path = write_metashape(tmp_path)
    write_ply(tmp_path / "points.ply")
    source = read_source(tmp_path)
    same_poses(source)
    assert sorted(frame.name for frame in source.frames) == [f"images/{name}" for name in NAMES]
    np.testing.assert_allclose(source.points.xyz, POINTS, atol=1e-6)
    np.testing.assert_array_equal(source.points.rgb, COLOURS)
    same_poses(read_source(path))
    assert len(load_capture(tmp_path).views) == 4


def test_the_chunk_may_hold_the_transform(tmp_path):
    write_metashape(tmp_path, where="chunk")
    same_poses(read_source(tmp_path))


def test_a_chunk_without_a_transform_stays_in_its_frame(tmp_path):
    path = write_metashape(tmp_path)
    text = path.read_text()
    start, end = text.index("<components>"), text.index("</components>") + len("</components>")
    path.write_text(text[:start] + text[end:])
    scale, turn, shift = METASHAPE_WORLD
    world_from_chunk = np.eye(4)
    world_from_chunk[:3, :3], world_from_chunk[:3, 3] = turn * scale, shift
    wanted = {}
    for name, pose in POSES.items():
        moved = pose @ world_from_chunk
        moved[:3] /= scale
        wanted[name] = moved
    same_poses(read_source(tmp_path), names=wanted)


def test_a_georeferenced_chunk_stays_in_its_frame_without_points(tmp_path, caplog):
    write_metashape(tmp_path, extra='<reference>GEOGCS["WGS 84"]</reference>')
    write_ply(tmp_path / "points.ply")
    with caplog.at_level(logging.WARNING, "sfumato"):
        source = read_source(tmp_path)
    assert source.points is None and "georeferenced" in caplog.text
    centre = -source.frames[0].camera_from_world[:3, :3].T @ source.frames[0].camera_from_world[:3, 3]
    scale, turn, shift = METASHAPE_WORLD
    wanted = -POSES[NAMES[0]][:3, :3].T @ POSES[NAMES[0]][:3, 3]
    np.testing.assert_allclose(scale * turn @ centre + shift, wanted, atol=1e-9)


def test_a_local_reference_keeps_the_transform(tmp_path):
    write_metashape(tmp_path, extra='<reference>LOCAL_CS["Local Coordinates (m)"]</reference>')
    same_poses(read_source(tmp_path))


def test_a_frame_lens_projects_as_metashape_says(tmp_path):
    write_metashape(tmp_path)
    for frame in read_source(tmp_path).frames:
        wanted = metashape_pixel(METASHAPE_TERMS, *ideal_of(frame.path.name))
        np.testing.assert_allclose(pixel_of(frame, POINTS[1]), wanted, atol=1e-9)


@pytest.mark.parametrize("kind", ["fisheye", "equidistant_fisheye"])
@pytest.mark.parametrize("tangential", [True, False])
def test_a_fisheye_lens_projects_as_metashape_says(tmp_path, kind, tangential):
    terms = FISHEYE_TERMS if tangential else {k: v for k, v in FISHEYE_TERMS.items() if k[0] == "k"}
    write_metashape(tmp_path, kind=kind, terms=terms)
    for frame in read_source(tmp_path).frames:
        x, y = ideal_of(frame.path.name)
        radius = np.hypot(x, y)
        shrink = np.arctan(radius) / radius
        wanted = metashape_pixel(terms, x * shrink, y * shrink)
        np.testing.assert_allclose(pixel_of(frame, POINTS[1]), wanted, atol=1e-9)


def test_unaligned_images_are_counted_in_a_warning(tmp_path, caplog):
    write_metashape(tmp_path)
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert len(read_source(tmp_path).frames) == 4
    assert "skipped 1 of 5 images" in caplog.text and "'unaligned.jpg'" in caplog.text


def test_the_largest_component_is_used(tmp_path, caplog):
    path = write_metashape(tmp_path)
    path.write_text(path.read_text().replace('id="3" sensor_id="0" component_id="0"', 'id="3" sensor_id="0"'))
    with caplog.at_level(logging.WARNING, "sfumato"):
        same_poses(read_source(tmp_path), names={name: POSES[name] for name in NAMES[:3]})
    assert "2 components; using the largest, 3 of 4" in caplog.text


def test_images_are_found_by_labels_without_extension_or_with_folders(tmp_path):
    labels = ("shot_00", "IMAGES/Shot_01.JPG", "shot_02.tif", "images/shot_03")
    write_metashape(tmp_path, labels=labels)
    same_poses(read_source(tmp_path))


def test_an_image_found_twice_is_refused_and_one_in_images_wins(tmp_path):
    write_metashape(tmp_path)
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / NAMES[0]).write_bytes(b"")
    assert "images/shot_00.jpg" in {frame.name for frame in read_source(tmp_path).frames}
    (tmp_path / "images").rename(tmp_path / "right")
    with pytest.raises(CaptureError, match=r"may be 'left/shot_00\.jpg' or 'right/shot_00\.jpg'"):
        read_source(tmp_path)


def test_missing_images_are_named_and_labels_cannot_leave_the_folder(tmp_path):
    root = tmp_path / "set"
    write_metashape(root, labels=("../outside.jpg", *NAMES[1:]))
    (tmp_path / "outside.jpg").write_bytes(b"")
    with pytest.raises(CaptureError, match=r"1 of 4 images .* the first is '\.\./outside\.jpg'"):
        read_source(root)


def test_several_camera_files_are_refused_unless_one_is_named(tmp_path):
    path = write_metashape(tmp_path)
    (tmp_path / "b.xml").write_text(path.read_text())
    assert len(read_source(tmp_path).frames) == 4
    path.rename(tmp_path / "a.xml")
    with pytest.raises(CaptureError, match=r"camera files a\.xml and b\.xml; give one"):
        read_source(tmp_path)
    assert len(read_source(tmp_path / "b.xml").frames) == 4


def test_a_file_of_gaussians_is_no_point_cloud(tmp_path):
    write_metashape(tmp_path)
    (tmp_path / "scene.ply").write_bytes(b"ply\nproperty float f_dc_0\nend_header\n")
    assert read_source(tmp_path).points is None


def test_old_calibrations_have_their_own_names(tmp_path):
    path = write_metashape(tmp_path, terms={"fx": 41.0, "fy": 40.0, "cx": 16.5, "cy": 12.25, "skew": 0.0})
    path.write_text(path.read_text().replace("<f>40.0</f>", ""))
    intrinsics = read_source(tmp_path).frames[0].intrinsics
    assert intrinsics.focal_px == (41.0, 40.0) and intrinsics.centre_px == (16.5, 12.25)


def test_negligible_lens_terms_are_accepted(tmp_path):
    write_metashape(tmp_path, terms={"b2": 0.01, "k4": 1e-4})
    assert read_source(tmp_path).frames[0].intrinsics.lens.is_pinhole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": {"b2": 3.0}}, "the lens term b2 = 3 is not supported"),
        ({"terms": {"k4": 0.9}}, "the lens term k4 = 0.9 is not supported"),
        ({"terms": {"p1": 0.1, "p3": 0.9}}, "the lens term p3"),
        ({"terms": {"k1": float("nan")}}, "k1 must hold 1 finite numbers"),
        ({"terms": {"cx": "left"}}, "cx must hold 1 finite"),
        ({"kind": "spherical"}, "'spherical' is neither frame nor fisheye"),
        ({"kind": "equisolid_fisheye"}, "'equisolid_fisheye' is neither"),
    ],
)
def test_unsupported_lenses_are_refused_by_name(tmp_path, options, message):
    write_metashape(tmp_path, **options)
    with pytest.raises(CaptureError, match=message) as caught:
        read_source(tmp_path)
    assert "\n" not in str(caught.value) and "cameras.xml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<?xml", '<!DOCTYPE d [<!ENTITY a "b">]><?xml', "declares a document type or entities"),
        ("<?xml", "<!DOCTYPE d><?xml", "declares a document type or entities"),
        ("</chunk>", "", "is not whole XML"),
        ("<cameras>", "<camera>", "is not whole XML"),
        ("<document", "<project", "is not whole XML"),
        ("<f>40.0</f>", "", "fx must hold 1 finite"),
        ("<calibration", "<calibre", "is not whole XML"),
        ('width="32"', 'width="0"', "picture size 0x24"),
        ('width="32"', 'width="1e3"', "has no resolution"),
        ('<sensor id="0"', '<sensor id="7"', "names sensor '0', which does not exist"),
        ("<scale>2.5", "<scale>-1", "scale -1.0 is not possible"),
        ("<translation>", "<translation>1 ", "translation must hold 3 finite"),
        ("<rotation locked='false'>", "<rotation>nan ", "rotation must hold 9 finite"),
        ("<transform>", "<pose>", "is not whole XML"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, old, new, message):
    path = write_metashape(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CaptureError, match=message) as caught:
        read_source(path)
    assert "\n" not in str(caught.value) and "cameras.xml" in str(caught.value)


def test_poses_must_be_rigid_and_finite(tmp_path):
    path = write_metashape(tmp_path)
    text = path.read_text()
    start = text.index("<transform>", text.index("<camera id=")) + len("<transform>")
    for numbers, message in {
        "nan " * 16: "16 finite",
        "2 " * 16: "not a rotation",
        "1 2": "16 finite",
    }.items():
        path.write_text(text[:start] + numbers + text[text.index("</transform>", start) :])
        with pytest.raises(CaptureError, match=message):
            read_source(tmp_path)


def test_entities_are_refused_in_other_encodings_too(tmp_path):
    bomb = '<?xml version="1.0" encoding="{}"?><!DOCTYPE d [<!ENTITY a "{}">]><document>&a;</document>'
    path = tmp_path / "cameras.xml"
    path.write_bytes(bomb.format("UTF-16", "b" * 9).encode("utf-16"))
    with pytest.raises(CaptureError, match="is not UTF-8 text"):
        read_source(path)
    path.write_bytes(b'<?xml version="1.0" encoding="cp037"?>' + "<!DOCTYPE d><document/>".encode("cp037"))
    with pytest.raises(CaptureError):
        read_source(path)


def test_nothing_aligned_and_no_cameras(tmp_path):
    path = tmp_path / "cameras.xml"
    for cameras, message in {
        '<cameras><camera label="a"/></cameras>': "no image is aligned",
        "<sensors/>": "holds no cameras",
    }.items():
        path.write_text(f"<document><chunk>{cameras}</chunk></document>")
        with pytest.raises(CaptureError, match=message):
            read_source(tmp_path)


def test_a_project_is_no_export(tmp_path):
    (tmp_path / "house.psx").write_text("<document/>")
    with pytest.raises(CaptureError, match=r"house\.psx is a project of Metashape; write cameras\.xml"):
        read_source(tmp_path)
