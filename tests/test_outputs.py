"""Outputs are written completely or not at all, and file system errors are one line."""

import json
import os
import stat
import subprocess
import sys

import pytest

from sfumato.errors import SfumatoError
from sfumato.outputs import replacing, write_json, write_text


def test_writes_and_leaves_nothing_else(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "grün")
    write_text(tmp_path / "new" / "a.txt", "blau")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text("utf-8") == "blau"


def test_json_supports_names_that_are_not_utf_8(tmp_path):
    write_json(tmp_path / "a.json", {"n\udcff": "grün"})
    assert "grün" in (tmp_path / "a.json").read_text("utf-8")
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"n\udcff": "grün"}


def test_errors_keep_the_old_file_and_propagate(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "before"
        raise KeyError("x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "before"


def test_temporary_name_keeps_folder_and_suffix(tmp_path):
    with replacing(tmp_path / ("n" * 250 + ".png")) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"


def test_follows_a_symbolic_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    write_text(tmp_path / "link.txt", "x")
    assert (tmp_path / "real" / "a.txt").read_text() == "x"
    assert (tmp_path / "link.txt").is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444, 0o755])
def test_a_replaced_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.txt"
    before = os.umask(0o027)
    try:
        write_text(path, "new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(mode)
        write_text(path, "newer")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_text() == "newer"


def test_infinity_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"psnr": float("inf")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "file/x.txt", "n" * 300 + ".txt"])
def test_failures_are_one_line(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(SfumatoError, match="cannot write") as caught:
        write_text(tmp_path / name, "x")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes to set")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    program = (
        "import resource, sys\n"
        "from sfumato.errors import SfumatoError\n"
        "from sfumato.outputs import write_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_bytes(sys.argv[1], bytes(5000))\n"
        "except SfumatoError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "big.bin")], capture_output=True, text=True, check=True
    )
    assert "cannot write" in done.stdout
    assert "too large" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes to set")
@pytest.mark.slow
def test_a_full_disk_is_one_line_for_checkpoints_too(tmp_path):
    program = (
        "import resource, sys, torch\n"
        "from sfumato.errors import SfumatoError\n"
        "from sfumato.outputs import replacing\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    with replacing(sys.argv[1]) as temporary: torch.save(torch.zeros(100_000), temporary)\n"
        "except SfumatoError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.pt")], capture_output=True, text=True, check=True
    )
    assert "not all of it could be written; check the free space" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_torch_propagate(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), replacing(tmp_path / "a.pt"):
        raise RuntimeError("shapes differ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SfumatoError, match="permission denied; choose a folder you may write to"):
        write_text(tmp_path / "a.txt", "x")
