"""The record of finished stages."""

import json
import sqlite3
from contextlib import closing

import pytest

from sfumato.sfm import stages
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


def test_stages_after_a_changed_stage_are_repeated(path):
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
def test_with_a_damaged_record_all_stages_are_repeated(path, text):
    Stages(path).run("a", 1, lambda _: None)
    path.write_text(text)
    assert Stages(path).run("a", 1, lambda _: None) is True
    assert set(json.loads(path.read_text())) == {"a"}


def test_a_binary_record_is_damaged(path):
    path.write_bytes(b"\xff\xfe\x00")
    assert Stages(path).run("a", 1, lambda _: None) is True


def test_a_fingerprint_detects_a_changed_file(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    before = fingerprint([one, two])
    assert before == fingerprint([two, one])
    two.write_text("two")
    assert before != fingerprint([one, two])


class Kitchen:
    """Stages that write files to a folder, and record their executions and whether they were resumed."""

    def __init__(self, folder):
        self.folder, self.calls = folder, []
        (folder / "work").mkdir()

    def begin(self):
        self.stages, self.calls = Stages(self.folder / "work/stages.json", self.folder), []

    def stage(self, name, files=(), changes=(), words="made"):
        made = [self.folder / file for file in files]

        def work(is_continued):
            self.calls.append((name, is_continued))
            for path in made:
                path.unlink(missing_ok=True)
            for path in (*made, *(self.folder / file for file in changes)):
                path.parent.mkdir(exist_ok=True, parents=True)
                write_rows(path, name) if path.suffix == ".db" else path.write_text(words)

        places = sorted({path if path.parent == self.folder else path.parent for path in made})
        self.stages.run(name, 1, work, places, [self.folder / file for file in changes])

    def cook(self):
        """Run the stages; returns the names of those executed."""
        self.begin()
        self.stage("a", ["one/1.txt", "one/2.txt"])
        self.stage("b", ["rows.db"])
        self.stage("c", changes=["rows.db"])
        self.stage("d", ["three.txt"])
        return [name for name, _ in self.calls]


def write_rows(path, word):
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("CREATE TABLE IF NOT EXISTS words (word TEXT UNIQUE, picture BLOB)")
        opened.execute("INSERT OR REPLACE INTO words VALUES (?, ?)", (word, b"x" * 9000))
        opened.commit()


@pytest.fixture
def kitchen(tmp_path):
    found = Kitchen(tmp_path)
    assert found.cook() == ["a", "b", "c", "d"]
    assert found.cook() == []
    return found


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("file", "damage", "again"),
    [
        ("one/2.txt", None, "abcd"),
        ("one/2.txt", lambda data: data[:-1], "abcd"),
        ("one/2.txt", lambda data: flipped(data, 1), "abcd"),
        ("rows.db", None, "bcd"),
        ("rows.db", lambda data: b"", "bcd"),
        ("rows.db", lambda data: data[:4096], "bcd"),
        ("rows.db", lambda data: flipped(data, 3), "bcd"),
        ("rows.db", lambda data: flipped(data, 18), "bcd"),
        ("rows.db", lambda data: flipped(data, data.rindex(b"x" * 500)), "bcd"),
        ("three.txt", lambda data: b"other", "d"),
    ],
)
def test_damage_is_reported_and_the_stage_is_repeated(kitchen, caplog, file, damage, again):
    path = kitchen.folder / file
    data = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(data))
    assert "".join(kitchen.cook()) == again
    assert not any(is_continued for _, is_continued in kitchen.calls)
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"{path} is damaged or missing; its stage {again[0]!r} is done again"]
    assert kitchen.cook() == []


def test_a_database_is_identified_by_its_rows(kitchen):
    """COLMAP stores the number of accesses in the file."""
    path = kitchen.folder / "rows.db"
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as opened:
        opened.execute(f"PRAGMA user_version = {opened.execute('PRAGMA user_version').fetchone()[0]}")
    assert path.read_bytes() != before and kitchen.cook() == []


def test_other_files_in_the_folder_are_not_damage(kitchen):
    (kitchen.folder / "one/Thumbs.db").write_bytes(b"not ours")
    assert kitchen.cook() == []


@pytest.mark.parametrize(("damage", "again"), [(lambda data: data, "cd"), (lambda data: data[:4096], "bcd")])
def test_files_changed_by_an_interrupted_stage(kitchen, damage, again):
    """The stage resumes with the database of the earlier stage if that is intact; else that is repeated."""
    kitchen.begin()
    kitchen.stage("a", ["one/1.txt", "one/2.txt"])
    kitchen.stage("b", ["rows.db"])

    def broken(_):
        write_rows(kitchen.folder / "rows.db", "half")
        raise KeyboardInterrupt

    path = kitchen.folder / "rows.db"
    with pytest.raises(KeyboardInterrupt):
        kitchen.stages.run("c", 2, broken, changes=[path])
    path.write_bytes(damage(path.read_bytes()))
    assert "".join(kitchen.cook()) == again


def test_files_are_flushed_before_the_record(kitchen, monkeypatch):
    noted = []
    for module, name in ((stages, "flush"), (stages, "write_json")):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, real=real, name=name: (noted.append((name, given)), real(*given))
        )
    (kitchen.folder / "three.txt").unlink()
    kitchen.cook()
    assert [name for name, _ in noted] == ["write_json", "flush", "write_json"]
    assert noted[1][1] == ([kitchen.folder / "three.txt"],)


def test_records_of_earlier_versions_without_files_are_read(kitchen):
    path = kitchen.folder / "work/stages.json"
    record = json.loads(path.read_text())
    for known in record.values():
        del known["files"]
    path.write_text(json.dumps(record))
    assert kitchen.cook() == ["a", "b", "c", "d"]
