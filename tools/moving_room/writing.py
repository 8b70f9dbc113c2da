"""Write the sequence: a video for each camera, the calibration, the true tracks."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from export import replace_file
from film_writer import BT601, CODEC
from movers import RATE_HZ, STEPS, Mover
from rig import cameras
from staging import move
from true_tracks import true_tracks

from render import View, depth_map, develop

EXPOSURE = 2.4


def encode(path: Path, pictures: np.ndarray, crf: float) -> None:
    """Write ``pictures`` [t, h, w, 3] (uint8) as H.264 in MP4; the same input gives the same bytes."""
    height, width = pictures.shape[1:3]
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options=CODEC | {"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = BT601, 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=BT601, dst_color_range=1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _encode_all(folder: Path, pictures: dict[str, np.ndarray], most_bytes: int) -> float:
    """Encode all cameras at the best common quality that fits ``most_bytes``; returns that x264 crf."""

    def size_at(crf: float) -> int:
        for name, frames in pictures.items():
            encode(folder / f"{name}.mp4", frames, crf)
        return sum((folder / f"{name}.mp4").stat().st_size for name in pictures)

    good, bad = 40.0, 6.0
    while good - bad > 0.5:
        middle = round(good + bad) / 2
        good, bad = (middle, bad) if size_at(middle) <= most_bytes else (good, middle)
    size_at(good)
    return good


def poses_bounds(views: list[View], depths_m: np.ndarray) -> np.ndarray:
    """[n, 17] cameras as LLFF and Neural 3D Video write them.

    Args:
        views: the cameras.
        depths_m: [n, 2] nearest and farthest camera z.
    """
    rows = []
    for view, depths in zip(views, depths_m, strict=True):
        right, up, back, eye = view.world_from_camera[:3].T
        width, height = view.size_px
        matrix = np.stack([-up, right, back, eye, (height, width, view.focal_px)], axis=1)
        rows.append(np.concatenate([matrix.ravel(), depths]))
    return np.array(rows)


def _depths(scene, things: list[Mover], views: list[View]) -> np.ndarray:
    """[n, 2] nearest and farthest camera z of each view over all steps."""
    found = []
    for step in range(STEPS):
        move(scene, things, step / RATE_HZ)
        maps = [depth_map(scene, view.resized(0.5)) for view in views]
        found.append([(depths.min(), depths.max()) for depths in maps])
    nearest, farthest = np.array(found).transpose(2, 0, 1)
    return np.stack([nearest.min(axis=0), farthest.max(axis=0)], axis=1)


def write_sequence(scene, things: list[Mover], radiance: np.ndarray, options) -> None:
    """Write everything into ``options.out``.

    Args:
        scene: of ``staging.stage``.
        things: that move in it.
        radiance: [t, n, h, w, 3] linear pictures.
        options: of ``make.py``.
    """
    views, out = cameras(), options.out
    out.mkdir(parents=True, exist_ok=True)
    pictures = {
        name: np.stack([develop(frame.astype(float), EXPOSURE) for frame in radiance[:, index]])
        for index, name in enumerate(views)
    }
    crf = _encode_all(out, pictures, options.most_bytes)
    cameras_file = poses_bounds(list(views.values()), _depths(scene, things, list(views.values())))
    replace_file(out / "poses_bounds.npy", lambda path: np.save(path, cameras_file))
    tracks = true_tracks(scene, things, views, options.seed)
    replace_file(out / "tracks.npz", lambda path: np.savez_compressed(path, **tracks))
    counts = dict(zip(tracks["object_names"].tolist(), np.bincount(tracks["object"]).tolist(), strict=True))
    size = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    print(f"{len(views)} videos of {len(radiance)} frames at crf {crf:g}; {size} bytes; points {counts}")
