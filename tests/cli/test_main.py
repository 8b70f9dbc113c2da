"""The command line starts quickly, lists its commands, and reports errors in one line."""

import logging
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

import sfumato
from sfumato.cli import EXIT_INTERRUPTED, VERBS, main
from sfumato.display import Display

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


def test_help_lists_all_commands(capsys):
    assert main([]) == 0 and main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {verb} " in said for verb in VERBS)
    assert {"reconstruct", "sfm", "train", "eval", "doctor"} <= set(VERBS)


def test_interrupted_resumable_commands_say_so(capsys, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    for verb in ("sfm", "doctor"):
        monkeypatch.setattr(f"sfumato.cli.{verb}.command", interrupted)
    assert main(["sfm", "video.mp4"]) == main(["doctor"]) == EXIT_INTERRUPTED
    assert capsys.readouterr().err.splitlines() == [
        "sfumato: interrupted; the same command resumes",
        "sfumato: interrupted",
    ]


def test_file_names_cannot_control_the_terminal(capsys, monkeypatch):
    """Escape sequences, line breaks and odd bytes appear neither in errors nor in warnings nor in output."""
    monkeypatch.setattr(logging.getLogger("sfumato"), "handlers", [])
    assert main(["train", "a\x1b[31m\udcff\u202e", "-o", "x"]) == 2
    logging.getLogger("sfumato").warning("%s", "b\nsfumato: error: c\x07\udcff")
    Display(Console()).say("d\x9b\udcff\ne")
    written = capsys.readouterr()
    error, warning = written.err.splitlines()
    assert r"a\x1b[31m\udcff\u202e" in error
    assert warning == r"sfumato: warning: b\nsfumato: error: c\x07\udcff"
    assert written.out.splitlines()[-2:] == [r"d\x9b\udcff", "e"]


def test_help_loads_nothing_slow():
    assert loaded_by(PROBE.format(arguments=["--help"])) == "[]"
    assert loaded_by(PROBE.format(arguments=["train", "--help"])) == "['tyro']"


@pytest.mark.slow
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


def options_in_help(said):
    """{option: its help text}."""
    found = re.findall(r"(?m)^  (?:-\w, )?(--\S+?)(?:,? .*?)?(?:  +|\n {26})(\S.*(?:\n {26}.*)*)", said)
    return {name: " ".join(text.split()) for name, text in found}


@pytest.mark.parametrize(("verb", "least"), [("reconstruct", 60), ("train", 45), ("sfm", 10), ("render", 15)])
def test_every_option_has_an_explanation_beyond_its_name(verb, least, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help-all"])
    explained = options_in_help(capsys.readouterr().out)
    assert len(explained) >= least
    for option, text in explained.items():
        others = set(re.findall(r"[a-z]{2,}", text.lower())) - set(re.split(r"\W+", option))
        assert len(others) >= 2, f"{option} is not explained: {text!r}"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_errors_are_one_line_on_every_terminal(encoding):
    code = (
        "import sys; from sfumato.cli import main; sys.exit(main(['train', 'x', '-o', 'y', '--stepz', '3']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 2
    assert done.stderr == (
        "sfumato: error: there is no option --stepz; perhaps you meant --steps; see sfumato train --help\n"
    )


def test_help_is_accepted_before_and_after_a_command(capsys):
    with pytest.raises(SystemExit):
        main(["help", "convert"])
    assert "usage: sfumato convert" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sfumato {sfumato.__version__}\n"
