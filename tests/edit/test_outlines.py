import pytest
import torch

from sfumato.edit.outlines import in_polygon, under_brush
from sfumato.edit.selections import selection_from_plain, selection_from_text
from sfumato.errors import ConfigError
from sfumato.scene.image_points import image_points
from support.editable import crowd, scene_of
from support.small_scenes import camera_at

# Looks along +z from 4 units behind the origin: (x, y, 0) lies at pixel (50 + 25 x, 40 + 20 y).
POSE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 4], [0, 0, 0, 1]]
CAMERA = {"camera_from_world": POSE, "focal_px": [100, 80], "centre_px": [50, 40]}
SQUARE = [[40, 30], [60, 30], [60, 50], [40, 50]]


def test_a_polygon_cuts_through_everything_in_front():
    # In it, in it but far behind, beside it, and behind the camera where lines of sight meet it, too.
    scene = scene_of([[0.2, 0.2, 0], [2.0, 2.0, 40], [0.6, 0, 0], [0, 0, -9]])
    assert in_polygon(scene, **CAMERA, points_px=SQUARE).tolist() == [True, True, False, False]


def test_a_polygon_may_be_hollow_and_may_cross_itself():
    notched = [[40, 30], [50, 45], [60, 30], [60, 50], [40, 50]]
    bow = [[40, 30], [60, 50], [60, 30], [40, 50]]
    scene = scene_of([[0, 0, 0], [0, 0.4, 0], [0.3, 0, 0], [0, -0.3, 0]])
    assert in_polygon(scene, **CAMERA, points_px=notched).tolist() == [False, True, True, False]
    # Where it crosses itself, either side is right.
    assert in_polygon(scene, **CAMERA, points_px=bow).tolist()[1:] == [False, True, False]
    # What is gone round twice is outside, whichever way round.
    assert not in_polygon(scene, **CAMERA, points_px=SQUARE + SQUARE).any()
    whole = in_polygon(scene, **CAMERA, points_px=SQUARE)
    assert in_polygon(scene, **CAMERA, points_px=SQUARE[::-1]).tolist() == whole.tolist()


def test_a_brush_reaches_as_far_as_its_radius():
    scene = scene_of([[0, 0, 0], [0.4, 0, 0], [0.9, 0, 0], [0.4, 0.26, 0], [0, 0, -9]])
    stroke = {"radius_px": 5, "points_px": [[50, 40], [70, 40]]}
    assert under_brush(scene, **CAMERA, **stroke).tolist() == [True, True, True, False, False]
    dot = {"radius_px": 5, "points_px": [[50, 40]]}
    assert under_brush(scene, **CAMERA, **dot).tolist() == [True, False, False, False, False]


def test_centres_lie_where_the_cameras_of_the_package_have_them():
    scene, camera = crowd(200), camera_at(0.7, roll=0.3)
    pixels, depth = image_points(camera, scene.means.double())
    square = [[20.0, 15.0], [70.0, 15.0], [70.0, 60.0], [20.0, 60.0]]
    expected = ((pixels > torch.tensor(square[0])) & (pixels < torch.tensor(square[2]))).all(dim=1)
    found = in_polygon(scene, camera.camera_from_world.tolist(), camera.focal_px, camera.centre_px, square)
    assert 20 < int(found.sum()) < 180
    assert found.tolist() == (expected & (depth > 0)).tolist()


def test_words_mean_what_json_means():
    numbers = "1,0,0,0,0,1,0,0,0,0,1,4,0,0,0,1,100,80,50,40"
    polygon = {"polygon": {**CAMERA, "points_px": SQUARE}}
    brush = {"brush": {**CAMERA, "radius_px": 5, "points_px": [[50, 40], [70, 40]]}}
    corners = "40,30,60,30,60,50,40,50"
    assert selection_from_text(f"polygon:{numbers},{corners}", "--keep").plain() == polygon
    assert selection_from_text(f"brush:{numbers},5,50,40,70,40", "--keep").plain() == brush
    text = f"not (polygon:{numbers},{corners} or floaters) and (opacity:0.5.. or size:1..)"
    assert selection_from_text(text, "--keep") == selection_from_plain(
        {
            "and": [
                {"not": {"or": [polygon, {"floaters": {}}]}},
                {"or": [{"opacity": {"low": 0.5}}, {"size": {"low": 1}}]},
            ]
        },
        "here",
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"points_px": [[1, 2], [3, 4]]}, "three"),
        ({"points_px": [[1, 2], [3]]}, "lists of 2"),
        ({"points_px": [[1, 2]] * 5000}, "up to 4096"),
        ({"points_px": 3}, "lists of 2"),
        ({"points_px": [[1, 2], [3, 4], [5, float("nan")]]}, "finite"),
        ({"focal_px": [100, 0]}, "above 0"),
        ({"focal_px": [100]}, "2 numbers"),
        ({"camera_from_world": [[1, 2]]}, "4 lists"),
    ],
)
def test_broken_polygons_are_named(changed, words):
    plain = {"polygon": {**CAMERA, "points_px": SQUARE, **changed}}
    with pytest.raises(ConfigError, match=words):
        selection_from_plain(plain, "here").mask(crowd(3))


@pytest.mark.parametrize("changed", [{"radius_px": 0}, {"points_px": []}])
def test_a_brush_that_cannot_paint_is_named(changed):
    plain = {"brush": {**CAMERA, "radius_px": 5, "points_px": [[1, 2]], **changed}}
    with pytest.raises(ConfigError, match="radius above 0"):
        selection_from_plain(plain, "here").mask(crowd(3))


@pytest.mark.parametrize("text", ["polygon:1,2,3", "(" * 300 + "floaters" + ")" * 300, "(floaters", "()"])
def test_words_that_are_none_are_refused(text):
    with pytest.raises(ConfigError, match="--keep"):
        selection_from_text(text, "--keep")
