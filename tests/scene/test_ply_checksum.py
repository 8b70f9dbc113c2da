"""A damaged scene file gives a warning."""

import pytest

from sfumato.scene.files import load, save
from support.ply_files import random_scene


@pytest.fixture
def path(tmp_path):
    save(random_scene(300, 1), tmp_path / "scene.ply")
    return tmp_path / "scene.ply"


def test_intact_files_give_no_warning(path, caplog):
    load(path)
    assert not caplog.records


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_flipped_bit_gives_a_warning(path, caplog, share):
    content = bytearray(path.read_bytes())
    begin = content.index(b"end_header\n") + len(b"end_header\n")
    # The lowest bit of a float, which stays finite.
    content[begin + 4 * int(share * (len(content) - begin) / 4)] ^= 1
    path.write_bytes(content)
    load(path)
    assert "is not as it was written" in caplog.text


def test_files_of_other_programs_have_no_checksum(path, caplog):
    content = path.read_bytes()
    start = content.index(b"comment crc32")
    path.write_bytes(content[:start] + content[content.index(b"\n", start) + 1 :])
    load(path)
    assert not caplog.records


def test_the_same_scene_gives_the_same_bytes(path):
    save(load(path), path.with_name("again.ply"))
    assert path.with_name("again.ply").read_bytes() == path.read_bytes()
