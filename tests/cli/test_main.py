"""The command line starts quickly, says what there is, and complains in one line."""

import subprocess
import sys

import pytest

import sfumato
from sfumato.cli import VERBS, main

PROBE = """
import sys
from sfumato.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print(sorted({{"torch", "numba", "tyro", "PIL"}} & set(sys.modules)))
"""


def loaded_by(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_help_lists_the_commands_there_are(capsys):
    assert main([]) == 0 and main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {verb} " in said for verb in VERBS)
    assert set(VERBS) == {"train", "eval", "doctor"}


def test_help_loads_nothing_slow():
    assert loaded_by(PROBE.format(arguments=["--help"])) == "[]"
    assert loaded_by(PROBE.format(arguments=["train", "--help"])) == "['tyro']"


def test_the_package_loads_nothing_slow():
    modules = "sorted({'torch', 'numba', 'tyro', 'PIL'} & set(sys.modules))"
    assert loaded_by(f"import sys, sfumato; sfumato.SfumatoError; print({modules})") == "[]"
    assert loaded_by(f"import sys, sfumato; sfumato.Gaussians; print({modules})") == "['torch']"


def test_public_names_are_there():
    for name in sfumato.__all__:
        assert getattr(sfumato, name) is not None and name in dir(sfumato)
    assert callable(sfumato.train) and callable(sfumato.evaluate)
    assert sfumato.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = sfumato.trian


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert not stopped.value.code and f"usage: sfumato {verb}" in said


def test_every_option_of_training_is_explained(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = capsys.readouterr().out
    blocks = said.split("│ --")[1:]
    for block in blocks:
        name, _, words = " ".join(block.replace("│", " ").split()).partition(" ")
        explained = words.split("(default")[0].split("╰")[0]
        assert sum(word.islower() for word in explained.split()) >= 2, f"--{name} is not explained"
    assert len(blocks) > 40


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sfumato {sfumato.__version__}\n"
