"""Gravity and scale of the world."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pycolmap
import pytest
from scipy.spatial.transform import Rotation

from sfumato.errors import CaptureError, ConfigError
from sfumato.footage import read_footage
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.geodesy import axes_at, earth_from_geodetic, geodetic_from_earth
from sfumato.sfm.pipeline import structure_from_motion
from sfumato.sfm.summary import WorldFrame
from sfumato.sfm.upright import IDENTITY, Gravity, find_gravity, scaled, upright_similarity
from support.found import Watch, angle_deg, centre, dataset, poses_of
from support.shots import QUICK
from support.worlds import any_rotation, arc, looking

DOWN = np.array([0.0, 1.0, 0.0])


def circle(count=24, height=3.0, degrees=360.0):
    """Cameras on a circle that look at its centre, 45 degrees down."""
    angles = np.radians(np.linspace(0, degrees, count, endpoint=False))
    return np.array([looking([3 * np.sin(a), -height, 3 * np.cos(a)], np.zeros(3)) for a in angles])


def in_world(poses, turn):
    """Rotations of cameras in a world rotated by ``turn``."""
    return poses[:, :3, :3] @ turn.T


def degrees_off(gravity: Gravity, turn):
    return np.degrees(np.arccos(np.clip(gravity.direction @ turn @ DOWN, -1, 1)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("degrees", [360.0, 60.0, 40.0])
def test_level_cameras_that_look_down_determine_gravity(seed, degrees):
    turn = any_rotation(seed)
    found = find_gravity(in_world(circle(degrees=degrees), turn))
    assert degrees_off(found, turn) < 0.01 and found.found_by == "level pictures"


def test_camera_shake_has_little_effect():
    rng, turn = np.random.default_rng(0), any_rotation(9)
    rolls = np.radians(rng.normal(scale=3.0, size=40))
    poses = circle(40)
    for pose, roll in zip(poses, rolls, strict=True):
        c, s = np.cos(roll), np.sin(roll)
        pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ pose[:3, :3]
    assert degrees_off(find_gravity(in_world(poses, turn)), turn) < 1.0


def test_on_a_straight_path_gravity_is_the_mean_image_down_direction():
    turn = any_rotation(3)
    poses = np.array([looking([0, 0, -0.1 * i], [0, 0.0, 10.0]) for i in range(10)])
    found = find_gravity(in_world(poses, turn))
    assert degrees_off(found, turn) < 0.01 and "mean" in found.found_by


def test_recorded_gravity_has_priority():
    turn, poses = any_rotation(4), circle()
    true = any_rotation(5) @ DOWN
    recorded = {i: poses[i, :3, :3] @ turn.T @ true for i in (0, 5, 9)}
    found = find_gravity(in_world(poses, turn), recorded)
    np.testing.assert_allclose(found.direction, true, atol=1e-9)
    assert found.found_by == "recorded by the camera"


def test_few_or_inconsistent_records_are_not_used():
    turn, poses = any_rotation(4), circle()
    for recorded in ({0: DOWN, 1: DOWN}, {i: any_rotation(i) @ DOWN * (-1) ** i for i in range(24)}):
        assert degrees_off(find_gravity(in_world(poses, turn), recorded), turn) < 0.01


def flown(headings_deg, *, height=3.0, tilts_deg=0.0, step=1.0):
    """Cameras over a grid that look straight down, apart from tilts, with given headings."""
    rng, side = np.random.default_rng(0), int(np.ceil(np.sqrt(len(headings_deg))))
    poses = []
    for number, heading in enumerate(np.radians(headings_deg)):
        ahead = np.array([np.sin(heading), 0.0, np.cos(heading)])
        tilt = Rotation.from_euler("xy", rng.normal(size=2) * tilts_deg, degrees=True).as_matrix()
        pose = np.eye(4)
        pose[:3, :3] = tilt @ np.stack([np.cross(DOWN, ahead), -ahead, DOWN])
        pose[:3, 3] = -pose[:3, :3] @ [step * (number % side), -height, step * (number // side)]
        poses.append(pose)
    return np.array(poses)


GROUND = np.random.default_rng(2).uniform([-1, -0.2, -1], [6, 0, 6], (500, 3))
LAWN = np.repeat([0.0, 180.0] * 3, 6)


@pytest.mark.parametrize("tilts_deg", [0.0, 2.0])
@pytest.mark.parametrize(
    "headings",
    [np.zeros(36), LAWN, LAWN + 1e-3 * np.arange(36), np.arange(36) * 40.0],
    ids=["fixed", "lawn", "near", "all"],
)
@pytest.mark.parametrize("seed", range(2))
def test_a_nadir_flight_is_level(headings, tilts_deg, seed):
    turn, poses = any_rotation(seed), flown(headings, tilts_deg=tilts_deg)
    centres = np.array([centre(pose) for pose in poses]) @ turn.T
    found = find_gravity(in_world(poses, turn), centres=centres, points=GROUND @ turn.T)
    assert found.found_by == "pictures taken straight down" and not found.is_strong
    assert degrees_off(found, turn) < 0.01 + tilts_deg / 2


def test_frontal_views_of_a_wall_are_not_a_flight():
    """The same arrangement, but with a smaller extent relative to the distance."""
    poses = flown(np.zeros(36), height=3.0, step=0.1)
    standing = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    centres = np.array([centre(pose) for pose in poses]) @ standing.T
    found = find_gravity(in_world(poses, standing), centres=centres, points=GROUND @ standing.T)
    assert degrees_off(found, np.eye(3)) < 1.0 and "mean" in found.found_by


def test_random_orientations_do_not_determine_gravity():
    found = find_gravity(np.array([any_rotation(seed) for seed in range(300)]))
    assert found.direction is None and "every way" in found.found_by


def test_the_similarity_turns_down_to_y_and_the_first_camera_to_z():
    gravity, forward = any_rotation(1) @ DOWN, any_rotation(2) @ DOWN
    points = np.random.default_rng(0).normal(size=(101, 3)) + 7.0
    found = upright_similarity(gravity, points, points, forward)
    np.testing.assert_allclose(found.rotation @ gravity, DOWN, atol=1e-12)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    x, _, z = found.rotation @ forward
    assert abs(x) < 1e-12 and z > 0
    moved = points @ found.rotation.T + found.translation
    middle = found.rotation @ np.median(points, axis=0) + found.translation
    np.testing.assert_allclose(middle, 0, atol=1e-9)
    homogeneous = np.concatenate([points, np.ones((101, 1))], axis=1)
    np.testing.assert_allclose((homogeneous @ found.matrix.T)[:, :3], moved, atol=1e-9)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.ones((5, 3))])
def test_the_first_camera_may_look_straight_down(points):
    found = upright_similarity(DOWN, points, np.ones((3, 3)), DOWN)
    np.testing.assert_allclose(found.rotation @ DOWN, DOWN, atol=1e-12)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0) and np.isfinite(found.matrix).all()


CENTRES = {"a/one.png": np.zeros(3), "a/two.png": np.array([3.0, 4.0, 0]), "b/two.png": np.ones(3)}


@pytest.mark.parametrize(
    "names", [("a/one.png", "a/two.png"), ("one.png", "a/two.png"), ("one", "a/two.png")]
)
def test_a_known_distance_sets_the_scale(names):
    turned = replace(IDENTITY, rotation=any_rotation(0), translation=np.arange(3.0))
    found = scaled(turned, CENTRES, (*names, 10.0))
    moved = [found.matrix[:3, :3] @ CENTRES[name] + found.translation for name in ("a/one.png", "a/two.png")]
    assert np.linalg.norm(moved[0] - moved[1]) == pytest.approx(10.0)
    np.testing.assert_allclose(found.translation, 2.0 * np.arange(3.0))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("nobody.png", "one.png"), "'nobody.png'.*no picture"),
        (("one.png", "two.png"), "'two.png'.*2 pictures"),
    ],
)
def test_unknown_or_ambiguous_names_are_refused(names, words):
    with pytest.raises(CaptureError, match=words):
        scaled(IDENTITY, CENTRES, (*names, 1.0))


def test_a_known_distance_overrides_another_scale():
    sized = replace(IDENTITY, scale=5.0, translation=np.arange(3.0))
    found = scaled(sized, CENTRES, ("a/one.png", "a/two.png", 10.0))
    assert found.scale == pytest.approx(2.0)
    np.testing.assert_allclose(found.translation, 0.4 * np.arange(3.0))


def test_coincident_pictures_cannot_set_the_scale():
    with pytest.raises(CaptureError, match="one place"):
        scaled(IDENTITY, {"a": np.ones(3), "b": np.ones(3)}, ("a", "b", 1.0))


@pytest.mark.parametrize("known", [("a", "a", 1.0), ("a", "b", 0.0), ("a", "b", float("nan"))])
def test_impossible_distances_are_refused(known):
    with pytest.raises(ConfigError, match="known_distance"):
        SfmConfig(known_distance=known)


def test_a_reconstruction_is_upright(solved):
    """The cameras of the room were level, and its floor is horizontal."""
    found = poses_of(dataset(solved.out))
    for name, pose in solved.shots.poses.items():
        down = found[name][:3, :3].T @ pose[:3, :3] @ DOWN
        assert np.degrees(np.arccos(down[1])) < 1.0
    points = np.array([point.xyz for point in dataset(solved.out).points3D.values()])
    extent = np.ptp(points, axis=0).max()
    assert np.linalg.norm(np.median(points, axis=0)) < 0.2 * extent, "the origin is not in the middle"
    world = json.loads((solved.out / "sfm.json").read_text())["world"]
    assert (world["up"], world["gravity_from"], world["unit"]) == ("-y", "level pictures", "arbitrary")


@pytest.mark.slow
def test_a_known_distance_makes_the_reconstruction_as_large_as_the_room(solved, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(solved.out, out)
    first, last = (centre(pose) for pose in (arc()[0], arc()[-1]))
    known = ("00.png", "11", float(np.linalg.norm(first - last)))
    structure_from_motion([solved.shots.folder], out, replace(solved.config, known_distance=known))
    found = poses_of(dataset(out))
    for a, b in (("00.png", "06.png"), ("03.png", "09.png")):
        true = np.linalg.norm(centre(solved.shots.poses[a]) - centre(solved.shots.poses[b]))
        assert np.linalg.norm(centre(found[a]) - centre(found[b])) == pytest.approx(true, rel=0.005)
    assert json.loads((out / "sfm.json").read_text())["world"]["unit"] == "as given"
    with pytest.raises(CaptureError, match="nobody"):
        known = ("00.png", "nobody", 1.0)
        structure_from_motion([solved.shots.folder], out, replace(solved.config, known_distance=known))


def test_an_unknown_name_is_refused_at_once(shots, tmp_path):
    watch = Watch()
    config = replace(QUICK, known_distance=("00", "99", 1.0))
    with pytest.raises(CaptureError, match="'99': no picture has this name"):
        structure_from_motion([shots.folder], tmp_path / "out", config, display=watch)
    assert watch.titles == ["selecting pictures"]


def test_gps_gives_metres_but_a_known_distance_has_priority(solved):
    model = pycolmap.Reconstruction(solved.out / "work/model")
    footage = read_footage(solved.out / "work/frames")
    start, axes = earth_from_geodetic(np.array([[52.0, 13.0]]), np.array([40.0]))[0], axes_at(52.0, 13.0)

    def with_places(place_of):
        return replace(footage, pictures=tuple(replace(p, place=place_of(p.name)) for p in footage.pictures))

    # The room a thousand times larger, with its z axis to the north.
    true = solved.shots.poses
    known = with_places(lambda name: geodetic_from_earth(start + 1000.0 * centre(true[name]) @ axes))
    found = WorldFrame.found(known, model, solved.config)
    plain = found.to_plain()
    assert (plain["unit"], plain["up"], plain["north"]) == ("metres", "-y", "+z")
    assert plain["gps"]["agreeing"] >= 11 and plain["gps"]["off_m"] < 30
    assert "12 pictures agrees" in found.words() and "in metres" in found.words()
    assert plain["origin"]["latitude"] == pytest.approx(52.0, abs=0.02)
    for image in model.images.values():
        turned = image.cam_from_world().rotation.matrix() @ found.similarity.rotation.T
        assert angle_deg(turned, true[image.name][:3, :3]) < 1.5
    distance = ("00.png", "11", 2.0)
    other = WorldFrame.found(known, model, replace(solved.config, known_distance=distance))
    assert other.unit == "as given" and other.similarity.scale < 0.01 * found.similarity.scale
    np.testing.assert_array_equal(other.similarity.rotation, found.similarity.rotation)
    assert WorldFrame.found(known, model, replace(solved.config, upright=False)).words() is None
    lost = with_places(lambda name: (1.0, 2.0, None))
    assert "not used" in WorldFrame.found(lost, model, solved.config).words()
