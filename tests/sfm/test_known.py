"""Given cameras are kept exactly, and missing points are triangulated."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pycolmap
import pytest
from PIL import Image

from sfumato.capture.readers import read_source
from sfumato.capture.resample import DistortedCamera
from sfumato.errors import CaptureError, ConfigError
from sfumato.scene.lenses import LENS_COEFFICIENTS, Lens
from sfumato.sfm import known
from sfumato.sfm.pipeline import structure_from_motion
from support.found import Stop, Watch, angle_deg, centre, dataset, pose_errors, poses_of, surface_distances
from support.shots import QUICK
from support.worlds import room

pytestmark = pytest.mark.slow

GL = np.diag([1.0, -1.0, -1.0, 1.0])


def transforms(folder, shots, poses, **values):
    """A dataset without points: the pictures and a ``transforms.json`` with these cameras."""
    folder.mkdir(parents=True)
    shutil.copytree(shots.folder, folder / "images")
    frames = [
        {"file_path": f"images/{name}", "transform_matrix": (np.linalg.inv(pose) @ GL).tolist()}
        for name, pose in poses.items()
    ]
    lens = shots.lens
    intrinsics = {"fl_x": lens.focal_px, "fl_y": lens.focal_px, "w": lens.width, "h": lens.height}
    intrinsics |= {"cx": lens.centre_px[0], "cy": lens.centre_px[1]}
    (folder / "transforms.json").write_text(json.dumps({**intrinsics, "frames": frames, **values}))
    return folder


def moved(poses, seed=0, metres=0.02, degrees=0.4):
    """The cameras with small errors."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, pose in poses.items():
        turn = pycolmap.Rotation3d(np.radians(degrees) * rng.normal(size=3) / np.sqrt(3)).matrix()
        shifted = centre(pose) + metres * rng.normal(size=3) / np.sqrt(3)
        found[name] = np.eye(4)
        found[name][:3, :3] = turn @ pose[:3, :3]
        found[name][:3, 3] = -found[name][:3, :3] @ shifted
    return found


@pytest.fixture(scope="module")
def kept(shots, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    data = transforms(folder / "data", shots, shots.poses)
    structure_from_motion([data], folder / "out", QUICK)
    return folder / "out"


def test_kept_cameras_do_not_move(kept, shots):
    found = poses_of(dataset(kept))
    assert sorted(found) == sorted(shots.poses)
    for name, pose in shots.poses.items():
        np.testing.assert_allclose(found[name], pose, atol=1e-9)


def test_points_are_found_in_the_given_world(kept):
    points = np.array([point.xyz for point in dataset(kept).points3D.values()])
    distances = surface_distances(room(), points)
    assert len(points) > 600 and np.median(distances) < 0.01 and np.percentile(distances, 90) < 0.05


def test_pictures_of_given_pinholes_keep_their_bytes(kept, shots):
    model = dataset(kept)
    (camera,) = model.cameras.values()
    assert camera.params == pytest.approx([380.0, 380.0, *shots.lens.centre_px], rel=1e-12)
    for name in (image.name for image in model.images.values()):
        written = (kept / "images" / name).read_bytes()
        assert written == (shots.folder / name.rsplit("/", 1)[-1]).read_bytes()


def test_the_report_says_that_cameras_were_given(kept):
    report = json.loads((kept / "sfm.json").read_text())
    assert report["found_by"] == "given cameras" and report["registered_share"] == 1
    assert report["world"]["unit"] == "as given" and report["world"]["up"] is None
    assert np.array_equal(report["world"]["from_mapper"], np.eye(4))


def test_refined_cameras_come_nearer_to_the_truth_in_the_given_world(shots, tmp_path):
    metres, degrees = 0.05, 1.0
    given = moved(shots.poses, metres=metres, degrees=degrees)
    data = transforms(tmp_path / "data", shots, given)
    structure_from_motion([data], tmp_path / "out", replace(QUICK, poses="refine"))
    found = poses_of(dataset(tmp_path / "out"))
    before, after = pose_errors(given, shots.poses), pose_errors(found, shots.poses)
    assert np.median(after[0]) < 0.2 * np.median(before[0])
    assert np.median(after[1]) < 0.2 * np.median(before[1])
    # Without alignment: the remaining error is that of the frame defined by the given cameras.
    for name, pose in shots.poses.items():
        assert np.linalg.norm(centre(found[name]) - centre(pose)) < metres
        assert angle_deg(found[name][:3, :3], pose[:3, :3]) < degrees


def test_cameras_to_be_estimated_are_not_read(shots, tmp_path):
    nonsense = {name: np.eye(4) for name in shots.poses}
    data = transforms(tmp_path / "data", shots, nonsense)
    watch = Watch("finding features")
    with pytest.raises(Stop):
        structure_from_motion([data], tmp_path / "out", replace(QUICK, poses="estimate"), display=watch)
    assert watch.titles == ["selecting pictures", "finding features"]
    assert watch.lines == ["pictures: 12"]


def test_cameras_are_estimated_for_the_pictures_of_the_dataset(shots, tmp_path):
    data = transforms(tmp_path / "data", shots, shots.poses)
    shutil.copytree(shots.folder, data / "masks")
    watch = Watch("finding features")
    with pytest.raises(Stop):
        structure_from_motion([data], tmp_path / "out", replace(QUICK, poses="estimate"), display=watch)
    assert watch.lines == ["pictures: 12"]


def turned_away(pose):
    """The same position, looking in the opposite direction."""
    return np.diag([-1.0, 1.0, -1.0, 1.0]) @ pose


def test_cameras_that_do_not_fit_their_pictures_are_refused(shots, tmp_path):
    """Cameras that face away from each other share no points."""
    names = sorted(shots.poses)[:4]
    away = {name: turned_away(shots.poses[name]) for name in names}
    data = transforms(tmp_path / "data", shots, away)
    with pytest.raises(CaptureError, match=r"do not fit its cameras.*--poses estimate"):
        structure_from_motion([data], tmp_path / "out", QUICK)


def test_given_cameras_cannot_be_mixed_or_scaled(shots, tmp_path):
    data = transforms(tmp_path / "data", shots, shots.poses)
    with pytest.raises(ConfigError, match="give it alone"):
        structure_from_motion([data, shots.folder], tmp_path / "out", QUICK)
    with pytest.raises(ConfigError, match="known_distance"):
        structure_from_motion([data], tmp_path / "out", replace(QUICK, known_distance=("00", "01", 1.0)))


def test_copied_pictures_are_upright_and_have_plain_names(shots, tmp_path):
    first = next(iter(shots.poses))
    (tmp_path / "data/my photos").mkdir(parents=True)
    for name in ("a b.png", "c.png"):
        (tmp_path / "data/my photos" / name).write_bytes((shots.folder / first).read_bytes())
    frames = [
        {"file_path": f"my photos/{name}", "transform_matrix": np.eye(4).tolist()} for name in ("a b", "c")
    ]
    (tmp_path / "data/transforms.json").write_text(json.dumps({"fl_x": 380, "frames": frames}))
    placed = known.place_known(read_source(tmp_path / "data"), tmp_path / "placed")
    assert [picture.name for picture in placed.footage.pictures] == ["my_photos/a_b.png", "my_photos/c.png"]
    assert placed.footage.pictures[0].size_px == (400, 304) and len(placed.cameras) == 1
    assert (placed.footage.folder / "my_photos/a_b.png").is_file()


def test_exif_rotation_is_applied_per_photograph(tmp_path):
    """The camera has the size of the upright picture, as written by phone apps."""
    turned = Image.new("RGB", (48, 32), (200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "data").mkdir()
    turned.save(tmp_path / "data/a.jpg", exif=exif)
    Image.new("RGB", (32, 48)).save(tmp_path / "data/b.jpg")
    frames = [{"file_path": f"{name}.jpg", "transform_matrix": np.eye(4).tolist()} for name in "ab"]
    (tmp_path / "data/transforms.json").write_text(
        json.dumps({"fl_x": 40, "w": 32, "h": 48, "frames": frames})
    )
    placed = known.place_known(read_source(tmp_path / "data"), tmp_path / "placed")
    assert [picture.name for picture in placed.footage.pictures] == ["a.png", "b.jpg"]
    for picture in placed.footage.pictures:
        with Image.open(placed.footage.folder / picture.name) as image:
            assert image.size == (32, 48)


@pytest.mark.parametrize("model", sorted(set(LENS_COEFFICIENTS) - {"fov", "division", "eucm"}))
@pytest.mark.parametrize("ratio", [1.0, 1.02])
def test_converted_cameras_agree_with_colmap(model, ratio):
    """Directions project to the same pixels by COLMAP's formula."""
    coefficients = tuple(0.02 / (i + 2) for i in range(len(LENS_COEFFICIENTS[model])))
    camera = DistortedCamera((300.0, 300.0 * ratio), (161.0, 119.0), (320, 240), Lens(model, coefficients))
    ideal = np.array([[0.0, 0.0], [0.3, -0.2], [-0.4, 0.25]])
    theirs = known.colmap_camera(camera).img_from_cam(np.concatenate([ideal, np.ones((3, 1))], axis=1))
    np.testing.assert_allclose(theirs, camera.project(ideal), atol=1e-9)


@pytest.mark.parametrize("model", ["fov", "division", "eucm"])
def test_converted_rare_lenses_agree_with_colmap(model):
    coefficients = (0.9,) if model == "fov" else (-0.05,) if model == "division" else (0.6, 1.1)
    camera = DistortedCamera((300.0, 310.0), (161.0, 119.0), (320, 240), Lens(model, coefficients))
    ideal = np.array([[0.0, 0.0], [0.3, -0.2], [-0.4, 0.25]])
    theirs = known.colmap_camera(camera).img_from_cam(np.concatenate([ideal, np.ones((3, 1))], axis=1))
    np.testing.assert_allclose(theirs, camera.project(ideal), atol=1e-9)


@pytest.mark.parametrize(
    ("given", "turn", "expected"),
    [("a/b c\n.jpg", False, "a/b_c_.jpg"), ("n\udcff\x1b.jpg", False, "n__.jpg"), ("é.jpg", True, "é.png")],
)
def test_names_unsupported_by_colmap_are_changed(given, turn, expected):
    assert known.colmap_name(SimpleNamespace(name=given), turn) == expected
