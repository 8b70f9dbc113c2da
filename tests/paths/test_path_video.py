from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from sfumato.errors import ConfigError, ShapeError
from sfumato.paths.video_writer import even, write_video


def frames(count, size_px=(64, 48)):
    """Four coloured quadrants whose colours change from frame to frame."""
    for index in range(count):
        pixels = np.zeros((size_px[1], size_px[0], 3), np.uint8)
        pixels[:24, :32], pixels[:24, 32:] = (220, 30, 30), (30, 220, 30)
        pixels[24:, :32], pixels[24:, 32:] = (30, 30, 220), (40 * index, 40 * index, 40 * index)
        yield pixels


def test_a_video_has_the_usual_encoding_and_shows_the_frames(tmp_path):
    path = tmp_path / "out.mp4"
    write_video(path, frames(5), 29.97)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == pytest.approx(Fraction(2997, 100), rel=1e-3)
        decoded = list(container.decode(stream))
    assert [frame.pts * frame.time_base for frame in decoded] == pytest.approx(
        [i / 29.97 for i in range(5)], rel=1e-3
    )
    for frame, expected in zip(decoded, frames(5), strict=True):
        # BT.709, as tagged in the file.
        assert frame.colorspace == 1 and frame.color_range == 1
        pixels = frame.to_ndarray(format="rgb24", src_colorspace=1, dst_color_range=2).astype(int)
        for y in (12, 36):
            for x in (16, 48):
                np.testing.assert_allclose(pixels[y, x], expected[y, x], atol=6)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "players on the web need the index first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


def test_sides_become_even():
    assert even((63, 48)) == (64, 48) and even((64, 47)) == (64, 48)


def test_a_failed_video_leaves_no_file(tmp_path):
    def broken():
        yield from frames(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "out.mp4", broken())
    with pytest.raises(ShapeError, match="64x48 follows 63x47"):
        write_video(tmp_path / "out.mp4", [*frames(1, (63, 47)), *frames(1)])
    with pytest.raises(ConfigError, match="there are none"):
        write_video(tmp_path / "out.mp4", [])
    with pytest.raises(ConfigError, match=r"as \.mp4"):
        write_video(tmp_path / "out.avi", frames(1))
    assert not list(tmp_path.iterdir())


def test_tensors_become_frames_and_odd_sides_are_extended(tmp_path):
    grey = torch.full((47, 63, 3), 0.5)
    write_video(tmp_path / "out.mp4", [grey, grey.requires_grad_()], 10)
    with av.open(str(tmp_path / "out.mp4")) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in decoded] == [(48, 64, 3)] * 2
    np.testing.assert_allclose(decoded[1].astype(int), 128, atol=4)
