"""The saved arguments of a reconstruction: the same command resumes it, a different one is an error."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import ConfigError
from sfumato.outputs import write_json
from sfumato.runs.folder import RunFolder
from sfumato.runs.run_options import RunOptions, differences, plain, record
from sfumato.runs.tables import read_table, with_digest

if TYPE_CHECKING:
    from sfumato.reconstruction.reconstruct import Reconstruction

FILE = "reconstruction.json"
_LENGTHS = ("steps", "minutes")


def save_task(task: Reconstruction, out: Path) -> None:
    """Save the arguments of a reconstruction."""
    write_json(out / FILE, with_digest({"version": 1, "task": _table(task)}))


def load_task(kind: type[Reconstruction], out: Path) -> Reconstruction | None:
    """The saved arguments of the reconstruction in a run folder; None if there is none.

    Raises:
        FormatError: the file is damaged.
    """
    path = out / FILE
    return record(kind, read_table(path).get("task"), path) if path.exists() else None


def check_resumable(task: Reconstruction, out: Path, *, resume: bool) -> bool:
    """Whether a folder holds this reconstruction, to be resumed.

    Args:
        task: the given arguments.
        out: the run folder.
        resume: whether there must be one.

    Raises:
        ConfigError: it holds another one, or a run that ``reconstruct`` did not start, or none to resume.
    """
    saved = load_task(type(task), out)
    if saved is None:
        if RunFolder(out).holds_run():
            raise ConfigError(
                f"{out} holds a run already, which reconstruct did not begin; sfumato train goes on with it, "
                "--overwrite replaces it, or give another --out"
            )
        if resume:
            raise ConfigError(f"{out} holds no reconstruction to resume; leave --resume out to begin one")
        return False
    differing = [
        f"{_option(name)} {before} there, {now} now"
        for name, before, now in differences(_table(saved), _table(task))
    ]
    if differing:
        raise ConfigError(
            f"{out} holds a reconstruction already, and of something else ({'; '.join(differing)}); give the "
            "same arguments to resume it, --overwrite to replace it, or another --out; sfumato train with "
            "--resume makes the training longer"
        )
    return True


def check_training(task: Reconstruction, options: RunOptions, out: Path) -> None:
    """Refuse to resume a training run in the folder of a reconstruction to which it does not belong.

    Its length may differ, as it may have been extended since.

    Raises:
        ConfigError: an option differs.
    """
    capture, chosen = task.capture, [*_LENGTHS]
    if capture.downscale is None:
        capture = replace(capture, downscale=options.capture.downscale)
        chosen.append("native_blur")
    train = replace(task.train, **{name: getattr(options.train, name) for name in chosen})
    expected = replace(options, capture=capture, train=train, init=None)
    differing = [name for name, _, _ in differences(options.to_plain(), expected.to_plain())]
    if differing:
        raise ConfigError(
            f"{out} holds a training that is not its reconstruction's ({', '.join(differing)} differ); "
            "sfumato train goes on with it, --overwrite replaces it, or give another --out"
        )


def _table(task: Reconstruction) -> dict[str, Any]:
    return plain(asdict(replace(task, inputs=tuple(path.absolute() for path in task.inputs))))


def _option(name: str) -> str:
    if name == "inputs":
        return "INPUT"
    return "--" + name.removeprefix("train.").removeprefix("capture.").replace("_", "-")
