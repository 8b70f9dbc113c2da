"""Wrong arguments of public functions give one-line errors that name the argument."""

import re

import numpy as np
import pytest
import torch

import sfumato
from sfumato.checks import check_shapes, check_type, number, whole_number
from sfumato.errors import ConfigError, SfumatoError, ShapeError

SCENE = sfumato.Gaussians(*(torch.ones(2, *shape) for shape in ((3,), (3,), (4,), (), (1, 3))))


def camera(**changes):
    fields = {"focal_px": (20.0, 20.0), "centre_px": (8.0, 6.0), "size_px": (16, 12), **changes}
    return sfumato.Camera(**{"camera_from_world": torch.eye(4), **fields})


def complaint(call):
    with pytest.raises(SfumatoError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_shapes_are_in_the_message():
    assert complaint(lambda: camera(camera_from_world=torch.eye(3))) == (
        "camera_from_world has shape [3, 3], expected [4, 4]"
    )
    with pytest.raises(ShapeError, match=re.escape("b has shape [2], expected [n] with n = 3")):
        check_shapes(a=(torch.zeros(3), "n"), b=(torch.zeros(2), "n"))


@pytest.mark.parametrize(
    "value", [32, 32.0, np.float32(32), np.int64(32), torch.tensor(32), torch.tensor([32.0])]
)
def test_integers_of_any_type_are_accepted(value):
    found = whole_number("width", value, least=1)
    assert found == 32 and type(found) is int


@pytest.mark.parametrize(
    "value", [0, -1, 1.5, True, "32", None, float("nan"), float("inf"), [32], torch.tensor([3, 2]), 1j]
)
def test_other_values_than_integers_are_refused(value):
    with pytest.raises(ConfigError, match=r"width is .*give a whole number of at least 1"):
        whole_number("width", value, least=1)


@pytest.mark.parametrize("value", ["1", None, float("nan"), [1.0], 1j])
def test_other_values_than_numbers_are_refused(value):
    with pytest.raises(ConfigError, match=r"near is .*give a number"):
        number("near", value)
    assert number("near", np.float32(0.5)) == number("near", torch.tensor(0.5)) == 0.5


def test_a_list_instead_of_one_value_gets_a_hint():
    with pytest.raises(ConfigError, match=r"a must be an int or None, not a list: give one at a time"):
        check_type("a", [1, 2], int, type(None))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sfumato.rasterize(SCENE, [camera(), camera()]), "camera must be a Camera, not a list"),
        (lambda: sfumato.rasterize(SCENE, [camera(), camera()]), "give one at a time"),
        (lambda: sfumato.rasterize(camera(), SCENE), "gaussians must be a Gaussians, not a Camera"),
        (lambda: sfumato.rasterize("scene.ply", camera()), "gaussians must be a Gaussians, not a str"),
        (lambda: sfumato.rasterize(SCENE, camera(), (0, 0, 0)), "settings must be a RasterSettings"),
        (lambda: sfumato.rasterize(SCENE, camera(), sfumato.TraceSettings()), "not a TraceSettings"),
        (lambda: sfumato.raytrace(SCENE, torch.zeros(3)), "rays must be a Rays or a Camera, not a Tensor"),
        (lambda: sfumato.raytrace(None, camera()), "gaussians must be a Gaussians, not None"),
        (
            lambda: sfumato.raytrace(SCENE, camera(), sfumato.RasterSettings()),
            "settings must be a TraceSettings",
        ),
        (lambda: sfumato.load(None), "path must be the path of a file or folder, not None"),
        (lambda: sfumato.load(""), "not empty"),
        (lambda: sfumato.load(3), "not an int"),
        (lambda: sfumato.save("a.ply", SCENE), "gaussians must be a Gaussians, not a str"),
        (lambda: sfumato.save(SCENE, None), "path must be"),
        (lambda: sfumato.load_capture(["a"]), "path must be"),
        (lambda: sfumato.train("data"), "capture must be a Capture, not a str"),
        (lambda: sfumato.reconstruct("photos", "out"), "task must be a Reconstruction, not a str"),
        (lambda: sfumato.Reconstruction(3), "inputs must be a list or a tuple, not an int"),
        (lambda: sfumato.Reconstruction([None]), "input must be"),
        (lambda: camera(size_px=(16.5, 12)), "size_px is 16.5"),
        (lambda: camera(size_px=16), "size_px is 16; give two numbers"),
        (lambda: camera(size_px=("16", "12")), "size_px is '16'"),
        (lambda: camera(focal_px=20.0), "focal_px is 20.0; give two numbers"),
        (lambda: camera(focal_px=(20.0, float("nan"))), "focal_px is nan"),
        (lambda: camera(centre_px=(1.0, 2.0, 3.0)), "centre_px is (1.0, 2.0, 3.0); give two numbers"),
        (lambda: camera(camera_from_world=torch.eye(4).long()), "torch.int64; a pose needs floats"),
        (
            lambda: camera(camera_from_world=np.eye(4)),
            "camera_from_world must be a torch.Tensor, not ndarray",
        ),
        (lambda: camera(lens="fisheye"), "lens must be a Lens, not a str"),
        (lambda: camera(shutter="down"), "shutter must be a Shutter, not a str"),
        (lambda: sfumato.RasterSettings(near="0.1"), "near is '0.1'"),
        (lambda: sfumato.TraceSettings(background=0.5), "background is 0.5; give red, green and blue"),
        (lambda: sfumato.TrainConfig(minutes=float("inf")), "minutes is inf"),
        (
            lambda: sfumato.TrainConfig(adc=sfumato.AdcConfig(threshold=float("nan"))),
            "threshold",
        ),
    ],
)
def test_arguments_of_another_type_are_named(call, words):
    assert words in complaint(call)


def test_whole_sizes_of_a_camera_become_integers():
    made = camera(size_px=[np.float64(16), 12.0], focal_px=np.array([20, 21]))
    assert made.size_px == (16, 12) and type(made.size_px[0]) is int
    assert made.focal_px == (20.0, 21.0) and type(made.focal_px[0]) is float


def test_a_single_input_needs_no_list():
    assert [str(p) for p in sfumato.Reconstruction("photos").inputs] == ["photos"]
