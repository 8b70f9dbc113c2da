"""Compiled kernels are read from disk only if undamaged and from a private folder."""

import ast
import os
import re
import shutil
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from repository import PACKAGE, python_files, tree
from sfumato.ops.cpu import kernel_cache
from sfumato.ops.cpu.jit import serial_kernel

pytestmark = pytest.mark.kernels


def doubled(x):
    return 2.0 * x


def halved(x):
    return 0.5 * x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A separate cache folder and a separate temporary folder."""
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_cache.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(kernel_cache.KernelCache, "failed", False)
    monkeypatch.setattr(kernel_cache.KernelCache, "announced", True)
    kernel_cache.cache_folder.cache_clear()
    yield tmp_path / "cache"
    kernel_cache.cache_folder.cache_clear()


def compiled(hits):
    """A kernel, compiled or read from the cache, which must have read ``hits`` signatures."""
    kernel = serial_kernel(doubled)
    assert kernel(1.5) == 3.0
    assert sum(kernel.stats.cache_hits.values()) == hits
    return kernel


def the_file(folder):
    (path,) = folder.rglob("*.nbc")
    return path


def test_a_kernel_is_read_back(folder):
    compiled(0)
    compiled(1)
    assert stat.S_IMODE(the_file(folder).parent.stat().st_mode) == 0o700


def test_the_first_compilation_is_announced_once(folder, caplog, monkeypatch):
    monkeypatch.setattr(kernel_cache.KernelCache, "announced", False)
    compiled(0)
    assert [line.message.partition(",")[0] for line in caplog.records] == ["compiling kernels"]
    the_file(folder).unlink()
    compiled(0)
    assert len(caplog.records) == 1


def test_cached_kernels_are_not_announced(folder, caplog, monkeypatch):
    compiled(0)
    monkeypatch.setattr(kernel_cache.KernelCache, "announced", False)
    caplog.clear()
    compiled(1)
    serial_kernel(halved)(3.0)
    assert not caplog.records


@pytest.mark.parametrize("damage", ["", "cut", "flip", "digest", "junk"])
def test_a_damaged_kernel_is_compiled_again_and_replaced(folder, damage):
    compiled(0)
    path = the_file(folder)
    good = path.read_bytes()
    middle = len(good) // 2
    flipped = bytes([good[middle] ^ 16])
    path.write_bytes(
        {
            "": b"",
            "cut": good[:middle],
            "flip": good[:middle] + flipped + good[middle + 1 :],
            "digest": bytes(32) + good[32:],
            "junk": b"\x80junk",
        }[damage]
    )
    compiled(0)
    compiled(1)


def test_a_full_disk_only_costs_time(folder, monkeypatch, caplog):
    def full(path, data):
        raise kernel_cache.SfumatoError("full") from OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_cache, "write_bytes", full)
    compiled(0)
    compiled(0)
    (said,) = caplog.messages
    assert "No space left" in said and str(folder) in said
    assert kernel_cache.KernelCache.failed


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("place", ["", "kernels", "kernels/version"])
def test_a_cache_writable_by_others_is_not_used(folder, tmp_path, caplog, place):
    real = kernel_cache.cache_folder()
    real.joinpath("planted.nbc").write_bytes(b"x")
    (real if place.endswith("version") else folder / place).chmod(0o777)
    kernel_cache.cache_folder.cache_clear()
    private = kernel_cache.cache_folder()
    assert private == Path(os.path.realpath(tmp_path), f"sfumato-{os.getuid()}", "kernels", real.name)
    assert "can be written by others" in caplog.text and not any(private.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
@pytest.mark.parametrize(("owner", "is_read"), [(1000, True), (0, True), (1001, False)])
def test_files_of_other_users_are_not_read(folder, monkeypatch, owner, is_read):
    compiled(0)
    found = os.stat_result((0o100600, 0, 0, 1, owner, owner, 0, 0, 0, 0))
    monkeypatch.setattr(kernel_cache.os, "getuid", lambda: 1000)
    monkeypatch.setattr(kernel_cache.os, "fstat", lambda handle: found)
    with nullcontext() if is_read else pytest.raises(kernel_cache.KernelMissing), kernel_cache.only_cached():
        compiled(1)
    assert len(list(folder.rglob("*.nbc"))) == 1


@pytest.mark.skipif(os.name != "posix", reason="owners of POSIX")
def test_a_cache_of_another_user_is_not_used(folder, monkeypatch, caplog):
    monkeypatch.setattr(kernel_cache, "_is_mine", lambda found: found.st_ino != folder.stat().st_ino)
    folder.mkdir()
    assert not kernel_cache.cache_folder().is_relative_to(folder)
    assert f"{folder} belongs to another user" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="symbolic links of POSIX")
def test_a_symbolic_link_in_place_of_the_private_folder_is_not_followed(folder, tmp_path, monkeypatch):
    folder.write_bytes(b"a file in the way")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"sfumato-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    found = kernel_cache.cache_folder()
    assert found.is_dir() and not any((tmp_path / "elsewhere").iterdir())
    assert re.fullmatch(r"sfumato-\w{8}", found.parents[1].name)


def test_no_home_and_no_name_of_the_user(folder, tmp_path, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    for name in ("SFUMATO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(kernel_cache.Path, "home", nobody)
    assert kernel_cache.cache_folder().is_relative_to(os.path.realpath(tmp_path))
    assert kernel_cache.environment()["SFUMATO_CACHE"] == str(kernel_cache.cache_folder().parents[1])


@pytest.mark.parametrize("name", [*kernel_cache.FROZEN, "ops/cpu/adam.py"])
def test_an_edit_of_a_kernel_source_starts_a_new_cache(tmp_path, name):
    for part in ("ops", "maths"):
        shutil.copytree(PACKAGE / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    assert kernel_cache.sources_digest(tmp_path) == kernel_cache.sources_digest(PACKAGE)
    with (tmp_path / name).open("a") as handle:
        handle.write("ALPHA_MAX = 0.9\n")
    assert kernel_cache.sources_digest(tmp_path) != kernel_cache.sources_digest(PACKAGE)


@pytest.mark.slow
def test_all_imports_of_kernels_are_kernel_sources():
    """Constants and formulas of other modules are compiled into kernels, unlike errors and file functions."""
    kernels = python_files("src/sfumato/ops/cpu/")
    sources = [*kernels, *(PACKAGE / name for name in kernel_cache.FROZEN)]
    used = set()
    for path in sources:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sfumato."):
                used |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {PACKAGE.parent / f"{module.replace('.', '/')}.py" for module in used}
    files = {path for path in files if path.exists()}
    assert files - set(sources) <= {PACKAGE / name for name in ("errors.py", "outputs.py", "children.py")}
    assert set(sources) >= {PACKAGE / name for name in ("ops/constants.py", "maths/sh.py")}
