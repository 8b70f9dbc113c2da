"""Small videos and photographs made for the tests."""

import struct
from fractions import Fraction

import av
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

MILLISECOND = Fraction(1, 1000)


def texture(height, width, seed=0):
    """uint8 [height, width, 3] of blobs of several sizes."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for sigma in (1.0, 3.0, 9.0):
        layer = gaussian_filter(rng.normal(size=(height, width, 3)), (sigma, sigma, 0))
        total += layer / layer.std()
    return np.clip(128 + 35 * total, 0, 255).astype(np.uint8)


def pan(count, step_px, size=(96, 160), seed=0):
    """Frames [h, w, 3] of a window moving to the right over a texture."""
    height, width = size
    wide = texture(height, width + int(np.ceil(count * step_px)) + 1, seed)
    return [np.ascontiguousarray(wide[:, round(i * step_px) :][:, :width]) for i in range(count)]


def marked(height=96, width=160):
    """A picture with red, green, blue and white quadrants, row by row."""
    picture = np.zeros((height, width, 3), np.uint8)
    h, w = height // 2, width // 2
    picture[:h, :w], picture[:h, w:], picture[h:, :w], picture[h:, w:] = (
        (220, 30, 30),
        (30, 220, 30),
        (30, 30, 220),
        (230, 230, 230),
    )
    return picture


def write_video(path, frames, *, times_ms=None, codec="libx264", pixels="yuv420p", setup=None):
    """Encode frames: uint8 RGB [h, w, 3], or av.VideoFrame; ``setup(stream)`` may change the stream."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        if codec == "libx264":
            stream.options = {"crf": "4", "preset": "ultrafast"}
        frames = [f if isinstance(f, av.VideoFrame) else av.VideoFrame.from_ndarray(f) for f in frames]
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, pixels
        if times_ms is not None:
            stream.codec_context.time_base = MILLISECOND
        if setup:
            setup(stream)
        for index, frame in enumerate(frames):
            frame.time_base = Fraction(1, 30) if times_ms is None else MILLISECOND
            frame.pts = index if times_ms is None else times_ms[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path):
    """A file with a second of silence and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for start in range(0, 8000, 1000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 8000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_photo(path, pixels, *, orientation=None, tags=None, **options):
    """Save a picture with EXIF: ``tags`` by number, those of another directory by (directory, number)."""
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    for tag, value in (tags or {}).items():
        directory, tag = (exif.get_ifd(tag[0]), tag[1]) if isinstance(tag, tuple) else (exif, tag)
        directory[tag] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path


def write_dng(path, mosaic, orientation=1):
    """A minimal RAW file: a mosaic [h, w] of red, green, green and blue with white at 65535."""
    height, width = mosaic.shape
    data = mosaic.astype("<u2").tobytes()
    matrix = struct.pack("<18i", *(v for i in range(9) for v in (int(i % 4 == 0), 1)))
    entries = [(254, "I", 0), (256, "I", width), (257, "I", height), (258, "H", 16), (259, "H", 1)]
    entries += [(262, "H", 32803), (271, "s", b"Maker\0"), (272, "s", b"X1\0"), (273, "I", None)]
    entries += [(274, "H", orientation), (277, "H", 1), (278, "I", height), (279, "I", len(data))]
    entries += [(33421, "2H", (2, 2)), (33422, "4B", (0, 1, 1, 2)), (50706, "4B", (1, 4, 0, 0))]
    entries += [(50717, "I", 65535), (50721, "10", matrix), (50728, "5", struct.pack("<6i", *[1] * 6))]
    kinds = {"B": 1, "s": 2, "H": 3, "I": 4}
    fields, later = [], b""
    start = 8 + 2 + 12 * len(entries) + 4
    pixels_at = start + sum(len(v) + len(v) % 2 for _, _, v in entries if isinstance(v, bytes) and len(v) > 4)
    for tag, form, value in entries:
        if isinstance(value, bytes):
            kind = kinds.get(form) or int(form)
            count, packed = len(value) // (1 if form == "s" else 8), value
        else:
            values = value if isinstance(value, tuple) else (pixels_at if value is None else value,)
            kind, count, packed = kinds[form[-1]], len(values), struct.pack(f"<{form}", *values)
        if len(packed) > 4:
            at, later = start + len(later), later + packed + b"\0" * (len(packed) % 2)
            packed = struct.pack("<I", at)
        fields.append(struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0"))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(fields) + b"\0" * 4
    path.write_bytes(head + later + data)
    return path
