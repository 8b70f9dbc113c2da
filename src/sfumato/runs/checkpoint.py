"""Checkpoints: the full state of a run in one file, which is untrusted when read."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato import machine
from sfumato.capture.dataset import Capture
from sfumato.errors import CaptureError, ConfigError, FormatError
from sfumato.ops.backend import HOST
from sfumato.outputs import replacing
from sfumato.runs.run_options import RunOptions
from sfumato.training.part import Part
from sfumato.training.state import TrainState, restore

_log = logging.getLogger("sfumato")

KIND = "sfumato checkpoint"
VERSION = 4
KEPT = 2
# Length of the digest of a photograph, in hexadecimal digits.
_DIGITS = 32
_PART_BYTES = 1 << 20
# Bounded length of step numbers.
_STEP = re.compile("[0-9]{1,18}")
_PLAIN = (dict, list, tuple, str, int, float, bool, type(None))


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file.

    Attributes:
        path: the file.
        options: of the run.
        capture: identity of the training data, from ``identify``.
        state: from ``TrainState.state_dict``.
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
                f"{self.path} is damaged or of another version ({_one_line(error)}); begin another run"
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
    with replacing(path) as temporary:
        torch.save(content, temporary)
    found = checkpoints(folder)
    before = [other for other in found if _step(other) < state.step][-(KEPT - 1) :]
    for other in found:
        if other != path and other not in before:
            with suppress(OSError):
                other.unlink()
    return path


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
    """Read a checkpoint; only tensors and plain values are created from it.

    Raises:
        FormatError: it is missing, damaged, hostile or of another version.
    """
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FormatError:
        raise
    except Exception as error:
        # The errors of torch and zipfile on broken files are not documented; all mean a damaged file.
        raise FormatError(f"checkpoint {path} is damaged ({_one_line(error)})") from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise FormatError(f"{path} is not a checkpoint of a run")
    if content.get("version") != VERSION:
        raise FormatError(f"{path} has version {content.get('version')!r}, this program reads {VERSION}")
    capture, state = content.get("capture"), content.get("state")
    if not isinstance(capture, dict) or not isinstance(state, dict):
        raise FormatError(f"checkpoint {path} is damaged (it is incomplete)")
    _check_tensors(content, path)
    return Checkpoint(path, RunOptions.from_plain(content.get("options"), path), capture, state)


def first_not_finite(state: TrainState) -> str | None:
    """The name of a parameter with NaN or infinity, or None."""
    fields = state.population.gaussians.tensors()
    return next((name for name, t in fields.items() if not bool(torch.isfinite(t).all())), None)


def _check_archive(path: Path) -> None:
    """Refuse compressed archives, which could expand to any size, and modified ones."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        compressed = any(m.compress_type != zipfile.ZIP_STORED for m in members)
        if compressed or sum(m.file_size for m in members) > size:
            raise FormatError(f"checkpoint {path} claims more data than the file has")
        # Torch does not read members that are marked as folders, which leaves tensors uninitialised.
        if any(m.external_attr for m in members):
            raise FormatError(f"checkpoint {path} is damaged (a part of it is marked as a folder)")
        # Torch does not verify the checksums.
        broken = archive.testzip()
    if broken is not None:
        raise FormatError(f"checkpoint {path} is damaged (the checksum of {broken} is wrong)")


def _check_tensors(content: dict[str, Any], path: Path) -> None:
    size, total = path.stat().st_size, 0
    for name, value in _walk(content, ""):
        if not isinstance(value, Tensor):
            if not isinstance(value, _PLAIN):
                raise FormatError(
                    f"checkpoint {path}: {name} is of the unexpected type {type(value).__name__}"
                )
            continue
        if value.layout != torch.strided or value.is_quantized or not value.is_contiguous():
            raise FormatError(f"checkpoint {path}: {name} is not a plain tensor")
        total += value.numel() * value.element_size()
        if total > size:
            raise FormatError(f"checkpoint {path} claims more data than the file has")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise FormatError(f"checkpoint {path}: {name} holds NaN or infinity")


def _walk(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item, name)


def _step(path: Path) -> int:
    return int(path.stem[5:])


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
