import json
import logging
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.capture.readers import read_source
from sfumato.errors import CaptureError
from support.capture_folders import colmap_folder, write_transforms
from support.foreign_datasets import NAMES, WRITERS, same_poses, save_pictures, write_opensfm, write_polycam

KINDS = sorted(WRITERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_colmap_model_and_transforms_win_with_a_warning(tmp_path, caplog, kind):
    WRITERS[kind](tmp_path)
    for make, name in (
        (
            lambda: write_transforms(tmp_path / "transforms.json", ["t/a.png", "t/b.png"], fl_x=40.0),
            "transforms",
        ),
        (lambda: colmap_folder(tmp_path, names=("a.png", "b.png")), "a COLMAP model"),
    ):
        save_pictures(tmp_path / "t", ["a.png", "b.png"])
        make()
        caplog.clear()
        with caplog.at_level(logging.WARNING, "sfumato"):
            frames = read_source(tmp_path).frames
        assert {frame.path.name for frame in frames} == {"a.png", "b.png"}
        assert caplog.text.count(f"has {name} and ") == 1 and f"; using {name}" in caplog.text


def test_all_formats_found_are_named(tmp_path, caplog):
    for writer in WRITERS.values():
        writer(tmp_path)
    with caplog.at_level(logging.WARNING, "sfumato"):
        same_poses(read_source(tmp_path))
    assert (
        "has Polycam's raw data and an export of Record3D and cameras of Metashape and a camera table of "
        "RealityScan and a reconstruction of OpenSfM; using Polycam's raw data"
    ) in caplog.text


def test_masks_beside_the_pictures_are_found(tmp_path):
    write_polycam(tmp_path)
    save_pictures(tmp_path / "masks", ["shot_00.png"])
    masks = {frame.name: frame.mask_path for frame in read_source(tmp_path).frames}
    assert masks[NAMES[0]] == tmp_path / "masks/shot_00.png" and masks[NAMES[1]] is None


def test_a_list_in_a_json_file_is_a_reconstruction(tmp_path):
    path = write_opensfm(tmp_path, project=".")
    same_poses(read_source(path.rename(tmp_path / "best.json")))


@pytest.mark.parametrize("name", ["a.txt", "a.jpg", "missing"])
def test_other_folders_are_refused(tmp_path, name):
    if name != "missing":
        (tmp_path / name).write_text("")
    what = "is missing" if name == "missing" else "names no cameras"
    with pytest.raises(CaptureError, match=f"{what}; give the folder of a posed dataset"):
        read_source(tmp_path / name)


def test_a_link_to_a_folder_of_images_is_followed(tmp_path):
    root = tmp_path / "set"
    WRITERS["metashape"](root)
    (root / "images").rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", root / "images")
    same_poses(read_source(root))


def test_unused_depth_maps_give_a_warning(tmp_path, caplog):
    save_pictures(tmp_path, ["a.png", "b.png"])
    path = write_transforms(tmp_path / "transforms.json", ["a.png", "b.png"], fl_x=40.0)
    document = json.loads(path.read_text())
    document["frames"][0]["depth_file_path"] = "depth/a.png"
    path.write_text(json.dumps(document))
    with caplog.at_level(logging.WARNING, "sfumato"):
        read_source(tmp_path)
    assert "names depth maps; they are not used" in caplog.text


def test_world_transforms_of_other_programs_do_not_change_poses(tmp_path):
    save_pictures(tmp_path, ["a.png", "b.png"])
    plain = write_transforms(tmp_path / "transforms.json", ["a.png", "b.png"], fl_x=40.0)
    wanted = [frame.camera_from_world for frame in read_source(plain).frames]
    told = {
        "orientation_override": "up",
        "aabb_scale": 16,
        "scale": 0.33,
        "offset": [1, 2, 3],
        "applied_scale": 2.0,
    }
    write_transforms(plain, ["a.png", "b.png"], fl_x=40.0, applied_transform=np.eye(4)[:3].tolist(), **told)
    for frame, pose in zip(read_source(plain).frames, wanted, strict=True):
        np.testing.assert_array_equal(frame.camera_from_world, pose)


@pytest.fixture(scope="module")
def whole_datasets(tmp_path_factory):
    """{kind: (folder, the file to change, its bytes)}"""
    found = {}
    for kind, writer in WRITERS.items():
        root = tmp_path_factory.mktemp(kind)
        path = writer(root)
        found[kind] = (root, path, path.read_bytes())
    return found


edits = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=4),
            st.sampled_from(
                [b"NaN", b"1e400", b"-1", b"null", b"[]", b"{}", b'"', b",", b"\n", b"<", b"9" * 400]
            ),
        ),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits)
@pytest.mark.slow
def test_changed_bytes_are_read_or_give_a_one_line_error(whole_datasets, kind, changes):
    root, path, content = whole_datasets[kind]
    for action, where, data in changes:
        at = int(where * len(content))
        end = {"replace": at + len(data), "insert": at, "delete": at + len(data), "cut": len(content)}[action]
        content = content[:at] + (data if action in ("replace", "insert") else b"") + content[end:]
    path.write_bytes(content)
    for given_path in (root, path) if kind != "polycam" else (root,):
        try:
            source = read_source(given_path)
        except CaptureError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert all(np.isfinite(frame.camera_from_world).all() for frame in source.frames)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
        st.sampled_from(["shot_00.jpg", "../x", "perspective", "\ud800", "a" * 300, 10**400]),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize("kind", ["polycam", "record3d", "opensfm"])
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.slow
def test_changed_values_are_read_or_give_a_one_line_error(whole_datasets, kind, data):
    root, path, content = whole_datasets[kind]
    document = json.loads(content)
    place, key = {"root": document}, "root"
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.integers(0, 9)):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(VALUES)
    path.write_text(json.dumps(document if key != "root" else place[key]))
    try:
        source = read_source(root)
    except CaptureError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert all(np.isfinite(frame.camera_from_world).all() for frame in source.frames)
