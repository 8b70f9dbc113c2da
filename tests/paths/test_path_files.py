import contextlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.errors import ConfigError, FormatError
from sfumato.paths.look import field_of_view_deg, looking_at, pinhole
from sfumato.paths.path_files import KeyFrames, read_path, write_cameras

POSE = looking_at((1, -2, -5), (0, 0, 0)).tolist()


def write(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_key_frames_by_pose_or_by_what_they_look_at(tmp_path):
    keys = read_path(
        write(
            tmp_path / "keys.json",
            {
                "version": 1,
                "closed": True,
                "keyframes": [
                    {"position": [1, -2, -5], "look_at": [0, 0, 0], "fov_deg": 30, "time_s": 0},
                    {"camera_from_world": POSE, "time_s": 2},
                ],
            },
        )
    )
    assert isinstance(keys, KeyFrames) and keys.closed and keys.times_s == (0, 2)
    first, second = keys.cameras
    np.testing.assert_allclose(first.camera_from_world, second.camera_from_world, atol=1e-12)
    assert field_of_view_deg(first) == pytest.approx(30) and field_of_view_deg(second) == pytest.approx(30)
    assert len(keys.path(9)) == 9


def test_cameras_written_are_read_again(tmp_path):
    cameras = [pinhole(np.array(POSE), (64, 48), 40.0), pinhole(np.eye(4), (64, 48), 50.0)]
    write_cameras(tmp_path / "path.json", cameras, made_by="a test")
    for before, after in zip(cameras, read_path(tmp_path / "path.json"), strict=True):
        np.testing.assert_allclose(after.camera_from_world, before.camera_from_world, atol=1e-12)
        assert (after.focal_px, after.centre_px, after.size_px) == (
            before.focal_px,
            before.centre_px,
            before.size_px,
        )


MIRROR = np.diag([1.0, 1, -1, 1]).tolist()
CAMERA = {"camera_from_world": POSE, "focal_px": [9, 9], "size_px": [8, 8]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not a JSON file"),
        ({}, "not a camera path"),
        ([], "not a camera path"),
        ({"keyframes": []}, "not a camera path"),
        ({"version": 2, "cameras": [CAMERA]}, "not a camera path"),
        ({"keyframes": [3]}, "not a camera path"),
        ({"keyframes": [{}]}, "keyframe 1 needs"),
        ({"keyframes": [{"position": [0, 0, 0], "look_at": [0, 0, 0]}]}, "where it stands"),
        ({"keyframes": [{"position": [0, 0, 0], "look_at": [0, 0]}]}, "look_at must be 3"),
        ({"keyframes": [{"camera_from_world": POSE, "fov_deg": 180}]}, "field of view"),
        ({"keyframes": [{"camera_from_world": POSE, "fov_deg": None}]}, "fov_deg"),
        ({"keyframes": [{"camera_from_world": MIRROR}]}, "not rigid"),
        ({"keyframes": [{"camera_from_world": [[0] * 4] * 4}]}, "not rigid"),
        ({"keyframes": [{"camera_from_world": POSE[:3]}]}, "must be 4"),
        ({"keyframes": [{"camera_from_world": POSE}], "closed": 1}, "closed"),
        (
            {"keyframes": [{"camera_from_world": POSE, "time_s": 0}, {"camera_from_world": POSE}]},
            "in every keyframe or in none",
        ),
        ({"keyframes": [{"camera_from_world": POSE, "time_s": 1}] * 2}, "grow"),
        ({"cameras": [{**CAMERA, "size_px": [10**9, 8]}]}, "size_px"),
        ({"cameras": [{**CAMERA, "size_px": [8.5, 8]}]}, "size_px"),
        ({"cameras": [{**CAMERA, "focal_px": [0, 8]}]}, "focal_px"),
        ('{"cameras": [{"focal_px": [NaN, 1], "size_px": [8, 8]}]}', "focal_px"),
        ({"cameras": [CAMERA, {**CAMERA, "camera_from_world": "x"}]}, "camera 2"),
    ],
)
def test_invalid_paths_are_refused_by_name(tmp_path, document, words):
    with pytest.raises(FormatError, match=words) as error:
        read_path(write(tmp_path / "path.json", document))
    assert "path.json" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="nix"):
        read_path(tmp_path / "nix.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*CAMERA, "time_s"]), inner),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.dictionaries(st.sampled_from([*CAMERA, "time_s", "fov_deg", "up"]), JSON), max_size=3)
)
@pytest.mark.slow
def test_any_other_content_is_a_format_error(tmp_path, rows):
    for key in ("cameras", "keyframes"):
        with contextlib.suppress(FormatError):
            read_path(write(tmp_path / "path.json", {key: [{"camera_from_world": POSE, **r} for r in rows]}))
