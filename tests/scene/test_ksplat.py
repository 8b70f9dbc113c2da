"""`.ksplat`: every level of compression, written here independently of the package."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from sfumato.errors import FormatError
from sfumato.scene.files import load, recognised, save
from support.real_data import real_splats
from support.scene_files import assert_scene_or_format_error, blob, changed, changes, turns

EXAMPLES = 300
BLOCK, STEPS = 5.0, 32767


def section(scene, level: int, bucket_size: int = 4) -> tuple[bytes, bytes]:
    """Header and content of a section; from level 1 on, full buckets and a partial one."""
    n, degree = len(scene), scene.sh_degree
    full, rest = divmod(n, bucket_size)
    buckets, partial = (full + (rest > 0), int(rest > 0)) if level else (0, 0)
    centres = [scene.means[i * bucket_size : (i + 1) * bucket_size].mean(0).numpy() for i in range(buckets)]
    head = bytearray(1024)
    struct.pack_into("<4If", head, 0, n, n, bucket_size * bool(level), buckets, BLOCK if level else 0.0)
    struct.pack_into("<HxxI", head, 20, 12 if level else 0, STEPS if level else 0)
    struct.pack_into("<2IH", head, 32, full if level else 0, partial, degree)
    body = struct.pack("<I", rest) if partial else b""
    body += b"".join(c.astype("<f4").tobytes() for c in centres)
    number = np.float16 if level else np.float32
    for i in range(n):
        mean = scene.means[i].numpy()
        if level:
            steps = (mean - centres[i // bucket_size]) / (BLOCK / 2 / STEPS) + STEPS
            body += np.rint(steps).astype("<u2").tobytes()
        else:
            body += mean.tobytes()
        body += scene.scales[i].numpy().astype(number).tobytes()
        body += turns(scene.quats)[i].numpy().astype(number).tobytes()
        colour = (scene.sh[i, 0] * 0.28209479 + 0.5).clamp(0, 1)
        body += bytes((torch.cat([colour, scene.opacities[i : i + 1]]) * 255).round().int().tolist())
        for d in range(1, degree + 1):
            own = scene.sh[i, d * d : (d + 1) ** 2].T.flatten().numpy()
            if level == 2:
                body += np.clip(np.rint((own + 1) / 2 * 255), 0, 255).astype(np.uint8).tobytes()
            else:
                body += own.astype(number).tobytes()
    return bytes(head), body


def ksplat(*sections: tuple[bytes, bytes], level: int, count: int, version=(0, 1)) -> bytes:
    head = bytearray(4096)
    struct.pack_into("<BBxx4IH", head, 0, *version, len(sections), len(sections), count, count, level)
    struct.pack_into("<2f", head, 36, -1.0, 1.0)
    return bytes(head) + b"".join(s[0] for s in sections) + b"".join(s[1] for s in sections)


def inside(n: int, degree: int, seed: int = 0):
    """A scene whose colours can be represented by bytes."""
    scene = blob(n, degree, seed)
    return replace(scene, sh=scene.sh.clamp(-1, 1))


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_reads_every_level(tmp_path, level, degree):
    parts = [inside(10, degree, 1), inside(7, 0, 2)]
    path = tmp_path / "a.ksplat"
    path.write_bytes(ksplat(*(section(part, level) for part in parts), level=level, count=17))
    got = load(path)
    assert (len(got), got.sh_degree) == (17, degree)
    for part, start in zip(parts, (0, 10), strict=True):
        mine = got.select(torch.arange(start, start + len(part)))
        torch.testing.assert_close(mine.means, part.means, atol=1e-4, rtol=0)
        torch.testing.assert_close(mine.log_scales, part.log_scales, atol=2e-3, rtol=0)
        torch.testing.assert_close(turns(mine.quats), turns(part.quats), atol=2e-3, rtol=0)
        assert float((mine.opacities - part.opacities).abs().max()) < 0.51 / 255
        assert float((mine.sh[:, 0] - part.sh[:, 0]).abs().max()) < 0.01
        k = part.sh.shape[1]
        torch.testing.assert_close(mine.sh[:, 1:k], part.sh[:, 1:], atol=5e-3, rtol=0)
        assert not mine.sh[:, k:].any()


def patched(content: bytes, form: str, at: int, value: float) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    content = ksplat(section(inside(10, 1), 1), level=1, count=10)
    return tmp_path_factory.mktemp("valid") / "a.ksplat", content


@pytest.mark.parametrize(
    ("form", "at", "value", "said"),
    [
        ("<I", 16, 11, "declares 11 Gaussians"),
        ("<I", 4, 9000, "truncated in the headers"),
        ("<I", 4096, 11, "section header that cannot be"),
        ("<H", 4096 + 40, 9, "section header that cannot be"),
        ("<I", 4096 + 32, 7, "full and 1 other buckets"),
        ("<I", 4096 + 8, 1, "buckets of 4 Gaussians for 10"),
        ("<I", 4096 + 8, 2**32 - 1, "2 buckets of 4294967295 Gaussians in room for 10"),
        ("<f", 4096 + 1024 + 4, float("nan"), "means .x. is NaN"),
        ("<B", 1, 0, "not a scene file|not a .ksplat"),
        ("<H", 20, 3, "not a scene file|not a .ksplat"),
    ],
)
def test_refuses_invalid_files(valid, form, at, value, said):
    path, content = valid
    path.write_bytes(patched(content, form, at, value))
    with pytest.raises(FormatError, match=said):
        load(path)


def test_unused_buckets_are_skipped(tmp_path):
    head, body = section(inside(10, 1), 0)
    # Four floats that are not centres.
    head = patched(patched(head, "<I", 12, 4), "<H", 20, 1)
    (tmp_path / "a.ksplat").write_bytes(ksplat((head, b"\0" * 4 + body), level=0, count=10))
    assert torch.equal(load(tmp_path / "a.ksplat").means, inside(10, 1).means)


def test_refuses_a_truncated_file_and_is_not_written(valid):
    path, content = valid
    path.write_bytes(content[:-1])
    with pytest.raises(FormatError, match="truncated"):
        load(path)
    with pytest.raises(FormatError, match=r"\.ksplat files are only read"):
        save(blob(3), path)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=changes)
@pytest.mark.slow
def test_any_change_of_bytes_loads_or_is_a_format_error(valid, edits):
    path, content = valid
    path.write_bytes(changed(content, edits))
    assert_scene_or_format_error(load, path)


def test_reads_a_file_of_another_tool():
    path = real_splats("splat_transform/minimal.ksplat")
    assert recognised(path).name == ".ksplat"
    got, same = load(path), load(real_splats("splat_transform/minimal.splat"))
    assert torch.equal(got.means, same.means)
    torch.testing.assert_close(got.sh, same.sh)
    torch.testing.assert_close(got.logit_opacities, same.logit_opacities)
