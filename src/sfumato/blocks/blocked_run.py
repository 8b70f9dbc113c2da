"""A run in blocks: a coarse model of the whole, a plan, the blocks, and one scene again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sfumato import machine
from sfumato.blocks.block_engine import BlockEngine
from sfumato.blocks.block_plan import BlockPlan, plan_blocks, read_plan, write_plan
from sfumato.blocks.block_task import (
    BLOCK_FILE,
    INITIAL,
    SURROUNDINGS,
    BlockOutcome,
    BlockTask,
    is_finished,
)
from sfumato.blocks.joining import in_cell
from sfumato.blocks.seen_positions import seen_by, touched_by
from sfumato.blocks.stage_budgets import StageBudgets
from sfumato.capture.dataset import Capture, reduction_of
from sfumato.display import Display
from sfumato.errors import ConfigError, SfumatoError
from sfumato.ops.backend import HOST
from sfumato.runs.block_file import write_block
from sfumato.runs.checkpoint import checkpoints
from sfumato.runs.folder import RunFolder
from sfumato.runs.run import completed, run_training
from sfumato.runs.run_options import RunOptions, check_same_command
from sfumato.runs.tables import read_table
from sfumato.scene.files import load, save
from sfumato.training.plan import estimate_memory, photographs_memory
from sfumato.training.render_settings import settings_of


@dataclass(frozen=True)
class BlockFolders:
    """Paths of a run in blocks.

    Attributes:
        path: the run folder.
    """

    path: Path

    @property
    def plan(self) -> Path:
        return self.path / "blocks.json"

    @property
    def coarse(self) -> Path:
        return self.path / "coarse"

    @property
    def blocks(self) -> Path:
        return self.path / "blocks"

    def block(self, number: int) -> Path:
        """The run folder of a block."""
        return self.blocks / f"block_{number:02d}"

    def clear(self) -> None:
        """Remove the files of an earlier run in blocks."""
        self.plan.unlink(missing_ok=True)
        for folder in (self.coarse, *self.blocks.glob("block_*")):
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)


@dataclass(frozen=True)
class BlockedRun:
    """The inputs of a run in blocks.

    Attributes:
        folders: of the run.
        options: of the whole, completed.
        shares: of the stages.
        capture: the whole dataset.
        display: shows progress.
        device: of the scenes.
    """

    folders: BlockFolders
    options: RunOptions
    shares: StageBudgets
    capture: Capture
    display: Display
    device: torch.device = HOST

    def train(self, engine: BlockEngine) -> tuple[BlockPlan, list[BlockOutcome]] | None:
        """Train the coarse model and the blocks, or resume them.

        Args:
            engine: trains the blocks.

        Returns:
            The plan and the end of each block; None if the coarse model was stopped by a signal.

        Raises:
            SfumatoError: the input or an option is wrong, or the disk is full.
        """
        if not self._train_coarse():
            return None
        plan = self._planned()
        tasks = list(self._tasks(plan))
        outcomes = engine.train(tasks, self.display)
        return plan, outcomes

    def _train_coarse(self) -> bool:
        """Train the coarse model; whether it is finished."""
        folder = self.folders.coarse
        path = folder / BLOCK_FILE
        train = self.shares.coarse(self.options.train)
        options = completed(replace(self.options, train=train, block=path))
        if is_finished(folder, options):
            return True
        if not path.is_file():
            write_block(path, {view.name: 1.0 for view in self.capture.train_views})
        self.display.say("training a coarse model of the whole scene first")
        self.display.set_overall_progress("the coarse model".format)
        result = run_training(folder, options, display=self.display, device=self.device)
        self.display.set_overall_progress(str)
        return not result.stopped_by

    def _planned(self) -> BlockPlan:
        """The plan: that of the run, or one made now, with the files of each block."""
        if self.folders.plan.is_file():
            return read_plan(self.folders.plan)
        coarse = load(RunFolder(self.folders.coarse).scene).to(self.device)
        views = self.capture.train_views
        settings = settings_of(self.options.train, reduction=reduction_of(views))
        with self.display.counting("planning blocks", "photographs") as count:
            seen = seen_by(views, coarse, settings, count)
        plan = plan_blocks(views, seen, self.shares.blocks)
        by_name = {view.name: view for view in views}
        for number, block in enumerate(plan.blocks):
            folder = self.folders.block(number)
            inside = in_cell(coarse, plan.ground, block.cell, overlap=True)
            touched = touched_by([by_name[name] for name in block.views], coarse, settings)
            save(coarse.select(inside), folder / INITIAL)
            save(coarse.select(touched & ~inside), folder / SURROUNDINGS)
            weights = dict(zip(block.views, block.weights, strict=True))
            write_block(folder / BLOCK_FILE, weights, folder / SURROUNDINGS)
        # The plan is written last: without it, all of this is repeated.
        write_plan(self.folders.plan, plan)
        return plan

    def _tasks(self, plan: BlockPlan) -> Iterator[BlockTask]:
        """Tasks of the blocks that can be trained; the others keep the coarse model, which is reported."""
        sizes = [view.camera.size_px for view in self.capture.train_views]
        for number, block in enumerate(plan.blocks):
            folder = self.folders.block(number)
            own = len(load(folder / INITIAL))
            if not block.views or not own:
                lacks = "photographs that show it" if not block.views else "points"
                self.display.say(f"{folder.name} has no {lacks}: it keeps the coarse model")
                continue
            train = self.shares.block(self.options.train, block.share, own)
            around = len(load(folder / SURROUNDINGS))
            memory = estimate_memory(
                (train.max_gaussians or 0) + around,
                pixels=max(width * height for width, height in sizes),
                photographs_bytes=photographs_memory(sum(width * height for width, height in sizes)),
            )
            options = replace(self.options, train=train, init=folder / INITIAL, block=folder / BLOCK_FILE)
            yield BlockTask(folder.name, folder, completed(options), memory)


def resumed_blocks(
    folder: RunFolder, options: RunOptions, blocks: int | None, *, overwrite: bool
) -> int | None:
    """The number of blocks of the run in a folder, if that is resumed; None if a new run begins.

    Args:
        folder: of the run.
        options: given now, completed.
        blocks: number of blocks given now; None: whatever the run has.
        overwrite: whether the results in the folder are to be replaced.

    Raises:
        ConfigError: the folder has a run with other options.
        FormatError: its options are damaged.
    """
    if overwrite or not folder.holds_run():
        return None
    check_same_command(folder.read_options(), options, folder.path)
    known = blocks_of(folder)
    if blocks is not None and blocks != known:
        raise ConfigError(
            f"{folder.path} holds a run in {known} blocks, not {blocks}; give --overwrite to replace it, or "
            "another --out"
        )
    return known


def blocks_of(folder: RunFolder) -> int:
    """Number of blocks of the run in a folder; 1 if it is whole."""
    # A run with checkpoints of its own is not in blocks, and can resume from them even if its config.json is
    # damaged.
    if any(checkpoints(folder.checkpoints)) or not folder.config.is_file():
        return 1
    known = read_table(folder.config).get("blocks")
    return known if isinstance(known, int) and known > 1 else 1


def check_options_for_blocks(options: RunOptions) -> None:
    """Refuse options that contradict blocks.

    Raises:
        ConfigError: there is one.
    """
    if options.train.refine_poses:
        raise ConfigError(
            "--refine-poses with --blocks would give one photograph several poses; refine them first, or "
            "give --blocks 1"
        )
    if options.block is not None:
        raise ConfigError("--block trains one block alone; leave out --blocks")


def failure_of(outcomes: Sequence[BlockOutcome]) -> SfumatoError | None:
    """An error that names the blocks that failed; None if there are none."""
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    if not failed:
        return None
    words = "; ".join(f"{outcome.name}: {outcome.words}" for outcome in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    return SfumatoError(
        f"{len(failed)} of {len(outcomes)} blocks failed, the others are kept; the same command tries again: "
        f"{words}{more}"
    )


def facts_of(run: BlockedRun, plan: BlockPlan) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Time, steps and memory of training, for ``metrics.json``: in total, and for each block."""
    rows, total = [], {"steps": 0, "seconds": 0.0, "peak_memory_bytes": machine.peak_memory_bytes()}
    folders = [run.folders.block(number) for number in range(len(plan.blocks))]
    for name, path in [("coarse", run.folders.coarse), *((path.name, path) for path in folders)]:
        found = RunFolder(path).read_training() if RunFolder(path).scene.is_file() else {}
        rows.append({"name": name, **found})
        for key in ("steps", "seconds"):
            total[key] += found.get(key) or 0
        total["peak_memory_bytes"] = max(total["peak_memory_bytes"], found.get("peak_memory_bytes") or 0)
    for row, block in zip(rows[1:], plan.blocks, strict=True):
        row |= {"photographs": len(block.views), "share_of_pixels": block.share}
    return {**total, "seconds": round(float(total["seconds"]), 3)}, rows
