"""Colours of real video formats are decoded correctly: 4:2:0, ten bits, HLG, PQ, every matrix."""

import logging
from itertools import product
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from sfumato.footage import hdr
from sfumato.footage.kinds import Kind
from sfumato.footage.orientation import odd_colours, upright
from sfumato.footage.photos import examine, place
from sfumato.footage.video import open_video
from sfumato.footage.video_frames import measure
from support.clips import write_video

LEFT, RIGHT = (0.75, 0.45, 0.3), (0.2, 0.5, 0.9)
# Kr and Kb of the matrices by the number of their tag (ITU-T H.273, table 4).
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
SDR, PQ, HLG, WIDE = (1, 1), (16, 9), (18, 9), (14, 9)
CURVES = {PQ: hdr.PQ, HLG: hdr.HLG, WIDE: hdr.BT2020_SDR}


def frame_of(form, size, *, matrix=1, full=False, kind=SDR, tagged=True):
    """A frame of two halves in Y'CbCr, computed here and not by the library that is tested."""
    frame = av.VideoFrame(*size, form)
    bits = frame.format.components[0].bits
    kr, kb = WEIGHTS[matrix]
    steps = 1 << (bits - 8)
    for plane, number in zip(frame.planes, range(4), strict=False):
        values = np.zeros(
            (plane.height, plane.line_size // (1 if bits == 8 else 2)), "u1" if bits == 8 else "<u2"
        )
        for columns, (r, g, b) in (
            (slice(plane.width // 2), LEFT),
            (slice(plane.width // 2, plane.width), RIGHT),
        ):
            y = kr * r + (1 - kr - kb) * g + kb * b
            share = (y, (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr), 1.0)[number]
            middle = 0.0 if number in (0, 3) else 128.0
            if full or number == 3:
                values[:, columns] = round(share * ((1 << bits) - 1) + middle * steps)
            else:
                values[:, columns] = round((share * (224 if middle else 219) + (middle or 16)) * steps)
        plane.update(values.tobytes())
    frame.color_range = 2 if full else 1
    frame.colorspace = matrix if tagged else 2
    frame.color_trc, frame.color_primaries = kind
    return frame


def expected(kind):
    """uint8 [2, 3] of the halves."""
    if kind == SDR:
        return np.rint(np.array([LEFT, RIGHT]) * 255)
    return hdr.to_srgb(np.rint(np.array([[LEFT, RIGHT]]) * 65535).astype(np.uint16), CURVES[kind])[0].astype(
        float
    )


def worst(picture, kind):
    """Largest error over both halves, except at their border, where subsampled chroma is blended."""
    width = picture.shape[1]
    left, right = picture[:, : width // 2 - 8], picture[:, width // 2 + 8 :]
    return max(
        float(np.abs(half - colour).max()) for half, colour in zip((left, right), expected(kind), strict=True)
    )


def stream_of(**tags):
    context = SimpleNamespace(**{"color_trc": 2, "color_primaries": 2, "colorspace": 2, **tags})
    return SimpleNamespace(sample_aspect_ratio=None, codec_context=context)


@pytest.mark.parametrize("kind", [SDR, PQ, HLG, WIDE], ids=["sdr", "pq", "hlg", "wide"])
@pytest.mark.parametrize(
    "form",
    [
        "yuv420p",
        "yuv422p",
        "yuv444p",
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p10le",
        "yuv420p12le",
        "yuva420p10le",
    ],
)
def test_every_storage_format_preserves_colours(form, kind):
    for size, full, matrix in product(((64, 36), (63, 37)), (False, True), WEIGHTS if kind == SDR else (9,)):
        frame = frame_of(form, size, matrix=matrix, full=full, kind=kind)
        # A step of eight bits is 1/219, which HDR transfer curves map to several steps of sRGB.
        bound = 3 if kind == SDR or "p1" in form else 8
        assert worst(upright(frame, stream_of(), 4096), kind) <= bound, (size, full, matrix)


def test_without_a_matrix_wide_colour_has_that_of_its_standard_and_small_pictures_their_own():
    for kind, matrix in ((HLG, 9), (WIDE, 9), (SDR, 6)):
        frame = frame_of("yuv420p10le", (64, 36), matrix=matrix, kind=kind, tagged=False)
        assert worst(upright(frame, stream_of(), 4096), kind) <= 3
    frame = frame_of("yuv420p", (64, 36), matrix=1, tagged=False)
    assert worst(upright(frame, stream_of(colorspace=1), 4096), SDR) <= 3, (
        "the stream says what the frame does not"
    )


@pytest.mark.parametrize("kind", [PQ, HLG], ids=["pq", "hlg"])
@pytest.mark.parametrize(("codec", "suffix", "bound"), [("ffv1", "mkv", 3), ("libx264", "mp4", 10)])
@pytest.mark.parametrize("degrees", [0, 90])
def test_a_clip_as_phones_write_it_keeps_its_colours(tmp_path, kind, codec, suffix, bound, degrees):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")

    def setup(stream):
        context = stream.codec_context
        context.colorspace, context.color_range = 9, 1
        context.color_trc, context.color_primaries = kind
        if degrees:
            stream.set_display_rotation(degrees)

    frames = [frame_of("yuv420p10le", (160, 96), matrix=9, kind=kind) for _ in range(2)]
    path = write_video(tmp_path / f"a.{suffix}", frames, codec=codec, pixels="yuv420p10le", setup=setup)
    video = open_video(path)
    (found,) = (p for _, p in video.pictures([0], measure(video, lambda *_: None)[1], 1920))
    assert found.shape[:2] == ((160, 96) if degrees else (96, 160))
    assert worst(np.rot90(found, -degrees // 90), kind) <= bound


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"colorspace": 14}, "ICtCp"),
        ({"colorspace": 8}, "YCgCo"),
        ({"codec_tag": "dvh1"}, "profile 5"),
        ({}, None),
    ],
)
def test_colours_that_are_unknown_are_named(tags, words):
    found = odd_colours(frame_of("yuv420p", (64, 48), tagged=False, kind=(2, 2)), stream_of(**tags))
    assert (words in found) if words else found is None


@pytest.mark.parametrize("odd", [None, "it is in odd colours"])
def test_unknown_colours_give_one_warning(tmp_path, caplog, monkeypatch, odd):
    frames = [frame_of("yuv420p", (64, 48)) for _ in range(3)]
    video = open_video(write_video(tmp_path / "a.mkv", frames))
    monkeypatch.setattr("sfumato.footage.video.odd_colours", lambda frame, stream: odd)
    with caplog.at_level(logging.WARNING):
        assert len(list(video.frames())) == 3
    assert [f"{odd}; colours will be wrong" in text for text in caplog.messages] == ([True] if odd else [])


@pytest.mark.parametrize("kind", [SDR, PQ, HLG], ids=["sdr", "pq", "hlg"])
def test_photographs_of_high_dynamic_range_are_shown_as_they_are_meant(tmp_path, kind):
    heif = pytest.importorskip("pillow_heif", reason="the extra 'heic' is not installed")
    signal = np.empty((48, 96, 3), np.uint16)
    signal[:, :48], signal[:, 48:] = (np.rint(np.array(c) * 65535) for c in (LEFT, RIGHT))
    file = heif.HeifFile()
    file.add_frombytes("RGB;16", (96, 48), signal.tobytes())
    path = tmp_path / "a.heic"
    file.save(
        path,
        quality=-1,
        chroma=444,
        color_primaries=kind[1],
        transfer_characteristics=kind[0],
        matrix_coefficients=9,
        full_range_flag=1,
    )
    photo = examine(path, Kind.HEIC)
    with Image.open(place(photo, tmp_path / "photo", 2400)) as image:
        assert worst(np.asarray(image), kind) <= 6
