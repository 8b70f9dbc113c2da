"""Files with invalid rows: refused with one line that names the remedy, or read without these rows."""

import logging
import math

import numpy as np
import pytest
import torch

from sfumato.cli import main
from sfumato.errors import FormatError
from sfumato.scene.files import load, save
from support.gltf_files import SPLAT, attributes, document, written
from support.ply_files import columns_of, random_scene, write
from support.scene_files import blob

N = 6
COLUMNS = columns_of(random_scene(N, 1))


def ply(tmp_path, kind):
    """A file with an invalid row 2, and the values of its other rows."""
    columns = {name: column.copy() for name, column in COLUMNS.items()}
    if kind == "all zero":
        for column in columns.values():
            column[2] = 0
    else:
        field, value = {"NaN": ("x", math.nan), "infinite": ("f_dc_0", math.inf), "huge": ("scale_1", 99.0)}[
            kind
        ]
        columns[field][2] = value
    return write(tmp_path / "bad.ply", columns)


@pytest.mark.parametrize("kind", ["NaN", "infinite", "huge", "all zero"])
def test_an_invalid_row_is_refused_or_skipped(tmp_path, kind, caplog):
    path = ply(tmp_path, kind)
    with pytest.raises(FormatError, match=r"for 1 of 6 Gaussians; sfumato convert --repair leaves them out"):
        load(path)
    with caplog.at_level(logging.WARNING, "sfumato"):
        got = load(path, repair=True)
    assert "1 of 6 Gaussians are left out" in caplog.text
    others = [0, 1, 3, 4, 5]
    assert torch.equal(got.means, random_scene(N, 1).means[others])
    assert torch.equal(got.sh, random_scene(N, 1).sh[others])


def test_repairing_a_valid_file_gives_no_warning(tmp_path, caplog):
    path = write(tmp_path / "a.ply", COLUMNS)
    assert torch.equal(load(path, repair=True).means, load(path).means) and not caplog.records


def test_a_file_without_valid_rows_is_refused(tmp_path):
    path = write(tmp_path / "a.ply", COLUMNS | {"y": np.full(N, np.nan)})
    with pytest.raises(FormatError, match="cannot be repaired"):
        load(path, repair=True)


def test_other_formats_are_repaired_too(tmp_path):
    save(blob(5, 0), tmp_path / "a.splat")
    data = bytearray((tmp_path / "a.splat").read_bytes())
    data[32 * 3 + 12 : 32 * 3 + 16] = np.float32(-1).tobytes()
    (tmp_path / "a.splat").write_bytes(data)
    with pytest.raises(FormatError, match="as of a scale below 0"):
        load(tmp_path / "a.splat")
    assert len(load(tmp_path / "a.splat", repair=True)) == 4


@pytest.mark.parametrize(
    ("name", "value"), [("POSITION", math.nan), (f"{SPLAT}:ROTATION", 0.0), (f"{SPLAT}:SCALE", math.nan)]
)
@pytest.mark.parametrize("scale", [[1, 1, 1], [1, 2, 3]])
def test_invalid_gaussians_do_not_affect_the_placing_of_others(tmp_path, name, value, scale):
    arrays = attributes()
    arrays[name][0] = value
    path = written(tmp_path, document(arrays, node={"scale": scale}))
    with pytest.raises(FormatError, match="for 1 of 2 Gaussians"):
        load(path)
    got = load(path, repair=True)
    whole = load(written(tmp_path, document(attributes(), node={"scale": scale})))
    assert len(got) == 1 and torch.equal(got.log_scales, whole.log_scales[1:])
    assert torch.equal(got.means, whole.means[1:])


@pytest.mark.parametrize("verb", ["convert", "edit"])
def test_commands_repair(tmp_path, verb, capsys):
    path, out = ply(tmp_path, "NaN"), tmp_path / "good.ply"
    words = [verb, str(path), *([str(out)] if verb == "convert" else ["-o", str(out)])]
    assert main(words) == 2
    assert "--repair leaves them out" in capsys.readouterr().err
    assert main([*words, "--repair"]) == 0
    assert len(load(out)) == 5
