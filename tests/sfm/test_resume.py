"""The same pictures give the same bytes, even after an interruption; finished work is not repeated."""

import os
import shutil
from dataclasses import replace

import pycolmap
import pytest

from sfumato import machine
from sfumato.children import child_command
from sfumato.errors import SfumatoError
from sfumato.footage import FrameOptions, read_footage
from sfumato.sfm import features, worker_pool
from sfumato.sfm.pipeline import structure_from_motion
from support.found import Stop, Watch, model_bytes

TITLES = [
    *(
        "selecting pictures",
        "finding features",
        "matching",
        "finding cameras",
        "separating look-alike places",
    ),
    "writing pictures",
]


DIES_WHILE_LISTING = """
import os
import pycolmap
from sfumato.sfm import worker
real, calls = pycolmap.import_images, []
def some(*arguments):
    calls.append(real(*arguments))
    if len(calls) == 3:
        os._exit(3)
pycolmap.import_images = some
worker.main()
"""


@pytest.fixture
def done(solved, tmp_path):
    """A copy of the finished run and of its pictures, which may be changed."""
    out = tmp_path / "out"
    shutil.copytree(solved.out, out)
    return replace(solved, out=out)


def begun(solved, **options):
    """The first stage executed when the run is repeated with other options."""
    watch = Watch()
    watch.counting = lambda title, things: (_ for _ in ()).throw(Stop(title))
    inputs = options.pop("inputs", [solved.shots.folder])
    frames = options.pop("frames", FrameOptions())
    config = replace(solved.config, **options)
    try:
        structure_from_motion(inputs, solved.out, config, frames, display=watch)
    except Stop as stop:
        return str(stop)
    return None


@pytest.mark.slow
def test_an_interrupted_run_with_other_cores_resumes_to_the_same_bytes(solved, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 3)
    out = tmp_path / "out"
    stops = [
        *[("selecting pictures", 5), ("finding features", 1), ("matching", 1), ("finding cameras", 3)],
        ("writing pictures", 4),
    ]
    begins = [0, 0, 1, 2, 3]
    for (title, after), first in zip(stops, begins, strict=True):
        watch = Watch(title, after)
        with pytest.raises(Stop):
            structure_from_motion([solved.shots.folder], out, solved.config, display=watch)
        assert watch.titles == TITLES[first : TITLES.index(title) + 1]
        assert not (out / "sfm.json").exists() and not (out / "sparse/0").exists()
    watch = Watch()
    structure_from_motion([solved.shots.folder], out, solved.config, display=watch)
    assert watch.titles == TITLES[-1:]
    assert model_bytes(out) == model_bytes(solved.out)


@pytest.mark.slow
def test_a_finished_run_does_nothing(done):
    text = (done.out / "sfm.json").read_text()
    before = {path: path.stat().st_mtime_ns for path in (done.out / "sparse").rglob("*")}
    assert begun(done) is None
    assert {path: path.stat().st_mtime_ns for path in (done.out / "sparse").rglob("*")} == before
    assert (done.out / "sfm.json").read_text() == text


@pytest.mark.parametrize(
    ("option", "first"),
    [
        ({"upright": False}, "writing pictures"),
        ({"known_distance": ("00", "11", 3.0)}, "writing pictures"),
        ({"seed": 1}, "matching"),
        ({"pairs": "sequential"}, "matching"),
        ({"max_features": 500}, "finding features"),
        ({"feature_side_px": 300}, "finding features"),
        ({"camera_model": "SIMPLE_RADIAL"}, "finding features"),
        ({"frames": FrameOptions(max_side_px=300)}, "selecting pictures"),
        ({"minutes": 1000.0}, None),
    ],
)
def test_changed_options_repeat_the_stages_they_affect(done, option, first):
    assert begun(done, **option) == first


def test_a_changed_photograph_is_processed_again(done, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(done.shots.folder, photos)
    os.utime(photos / "03.png", (1, 1))
    assert begun(done, inputs=[photos]) == "selecting pictures"


@pytest.mark.parametrize(
    ("gone", "first"),
    [
        ("sparse", "writing pictures"),
        ("images", "writing pictures"),
        ("work/model", "finding cameras"),
        ("work/database.db", "finding features"),
        ("work/frames", "selecting pictures"),
        ("work/frames/images/03.png", "selecting pictures"),
    ],
)
def test_a_deleted_result_is_restored(done, gone, first):
    """A run does not report success while its result is missing."""
    shutil.rmtree(done.out / gone) if (done.out / gone).is_dir() else (done.out / gone).unlink()
    assert begun(done) == first


@pytest.mark.slow
def test_a_database_exists_only_with_all_pictures(done, tmp_path, monkeypatch):
    """A run killed between two cameras restarts the import; otherwise pictures would be missing."""
    footage = read_footage(done.out / "work/frames")
    pictures = [replace(one, camera=one.name) for one in footage.pictures]
    for name, what in (("part.new.db", b"half"), ("new.db-wal", b"of another")):
        (tmp_path / name).write_bytes(what)
    monkeypatch.setattr(worker_pool, "command", lambda: child_command(DIES_WHILE_LISTING))
    with pytest.raises(SfumatoError, match="listing the pictures failed"):
        features.import_pictures(tmp_path / "new.db", replace(footage, pictures=pictures), done.config)
    assert not (tmp_path / "new.db").exists()
    monkeypatch.undo()
    features.import_pictures(tmp_path / "new.db", replace(footage, pictures=pictures), done.config)
    with pycolmap.Database.open(tmp_path / "new.db") as opened:
        assert opened.num_images() == opened.num_cameras() == len(pictures)
    assert [path.name for path in tmp_path.glob("*.db*")] == ["new.db"]
