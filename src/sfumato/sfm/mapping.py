"""Mapping: methods tried in order until enough pictures are registered."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.footage.frames_file import Picture
from sfumato.sfm.extended_mapping import LEAST_S, extended
from sfumato.sfm.merging import merged
from sfumato.sfm.progress import Progress
from sfumato.sfm.report import USABLE_SHARE

if TYPE_CHECKING:
    import pycolmap
    from pycolmap import Reconstruction as Model

_log = logging.getLogger("sfumato")

# Fraction of registered pictures at which no further method is tried.
ENOUGH = 0.95
LEAST_PICTURES = 3
# COLMAP's default of 0 spends most of the time on precision that the next picture makes obsolete.
_TOLERANCE = 1e-6
# The whole model is adjusted whenever it has grown by COLMAP's 10%. In large sets that takes most of the
# time; with 30%, 1,000 pictures take half as long, and errors are the same.
_MANY_PICTURES, _GROWTH_OF_MANY = 300, 1.3


@dataclass(frozen=True)
class Task:
    """Input of the mapper.

    Attributes:
        database: with verified matches.
        images: folder of the pictures.
        pictures: number of them.
        tolerance_px: largest reprojection error of a point.
        seed: of all random numbers.
        until_s: deadline by the monotonic clock, at which mapping ends with the pictures registered by then;
            a further method is tried only if it can end before.
        took_s: duration of the previous mapping.
    """

    database: Path
    images: Path
    pictures: int
    tolerance_px: float
    seed: int
    until_s: float = math.inf
    took_s: float = 0.0


def pixel_tolerance(pictures: Sequence[Picture]) -> float:
    """Largest reprojection error of a point: 4 px in full HD, at least 2 px in small pictures."""
    side = max(max(picture.size_px) for picture in pictures)
    return min(4.0, max(2.0, side / 480.0))


def best_model(task: Task, folder: Path, report: Progress) -> tuple[pycolmap.Reconstruction | None, str, int]:
    """Try one mapping method after another until enough pictures are registered; the best model is kept.

    Args:
        task: what to map.
        folder: for intermediate files.
        report: called with the number of registered pictures.

    Returns:
        The model with the most pictures, the method that found it, and the number of other, separate models;
        None if no two pictures could be registered together.
    """
    best, way, others = None, "", 0
    for name, method in _METHODS.items():
        began_s = time.monotonic()
        models = method(task, best, folder, report)
        now_s = time.monotonic()
        if not models:
            continue
        model, *apart = merged(models, lambda m: retriangulated(m, task, folder))
        if best is None or _rank(model) > _rank(best):
            best, way, others = model, name, sum(_is_separate(other, model) for other in apart)
        # Pictures of another place form a separate model, which no method would join to this one.
        placed = len(set(model.reg_image_ids()).union(*(other.reg_image_ids() for other in apart)))
        if placed >= ENOUGH * task.pictures or now_s + (now_s - began_s) > task.until_s:
            break
        _log.debug("%s: %d of %d pictures", name, model.num_reg_images(), task.pictures)
    return best, way, others


def map_once(
    task: Task, folder: Path, report: Progress, start: pycolmap.Reconstruction | None = None
) -> list[pycolmap.Reconstruction]:
    """Separate models by the first method alone, the largest first.

    Args:
        task: what to map.
        folder: for intermediate files.
        report: called with the number of registered pictures.
        start: a model to continue.
    """
    models = _map_incrementally(task, _written(start, folder), folder / "once", report, relaxed=False)
    return merged(models, lambda m: retriangulated(m, task, folder)) if models else []


def retriangulated(
    model: pycolmap.Reconstruction, task: Task, folder: Path, *, refine_intrinsics: bool = False
) -> pycolmap.Reconstruction:
    """The same cameras with points triangulated again from the matches."""
    import pycolmap

    options = incremental_options(task, relaxed=False)
    return pycolmap.triangulate_points(
        model,
        task.database,
        task.images,
        _made(folder / "triangulated"),
        clear_points=True,
        options=options,
        refine_intrinsics=refine_intrinsics,
    )


def final_bundle_adjustment(model: pycolmap.Reconstruction, task: Task, *, poses: bool = True) -> None:
    """Final bundle adjustment to convergence, with removal of outlier points.

    Args:
        model: changed in place.
        task: what was mapped.
        poses: refine poses and intrinsics too, not only points.
    """
    import pycolmap

    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_rig_from_world = poses
    options.refine_focal_length = options.refine_extra_params = poses
    # With more threads the order of additions varies, and results would not be reproducible.
    options.ceres.solver_options.num_threads = 1
    options.ceres.solver_options.function_tolerance = 0.1 * _TOLERANCE
    options.ceres.solver_options.max_num_iterations = 50
    whole = pycolmap.BundleAdjustmentConfig()
    for number in sorted(model.reg_image_ids()):
        whole.add_image(number)
    if poses:
        whole.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    for _ in range(2):
        pycolmap.create_default_bundle_adjuster(options, whole, model).solve()
        pycolmap.ObservationManager(model).filter_all_points3D(task.tolerance_px, 1.5)
    model.update_point_3d_errors()


def _incremental(task: Task, best: Model | None, folder: Path, report: Progress) -> list[Model]:
    def mapped(until_s: float, start: Model | None, number: int) -> list[Model]:
        now, out = replace(task, until_s=until_s), folder / f"incremental-{number}"
        return _map_incrementally(now, _written(start, folder), out, report, relaxed=False)

    return extended(mapped, task.until_s, USABLE_SHARE * task.pictures)


def _continued(task: Task, best: Model | None, folder: Path, report: Progress) -> list[Model]:
    """Continue the best model so far with looser thresholds."""
    if best is None:
        return []
    return _map_incrementally(task, _written(best, folder), folder / "continued", report, relaxed=True)


def _globally(task: Task, best: Model | None, folder: Path, report: Progress) -> list[Model]:
    """Global mapping by rotation averaging (Pan et al. 2024, GLOMAP)."""
    import pycolmap

    options = pycolmap.GlobalPipelineOptions()
    options.num_threads = options.mapper.num_threads = 1
    options.random_seed = options.mapper.random_seed = task.seed
    options.mapper.bundle_adjustment.ceres.solver_options.num_threads = 1
    report(0, 0)
    out = _made(folder / "global")
    return _models(lambda: pycolmap.global_mapping(task.database, task.images, out, options), task)


def _relaxed(task: Task, best: Model | None, folder: Path, report: Progress) -> list[Model]:
    return _map_incrementally(task, None, folder / "relaxed", report, relaxed=True)


_METHODS: dict[str, Callable] = {
    "incremental": _incremental,
    "incremental, continued with looser limits": _continued,
    "global": _globally,
    "incremental with looser limits": _relaxed,
}


def _map_incrementally(
    task: Task, start: Path | None, out: Path, report: Progress, *, relaxed: bool
) -> list[pycolmap.Reconstruction]:
    import pycolmap

    placed = 0

    def another() -> None:
        nonlocal placed
        placed = min(placed + 1, task.pictures)
        report(placed, task.pictures)

    report(0, task.pictures)
    options = incremental_options(task, relaxed=relaxed)
    out = _made(out)
    return _models(
        lambda: pycolmap.incremental_mapping(
            task.database,
            task.images,
            out,
            options,
            input_path=start or "",
            next_image_callback=another,
        ),
        task,
    )


def incremental_options(task: Task, *, relaxed: bool) -> pycolmap.IncrementalPipelineOptions:
    """COLMAP's options of incremental mapping until ``task.until_s``; ``relaxed``: with looser thresholds."""
    import pycolmap

    options = pycolmap.IncrementalPipelineOptions()
    # With more threads the order of additions varies, and results would not be reproducible.
    options.num_threads = options.mapper.num_threads = 1
    options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = task.seed
    options.min_model_size = LEAST_PICTURES
    options.max_num_models = 10
    if math.isfinite(task.until_s):
        options.max_runtime_seconds = max(LEAST_S, math.ceil(task.until_s - time.monotonic()))
    options.ba_global_function_tolerance = options.ba_local_function_tolerance = _TOLERANCE
    if task.pictures > _MANY_PICTURES:
        options.ba_global_frames_ratio = options.ba_global_points_ratio = _GROWTH_OF_MANY
    options.mapper.filter_max_reproj_error = task.tolerance_px
    options.triangulation.merge_max_reproj_error = task.tolerance_px
    options.triangulation.complete_max_reproj_error = task.tolerance_px
    options.mapper.abs_pose_max_error = 3.0 * task.tolerance_px
    options.mapper.init_max_error = task.tolerance_px
    if relaxed:
        options.min_num_matches = 10
        options.mapper.init_min_num_inliers = 30
        options.mapper.init_min_tri_angle = 4.0
        options.mapper.abs_pose_min_num_inliers = 12
        options.mapper.abs_pose_min_inlier_ratio = 0.1
        options.mapper.abs_pose_max_error = 4.0 * task.tolerance_px
    return options


def _models(run: Callable[[], dict], task: Task) -> list[pycolmap.Reconstruction]:
    """The models of a mapper, the largest first."""
    import pycolmap

    pycolmap.set_random_seed(task.seed)
    found = [model for model in run().values() if model.num_reg_images() >= LEAST_PICTURES]
    return sorted(found, key=_rank, reverse=True)


def _is_separate(model: pycolmap.Reconstruction, largest: pycolmap.Reconstruction) -> bool:
    """Whether a model registers enough pictures that the largest one lacks."""
    return len(set(model.reg_image_ids()) - set(largest.reg_image_ids())) >= LEAST_PICTURES


def _rank(model: pycolmap.Reconstruction) -> tuple[int, int]:
    return model.num_reg_images(), model.num_points3D()


def _written(model: pycolmap.Reconstruction | None, folder: Path) -> Path | None:
    """The folder of a written model, for a mapper to continue."""
    if model is None:
        return None
    start = _made(folder / "start")
    model.write(start)
    return start


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
