"""Runs of the command line on three tiny photographs."""

import os

from sfumato.cli import main
from sfumato.runs import run
from sfumato.training import loop

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


def signalled_at(monkeypatch, step, *signals):
    """Send signals to this process in the middle of a step, also of several processes."""

    def with_signal(take):
        def step_with_signal(state, *rest):
            if state.step == step:
                for number in signals:
                    os.kill(os.getpid(), number)
            return take(state, *rest)

        return step_with_signal

    for module, name in ((loop, "train_step"), (run, "sharded_train_step")):
        monkeypatch.setattr(module, name, with_signal(getattr(module, name)))
