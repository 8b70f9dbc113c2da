"""Checkpoints: the full state of a run in one file, which is untrusted when read."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sfumato import machine
from sfumato.capture.dataset import Capture
from sfumato.errors import CaptureError, ConfigError, FormatError
from sfumato.ops.backend import HOST
from sfumato.outputs import replacing
from sfumato.runs.checkpoint_file import KIND, one_line, read_content
from sfumato.runs.run_options import RunOptions
from sfumato.sharding.sharded_state import ShardedState, parts_with_rows
from sfumato.sharding.state_shards import joined
from sfumato.training.part import Part
from sfumato.training.state import TrainState, restore

_log = logging.getLogger("sfumato")

# Of runs of one process, and of several with a file each.
VERSION, SHARDED_VERSION = 4, 5
MOST_PROCESSES = 4096
KEPT = 2
# Length of the digest of a photograph, in hexadecimal digits.
_DIGITS = 32
_PART_BYTES = 1 << 20
# Bounded length of step numbers.
_STEP = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file.

    Attributes:
        path: the file.
        options: of the run.
        capture: identity of the training data, from ``identify``.
        state: from ``TrainState.state_dict``; of several processes, joined, with the ``process_rows``.
    """

    path: Path
    options: RunOptions
    capture: dict[str, Any]
    state: dict[str, Any]

    def restore(
        self,
        capture: Capture,
        identity: dict[str, Any] | None = None,
        device: torch.device = HOST,
        parts: Iterable[Part] = (),
    ) -> TrainState:
        """The saved state.

        Args:
            capture: the training data.
            identity: result of ``identify(capture)``, if already known.
            device: of the scene.
            parts: further parts with which the run was started.

        Raises:
            ConfigError: the dataset is another one, or has changed.
            FormatError: the state is incomplete or inconsistent.
        """
        self._check_capture(identity or identify(capture), capture.path)
        try:
            state = restore(self.state, capture, self.options.train, device, parts)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            raise FormatError(
                f"{self.path} is damaged or of another version ({one_line(error)}); begin another run"
            ) from error
        return state

    def _check_capture(self, now: dict[str, Any], path: Path) -> None:
        then = self.capture
        if any(now[key] != then.get(key) for key in ("views", "digest")):
            raise ConfigError(
                f"the photographs, cameras or split of {path} are not those of the run to resume "
                f"({then.get('views')} photographs then, {now['views']} now); begin another run"
            )
        # Older checkpoints have no digests of contents.
        contents = then.get("contents", now["contents"])
        if not isinstance(contents, dict):
            raise FormatError(f"checkpoint {self.path} is damaged (it is incomplete)")
        other = sorted(name for name, digest in now["contents"].items() if contents.get(name) != digest)
        if other:
            more = f" and {len(other) - 1:,} more" if len(other) > 1 else ""
            raise ConfigError(
                f"{other[0]}{more} in {path} are other pictures, or have other masks, than in the run to "
                "resume, under the same names; put the old ones back, or begin another run"
            )


def identify(capture: Capture) -> dict[str, Any]:
    """The identity of a dataset: names, sizes, cameras, split and content of its photographs.

    Raises:
        CaptureError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for view in capture.views:
        camera = view.camera
        numbers = [*camera.focal_px, *camera.centre_px, *camera.camera_from_world.flatten().tolist()]
        row = [view.name, view.name in capture.test_names, camera.size_px, [f"{x:.9g}" for x in numbers]]
        digest.update(json.dumps(row).encode())
    with ThreadPoolExecutor(machine.cores()) as threads:
        contents = list(threads.map(_content, (view.files for view in capture.views)))
    names = (view.name for view in capture.views)
    return {
        "views": len(capture.views),
        "digest": digest.hexdigest(),
        "contents": dict(zip(names, contents, strict=True)),
    }


def _content(files: Iterable[Path]) -> str:
    """A digest of files."""
    digest = hashlib.sha256()
    for path in files:
        try:
            digest.update(path.stat().st_size.to_bytes(8, "little"))
            with path.open("rb") as handle:
                while part := handle.read(_PART_BYTES):
                    digest.update(part)
        except OSError as error:
            raise CaptureError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    return digest.hexdigest()[:_DIGITS]


def save_checkpoint(folder: Path, state: TrainState, options: RunOptions, capture: dict[str, Any]) -> Path:
    """Write ``step_<steps>.pt`` and remove all others except the previous one.

    Args:
        folder: of the checkpoints.
        state: of the run.
        options: of the run.
        capture: from ``identify``.

    Raises:
        SfumatoError: the file cannot be written.
    """
    path = folder / f"step_{state.step:06d}.pt"
    content = {
        "kind": KIND,
        "version": VERSION,
        "versions": machine.versions(),
        "options": options.to_plain(),
        "capture": capture,
        "state": state.state_dict(),
    }
    if isinstance(state, ShardedState):
        content |= {"version": SHARDED_VERSION, "processes": state.ranks.count}
        content["with_rows"] = sorted(parts_with_rows(state))
    with replacing(path) as temporary:
        torch.save(content, temporary)
    found = checkpoints(folder)
    before = [other for other in found if _step(other) < state.step][-(KEPT - 1) :]
    for other in found:
        if other != path and other not in before:
            for file in (other, *folder.glob(f"{other.stem}.process*.pt")):
                with suppress(OSError):
                    file.unlink()
    return path


def save_shard(folder: Path, state: ShardedState) -> None:
    """Write ``step_<steps>.process<n>.pt``, with the Gaussians of process n, which does not lead.

    The checkpoint is complete once process 0 has written ``step_<steps>.pt``.

    Raises:
        SfumatoError: the file cannot be written.
    """
    rank, saved = state.ranks.rank, state.state_dict()
    content = {
        "kind": KIND,
        "version": SHARDED_VERSION,
        "process": rank,
        "processes": state.ranks.count,
        "step": state.step,
        "state": {"population": saved["population"], "parts": saved["parts"]},
    }
    with replacing(_shard_of(folder / f"step_{state.step:06d}.pt", rank)) as temporary:
        torch.save(content, temporary)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, ordered by step."""
    return sorted((path for path in folder.glob("step_*.pt") if _STEP.fullmatch(path.stem[5:])), key=_step)


def latest_checkpoint(folder: Path) -> Checkpoint:
    """The last readable checkpoint of a folder, with a warning for each unreadable one.

    Raises:
        ConfigError: there is none.
        FormatError: none can be read.
    """
    found = checkpoints(folder)
    if not found:
        raise ConfigError(f"{folder.parent} has no checkpoint to resume from; give --overwrite to start anew")
    for path in reversed(found):
        try:
            return load_checkpoint(path)
        except FormatError as error:
            if path == found[0]:
                raise
            _log.warning("%s; going back to the one before", error)
    raise AssertionError("unreachable: the first checkpoint is returned or raises")


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, of any number of processes; only tensors and plain values are created from it.

    Raises:
        FormatError: it is missing, damaged, hostile or of another version.
    """
    content = read_content(path)
    if content.get("version") not in (VERSION, SHARDED_VERSION):
        raise FormatError(
            f"{path} has version {content.get('version')!r}, this program reads {VERSION} and "
            f"{SHARDED_VERSION}"
        )
    capture, state = content.get("capture"), content.get("state")
    if not isinstance(capture, dict) or not isinstance(state, dict):
        raise FormatError(f"checkpoint {path} is damaged (it is incomplete)")
    if content["version"] == SHARDED_VERSION:
        state = _joined(path, content)
    return Checkpoint(path, RunOptions.from_plain(content.get("options"), path), capture, state)


def _joined(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The state of a run of several processes, whose files lie beside that of process 0.

    Raises:
        FormatError: one is missing or damaged, or they do not fit together.
    """
    count, with_rows, states = content.get("processes"), content.get("with_rows"), [content["state"]]
    if not isinstance(count, int) or not 2 <= count <= MOST_PROCESSES or not isinstance(with_rows, list):
        raise FormatError(f"checkpoint {path} is damaged (it is of {count!r} processes)")
    for rank in range(1, count):
        other = _shard_of(path, rank)
        shard = read_content(other)
        known = [shard.get(key) for key in ("version", "process", "processes", "step")]
        if known != [SHARDED_VERSION, rank, count, _step(path)]:
            raise FormatError(f"{other} does not belong to {path.name}")
        states.append(shard.get("state"))
    try:
        rows = [len(shard["population"]["means"]["values"]) for shard in states]
        return joined(states, with_rows) | {"process_rows": rows}
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise FormatError(f"checkpoint {path} is damaged ({one_line(error)})") from error


def _shard_of(path: Path, rank: int) -> Path:
    """The file of one process beside that of process 0."""
    return path.with_name(f"{path.stem}.process{rank}.pt")


def first_not_finite(state: TrainState) -> str | None:
    """The name of a parameter with NaN or infinity, or None."""
    fields = state.population.gaussians.tensors()
    return next((name for name, t in fields.items() if not bool(torch.isfinite(t).all())), None)


def _step(path: Path) -> int:
    return int(path.stem[5:])
