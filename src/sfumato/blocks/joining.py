"""Cropping and merging of the blocks of a scene."""

from __future__ import annotations

from pathlib import Path

import torch

from sfumato.blocks.block_plan import BlockPlan
from sfumato.blocks.ground_cells import GroundCell, GroundPlane
from sfumato.scene.changes import merged
from sfumato.scene.files import load
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import GENERATOR, Metadata, Scene, with_metadata


def in_cell(gaussians: Gaussians, ground: GroundPlane, cell: GroundCell, *, overlap: bool) -> torch.Tensor:
    """[n] bool: the Gaussians of a block.

    Args:
        gaussians: n of them.
        ground: the plane.
        cell: the block's.
        overlap: with those of the overlap, or those of the core alone.
    """
    places = ground.of(gaussians.means.detach().double().cpu().numpy())
    inside = cell.reaches(places) if overlap else cell.holds(places)
    return torch.from_numpy(inside).to(gaussians.means.device)


def joined(plan: BlockPlan, scenes: list[Path], *, antialiased: bool) -> Scene:
    """One scene of the cores of all blocks.

    Args:
        plan: of the blocks.
        scenes: the scene file of each; those of blocks that were not trained hold the coarse model.
        antialiased: whether the scene is made for anti-aliased rendering.
    """
    cores = []
    for block, path in zip(plan.blocks, scenes, strict=True):
        scene = load(path)
        cores.append(scene.select(in_cell(scene, plan.ground, block.cell, overlap=False)))
    return with_metadata(merged(*cores), Metadata(antialiased=antialiased, source=GENERATOR))
