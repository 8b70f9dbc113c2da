"""`sfumato doctor`: measurements, both forms of output, and advice."""

import copy
import json

import pytest

from sfumato.cli import doctor as module
from sfumato.cli.doctor import advice, doctor, gather


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    """The report, run in a folder with foreign modules that must not be imported."""
    steps, here = [], tmp_path_factory.mktemp("downloaded")
    for stem in ("json", "pickle", "sitecustomize", "usercustomize", "numba", "sfumato"):
        (here / f"{stem}.py").write_text(f"open({str(here / 'ran')!r}, 'a')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        found = gather(steps.append)
    assert len(steps) == 4 and not (here / "ran").exists()
    return found


@pytest.fixture
def good(facts):
    """A machine with unknown properties."""
    found = copy.deepcopy(facts)
    found["machine"] |= {"cores": 8, "busy_cores": 0.0, "features": ["avx2"], "thread_variables": {}}
    found["machine"]["memory_available_bytes"] = 64 * 1024**3
    found["speed"] = {"fma_per_s": 400e9, "fma_per_s_one_core": 50e9, "copied_bytes_per_s": 30e9}
    found["kernels"] |= {"writable": True, "compiled": 9}
    found["threading"] |= {"layer": "tbb"}
    found["lpips_available"] = True
    return found


@pytest.mark.slow
def test_facts_are_measured_and_fit_json(facts):
    assert json.loads(json.dumps(facts)) == facts
    assert 1e8 < facts["speed"]["fma_per_s_one_core"] < 1e13
    assert 1e8 < facts["speed"]["copied_bytes_per_s"] < 1e13
    assert facts["threading"]["layer"] in ("tbb", "omp", "workqueue")
    assert facts["threading"]["layers"]["workqueue"] is True
    assert "sfumato" in facts["kernels"]["folder"] or facts["kernels"]["folder"]


@pytest.mark.slow
def test_prints_json_alone_or_a_table(facts, monkeypatch, capsys):
    monkeypatch.setattr(module, "gather", lambda progress: facts)
    doctor(json=True)
    assert json.loads(capsys.readouterr().out) == facts
    monkeypatch.setenv("COLUMNS", "200")
    doctor()
    printed = capsys.readouterr().out
    assert "What would make it faster" in printed
    assert f"{facts['speed']['copied_bytes_per_s'] / 1e9:.1f} GB/s" in printed
    for sentence in facts["advice"]:
        assert sentence[:40] in printed


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("machine", {"cores": 2}, "4 or more"),
        ("machine", {"busy_cores": 3.0}, "Other programs keep 3.0 of 8"),
        ("machine", {"features": ["sse4.2"]}, "neither AVX2"),
        ("machine", {"memory_available_bytes": 1024**3}, "Less than 4 GiB"),
        ("machine", {"thread_variables": {"OMP_NUM_THREADS": "1"}}, "OMP_NUM_THREADS=1 leaves cores idle"),
        ("threading", {"layer": "workqueue"}, "pip install tbb"),
        ("kernels", {"writable": False}, "SFUMATO_CACHE"),
        ("kernels", {"compiled": 0}, "not compiled yet"),
        ("speed", {"fma_per_s": 100e9}, "do the work of 2.0"),
    ],
)
def test_each_fact_has_its_advice(good, section, change, said):
    assert advice(good) == []
    good[section] |= change
    sentences = advice(good)
    assert len(sentences) == 1
    assert said in sentences[0]


def test_missing_lpips_is_the_last_advice(good):
    good["lpips_available"] = False
    good["machine"]["cores"] = 1
    assert "SFUMATO_LPIPS" in advice(good)[-1]
