"""Feed a reader of scene files with what atheris makes of good files, as long as it is let.

    pip install atheris
    python tools/fuzz/fuzz_formats.py spz -max_total_time=180

The first argument is one of TARGETS, the others are libFuzzer's. A finding is anything but a scene of
finite numbers or a FormatError of one line, or more memory than twice the scene, or more than SLACK_BYTES
for what is no scene. The input is kept then, as ``crash-...``; given as an argument it is run again.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sfumato.scene.files", "zipfile", "json"]):
    from sfumato.errors import FormatError
    from sfumato.scene.files import load, save
    from sfumato.scene.files.dynamic_files import load_dynamic, save_dynamic

import torch

from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians

SLACK_BYTES = 48 << 20
MOST_INPUT_BYTES = 1 << 16
# Of a .ksplat file, what is worth changing of its two headers; the rest of them is zero.
KSPLAT_HEADS = ((4096, 64), (1024, 64))

logging.disable(logging.WARNING)


def blob(count: int, degree: int) -> Gaussians:
    """A small scene, the same each time."""
    random = torch.Generator().manual_seed(count + degree)
    return Gaussians(
        means=torch.randn(count, 3, generator=random),
        log_scales=torch.randn(count, 3, generator=random) - 3,
        quats=torch.randn(count, 4, generator=random),
        logit_opacities=torch.randn(count, generator=random),
        sh=0.3 * torch.randn(count, (degree + 1) ** 2, 3, generator=random),
    )


def written(folder: Path, name: str, degree: int, **options: object) -> bytes:
    """The bytes of a small scene file."""
    save(blob(5, degree), folder / name, **options)
    return (folder / name).read_bytes()


# Each target: name of the file, seeds, and what makes the file of an input. The first byte of an input
# says how it is wrapped where there are several ways.
Seeds = Callable[[Path], list[bytes]]
Wrap = Callable[[bytes], bytes]


def ply_seeds(folder: Path) -> list[bytes]:
    binary = [written(folder, "a.ply", degree) for degree in (0, 1, 3)]
    text = b"ply\nformat ascii 1.0\nelement vertex 2\n"
    names = [
        "x",
        "y",
        "z",
        "f_dc_0",
        "f_dc_1",
        "f_dc_2",
        "opacity",
        "scale_0",
        "scale_1",
        "scale_2",
        "rot_0",
        "rot_1",
        "rot_2",
        "rot_3",
    ]
    text += b"".join(f"property float {name}\n".encode() for name in names)
    text += b"end_header\n" + b"1 2 3 0 0 0 .5 -3 -3 -3 1 0 0 0\n" * 2
    extra = text.replace(b"element vertex", b"element face 1\nproperty list uchar int i\nelement vertex")
    return [*binary, text, extra.replace(b"end_header\n", b"end_header\n3 0 1 2\n")]


def spz_seeds(folder: Path) -> list[bytes]:
    packed = [written(folder, "a.spz", degree, version=v) for degree, v in ((0, 2), (3, 3), (1, 4))]
    plain = [b"\1" + gzip.decompress(packed[0]), b"\1" + gzip.decompress(packed[1])]
    return [*(b"\0" + data for data in packed), *plain]


def spz_wrap(data: bytes) -> bytes:
    return gzip.compress(data[1:], 1, mtime=0) if data[:1] == b"\1" else data[1:]


def sog_seeds(folder: Path) -> list[bytes]:
    whole = written(folder, "a.sog", 1)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    return [b"\0" + whole, *(bytes([i + 1]) + data for i, data in enumerate(members.values()))]


class SogWrap:
    """Bytes of an archive, of which the input may be all or one member."""

    def __init__(self, folder: Path) -> None:
        with zipfile.ZipFile(io.BytesIO(written(folder, "b.sog", 1))) as archive:
            self._members = {name: archive.read(name) for name in sorted(archive.namelist())}

    def __call__(self, data: bytes) -> bytes:
        which = data[0] % (len(self._members) + 1) if data else 0
        if not which:
            return data[1:]
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for i, (name, content) in enumerate(self._members.items()):
                archive.writestr(name, data[1:] if i + 1 == which else content)
        return out.getvalue()


def ksplat_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for level, row in ((0, 44 + 36), (1, 24 + 18), (2, 24 + 9)):
        head = bytes([0, 1, 0, 0]) + b"".join(n.to_bytes(4, "little") for n in (1, 1, 4, 4))
        head += level.to_bytes(2, "little") + bytes(14) + bytes([0, 0, 0xC0, 0xBF, 0, 0, 0xC0, 0x3F])
        buckets = 0 if level == 0 else 1
        numbers = (4, 4, 256, buckets)
        section = b"".join(n.to_bytes(4, "little") for n in numbers) + b"\0\0\xa0\x40" + b"\x0c\0\0\0"
        section += (32767 if level else 1).to_bytes(4, "little") + bytes(4)
        section += (0).to_bytes(4, "little") + buckets.to_bytes(4, "little") + b"\1\0"
        body = (4).to_bytes(4, "little") * buckets + bytes(12) * buckets + bytes([60]) * (4 * row)
        seeds.append(b"\1" + head.ljust(64, b"\0") + section.ljust(64, b"\0") + body)
    return seeds


def ksplat_wrap(data: bytes) -> bytes:
    if data[:1] != b"\1":
        return data[1:]
    parts, at = [], 1
    for size, given in KSPLAT_HEADS:
        parts.append(data[at : at + given].ljust(size, b"\0"))
        at += given
    return b"".join([*parts, data[at:]])


def gltf_seeds(folder: Path) -> list[bytes]:
    text = written(folder, "a.gltf", 0)
    spz = written(folder, "b.spz", 0)
    kernel = {"extensions": {"KHR_gaussian_splatting_compression_spz_2": {"bufferView": 0}}}
    root = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"children": [1], "scale": [2, 2, 1]}, {"mesh": 0, "rotation": [0, 0, 0.6, 0.8]}],
        "meshes": [{"primitives": [{"extensions": {"KHR_gaussian_splatting": kernel}}]}],
        "bufferViews": [{"buffer": 0, "byteLength": len(spz)}],
        "buffers": [{"byteLength": len(spz)}],
    }
    content = json.dumps(root).encode()
    content += b" " * (-len(content) % 4)
    head = len(content).to_bytes(4, "little") + b"JSON" + content
    packed = head + len(spz).to_bytes(4, "little") + b"BIN\0" + spz
    packed = b"glTF" + (2).to_bytes(4, "little") + (len(packed) + 12).to_bytes(4, "little") + packed
    return [written(folder, "a.glb", 0), written(folder, "a.glb", 1), text, packed]


def usd_seeds(folder: Path) -> list[bytes]:
    return [written(folder, "a.usda", degree) for degree in (0, 1)]


def four_dgs_seeds(folder: Path) -> list[bytes]:
    times, ids = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), torch.tensor([1, 3])
    means, quats = torch.rand(3, 2, 3), torch.nn.functional.normalize(torch.rand(3, 2, 4), dim=2)
    birth, death = torch.tensor([0, 1]), torch.tensor([3, 3])
    save_dynamic(DynamicScene(blob(5, 0), ids, times, means, quats, birth, death), folder / "a.4dgs")
    with zipfile.ZipFile(folder / "a.4dgs") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = len(members["meta.json"]).to_bytes(2, "little")
    inside = head + members["meta.json"] + zlib.decompress(members["motion.bin"])
    return [b"\0" + (folder / "a.4dgs").read_bytes(), b"\1" + inside]


def four_dgs_wrap(data: bytes) -> bytes:
    """The input as a whole, or as a description and a motion, past checksums and compression."""
    if data[:1] != b"\1":
        return data[1:]
    at = 3 + int.from_bytes(data[1:3], "little")
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(out, "w") as archive:
        archive.writestr("meta.json", data[3:at])
        archive.writestr("scene.spz", written(Path(folder), "a.spz", 0))
        archive.writestr("motion.bin", zlib.compress(data[at:], 1))
    return out.getvalue()


def same(data: bytes) -> bytes:
    return data


TARGETS: dict[str, tuple[str, Seeds, Wrap | None]] = {
    "ply": ("a.ply", ply_seeds, same),
    "compressed_ply": (
        "a.ply",
        lambda folder: [written(folder, "a.compressed.ply", degree) for degree in (0, 3)],
        same,
    ),
    "splat": ("a.splat", lambda folder: [written(folder, "a.splat", 0)], same),
    "spz": ("a.spz", spz_seeds, spz_wrap),
    "sog": ("a.sog", sog_seeds, None),
    "ksplat": ("a.ksplat", ksplat_seeds, ksplat_wrap),
    "gltf": ("a.gltf", gltf_seeds, same),
    "usd": ("a.usda", usd_seeds, same),
    "4dgs": ("a.4dgs", four_dgs_seeds, four_dgs_wrap),
}


def read_once(path: Path) -> None:
    """Read a file; AssertionError for a finding."""
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    try:
        scene = load_dynamic(path).gaussians if path.suffix == ".4dgs" else load(path)
    except FormatError as error:
        message = str(error)
        assert len(message.splitlines()) == 1 and message.isprintable(), f"not one line: {message!r}"
        scene, allowed = None, SLACK_BYTES
    else:
        fields = scene.tensors().values()
        assert all(bool(torch.isfinite(field).all()) for field in fields), "numbers that are not finite"
        allowed = SLACK_BYTES + 2 * sum(field.nbytes for field in fields)
    taken = resident("VmHWM") - before
    assert taken <= allowed, f"{taken} bytes of memory for {path.stat().st_size} bytes of file"


def resident(key: str) -> int:
    """Bytes of memory this process has (VmRSS) or had at most (VmHWM)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(key))


def main() -> None:
    """Fuzz one target."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(TARGETS)} [options of libFuzzer]")
    name, seeds, wrap = TARGETS[sys.argv[1]]
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        folder = Path(scratch)
        corpus = folder / "corpus"
        corpus.mkdir()
        for index, data in enumerate(seeds(folder)):
            (corpus / str(index)).write_bytes(data)
        wrap = wrap or SogWrap(folder)
        path = folder / name

        def one(data: bytes) -> None:
            path.write_bytes(wrap(data))
            read_once(path)

        options = [sys.argv[0], *sys.argv[2:], f"-max_len={MOST_INPUT_BYTES}", "-timeout=20"]
        if all(argument.startswith("-") for argument in sys.argv[2:]):
            options.append(str(corpus))
        atheris.Setup(options, one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
