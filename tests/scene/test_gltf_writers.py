"""glTF files of other programs: logarithmic scales, byte order marks, encoded names of buffers."""

import json
import logging
import math

import numpy as np
import pytest
import torch

from sfumato.errors import FormatError
from sfumato.scene.files import load
from support.gltf_files import SPLAT, attributes, document, written


@pytest.mark.parametrize(
    ("generator", "is_log"),
    [
        ("splat-transform v1.8.3", False),
        ("splat-transform v1.9.0", True),
        ("splat-transform 1.10.2", True),
        ("PlayCanvas splat-transform v2.6.9", True),
        ("splat-transform v2.7.0", False),
        ("splat-transform v3.2.0", False),
        ("Sfumato", False),
        (None, False),
    ],
)
def test_logarithmic_scales_of_some_writers_are_recognised(tmp_path, generator, is_log):
    numbers = np.array([[-4, -3, -2], [0.5, -1, -5]], "f4")
    root = document(attributes() | {f"{SPLAT}:SCALE": numbers if is_log else np.exp(numbers)})
    root["asset"]["generator"] = generator
    got = load(written(tmp_path, root))
    torch.testing.assert_close(got.log_scales, torch.from_numpy(numbers), atol=1e-5, rtol=0)
    assert float(got.scales[0, 0]) == pytest.approx(math.exp(-4), rel=1e-4)


def test_a_byte_order_mark_is_skipped(tmp_path):
    path = written(tmp_path, document(attributes()))
    plain = load(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert torch.equal(load(path).means, plain.means)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("numbers%20of%20it.bin", "numbers of it.bin"),
        ("Stra%C3%9Fe%23%2B.bin", "Stra\u00dfe#+.bin"),
        ("100%.bin", "100%.bin"),
        ("50%25.bin", "50%.bin"),
        ("a%20b.bin", "a%20b.bin"),
        ("below/x%2ebin", "below/x.bin"),
    ],
)
def test_names_of_buffers_may_be_percent_encoded(tmp_path, uri, name):
    root = document(attributes())
    plain = load(written(tmp_path, root))
    data = np.concatenate([array.ravel() for array in attributes().values()]).tobytes()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(data)
    root["buffers"] = [{"byteLength": len(data), "uri": uri}]
    got = load(written(tmp_path, root))
    assert torch.equal(got.means, plain.means) and torch.equal(got.sh, plain.sh)


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "%2e%2e/a.bin",
            "..%2fa.bin",
            "%2E%2E%2Fa.bin",
            "%2Ftmp%2Fa.bin",
            "x%5C..%5Ca.bin",
            "file%3A//a.bin",
        ),
        *("%00", "a%", "\ud800.bin", "x" * 5000 + ".bin", "%ff%fe", "", ".", 7),
    ],
)
def test_encoded_names_cannot_leave_the_folder(tmp_path, uri):
    (tmp_path / "a.bin").write_bytes(bytes(4000))
    (tmp_path / "inner").mkdir()
    root = document(attributes())
    root["buffers"] = [{"byteLength": 100, "uri": uri}]
    (tmp_path / "inner" / "a.gltf").write_text(json.dumps(root))
    with pytest.raises(FormatError, match="not a file beside it") as caught:
        load(tmp_path / "inner" / "a.gltf")
    assert len(str(caught.value).splitlines()) == 1


def test_degrees_above_3_are_dropped(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "sfumato"):
        got = load(written(tmp_path, document(attributes(degree=4))))
    assert got.sh_degree == 3 and "SH of degree 4; those above 3 are dropped" in caplog.text
    assert got.sh[0, 0, 0] == 0 and abs(float(got.sh[0, 15, 0])) == pytest.approx(1.5)
