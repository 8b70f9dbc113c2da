"""Training a scene in blocks, from a dataset to a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any

import torch

from sfumato.blocks.block_engine import BlockEngine
from sfumato.blocks.block_plan import BlockPlan, read_plan
from sfumato.blocks.block_task import INITIAL
from sfumato.blocks.blocked_run import (
    BlockedRun,
    BlockFolders,
    blocks_of,
    check_options_for_blocks,
    facts_of,
    failure_of,
    resumed_blocks,
)
from sfumato.blocks.joining import joined
from sfumato.blocks.seams import seam_quality
from sfumato.blocks.stage_budgets import StageBudgets, blocks_needed, gaussians_wanted
from sfumato.capture.dataset import Capture
from sfumato.display import Display
from sfumato.errors import ConfigError
from sfumato.ops.backend import HOST
from sfumato.outputs import write_json
from sfumato.runs.folder import RunFolder
from sfumato.runs.held_out_evaluation import NATIVE_IN_A_BUDGET, EvaluationOptions
from sfumato.runs.results import write_results
from sfumato.runs.run import completed
from sfumato.runs.run_options import RunOptions
from sfumato.runs.tables import read_table
from sfumato.scene.files import load, save
from sfumato.scene.scene import Scene
from sfumato.training.plan import sides


@dataclass(frozen=True)
class BlockedResult:
    """The result of a run in blocks, or of the decision against one.

    Attributes:
        capture: the whole dataset.
        blocks: number of blocks; 1: nothing was done, the scene is to be trained whole.
        scene: the joined scene; None if the run was stopped, or if there is one block.
        stopped_by: the signal that stopped it, or None.
    """

    capture: Capture
    blocks: int
    scene: Scene | None = None
    stopped_by: int | None = None


def train_in_blocks(
    out: Path,
    options: RunOptions,
    blocks: int | None,
    engine: BlockEngine,
    display: Display,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: torch.device = HOST,
) -> BlockedResult:
    """Train a scene in blocks and fill a run folder, unless it is one block.

    Args:
        out: the folder. A run in blocks with the same options in it is resumed.
        options: of the whole run.
        blocks: their number; None: that of the run in the folder, or as many as the memory requires.
        engine: trains them.
        display: shows progress.
        resume: there must be a run in the folder.
        overwrite: replace the results in the folder.
        device: of the scenes.

    Returns:
        BlockedResult.

    Raises:
        SfumatoError: the input or an option is wrong, the disk is full, or a block failed.
    """
    if blocks is not None and blocks < 1:
        raise ConfigError(f"--blocks is {blocks}; give auto, or a number of at least 1")
    folder, options = RunFolder(out), completed(options)
    folder.check_free(resume=resume, overwrite=overwrite)
    if resume and not folder.holds_run():
        raise ConfigError(f"{out} holds no run to resume; leave out --resume to begin one")
    known = resumed_blocks(folder, options, blocks, overwrite=overwrite)
    with display.waiting(f"reading {options.data}"):
        capture = options.read_capture()
    capture.require_pixels()
    starting = len(load(options.init) if options.init else capture.points)
    count = known or blocks or blocks_needed(capture, options.train, starting, engine.memory_bytes)
    if count == 1:
        return BlockedResult(capture, 1)
    check_options_for_blocks(options)
    wanted = gaussians_wanted(capture, options.train, starting)
    shares = StageBudgets(wanted, starting, count, engine.at_once)
    with folder.lock():
        if known is None:
            BlockFolders(out).clear()
            largest = max((view.camera.size_px for view in capture.train_views), key=lambda s: s[0] * s[1])
            folder.begin(
                options,
                blocks=count,
                at_once=shares.at_once,
                cap=shares.gaussians,
                starting=shares.starting,
                offset=list(capture.offset),
                resolution=largest,
                original_resolution=capture.original_size_px,
            )
        else:
            shares = _shares_of(folder, count)
        _describe(shares, capture, display)
        run = BlockedRun(BlockFolders(out.absolute()), options, shares, capture, display, device)
        return _finished(folder, run, engine)


def _shares_of(folder: RunFolder, count: int) -> StageBudgets:
    """The budgets with which the run in a folder was started."""
    known = read_table(folder.config)
    found = [known.get(name) for name in ("cap", "starting", "at_once")]
    gaussians, starting, at_once = (value if isinstance(value, int) else -1 for value in found)
    if min(gaussians, at_once) < 1 or starting < 0:
        raise ConfigError(f"{folder.config} is damaged; give --overwrite to begin again")
    return StageBudgets(gaussians, starting, count, at_once)


def _describe(shares: StageBudgets, capture: Capture, display: Display) -> None:
    size = sides(max((view.camera.size_px for view in capture.train_views), key=lambda s: s[0] * s[1]))
    display.say(
        f"{len(capture.train_views)} photographs of {size}, at most {shares.gaussians:,} Gaussians in "
        f"{shares.blocks} blocks, {shares.at_once} at a time"
    )


def _finished(folder: RunFolder, run: BlockedRun, engine: BlockEngine) -> BlockedResult:
    """Train the remaining blocks, merge them and evaluate the scene."""
    count = run.shares.blocks
    trained = run.train(engine)
    if trained is None:
        return BlockedResult(run.capture, count, stopped_by=SIGINT)
    plan, outcomes = trained
    stopped = [outcome for outcome in outcomes if outcome.state == "stopped"]
    if stopped:
        return BlockedResult(run.capture, count, stopped_by=stopped[0].signal or SIGINT)
    failure = failure_of(outcomes)
    if failure:
        raise failure
    done = {outcome.name for outcome in outcomes}
    paths = [run.folders.block(number) for number in range(count)]
    scenes = [RunFolder(path).scene if path.name in done else path / INITIAL for path in paths]
    scene = joined(plan, scenes, antialiased=run.options.train.antialiased)
    save(scene, folder.scene)
    facts, rows = facts_of(run, plan)
    minutes = run.options.train.minutes
    write_results(
        folder,
        scene.to(run.device),
        run.capture,
        run.options.train,
        {**facts, "gaussians": len(scene)},
        run.display,
        EvaluationOptions(most_native=NATIVE_IN_A_BUDGET if minutes else None),
    )
    measure_seams(folder, scene.to(run.device), run.capture, run.options, run.display, plan, rows)
    run.display.say(f"the scene is {folder.scene}")
    return BlockedResult(run.capture, count, scene)


def measure_seams(
    folder: RunFolder,
    scene: Scene,
    capture: Capture,
    options: RunOptions,
    display: Display,
    plan: BlockPlan | None = None,
    rows: list[dict[str, Any]] | None = None,
) -> None:
    """Measure the seams of a joined scene and add them to ``metrics.json``; nothing for a whole scene.

    Args:
        folder: of the run, with ``metrics.json``.
        scene: the joined one.
        capture: the whole dataset.
        options: of the run.
        display: shows progress.
        plan: of the blocks, if it was read already.
        rows: what each block took; None: as in the existing file, before it was written again.

    Raises:
        SfumatoError: a file is damaged or cannot be written.
    """
    if blocks_of(folder) == 1:
        return
    plan = plan or read_plan(BlockFolders(folder.path).plan)
    with torch.no_grad(), display.counting("measuring the seams", "held-out views") as count:
        quality = seam_quality(scene, capture, options.train, plan, count)
    metrics = folder.read_metrics()
    write_json(folder.metrics, {**metrics, "seams": quality.to_plain(), "blocks": rows or []})
    display.say(quality.describe())
