"""The stages from footage to a posed dataset; the result of each stage is a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato import machine
from sfumato.display import Display
from sfumato.errors import CaptureError
from sfumato.footage import Footage, FrameOptions, gather, read_footage
from sfumato.footage.frames_file import FILE_NAME, IMAGES, LEFT_OUT, left_out
from sfumato.outputs import folder_lock, write_json
from sfumato.sfm import export, features, known, mapping, matching, pairs, report, solving, summary, upright
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.inputs import check_folders, every_file, given_cameras, pictures_of
from sfumato.sfm.loading import load_colmap
from sfumato.sfm.picture_errors import reprojection_errors
from sfumato.sfm.stage_files import is_sound
from sfumato.sfm.stages import Stages, fingerprint
from sfumato.sfm.time_plan import SfmPlan

if TYPE_CHECKING:
    import pycolmap

# Number of pictures up to which all pairs are matched if too few were registered otherwise.
_MOST_FOR_ALL_PAIRS = 300


@dataclass(frozen=True)
class SfmResult:
    """Result of structure from motion.

    Attributes:
        folder: the dataset.
        quality: quality measures.
        verdict: good, usable or poor.
        seconds: duration of each stage when it was done.
    """

    folder: Path
    quality: report.SfmQuality
    verdict: str
    seconds: dict[str, float]


def structure_from_motion(
    inputs: Sequence[Path],
    out: Path,
    config: SfmConfig = SfmConfig(),  # noqa: B008
    frames: FrameOptions = FrameOptions(),  # noqa: B008
    *,
    display: Display | None = None,
) -> SfmResult:
    """Find the cameras of videos or photographs, or the points of pictures with known cameras.

    Args:
        inputs: videos, photographs, folders of them; or one posed dataset.
        out: dataset folder to create: ``images/`` and ``sparse/0/`` with pinhole cameras, ``sfm.json``, and
            ``work/``, which is only needed to resume after an interruption or with other options.
        config: options of structure from motion.
        frames: options of the selection of pictures.
        display: shows progress.

    Returns:
        SfmResult. The same input, options and seed give the same cameras and points.

    Raises:
        CaptureError: the input cannot be used, or no cameras could be found; the message says why.
    """
    inputs = [Path(given) for given in inputs]
    check_folders(inputs, out)
    with folder_lock(out, "finding cameras in"):
        return _SfmRun(inputs, out, config, frames, display or Display()).go()


class _SfmRun:
    """One run: its folders, its options, and its stages in order."""

    def __init__(
        self, inputs: list[Path], out: Path, config: SfmConfig, frames: FrameOptions, display: Display
    ) -> None:
        self._inputs, self._out, self._config, self._frames = inputs, out, config, frames
        self._display = display
        self._work = out / "work"
        self._database = self._work / "database.db"
        self._stages = Stages(self._work / "stages.json", out)
        self._given = given_cameras(inputs, config)
        self._plan = SfmPlan(config, frames, self._work / "plan.json")

    def go(self) -> SfmResult:
        # Suppresses COLMAP's log on stderr.
        load_colmap()
        self._plan.pace.probe()
        placed = self._place_given() if self._given else None
        footage = placed.footage if placed else self._gather()
        footage = self._find_features(footage, placed)
        self._match(footage, exhaustive=False)
        model, found = self._find_cameras(footage, placed)
        is_enough = model.num_reg_images() >= mapping.ENOUGH * len(footage.pictures)
        if not (placed or is_enough or found["all_compared"]) and self._may_compare_all(footage):
            self._match(footage, exhaustive=True)
            from_all = self._find_cameras(footage, exhaustive=True)
            model, found = max(from_all, (model, found), key=lambda each: each[0].num_reg_images())
        return self._write(footage, model, found, placed is not None)

    def _gather(self) -> Footage:
        folder, inputs = self._work / "frames", pictures_of(self._inputs)
        files = every_file(inputs)
        options = self._plan.frame_options(files, self._display)

        def work(_: bool) -> None:
            # These pictures are ours, even if their frames file is missing or damaged.
            shutil.rmtree(folder / IMAGES, ignore_errors=True)
            with self._display.counting("selecting pictures", "frames") as report_count:
                gather(
                    inputs,
                    folder,
                    options,
                    report=lambda what, done, total: report_count(done, total),
                )

        made_from = [fingerprint(files), asdict(options)]
        self._stages.run("frames", made_from, work, [folder / FILE_NAME, folder / IMAGES])
        footage = read_footage(folder)
        if self._config.known_distance:
            upright.check_names(self._config.known_distance, [p.name for p in footage.pictures])
        unusable = [one for one in footage.dropped if not one.reason.startswith(LEFT_OUT)]
        self._display.say(f"pictures: {len(footage.pictures)}{left_out(unusable)}")
        return footage

    def _place_given(self) -> known.KnownCameras:
        assert self._given is not None
        placed = known.place_known(self._given, self._work / "frames" / "images")
        poses = {name: pose.tolist() for name, pose in placed.poses.items()}
        cameras = {name: repr(camera) for name, camera in placed.cameras.items()}
        files = fingerprint(Path(picture.source) for picture in placed.footage.pictures)
        self._stages.run("frames", [files, poses, cameras], lambda _: None)
        self._display.say(f"pictures: {len(placed.footage.pictures)}, with known cameras")
        return placed

    def _find_features(self, footage: Footage, placed: known.KnownCameras | None) -> Footage:
        """The pictures whose features were detected within the time budget."""
        settings = self._plan.settings(footage)
        if self._plan.is_outdated():
            self._stages.forget("features")
        cameras = {name: known.colmap_camera(c) for name, c in placed.cameras.items()} if placed else None

        def work(is_continued: bool) -> None:
            if not (is_continued and is_sound(self._database)):
                features.import_pictures(self._database, footage, self._config, cameras)
            with self._display.counting("finding features", "pictures") as report_count:
                thinning = None if placed else self._plan.thinning()
                out = features.extract(self._database, footage, settings, report_count, thinning)
            self._plan.leave_out(out)

        self._stages.run("features", [asdict(settings), self._config.camera_model], work, [self._database])
        footage = self._plan.thinned(footage)
        self._plan.say(footage, self._display)
        return footage

    def _match(self, footage: Footage, *, exhaustive: bool) -> None:
        def work(is_continued: bool) -> None:
            if not (is_continued or exhaustive):
                matching.forget_matches(self._database)
            descriptors = features.read_descriptors(self._database)
            _check_features(footage, descriptors)
            until_s = self._plan.pairs_until_s(len(footage.pictures))
            chosen = pairs.choose_pairs(
                footage.pictures,
                descriptors,
                self._config,
                exhaustive=exhaustive,
                by_worth=self._plan.pace.is_limited,
            )
            names = [(footage.pictures[a].name, footage.pictures[b].name) for a, b in chosen]
            tolerance_px = mapping.pixel_tolerance(footage.pictures)
            with self._display.counting("matching", "pairs") as report_count:
                matching.match(
                    self._database, names, self._work, report_count, self._config.seed, tolerance_px, until_s
                )

        made_from = [self._config.pairs, self._config.seed, exhaustive]
        self._stages.run("all pairs" if exhaustive else "pairs", made_from, work, changes=[self._database])

    def _find_cameras(
        self, footage: Footage, placed: known.KnownCameras | None = None, *, exhaustive: bool = False
    ) -> tuple[pycolmap.Reconstruction, dict[str, Any]]:
        """The model, and the method that found it."""
        import pycolmap

        # Absolute paths: the worker process has another working directory.
        task = mapping.Task(
            self._database.resolve(),
            footage.folder.resolve(),
            len(footage.pictures),
            mapping.pixel_tolerance(footage.pictures),
            self._config.seed,
            self._plan.cameras_until_s(len(footage.pictures)),
        )
        folder = self._work / ("model_of_all_pairs" if exhaustive else "model")
        refined = self._config.poses == "refine"
        inputs = ", ".join(map(str, self._inputs[:3]))
        if footage.spared:
            inputs += f", without {footage.spared} pictures that need more --minutes or --max-photos"
        scratch = self._work / "mapping"
        places = folder.resolve(), scratch.resolve()
        problem = solving.Problem(task, footage.pictures, placed, refined, inputs, *places)
        name = "cameras from all pairs" if exhaustive else "cameras"
        made_from = [self._config.seed, self._config.poses]
        self._stages.run(name, made_from, lambda _: solving.solve(problem, self._display), [folder])
        return pycolmap.Reconstruction(folder), json.loads((folder / solving.FOUND).read_text("utf-8"))

    def _may_compare_all(self, footage: Footage) -> bool:
        # With more pairs, matching and mapping take longer than before.
        has_time = self._plan.pace.left_s > sum(self._stages.seconds.values())
        return len(footage.pictures) <= _MOST_FOR_ALL_PAIRS and has_time

    def _write(
        self, footage: Footage, model: pycolmap.Reconstruction, found: dict[str, Any], is_given: bool
    ) -> SfmResult:
        """Write the dataset and ``sfm.json``, and print the summary."""
        outcome = summary.summarised(
            footage,
            model,
            self._database,
            other_models=found["other_models"],
            torn_pairs=found.get("torn_pairs", 0),
            is_given=is_given,
        )
        cameras, errors = report.cameras_of(model), reprojection_errors(model)
        placing = summary.WorldFrame(upright.IDENTITY, upright.Gravity(None, "given cameras"))
        if not is_given:
            placing = summary.WorldFrame.found(footage, model, self._config)

        def work(_: bool) -> None:
            with self._display.counting("writing pictures", "pictures") as report_count:
                export.write_dataset(model, placing.similarity, footage.folder, self._out, report_count)

        made = [self._out / "images", self._out / "sparse" / "0"]
        self._stages.run("dataset", [placing.similarity.matrix.tolist()], work, made)
        rest = {
            "found_by": found["way"],
            "torn_pairs": outcome.torn_pairs,
            "other_models": outcome.other_models,
            "cameras": cameras,
            "reprojection_errors_px": errors,
            "missing": [{"name": name, "reason": reason} for name, reason in outcome.missing.items()],
            "left_out": [asdict(dropped) for dropped in footage.dropped],
            "world": placing.to_plain(),
            "seconds": self._stages.seconds,
            "options": {"sfm": asdict(self._config), "frames": asdict(self._frames)},
            "versions": machine.versions(),
        }
        against = outcome.against
        plain = report.to_plain(outcome.quality, outcome.verdict, against, rest)
        write_json(self._out / "sfm.json", plain)
        seconds = self._stages.seconds
        summary.say(outcome, placing, sum(seconds.values()), self._display)
        return SfmResult(self._out, outcome.quality, outcome.verdict, seconds)


def _check_features(footage: Footage, descriptors: dict[str, np.ndarray]) -> None:
    rich = sum(len(found) >= 50 for found in descriptors.values())
    if rich < mapping.LEAST_PICTURES:
        raise CaptureError(
            f"only {rich} of {len(footage.pictures)} pictures show any texture; cameras are found from "
            "details, so film things with patterns, in focus and in good light"
        )
