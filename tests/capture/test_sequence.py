"""Times of views, and captures as sequences of captures."""

import json
import math

import pytest

from sfumato.capture.dataset import load_capture
from support.capture_folders import picture, save, write_transforms


def dataset(folder, times):
    """A view for each time, as a transforms file tells it."""
    names = [f"images/{k}.png" for k in range(len(times))]
    path = write_transforms(folder / "transforms.json", names, camera_angle_x=1.0)
    content = json.loads(path.read_text())
    for k, (frame, time) in enumerate(zip(content["frames"], times, strict=True)):
        save(folder / names[k], picture(seed=k))
        if time is not None:
            frame["time"] = time
    path.write_text(json.dumps(content))
    return folder


def test_views_have_the_time_of_their_frame(tmp_path):
    capture = load_capture(dataset(tmp_path, [0.5, 1, None, -2.25]), test_every=0)
    assert [view.time for view in capture.views] == [0.5, 1.0, None, -2.25]


@pytest.mark.parametrize("time", ["noon", True, [1.0], math.inf, 10**400, {}])
def test_invalid_times_are_ignored(tmp_path, time):
    capture = load_capture(dataset(tmp_path, [0.5, time]), test_every=0)
    assert [view.time for view in capture.views] == [0.5, None]


def test_a_capture_is_a_sequence_of_captures(tmp_path):
    capture = load_capture(dataset(tmp_path, [0.2, 0.1, 0.2, 0.1, 0.3]), test_every=4)
    sequence = capture.sequence
    names = [[view.name for view in moment.views] for moment in sequence]
    assert names == [["images/1.png", "images/3.png"], ["images/0.png", "images/2.png"], ["images/4.png"]]
    assert [moment.test_names for moment in sequence] == [set(), {"images/0.png"}, {"images/4.png"}]
    assert all(moment.points is capture.points for moment in sequence)
    first = sequence[0].views[0]
    assert first.load() is capture.views[1].load(), "pictures are decoded once"


def test_a_static_capture_is_its_own_sequence(tmp_path):
    capture = load_capture(dataset(tmp_path, [None, None]), test_every=0)
    assert capture.sequence == (capture,)
