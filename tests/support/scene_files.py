"""Scenes, damaged files and pictures for the tests of every format."""

import math
from pathlib import Path

import torch
from hypothesis import strategies as st

from sfumato import rasterize
from sfumato.errors import FormatError
from sfumato.scene.cameras import Camera
from sfumato.scene.files.values import checked
from sfumato.scene.gaussians import Gaussians


def blob(n: int = 600, degree: int = 3, seed: int = 0) -> Gaussians:
    """Gaussians as after training, without any symmetry."""
    g = torch.Generator().manual_seed(seed)
    rest = 0.15 * torch.randn(n, (degree + 1) ** 2 - 1, 3, generator=g)
    return Gaussians(
        means=torch.randn(n, 3, generator=g) * torch.tensor([1.0, 0.6, 0.4]),
        log_scales=torch.randn(n, 3, generator=g) * 0.5 - 2.5,
        quats=torch.randn(n, 4, generator=g) * 2,
        logit_opacities=torch.randn(n, generator=g) * 1.5,
        sh=torch.cat([torch.rand(n, 1, 3, generator=g) * 3 - 1.5, rest], dim=1),
    )


def camera(size_px: int = 48, away: float = 3.5) -> Camera:
    """A camera that looks at the origin from the front, above and left."""
    forward = torch.nn.functional.normalize(torch.tensor([0.45, 0.3, 0.84]), dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), forward), dim=0)
    pose = torch.eye(4)
    pose[:3, :3] = torch.stack([right, torch.linalg.cross(forward, right), forward])
    pose[2, 3] = away
    return Camera(pose, (size_px * 1.2,) * 2, (size_px / 2,) * 2, (size_px,) * 2)


def psnr(one: Gaussians, other: Gaussians) -> float:
    """Between pictures of two scenes from the same camera, in dB."""
    pictures = [rasterize(scene, camera()).image for scene in (one, other)]
    error = float((pictures[0] - pictures[1]).square().mean())
    assert float(pictures[0].std()) > 0.05, "there is nothing to see"
    return -10 * math.log10(max(error, 1e-12))


def turns(quats: torch.Tensor) -> torch.Tensor:
    """Unit quaternions with w of 0 or more."""
    unit = torch.nn.functional.normalize(quats)
    return unit * torch.where(unit[:, :1] < 0, -1.0, 1.0)


changes = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\xc0\x7f", b"9999999999", b"-1", b"null", b"[]"]),
        ),
    ),
    min_size=1,
    max_size=4,
)


def changed(content: bytes, edits: list) -> bytes:
    """Bytes after the edits; half of them are in the first 2000 bytes, which contain the header."""
    for index, (action, where, data) in enumerate(edits):
        at = int(where * (min(len(content), 2000) if index % 2 else len(content)))
        end = {"replace": at + len(data), "insert": at, "delete": at + len(data), "cut": len(content)}[action]
        content = content[:at] + (data if action in ("replace", "insert") else b"") + content[end:]
    return content


STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SLACK_BYTES = 48 << 20


def memory(key: str) -> int:
    """Memory of this process in bytes (VmRSS), or its peak since RESET was written to (VmHWM); on Linux."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) << 10


def assert_scene_or_format_error(load, path: Path) -> None:
    """Check that loading gives a finite scene or a one-line error, and needs little memory."""
    taken, held = _taken_and_held(load, path)
    # Other threads also allocate memory, so a high value is confirmed by a second measurement.
    if taken > SLACK_BYTES + 2 * held:
        taken, held = _taken_and_held(load, path)
    assert taken <= SLACK_BYTES + 2 * held


def _taken_and_held(load, path: Path) -> tuple[int, int]:
    """Peak memory of loading in bytes, 0 if unknown, and that of the scene."""
    before, held = 0, 0
    if RESET.exists():
        RESET.write_text("5")
        before = memory("VmRSS")
    try:
        # Results of readers of single formats are validated as in ``scene.files.load``.
        scene = checked(load(path), path, repair=False)
    except FormatError as error:
        assert len(str(error).splitlines()) == 1 and str(error).isprintable()
    else:
        arrays = list(scene.tensors().values())
        assert all(bool(torch.isfinite(array).all()) for array in arrays)
        held = sum(array.nbytes for array in arrays)
    return (memory("VmHWM") - before if RESET.exists() else 0), held
