"""The record of what is done."""

import json

import pytest

from sfumato.sfm.stages import Stages, fingerprint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "stages.json"


def test_done_stages_are_skipped(path):
    calls = []
    for expected in (True, False):
        stages = Stages(path)
        for name in ("a", "b"):
            assert stages.run(name, [1, name], calls.append) is expected
    assert calls == [False, False] and list(stages.seconds) == ["a", "b"]


def test_what_follows_a_changed_stage_is_done_again(path):
    def run(made_from):
        stages = Stages(path)
        return [stages.run(name, value, lambda _: None) for name, value in made_from.items()]

    assert run({"a": 1, "b": 2, "c": 3}) == [True, True, True]
    assert run({"a": 1, "b": 5, "c": 3}) == [False, True, True]
    assert run({"a": 1, "b": 2, "c": 3}) == [False, True, True]
    assert run({"a": 1}) == [False]
    assert run({"a": 1, "b": 2, "c": 3}) == [False, False, False]


def test_an_interrupted_stage_may_be_continued_only_with_the_same_input(path):
    def broken(_):
        raise KeyboardInterrupt

    calls = []
    with pytest.raises(KeyboardInterrupt):
        Stages(path).run("a", 1, broken)
    assert Stages(path).seconds == {}
    Stages(path).run("a", 1, calls.append)
    with pytest.raises(KeyboardInterrupt):
        Stages(path).run("a", 2, broken)
    Stages(path).run("a", 3, calls.append)
    assert calls == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "[" * 100_000,
        '{"a": 1}',
        '{"a": {"key": 3}}',
        '{"a": {"key": "x", "seconds": "y"}}',
    ],
)
def test_a_damaged_record_means_that_nothing_is_done(path, text):
    Stages(path).run("a", 1, lambda _: None)
    path.write_text(text)
    assert Stages(path).run("a", 1, lambda _: None) is True
    assert set(json.loads(path.read_text())) == {"a"}


def test_bytes_that_are_no_text_are_a_damaged_record(path):
    path.write_bytes(b"\xff\xfe\x00")
    assert Stages(path).run("a", 1, lambda _: None) is True


def test_a_fingerprint_tells_a_changed_file(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    before = fingerprint([one, two])
    assert before == fingerprint([two, one])
    two.write_text("two")
    assert before != fingerprint([one, two])
