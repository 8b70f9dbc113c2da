"""Selection of pictures from files and folders of any kind, and one-line errors."""

import logging
import os
import re

import av
import numpy as np
import pytest
from PIL import Image

from sfumato.errors import CaptureError
from sfumato.footage import FrameOptions, gather, read_footage, video
from sfumato.footage.photo_selection import sharpest_of_each_interval
from support.clips import pan, texture, write_photo, write_sound, write_video
from support.real_data import real_data

WIDE = texture(150, 900)


def photo(path, x=0, **options):
    return write_photo(path, WIDE[:, x : x + 200], **options)


def album(folder, count=4, **options):
    for i in range(count):
        photo(folder / f"{i}.jpg", 40 * i, **options)
    return folder


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_video_becomes_frames_in_order(tmp_path):
    clip = write_video(tmp_path / "my clip.mp4", pan(60, 3))
    footage = gather([clip], tmp_path / "out")
    assert len(footage.pictures) >= 15
    assert [p.name for p in footage.pictures] == sorted(p.name for p in footage.pictures)
    times = [p.time_s for p in footage.pictures]
    assert times == sorted(times) and max(np.diff(times)) < 0.3
    assert {p.sequence for p in footage.pictures} == {"my_clip"} and len(
        {p.camera for p in footage.pictures}
    ) == 1
    for picture in footage.pictures:
        with Image.open(footage.folder / picture.name) as image:
            assert image.size == picture.size_px == (160, 96)
    assert read_footage(tmp_path / "out") == footage


def test_the_same_input_gives_the_same_bytes(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", pan(40, 3))
    album(tmp_path / "photos", orientation=6)
    for out in ("one", "two"):
        gather([clip, tmp_path / "photos"], tmp_path / out)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_mix_has_one_camera_for_each(tmp_path):
    clips = [write_video(tmp_path / name / "clip.mp4", pan(20, 5, seed=i)) for i, name in enumerate("ab") if
             (tmp_path / name).mkdir() is None]  # fmt: skip
    album(tmp_path / "photos")
    album(tmp_path / "photos" / "sub", tags={271: "Maker", 272: "X1"})
    write_photo(tmp_path / "photos" / "tall.jpg", WIDE.transpose(1, 0, 2)[:200])
    write_photo(tmp_path / "photos" / ".hidden.jpg", WIDE)
    (tmp_path / "photos" / "notes.txt").write_text("notes")
    footage = gather([*clips, tmp_path / "photos"], tmp_path / "out", FrameOptions(keep_duplicates=True))
    groups = {p.name.split("/")[0] for p in footage.pictures}
    assert groups == {"clip", "clip_2", "photos", "sub"}
    cameras = {p.camera for p in footage.pictures}
    assert cameras == {
        "video clip", "video clip_2", "Maker X1 200x150", "folder photos 200x150", "folder photos 150x200"
    }  # fmt: skip
    assert not footage.dropped


def test_many_copies_among_photographs_are_removed(tmp_path):
    album(tmp_path / "photos", 5)
    album(tmp_path / "photos" / "copies", 5, quality=60)
    footage = gather([tmp_path / "photos"], tmp_path / "out")
    assert len(footage.pictures) == 5 and len(footage.dropped) == 5
    kept = {p.name.rsplit(".")[0] for p in footage.pictures}
    for dropped in footage.dropped:
        assert dropped.reason.removeprefix("near duplicate of ") in kept
    both = gather([tmp_path / "photos"], tmp_path / "out", FrameOptions(keep_duplicates=True))
    assert len(both.pictures) == 10


def test_one_broken_photograph_is_left_out(tmp_path, caplog):
    album(tmp_path / "photos")
    bad = photo(tmp_path / "photos" / "bad.jpg", 300)
    bad.write_bytes(bad.read_bytes()[:2000])
    (tmp_path / "photos" / "worse.jpg").write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING):
        footage = gather([tmp_path / "photos"], tmp_path / "out")
    assert len(footage.pictures) == 4 and len(footage.dropped) == 2
    assert all(d.reason.startswith("broken: ") for d in footage.dropped)
    assert "bad.jpg" in caplog.text and "worse.jpg" in caplog.text


def test_names_that_collide_stay_apart(tmp_path):
    album(tmp_path / "photos")
    write_photo(tmp_path / "photos" / "0.png", texture(150, 200, seed=8))
    write_photo(tmp_path / "other" / "photos" / "0.jpg", texture(150, 200, seed=9))
    footage = gather([tmp_path / "photos", tmp_path / "other" / "photos"], tmp_path / "out")
    assert len({p.name.lower().rsplit(".")[0] for p in footage.pictures}) == len(footage.pictures) == 6


def test_progress_is_reported(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", pan(20, 5))
    album(tmp_path / "photos")
    seen = []
    gather([clip, tmp_path / "photos"], tmp_path / "out", report=lambda *what: seen.append(what))
    assert ("reading clip.mp4", 20, 20) in seen and ("saving photographs", 4, 4) in seen
    assert all(done > 0 and (done <= total or total == 0) for _, done, total in seen)


def test_pictures_of_an_earlier_run_are_replaced_and_others_are_not(tmp_path):
    album(tmp_path / "a", 6)
    album(tmp_path / "b" / "photos")
    gather([tmp_path / "a"], tmp_path / "out")
    footage = gather([tmp_path / "b"], tmp_path / "out")
    assert sorted(contents(footage.folder)) == sorted(
        path.name for path in (tmp_path / "b" / "photos").iterdir()
    )
    (tmp_path / "other" / "images").mkdir(parents=True)
    (tmp_path / "other" / "images" / "mine.txt").write_text("mine")
    with pytest.raises(CaptureError, match="did not come from here"):
        gather([tmp_path / "a"], tmp_path / "other")
    with pytest.raises(CaptureError, match="both input and output"):
        gather([tmp_path / "out" / "images"], tmp_path / "out")
    assert (tmp_path / "other" / "images" / "mine.txt").exists()


def test_pictures_of_one_folder_keep_its_names_and_those_of_two_are_told_apart(tmp_path):
    album(tmp_path / "in" / "a")
    alone = gather([tmp_path / "in"], tmp_path / "out")
    album(tmp_path / "in" / "b", 5)
    both = gather([tmp_path / "in"], tmp_path / "out")
    assert {"/" in picture.name for picture in alone.pictures} == {False}
    assert {picture.name.split("/")[0] for picture in both.pictures} == {"a", "b"}
    assert sorted(contents(both.folder)) == [picture.name for picture in both.pictures]


def test_the_output_may_lie_among_the_inputs(tmp_path):
    album(tmp_path / "photos", orientation=3)
    first = gather([tmp_path / "photos"], tmp_path / "photos" / "out")
    assert gather([tmp_path / "photos"], tmp_path / "photos" / "out") == first
    assert len(first.pictures) == 4 and not first.dropped


def test_a_failed_run_leaves_the_earlier_one(tmp_path):
    album(tmp_path / "a")
    gather([tmp_path / "a"], tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(CaptureError):
        gather([write_sound(tmp_path / "s.mp4")], tmp_path / "out")
    with pytest.raises(CaptureError):
        gather([photo(tmp_path / "one.jpg")], tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert not (tmp_path / "out" / ".images.part").exists()


def text_named_mp4(folder):
    (folder / "a.mp4").write_text("a letter\n" * 100)


def cut_off(folder):
    path = write_video(folder / "a.mp4", pan(10, 4))
    path.write_bytes(path.read_bytes()[:-2000])


def sound(folder):
    write_sound(folder / "a.mp4")


def two_frames(folder):
    write_video(folder / "a.mp4", pan(2, 6))


def one_view(folder):
    write_video(folder / "a.mp4", pan(30, 0))


def broken_photo(folder):
    path = photo(folder / "a.mp4.jpg")
    os.replace(path, folder / "a.mp4")
    (folder / "a.mp4").write_bytes((folder / "a.mp4").read_bytes()[:1000])


def pipe(folder):
    os.mkfifo(folder / "a.mp4")


def empty_folder(folder):
    (folder / "a.mp4").mkdir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "does not exist"),
        (empty_folder, "holds no picture and no video"),
        (text_named_mp4, "is not a picture or video, judging by its content"),
        (cut_off, "without its index"),
        (sound, "only sound"),
        (two_frames, "only 2 distinct usable pictures"),
        (one_view, "only 1 distinct usable pictures"),
        (broken_photo, "all 1 photographs are broken"),
        (pipe, "neither a file nor a folder"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_bad_input_is_one_line(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(CaptureError, match=re.escape(message)) as error:
        gather([tmp_path / "a.mp4"], tmp_path / "out")
    assert "\n" not in str(error.value) and "; " in str(error.value)
    assert not (tmp_path / "out" / "images").exists()


def test_decoder_failures_are_one_line(tmp_path, monkeypatch):
    def fail(*_):
        raise av.FFmpegError(1, "Operation not permitted")

    clip = write_video(tmp_path / "clip.mp4", pan(5, 8))
    monkeypatch.setattr(video, "_decoded", fail)
    with pytest.raises(CaptureError, match=r"clip\.mp4 cannot be decoded .*; convert it"):
        gather([clip], tmp_path / "out")


def test_no_input_at_all_is_an_error(tmp_path):
    with pytest.raises(CaptureError, match="no input"):
        gather([], tmp_path / "out")


def test_three_distinct_frames_are_enough(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", pan(3, 8))
    assert len(gather([clip], tmp_path / "out").pictures) == 3


def test_a_white_wall_gives_frames_and_a_warning(tmp_path, caplog):
    clip = write_video(
        tmp_path / "wall.mp4", [np.full((96, 160, 3), 230 + i % 2, np.uint8) for i in range(60)]
    )
    with caplog.at_level(logging.WARNING):
        footage = gather([clip], tmp_path / "out")
    assert len(footage.pictures) >= 3 and "hardly anything but one colour" in caplog.text


@pytest.mark.slow
def test_a_real_video_gives_sharp_frames_all_along(tmp_path):
    footage = gather([real_data("can/Beer.mp4")], tmp_path / "out")
    times = [p.time_s for p in footage.pictures]
    assert 60 <= len(footage.pictures) <= 200
    assert times[0] < 1.0 and times[-1] > 22.5 and max(np.diff(times)) < 1.5
    assert min(p.sharpness for p in footage.pictures) > 2.0
    assert {"blurred"} == {d.reason for d in footage.dropped if "duplicate" not in d.reason}


def test_of_too_many_photographs_sharp_ones_are_taken_all_along(tmp_path):
    album(tmp_path / "photos", 18)
    for i in (4, 10):
        photo(tmp_path / "photos" / f"{i}.jpg", 40 * i, quality=3)
    footage = gather([tmp_path / "photos"], tmp_path / "out", FrameOptions(max_photos=6))
    assert len(footage.pictures) == 6
    left_out = [one for one in footage.dropped if one.reason == "left out: 6 photographs were wanted"]
    assert len(left_out) == 12
    assert gather([tmp_path / "photos"], tmp_path / "all").dropped == ()


def test_the_sharpest_of_each_interval_is_kept():
    assert sharpest_of_each_interval([1.0] * 4, 9) == [0, 1, 2, 3]
    assert sharpest_of_each_interval([1.0] * 9, 3) == [1, 4, 7]
    assert sharpest_of_each_interval([1.0, 1.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0], 3) == [2, 3, 7]
    assert len(set(sharpest_of_each_interval([1.0] * 350, 120))) == 120
