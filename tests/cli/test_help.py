"""Help of a command: common options by default, all options on request."""

import pytest

from sfumato.cli import main
from sfumato.cli.arguments import parse
from sfumato.cli.help import Help


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert not stopped.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", ["reconstruct", "train"])
def test_help_shows_common_options_and_help_all_shows_all(verb, capsys):
    short, whole = (help_of(capsys, verb, option) for option in ("--help", "--help-all"))
    assert "--minutes FLOAT" in short and "--adc.threshold" not in short and "--adc.threshold" in whole
    assert 10 <= short.count("\n  -") <= 18
    hidden = whole.count("\n  -") - short.count("\n  -")
    assert f"{hidden} more options: sfumato {verb} --help-all" in short and "more options" not in whole
    assert f"Examples:\n  sfumato {verb} " in short


def test_every_common_option_exists(capsys):
    from sfumato.cli import reconstruct, train

    for verb, module in (("reconstruct", reconstruct), ("train", train)):
        said = help_of(capsys, verb, "--help")
        assert all(f"--{name}" in said for name in module._HELP.common)


def test_examples_can_be_parsed():
    import shlex

    from sfumato.cli import reconstruct, train

    for module, kind in ((reconstruct, reconstruct.ReconstructCommand), (train, train.TrainCommand)):
        for example in module._HELP.examples:
            verb, *arguments = shlex.split(example)[1:]
            assert parse(kind, verb, arguments).out.parts[0] == "out"


def test_lines_fit_the_terminal_and_defaults_are_in_plain_words(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    said = help_of(capsys, "train", "--help-all")
    assert max(map(len, said.splitlines())) <= 72
    assert "by default 5, or 10 with" in " ".join(said.split())
    assert "None" not in said and "default: False" not in said and "``" not in said


def test_options_hidden_from_help_are_parsed():
    from sfumato.cli.train import TrainCommand

    given = parse(TrainCommand, "train", ["d", "-o", "r", "--adc.threshold", "2e-4"], shown=Help(common=()))
    assert given.config.adc.threshold == 2e-4
