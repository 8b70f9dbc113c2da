"""Videos are found by content and decoded upright, in the right colours and at the right times."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest

from sfumato.errors import CaptureError
from sfumato.footage import hdr, video
from sfumato.footage.video import open_video
from sfumato.footage.video_frames import measure
from support.clips import marked, pan, texture, write_sound, write_video


def pictures(path, indices, longest=1920):
    video = open_video(path)
    return dict(video.pictures(indices, measure(video, lambda *_: None)[1], longest))


def first_picture(path, longest=1920):
    return pictures(path, [0], longest)[0].astype(int)


def corners(picture):
    return [picture[y, x].tolist() for y in (8, -8) for x in (8, -8)]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pictures_are_turned_and_mirrored_as_the_side_data_asks(tmp_path, degrees, flip):
    path = write_video(
        tmp_path / "a.mp4", [marked()] * 2, setup=lambda s: s.set_display_rotation(degrees, hflip=flip)
    )
    expected = np.rot90(marked(), degrees // 90)
    expected = expected[:, ::-1] if flip else expected
    found = first_picture(path)
    assert found.shape == expected.shape
    assert np.abs(np.array(corners(found)) - corners(expected.astype(int))).max() < 12


@pytest.mark.parametrize(("space", "matrix"), [("itu709", 1), ("itu601", 5)])
@pytest.mark.parametrize(("scale", "tag"), [("MPEG", 1), ("JPEG", 2)])
def test_the_matrix_and_range_are_those_of_the_tags(tmp_path, space, matrix, scale, tag):
    frame = av.VideoFrame.from_ndarray(marked()).reformat(
        format="yuv420p", dst_colorspace=space, dst_color_range=scale
    )
    frame.colorspace, frame.color_range = matrix, tag

    def setup(stream):
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, tag

    found = first_picture(write_video(tmp_path / "a.mkv", [frame], setup=setup))
    assert np.abs(np.array(corners(found)) - corners(marked().astype(int))).max() < 8


@pytest.mark.parametrize(("transfer", "tag", "white"), [(hdr.PQ, 16, 0.5807), (hdr.HLG, 18, 0.75)])
def test_high_dynamic_range_is_shown_as_it_is_meant(tmp_path, transfer, tag, white):
    signal = np.zeros((64, 96, 3), np.uint16)
    signal[:, 48:] = round(white * 65535)
    frame = av.VideoFrame.from_ndarray(signal, format="rgb48le").reformat(
        format="yuv444p10le", dst_colorspace="bt2020", dst_color_range="MPEG"
    )
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, tag, 9

    def setup(stream):
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_trc, context.color_primaries = 9, 1, tag, 9

    path = write_video(tmp_path / "a.mkv", [frame], codec="ffv1", pixels="yuv444p10le", setup=setup)
    found = first_picture(path)
    expected = hdr.to_srgb(signal, transfer).astype(int)
    assert np.abs(found - expected).max() <= 3 and expected.max() > 200


def test_pixels_that_are_not_square_are_made_square(tmp_path):
    def setup(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    found = first_picture(write_video(tmp_path / "a.mkv", [marked(96, 160)], setup=setup))
    assert found.shape[:2] == (72, 160)


def test_large_frames_are_made_smaller_by_area_average(tmp_path):
    path = write_video(tmp_path / "a.mkv", [texture(96, 160)], codec="ffv1", pixels="yuv444p")
    whole, half = first_picture(path), first_picture(path, 80)
    assert np.abs(whole.reshape(48, 2, 80, 2, 3).mean(axis=(1, 3)) - half).max() <= 0.51


def test_times_are_those_of_the_frames_and_not_of_their_number(tmp_path):
    times = [0, 40, 80, 400, 410, 1000]
    path = write_video(tmp_path / "a.mkv", pan(6, 4), times_ms=times)
    frames = list(open_video(path).frames())
    assert [frame.time_s for frame in frames] == pytest.approx(np.array(times) / 1000)


def test_frames_are_small_grey_and_of_full_range(tmp_path):
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[:, 640:] = 255
    (frame,) = open_video(write_video(tmp_path / "a.mp4", [picture])).frames()
    assert frame.luma.shape == (360, 640) and frame.luma.dtype == np.uint8
    assert frame.luma.min() <= 2 and frame.luma.max() >= 253


def test_chosen_pictures_are_those_frames(tmp_path):
    frames = pan(20, 5)
    found = pictures(write_video(tmp_path / "a.mp4", frames), [3, 11, 19])
    assert sorted(found) == [3, 11, 19]
    for index, picture in found.items():
        differences = [np.abs(picture.astype(int) - frame).mean() for frame in frames]
        assert int(np.argmin(differences)) == index


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
@pytest.mark.slow
def test_seeking_to_key_frames_changes_nothing(tmp_path, monkeypatch, suffix):
    def setup(stream):
        stream.codec_context.gop_size = 10
        stream.options = {"preset": "veryfast", "bf": "2"}

    path = write_video(tmp_path / f"a.{suffix}", pan(90, 3), setup=setup)
    assert len(measure(open_video(path), lambda *_: None)[1].keys) >= 8
    wanted = [2, 31, 45, 46, 79, 88]
    quick = pictures(path, wanted)
    monkeypatch.setattr(video, "_FAR", 1000)
    slow = pictures(path, wanted)
    assert list(quick) == list(slow) == wanted
    assert all(np.array_equal(quick[index], slow[index]) for index in wanted)


@pytest.mark.parametrize(
    "content", [b"", b"not a film\n" * 50, b"#EXTM3U\nhttp://localhost/a.ts\n", b"\0" * 4096]
)
def test_other_files_are_not_videos(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    assert open_video(tmp_path / "a.mp4") is None


def test_lists_of_files_are_not_followed(tmp_path):
    write_video(tmp_path / "a.mp4", pan(3, 4))
    (tmp_path / "b.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    assert open_video(tmp_path / "b.mp4") is None


def test_sound_alone_is_an_error(tmp_path):
    with pytest.raises(CaptureError, match="only sound"):
        open_video(write_sound(tmp_path / "a.mp4"))


def test_huge_frames_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "MAX_PIXELS", 96 * 160 - 1)
    with pytest.raises(CaptureError, match="160x96 pixels"):
        open_video(write_video(tmp_path / "a.mp4", pan(3, 4)))


def test_the_existing_part_of_a_truncated_file_is_used(tmp_path, caplog):
    path = write_video(tmp_path / "a.mkv", pan(60, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        found = len(list(open_video(path).frames()))
    assert 10 <= found < 60


def test_missing_indexed_frames_give_a_warning(tmp_path, caplog):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for picture in pan(60, 3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with caplog.at_level(logging.WARNING):
        found = len(list(open_video(path).frames()))
    assert 5 <= found < 54 and "of its 60 frames can be decoded" in caplog.text
