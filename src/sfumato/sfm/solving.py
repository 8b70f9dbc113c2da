"""Mapping of matched pictures in a separate process, which may crash safely."""

from __future__ import annotations

import base64
import pickle
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import CaptureError
from sfumato.footage.frames_file import Picture
from sfumato.outputs import write_json
from sfumato.sfm import ambiguity, mapping, matching, model_files
from sfumato.sfm.worker_pool import Job, WorkerPool

if TYPE_CHECKING:
    import pycolmap

    from sfumato.display import Display
    from sfumato.sfm.known import KnownCameras

FOUND = "found.json"
_MAPPING, _SEPARATING = "finding cameras", "separating look-alike places"
# Time-out of mapping, and its increase per picture.
_ALLOWED_S, _ALLOWED_A_PICTURE_S = 3600.0, 600.0
# Mapping is deterministic, and so are its crashes, unless memory was short because of other processes.
_ATTEMPTS = 2

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Problem:
    """Input of the mapping process.

    Attributes:
        task: what is mapped.
        pictures: sorted by name.
        given: the cameras, if they are known.
        refined: whether given cameras are refined.
        inputs: description of the input, for errors.
        folder: to create, with the model and ``found.json``.
        scratch: for intermediate files.
    """

    task: mapping.Task
    pictures: Sequence[Picture]
    given: KnownCameras | None
    refined: bool
    inputs: str
    folder: Path
    scratch: Path

    def solve(self, tell: Tell) -> None:
        """Find cameras and points, and write them.

        Args:
            tell: called with the title of the step, the amount done, and the total.

        Raises:
            CaptureError: no cameras were found; the message says why.
            SfumatoError: the disk is full.
        """
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self.given:
            model, way, apart = self._triangulated(self.given), "given cameras", 0
        else:
            model, way, apart = self._mapped(tell)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        model_files.write_model(model, self.folder)
        found = {
            "way": way,
            "other_models": apart,
            "all_compared": matching.are_all_compared(self.task.database, len(self.pictures)),
            "torn_pairs": 0 if self.given else ambiguity.torn_pairs(model, self.task, self.pictures),
        }
        write_json(self.folder / FOUND, found)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _mapped(self, tell: Tell) -> tuple[pycolmap.Reconstruction, str, int]:
        """The model, the method that found it, and the number of other models."""

        def report(done: int, total: int) -> None:
            tell(_MAPPING, done, total)

        def report_again(done: int, total: int) -> None:
            tell(_SEPARATING, done, total)

        began_s = time.monotonic()
        model, way, apart = mapping.best_model(self.task, self.scratch, report)
        task = replace(self.task, took_s=time.monotonic() - began_s)
        if model is None:
            raise CaptureError(
                f"{self.inputs}: no cameras could be found: fewer than {mapping.LEAST_PICTURES} of "
                f"{len(self.pictures)} pictures fit together; take more pictures, closer to each other, "
                "while moving sideways round something with texture"
            )
        report_again(0, 0)
        model, is_new = ambiguity.resolved(model, task, self.pictures, self.scratch, report_again)
        mapping.final_bundle_adjustment(model, self.task)
        return model, f"{way}, with places that look alike told apart" if is_new else way, apart

    def _triangulated(self, given: KnownCameras) -> pycolmap.Reconstruction:
        # Imported here, as it is slow to load.
        from sfumato.sfm import known

        model = known.posed_model(self.task.database, given)
        # With poses that are some pixels off, most points need a looser tolerance first.
        for factor in (4.0, 1.0, 1.0) if self.refined else (1.0,):
            now = replace(self.task, tolerance_px=factor * self.task.tolerance_px)
            model = mapping.retriangulated(model, now, self.scratch)
            mapping.final_bundle_adjustment(model, now, poses=self.refined)
        if self.refined:
            known.back_to_given(model, given)
        if not model.num_points3D():
            raise CaptureError(
                f"{self.inputs}: its pictures do not fit its cameras: not one point could be found; check "
                "the poses, or give --poses estimate"
            )
        return model


def solve(problem: Problem, display: Display) -> None:
    """Solve a problem in another process.

    Raises:
        CaptureError: no cameras were found; the message says why.
        SfumatoError: the process died each time, or the disk is full.
    """

    def prepare() -> dict[str, Any]:
        return {"work": "solve", "task": base64.b64encode(pickle.dumps(problem)).decode()}

    allowed_s = _ALLOWED_S + _ALLOWED_A_PICTURE_S * len(problem.pictures)
    with ExitStack() as shown, WorkerPool(1, problem.folder.parent) as pool:
        if problem.given:
            shown.enter_context(display.waiting("finding points"))
        counted = _Counted(display, shown)
        list(pool.results([Job("finding cameras", prepare, allowed_s, counted, _ATTEMPTS)]))


class _Counted:
    """Shows the progress of another process, one title after the other."""

    def __init__(self, display: Display, shown: ExitStack) -> None:
        self._display, self._shown, self._title = display, shown, ""

    def __call__(self, title: str, done: int, total: int) -> None:
        if title != self._title:
            self._shown.close()
            self._title = title
            self._report = self._shown.enter_context(self._display.counting(title, "pictures"))
        self._report(done, total)
