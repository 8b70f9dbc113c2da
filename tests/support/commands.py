"""Runs of the command line on three tiny photographs."""

from sfumato.cli import main

OPTIONS = ("--steps", "20", "--seed", "4", "--schedule.refine-every", "4", "--adc.threshold", "1e-9")


def train(data, out, *options):
    return main(["train", str(data), "-o", str(out), *options])


def spied(monkeypatch, place, name):
    """The list of calls of a function, from now on, as their arguments."""
    calls, function = [], getattr(place, name)
    monkeypatch.setattr(place, name, lambda *args, **more: (calls.append(args), function(*args, **more))[1])
    return calls


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
