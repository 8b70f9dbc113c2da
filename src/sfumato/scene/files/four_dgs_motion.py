"""The motion in a ``.4dgs`` file: lifetimes and rounded poses, as differences between steps.

The module ``four_dgs`` describes its bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sfumato.errors import FormatError

LAST_POSITION = 65535
_ROTATION_STEPS = 2047
# Bytes of a moving Gaussian: its lifetime, and at each step its position and rotation.
_LIFETIME_BYTES, _POSITION_BYTES, _ROTATION_BYTES = 4, 6, 8
# The highest level takes twelve times as long to make 84 MB of motion 0.6% smaller.
_LEVEL = 6
# Largest compression ratio of deflate.
_MAX_RATIO = 1032
_PIECE_BYTES = 1 << 16


class StepPoses(NamedTuple):
    """Poses of m Gaussians at t steps.

    Attributes:
        means: [t, m, 3] world frame, scene units; NaN where a Gaussian does not exist.
        quats: [t, m, 4] as (w, x, y, z), of length one; NaN likewise.
        birth, death: [m] int64 first step at which each exists, and first at which it no longer does.
    """

    means: np.ndarray
    quats: np.ndarray
    birth: np.ndarray
    death: np.ndarray

    def exists(self) -> np.ndarray:
        """[t, m] bool."""
        steps = np.arange(len(self.means))[:, None]
        return (self.birth <= steps) & (steps < self.death)


class Grid(NamedTuple):
    """16-bit quantisation of positions: ``origin`` [3] plus ``quantum`` times each of three values."""

    origin: np.ndarray
    quantum: float


def grid_of(poses: StepPoses) -> Grid:
    """The finest grid over the bounding box of all positions."""
    means = poses.means[poses.exists()]
    if not len(means):
        return Grid(np.zeros(3), 1.0)
    origin = means.min(axis=0).astype(np.float64)
    side = float((means.max(axis=0) - origin).max())
    return Grid(origin, side / LAST_POSITION if side > 0 else 1.0)


def packed(poses: StepPoses, grid: Grid) -> bytes:
    """The content of ``motion.bin``.

    Args:
        poses: at most 65535 steps; float64, finite where Gaussians exist.
        grid: of ``grid_of``.
    """
    deflater, exists = zlib.compressobj(_LEVEL), poses.exists()
    pieces = [deflater.compress(np.stack([poses.birth, poses.death]).astype("<u2").tobytes())]
    for steps in (_positions(poses, exists, grid), _rotations(poses, exists)):
        pieces += [deflater.compress(data) for data in _differences(steps)]
    return b"".join([*pieces, deflater.flush()])


def unpacked(what: str, data: bytes, steps: int, moving: int, grid: Grid) -> StepPoses:
    """The poses in the content of ``motion.bin``.

    Args:
        what: the file and member, named in errors.
        data: untrusted.
        steps, moving: numbers of steps t and of moving Gaussians m.
        grid: of the positions.

    Returns:
        float32 poses.

    Raises:
        FormatError: the content is damaged, or of another size.
    """
    stream = _Stream(what, data, moving * (_LIFETIME_BYTES + steps * (_POSITION_BYTES + _ROTATION_BYTES)))
    lifetimes = np.frombuffer(stream.take(_LIFETIME_BYTES * moving), "<u2")
    birth, death = lifetimes.reshape(2, moving).astype(np.int64)
    if not ((birth < death) & (death <= steps)).all():
        raise FormatError(
            f"{what} has a birth or death that is not a step from 0 to {steps}, or both in disorder"
        )
    means = np.empty((steps, moving, 3), np.float32)
    quats = np.empty((steps, moving, 4), np.float32)
    poses = StepPoses(means, quats, birth, death)
    _read_poses(stream, means, lambda value: grid.origin + grid.quantum * value)
    _read_poses(stream, quats, lambda value: value.astype(np.int16) / _ROTATION_STEPS)
    stream.end()
    for step, exists in enumerate(poses.exists()):
        length = np.linalg.norm(quats[step], axis=1)
        if not (length[exists] > 0).all():
            raise FormatError(f"{what} has a rotation of zeros at step {step}")
        quats[step] /= np.where(length > 0, length, 1)[:, None]
        means[step, ~exists], quats[step, ~exists] = np.nan, np.nan
    return poses


def _positions(poses: StepPoses, exists: np.ndarray, grid: Grid) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Values [m, 3] of each step, and which Gaussians [m] exist."""
    for now, here in zip(poses.means, exists, strict=True):
        yield np.clip(np.rint((now - grid.origin) / grid.quantum), 0, LAST_POSITION), here


def _rotations(poses: StepPoses, exists: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Values [m, 4] of each step, and which Gaussians [m] exist."""
    before = np.zeros(poses.quats.shape[1:])
    for now, here in zip(poses.quats, exists, strict=True):
        facing = np.where((before * now).sum(axis=1, keepdims=True) < 0, -now, now)
        unit = facing / np.linalg.norm(now, axis=1, keepdims=True)
        before = np.where(here[:, None], unit, before)
        yield np.rint(_ROTATION_STEPS * before), here


def _differences(steps: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[bytes]:
    """Planes of low and high bytes of the differences between steps, one axis after the other."""
    running: np.ndarray | None = None
    for now, here in steps:
        running = np.zeros(now.shape, np.uint16) if running is None else running
        # Via int64, whose conversion to unsigned is modulo 65536.
        value = np.where(
            here[:, None], np.where(here[:, None], now, 0).astype(np.int64).astype(np.uint16), running
        )
        difference = (value - running).T
        yield np.stack([difference & 255, difference >> 8], axis=1).astype(np.uint8).tobytes()
        running = value


class _Stream:
    """The bytes of a zlib stream of a known size, a few at a time."""

    def __init__(self, what: str, data: bytes, size: int) -> None:
        self._what, self._rest = what, data
        self._size, self._inflater = size, zlib.decompressobj()
        if size > _MAX_RATIO * len(data):
            raise FormatError(f"{self._what} is too short for {size} bytes")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        pieces = []
        while count:
            piece = self._inflate(min(count, _PIECE_BYTES))
            if not piece and (self._inflater.eof or not self._rest):
                raise FormatError(f"{self._what} ends before its {self._size} bytes")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def end(self) -> None:
        """Check that nothing is left."""
        if self._inflate(1) or not self._inflater.eof or self._inflater.unused_data:
            raise FormatError(f"{self._what} does not end after {self._size} bytes")

    def _inflate(self, most: int) -> bytes:
        try:
            piece = self._inflater.decompress(self._rest, most)
        except zlib.error as error:
            raise FormatError(f"{self._what} is damaged: {' '.join(str(error).split())}") from None
        self._rest = self._inflater.unconsumed_tail
        return piece


def _read_poses(stream: _Stream, into: np.ndarray, decode: Callable[[np.ndarray], np.ndarray]) -> None:
    """Accumulate differences and write the decoded values into an array [t, m, axes]."""
    _, m, axes = into.shape
    running = np.zeros((axes, m), np.uint16)
    for step in into:
        planes = np.frombuffer(stream.take(2 * axes * m), np.uint8).reshape(axes, 2, m).astype(np.uint16)
        running += planes[:, 0] | planes[:, 1] << 8
        step[:] = decode(running.T)
