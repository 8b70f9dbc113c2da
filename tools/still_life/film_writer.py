"""Write a film's frames as a video file with its true cameras beside it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from phone_camera import SHUTTER_S, Shot

TIME_BASE = Fraction(1, 1000)
CODEC = {
    "preset": "veryslow",
    "tune": "psnr",
    "threads": "1",
    "g": "100",
    # With the AVX-512 code the same frames gave other bytes in one run of three; SSE2 gives those of plain C.
    "x264-params": "threads=1:lookahead-threads=1:asm=sse2",
}
BT601 = 5  # the matrix that readers assume for pictures of this size


def encode(path: Path, shots: list[Shot], crf: float) -> None:
    """Write ``shots`` as H.264 in MP4, each frame at its own time; the same input gives the same bytes."""
    height, width = shots[0].picture.shape[:2]
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(25, 2), options=CODEC | {"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.colorspace = BT601
        stream.codec_context.color_range = 1
        for shot in shots:
            frame = av.VideoFrame.from_ndarray(shot.picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=BT601, dst_color_range=1)
            frame.time_base, frame.pts = TIME_BASE, round(shot.time_s / TIME_BASE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decode(path: Path) -> list[np.ndarray]:
    """[h, w, 3] uint8 pictures of a video."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def encode_within(path: Path, shots: list[Shot], most_bytes: int) -> float:
    """Encode at the best quality, in steps of a half, that fits ``most_bytes``; returns that x264 crf."""
    good, bad = 40.0, 14.0
    while good - bad > 0.5:
        middle = round(good + bad) / 2
        encode(path, shots, middle)
        good, bad = (middle, bad) if path.stat().st_size <= most_bytes else (good, middle)
    encode(path, shots, good)
    return good


def cameras(video: str, shots: list[Shot]) -> str:
    """The text of cameras.json: what all frames share, then one line a frame."""
    width, height = shots[0].view.size_px
    head = {
        "video": video,
        "w": width,
        "h": height,
        "focal_px": shots[0].view.focal_px,
        "cx": width / 2,
        "cy": height / 2,
        "shutter_s": round(SHUTTER_S, 6),
    }
    lines = []
    for number, shot in enumerate(shots):
        frame = {
            "frame": number,
            "time_s": shot.time_s,
            "usable": shot.flaw is None,
            "flaw": shot.flaw,
            "blur_px": round(shot.blur_px, 2),
            "gain_rgb": np.round(shot.gain_rgb, 5).tolist(),
            "focal_px": shot.view.focal_px,
            "world_from_camera": np.round(shot.view.world_from_camera, 9).tolist(),
        }
        lines.append("  " + json.dumps(frame))
    return json.dumps(head, indent=1)[:-2] + ',\n "frames": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of two uint8 pictures, decibels."""
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def report(path: Path, shots: list[Shot], crf: float) -> str:
    """What came out, in words: size, and how far the decoded frames are from those that were encoded."""
    pairs = [(shot, picture) for shot, picture in zip(shots, decode(path), strict=True) if shot.flaw is None]
    coded = [psnr(shot.picture, picture) for shot, picture in pairs]
    sharp = [psnr(shot.sharp, picture) for shot, picture in pairs]
    size = path.stat().st_size
    rate = 8e-3 * size / shots[-1].time_s
    return (
        f"{path}: {size} bytes, {len(shots)} frames ({len(pairs)} usable), {rate:.0f} kbit/s at "
        f"crf {crf}; usable frames against what was encoded: median {np.median(coded):.2f} dB, least "
        f"{min(coded):.2f} dB; against the sharp pictures: median {np.median(sharp):.2f} dB"
    )
