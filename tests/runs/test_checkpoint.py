"""A run resumed from a checkpoint gives the same bits, and other files are refused."""

import os
import pickle
import random
import shutil
import zipfile
from dataclasses import replace

import pytest
import torch
from PIL import Image

from sfumato.capture.dataset import load_capture
from sfumato.errors import CaptureError, ConfigError, FormatError
from sfumato.runs.checkpoint import (
    checkpoints,
    first_not_finite,
    identify,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from sfumato.runs.run_options import RunOptions
from support.capture_folders import colmap_folder
from support.tiny import differences, tiny_config, tiny_start, train_until


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
@pytest.mark.slow
def test_ten_and_ten_steps_are_twenty(tmp_path, strategy):
    config = tiny_config(strategy=strategy, exposure=True, seed=3)
    root = colmap_folder(tmp_path / "data")
    capture, whole = tiny_start(root, config)
    begin = len(whole.population)
    train_until(capture, whole, 20)

    capture, half = tiny_start(root, config)
    train_until(capture, half, 10)
    middle = len(half.population)
    path = save_checkpoint(tmp_path / "checkpoints", half, RunOptions(root, train=config), identify(capture))
    capture = load_capture(root)
    again = load_checkpoint(path).restore(capture)
    assert again.step == 10 and not differences(half.state_dict(), again.state_dict())
    assert again.seconds == half.seconds > 0
    again.seconds = 1000.0
    train_until(capture, again, 20)
    assert again.seconds > 1000.0, "the time before the checkpoint counts"

    assert begin < middle < len(whole.population), "the test must cross refinements on both sides"
    assert not differences(whole.state_dict(), again.state_dict())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint of a real run, and its capture."""
    folder = tmp_path_factory.mktemp("saved")
    config = tiny_config(exposure=True)
    root = colmap_folder(folder / "data")
    capture, state = tiny_start(root, config)
    train_until(capture, state, 3)
    options = RunOptions(root, train=config)
    return save_checkpoint(folder / "checkpoints", state, options, identify(capture)), capture, state, options


def content_of(path):
    return torch.load(path, weights_only=True)


def written(tmp_path, content):
    path = tmp_path / "step_000003.pt"
    torch.save(content, path)
    return path


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trap-was-sprung",)


def test_code_in_a_checkpoint_is_not_run(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (written(tmp_path, content_of(saved[0]) | {"state": Trap()}), tmp_path / "step_000001.pt"):
        if not path.exists():
            path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(FormatError, match=r"step_00000\d.pt is damaged"):
            load_checkpoint(path)
    assert not (tmp_path / "trap-was-sprung").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_one_line(saved, tmp_path, share):
    data = saved[0].read_bytes()
    path = tmp_path / "step_000003.pt"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FormatError, match="is damaged") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_compressed_archive_is_refused(saved, tmp_path):
    path = tmp_path / "step_000003.pt"
    with zipfile.ZipFile(saved[0]) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(FormatError, match="claims more data"):
        load_checkpoint(path)


def _spread(content):
    content["state"]["population"]["means"]["values"] = torch.zeros(1, 1).expand(10**9, 3)


def _sparse(content):
    content["state"]["generator"] = torch.zeros(4, 4).to_sparse()


def _nan(content):
    content["state"]["population"]["quats"]["values"][0, 0] = float("nan")


def _other_kind(content):
    content["kind"] = "a cake"


def _other_version(content):
    content["version"] = 99


def _no_state(content):
    del content["state"]


def _bad_option(content):
    content["options"]["train"]["sh_degree"] = "three"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_spread, "means.values is not a plain tensor"),
        (_sparse, "generator is not a plain tensor"),
        (_nan, "quats.values holds NaN"),
        (_other_kind, "not a checkpoint of a run"),
        (_other_version, "version 99"),
        (_no_state, "incomplete"),
    ],
)
def test_hostile_contents_are_named(saved, tmp_path, spoil, words):
    content = content_of(saved[0])
    spoil(content)
    with pytest.raises(FormatError, match=words):
        load_checkpoint(written(tmp_path, content))


def test_a_bad_option_is_named(saved, tmp_path):
    content = content_of(saved[0])
    _bad_option(content)
    with pytest.raises(ConfigError, match=r"train\.sh_degree has the value 'three'"):
        load_checkpoint(written(tmp_path, content))


def _one_row_less(state):
    means = state["population"]["means"]
    means["values"] = means["values"][1:].clone()


def _queue_of_words(state):
    state["generator"] = "random"


def _no_cap(state):
    del state["cap"]


@pytest.mark.parametrize("spoil", [_one_row_less, _queue_of_words, _no_cap])
def test_an_inconsistent_state_is_one_line(saved, tmp_path, spoil):
    content = content_of(saved[0])
    spoil(content["state"])
    with pytest.raises(FormatError, match="damaged or of another version") as caught:
        load_checkpoint(written(tmp_path, content)).restore(saved[1])
    assert "\n" not in str(caught.value)


def test_another_dataset_is_refused(saved, tmp_path):
    other = colmap_folder(tmp_path / "other", names=("a.png", "b.png", "c.png", "d.png"))
    with pytest.raises(ConfigError, match="3 photographs then, 4 now"):
        load_checkpoint(saved[0]).restore(load_capture(other))


def test_changed_pictures_are_refused(saved, tmp_path):
    moved = shutil.copytree(saved[3].data, tmp_path / "moved")
    pictures = sorted((moved / "images").iterdir())
    Image.new("RGB", Image.open(pictures[1]).size).save(pictures[1])
    with pytest.raises(ConfigError, match=rf"^{pictures[1].name} in .*moved are other pictures"):
        load_checkpoint(saved[0]).restore(load_capture(moved))
    shutil.copy(pictures[1], pictures[0])
    with pytest.raises(ConfigError, match=rf"^{pictures[0].name} and 1 more in .* put the old ones back"):
        load_checkpoint(saved[0]).restore(load_capture(moved))
    capture = load_capture(moved)
    pictures[0].unlink()
    with pytest.raises(CaptureError, match=f"{pictures[0].name} cannot be read: no such file"):
        load_checkpoint(saved[0]).restore(capture)


def test_an_older_checkpoint_without_content_hashes_is_resumed(saved, tmp_path):
    content = content_of(saved[0])
    del content["capture"]["contents"]
    assert load_checkpoint(written(tmp_path, content)).restore(saved[1]).step == 3
    content["capture"]["contents"] = 3
    with pytest.raises(FormatError, match="damaged"):
        load_checkpoint(written(tmp_path, content)).restore(saved[1])


def test_every_flipped_bit_is_refused_or_harmless(saved, tmp_path):
    """The checksums of the archive are verified, which torch does not do."""
    good, path, dice = saved[0].read_bytes(), tmp_path / "step_000003.pt", random.Random(0)
    expected, refused = load_checkpoint(saved[0]), 0
    for _ in range(120):
        data = bytearray(good)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        try:
            found = load_checkpoint(path)
        except FormatError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert not differences(expected.state, found.state) and found.options == expected.options
    assert refused > 60


def test_an_entry_marked_as_a_folder_is_refused(saved, tmp_path):
    """Torch would read nothing and use uninitialised memory."""
    data, path = bytearray(saved[0].read_bytes()), tmp_path / "step_000003.pt"
    # The attributes of the last entry of the archive's list of contents.
    data[data.rindex(b"PK\x01\x02") + 38] |= 0x10
    path.write_bytes(data)
    with pytest.raises(FormatError, match="marked as a folder"):
        load_checkpoint(path)


def test_non_ascii_digits_are_not_step_numbers(tmp_path):
    for name in ("step_²³.pt", "step_٣.pt", f"step_{'9' * 200}.pt", "step_-1.pt"):
        (tmp_path / name).write_bytes(b"")
    assert not checkpoints(tmp_path)


def test_a_dataset_that_moved_is_the_same(saved, tmp_path):
    moved = shutil.copytree(saved[3].data, tmp_path / "moved")
    assert load_checkpoint(saved[0]).restore(load_capture(moved)).step == 3


def test_a_dataset_with_another_split_is_refused(saved):
    assert identify(load_capture(saved[3].data, test_every=2)) != identify(saved[1])
    assert identify(load_capture(saved[3].data)) == identify(saved[1])


def test_the_last_two_are_kept(saved, tmp_path):
    _, capture, state, options = saved
    for step in (5, 12, 1_000_000):
        save_checkpoint(tmp_path, replace(state, step=step), options, identify(capture))
    assert [path.name for path in checkpoints(tmp_path)] == ["step_000012.pt", "step_1000000.pt"]
    save_checkpoint(tmp_path, replace(state, step=20), options, identify(capture))
    names = [path.name for path in checkpoints(tmp_path)]
    assert names == ["step_000012.pt", "step_000020.pt"], "those of an abandoned future go"


def test_a_damaged_one_falls_back_with_a_warning(saved, tmp_path, caplog):
    _, capture, state, options = saved
    for step in (5, 12):
        save_checkpoint(tmp_path, replace(state, step=step), options, identify(capture))
    (tmp_path / "step_000012.pt").write_bytes(b"ruined")
    assert latest_checkpoint(tmp_path).state["step"] == 5
    assert "step_000012.pt is damaged" in caplog.text and "going back" in caplog.text
    (tmp_path / "step_000005.pt").write_bytes(b"ruined too")
    with pytest.raises(FormatError, match=r"step_000005.pt is damaged"):
        latest_checkpoint(tmp_path)


def test_a_missing_checkpoint_gives_a_remedy(tmp_path):
    with pytest.raises(ConfigError, match="no checkpoint to resume from; give --overwrite"):
        latest_checkpoint(tmp_path / "checkpoints")


def test_broken_parameters_are_found(saved):
    _, state = tiny_start(saved[3].data, saved[3].train)
    assert first_not_finite(state) is None
    state.population.gaussians.sh.data[0, 0, 0] = float("inf")
    assert first_not_finite(state) == "sh"
