import json
import logging
import math

import numpy as np
import pytest

from sfumato.capture.dataset import load_capture
from sfumato.errors import CaptureError
from sfumato.scene.lenses import Lens
from support.capture_folders import opengl_pose, picture, save, write_transforms

NAMES = ("images/a.png", "images/b.png", "images/c.png")
INTRINSICS = {"fl_x": 40.0, "fl_y": 41.0, "cx": 15.0, "cy": 13.0, "w": 32, "h": 24}


def make(root, *, listed=NAMES, stored=NAMES, name="transforms.json", **values):
    for i, file in enumerate(stored):
        save(root / file, picture(seed=i))
    return write_transforms(root / name, listed, **{**INTRINSICS, **values})


def edited(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_opengl_axes_become_opencv_axes(tmp_path):
    make(tmp_path)
    view = load_capture(tmp_path, test_every=0).views[1]
    assert view.name == "images/b.png"
    # opengl_pose(x) is the camera that COLMAP would write with no rotation.
    np.testing.assert_allclose(view.camera.camera_from_world[:3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(view.camera.centre_world, [0.5, 0.0, 0.0], atol=1e-12)
    assert view.camera.focal_px == (40.0, 41.0) and view.camera.centre_px == (15.0, 13.0)


@pytest.mark.parametrize(
    ("values", "focal_px"),
    [
        ({"fl_x": 40.0}, (40.0, 40.0)),
        ({"camera_angle_x": 2 * math.atan(16 / 50)}, (50.0, 50.0)),
        ({"camera_angle_x": 2 * math.atan(16 / 50), "camera_angle_y": 2 * math.atan(12 / 45)}, (50.0, 45.0)),
        ({"x_fov": math.degrees(2 * math.atan(16 / 50))}, (50.0, 50.0)),
    ],
)
def test_focal_lengths_in_every_spelling(tmp_path, values, focal_px):
    for i, name in enumerate(NAMES):
        save(tmp_path / name, picture(seed=i))
    write_transforms(tmp_path / "transforms.json", NAMES, **values)
    camera = load_capture(tmp_path).views[0].camera
    assert camera.focal_px == pytest.approx(focal_px) and camera.centre_px == (16.0, 12.0)


def test_null_means_a_missing_value(tmp_path):
    path = make(tmp_path, k1=None, p2=None, distortion_params=None, camera_model=None, ply_file_path=None)
    edited(path, lambda document: document["frames"][0].update(fl_x=None, cx=None, w=None, mask_path=None))
    camera = load_capture(tmp_path, test_every=0).views[0].camera
    assert (camera.focal_px, camera.centre_px) == ((40.0, 41.0), (15.0, 13.0))


@pytest.mark.parametrize(
    ("own", "focal_px"),
    [
        ({"camera_angle_x": 2 * math.atan(16 / 50)}, (50.0, 50.0)),
        ({"x_fov": math.degrees(2 * math.atan(16 / 50)), "fl_y": 45.0}, (50.0, 45.0)),
        ({"fl_x": 50.0}, (50.0, 41.0)),
    ],
)
def test_a_frame_overrides_the_file_in_any_spelling(tmp_path, own, focal_px):
    path = make(tmp_path, camera_angle_x=1.0, camera_angle_y=1.0)
    edited(path, lambda document: document["frames"][0].update(own))
    views = load_capture(tmp_path, test_every=0).views
    assert views[0].camera.focal_px == pytest.approx(focal_px) and views[1].camera.focal_px == (40.0, 41.0)


def test_a_frame_overrides_the_lens_of_the_file_in_any_spelling(tmp_path):
    from sfumato.capture.readers import read_source

    path = make(tmp_path, distortion_params=[0.1, 0, 0, 0, 0, 0], is_fisheye=True)
    edited(path, lambda document: document["frames"][0].update(k1=0.2, camera_model="OPENCV"))
    lenses = [frame.intrinsics.lens for frame in read_source(tmp_path).frames]
    assert lenses[0] == Lens("opencv", (0.2, 0.0, 0.0, 0.0)) and lenses[1].model == "opencv_fisheye"


def test_panoramas_ignore_the_focal_length(tmp_path):
    make(tmp_path, camera_model="EQUIRECTANGULAR")
    camera = load_capture(tmp_path).views[0].camera
    assert camera.lens.is_panorama and camera.centre_px == (16.0, 12.0)
    assert camera.focal_px == pytest.approx((16 / math.pi, 24 / math.pi))


def test_a_missing_point_cloud_gives_a_warning(tmp_path, caplog):
    make(tmp_path, ply_file_path="gone.ply")
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert load_capture(tmp_path).points_are_random
    assert "'gone.ply', does not exist" in caplog.text


def test_a_frame_overrides_the_file(tmp_path):
    path = make(tmp_path)
    edited(path, lambda document: document["frames"][1].update(fl_x=80.0, k1=-0.1))
    views = load_capture(tmp_path, test_every=0).views
    assert views[0].camera.focal_px[0] == 40.0 and views[1].camera.focal_px[0] == pytest.approx(
        80.0, rel=0.05
    )
    assert [view.camera_group for view in views] == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "lens"),
    [
        ({"k1": 0.1, "p2": 0.01}, Lens("opencv", (0.1, 0.0, 0.0, 0.01))),
        ({"k1": 0.1, "k3": 0.2, "camera_model": "OPENCV"}, Lens("full_opencv", (0.1, 0, 0, 0, 0.2, 0, 0, 0))),
        ({"k1": 0.1, "k4": 0.2, "camera_model": "OPENCV_FISHEYE"}, Lens("opencv_fisheye", (0.1, 0, 0, 0.2))),
        ({"is_fisheye": True}, Lens("opencv_fisheye", (0.0,) * 4)),
        ({"k1": 0.0, "camera_model": "PINHOLE"}, Lens()),
        ({"distortion_params": [0.1, 0, 0, 0, 0, 0.01]}, Lens("opencv", (0.1, 0.0, 0.0, 0.01))),
        (
            {"distortion_params": [0.1, 0, 0, 0.2, 0, 0], "is_fisheye": True},
            Lens("opencv_fisheye", (0.1, 0, 0, 0.2)),
        ),
        ({"distortion_params": [0] * 6, "fisheye_crop_radius": 9.0}, Lens()),
    ],
)
def test_lenses_in_every_spelling(tmp_path, values, lens):
    from sfumato.capture.readers import read_source

    make(tmp_path, **values)
    assert read_source(tmp_path).frames[0].intrinsics.lens == lens


def test_extensions_that_are_missing_or_differ_are_found(tmp_path):
    make(tmp_path, listed=("images/a", "images/b.jpg", "./images/c.png"))
    assert [view.name for view in load_capture(tmp_path).views] == list(NAMES)


def test_missing_images_are_skipped_with_one_warning_that_counts_them(tmp_path, caplog):
    make(tmp_path, stored=NAMES[:2], listed=(*NAMES, "images/d.png"))
    with caplog.at_level(logging.WARNING, "sfumato"):
        assert len(load_capture(tmp_path).views) == 2
    assert caplog.text.count("skipped") == 1 and "skipped 2 of 4" in caplog.text


def test_nerfstudio_split_is_honoured(tmp_path):
    make(tmp_path, train_filenames=NAMES[:2], val_filenames=NAMES[2:], test_filenames=[])
    capture = load_capture(tmp_path)
    assert capture.test_names == {"images/c.png"} and capture.split_rule == "val_filenames of transforms.json"
    other = make(tmp_path, train_filenames=["images/A.JPG", "images/b"], test_filenames=NAMES[2:])
    assert load_capture(other).test_names == {"images/c.png"}
    assert load_capture(tmp_path, test_every=0).split_rule == "none"


def test_blender_files_are_the_split_and_alpha_is_transparency(tmp_path):
    pixels = np.full((24, 32, 4), 200, np.uint8)
    pixels[:, 16:, 3] = 0
    for part in ("train", "test"):
        names = [f"./{part}/r_{i}" for i in range(3)]
        for name in names:
            save(tmp_path / f"{name}.png", pixels)
        write_transforms(tmp_path / f"transforms_{part}.json", names, camera_angle_x=0.7)
    capture = load_capture(tmp_path)
    assert capture.split_rule == "transforms_test.json" and capture.background == (1.0, 1.0, 1.0)
    assert capture.test_names == {"test/r_0.png", "test/r_1.png", "test/r_2.png"}
    loaded = capture.train_views[0].load()
    assert loaded.mask is None and loaded.alpha[0, 0] == 200 and loaded.alpha[0, -1] == 0
    assert loaded.rgb[0, 0, 0] == 157 and loaded.rgb[0, -1, 0] == 0
    assert capture.points_are_random
    as_mask = load_capture(tmp_path, alpha="mask")
    assert as_mask.background is None and not as_mask.train_views[0].load().mask[0, -1]


def test_points_come_from_the_named_ply_in_the_same_frame(tmp_path):
    header = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
    tmp_path.joinpath("sparse_pc.ply").write_text(header + "end_header\n1 2 3\n4 5 6\n")
    make(
        tmp_path, ply_file_path="sparse_pc.ply", applied_transform=[[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]
    )
    capture = load_capture(tmp_path)
    np.testing.assert_array_equal(capture.points.xyz, [[1, 2, 3], [4, 5, 6]])


def test_mask_path_and_a_mask_that_is_missing(tmp_path):
    keep = np.full((24, 32), 255, np.uint8)
    keep[:12] = 0
    save(tmp_path / "m/a.png", keep)
    path = make(tmp_path)
    edited(path, lambda document: document["frames"][0].update(mask_path="m/a.png"))
    mask = load_capture(tmp_path).views[0].load().mask
    assert not mask[:12].any() and mask[12:].all()
    (tmp_path / "m/a.png").unlink()
    with pytest.raises(CaptureError, match=r"its mask .*m/a\.png does not exist"):
        load_capture(tmp_path)


def _scaled(pose):
    return [[2 * value for value in row[:3]] + row[3:] for row in pose]


def _mirrored(pose):
    return [[-row[0], *row[1:]] for row in pose]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(frames=[]), "'frames' is empty"),
        (lambda d: d.update(frames={}), "no list 'frames'"),
        (lambda d: d["frames"][1].pop("file_path"), "frame 1: file_path"),
        (lambda d: d["frames"][1].update(file_path="../../etc/passwd"), "leads out of"),
        (lambda d: d["frames"][1].update(file_path="/etc/passwd"), "leads out of"),
        (lambda d: d["frames"][1].update(file_path="C:\\a.png"), "leads out of"),
        (lambda d: d["frames"][1].update(mask_path="../m.png"), "leads out of"),
        (lambda d: d["frames"][1].pop("transform_matrix"), "4 rows of 4"),
        (lambda d: d["frames"][1].update(transform_matrix=[[1, 2], [3, 4]]), "4 rows of 4"),
        (lambda d: d["frames"][1].update(transform_matrix=[["a"] * 4] * 4), "finite numbers"),
        (lambda d: d["frames"][1].update(transform_matrix=[[float("nan")] * 4] * 4), "finite numbers"),
        (lambda d: d["frames"][1].update(transform_matrix=[[10**400] * 4] * 4), "finite numbers"),
        (lambda d: d["frames"][1].update(transform_matrix=_scaled(opengl_pose(1.0))), "not a rotation"),
        (lambda d: d["frames"][1].update(transform_matrix=_mirrored(opengl_pose(1.0))), "not a rotation"),
        (lambda d: d["frames"][2].update(file_path="images/a.png"), "'images/a.png' is listed twice"),
        (lambda d: d.pop("fl_x") and d.pop("fl_y"), "no focal length"),
        (lambda d: d.update(fl_x="wide"), "fl_x must hold finite numbers"),
        (lambda d: d.update(fl_x=-1.0), "focal length"),
        (lambda d: d.update(w=0), "picture size"),
        (lambda d: d.update(w=64), "32x24 pixels but its camera is for 64x24"),
        (lambda d: d.update(camera_model="ORTHOPHOTO"), "ORTHOPHOTO is not supported"),
        (lambda d: d.update(is_fisheye=True, p1=0.1), "k1 to k4 only"),
        (
            lambda d: d.update(is_fisheye=True, fisheye_crop_radius=9.0),
            "fisheye_crop_radius is not supported",
        ),
        (lambda d: d.update(distortion_params=[0.1] * 12), "distortion_params must be a list of 6"),
        (lambda d: d.update(distortion_params=[0.1] * 6), "k4 of distortion_params is not supported"),
        (lambda d: d.update(camera_model=["PINHOLE"]), "is not supported"),
        (lambda d: d["frames"][1].update(file_path="a" * 300), "is not a file name"),
        (lambda d: d.update(ply_file_path="images/a.png"), "a.png is not a .ply file"),
        (lambda d: d.update(train_filenames="a"), "train_filenames must be a list"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, change, message):
    edited(make(tmp_path), change)
    with pytest.raises(CaptureError, match=message) as caught:
        load_capture(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"frames": 3}', "\x00", "[" * 100_000])
def test_other_json_files_are_refused(tmp_path, text):
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(CaptureError, match=r"transforms\.json"):
        load_capture(tmp_path)


def test_none_of_the_images_exists(tmp_path):
    make(tmp_path, stored=())
    with pytest.raises(CaptureError, match=r"none of its 3 images exists, the first is 'images/a\.png'"):
        load_capture(tmp_path)


def test_a_file_may_be_given_instead_of_its_folder(tmp_path):
    make(tmp_path, name="mine.json")
    assert len(load_capture(tmp_path / "mine.json").views) == 3
