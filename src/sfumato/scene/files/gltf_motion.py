"""Dynamic scenes as glTF: one animated node for each rigid part.

Still Gaussians are one mesh. The moving ones are divided into parts that move nearly rigidly
(``rigid_parts``); each has a node whose translation and rotation are animated with linear interpolation, with
a child node for each lifetime of its Gaussians. Children that appear or disappear have a scale of 0 while
they do not exist, animated in steps. Without animation a file shows every Gaussian, each part in its pose at
the first step. SH rotate with their part.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.maths.quaternions import quat_from_rotation
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import values
from sfumato.scene.files.gltf_writing import Content, bytes_of, check_size, write
from sfumato.scene.files.node_transforms import Y_DOWN_UP, y_up
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.rigid_parts import RigidParts, rigid_parts
from sfumato.scene.scene import metadata_of

# Each lifetime in a part is a separate mesh; readers, ours too, become slow with more than this.
_MOST_MESHES = 512

_log = logging.getLogger(__name__)


def save(scene: DynamicScene, path: Path) -> str | None:
    """Write a dynamic scene with animated nodes, float32, y up.

    Args:
        scene: any device or float type, y down.
        path: the file to write; as `.gltf` it is text.

    Returns:
        A remark on the fit of the rigid parts, or None.

    Raises:
        FormatError: a field holds NaN or infinity, there are no Gaussians, or more than 4 GiB of them.
    """
    values.checked_arrays(scene.at_birth())
    if not len(scene):
        raise FormatError("the scene cannot be saved: a glTF file cannot be without points")
    values.warn_of_lost_metadata(metadata_of(scene.gaussians), "glTF", up=Y_DOWN_UP, metres_per_unit=1.0)
    placed = y_up(scene)
    check_size(bytes_of(placed.gaussians))
    file = _File(placed.times.numpy() - float(placed.times[0]))
    remark = None
    still = torch.ones(len(placed), dtype=torch.bool)
    still[placed.ids] = False
    if still.any():
        file.add_mesh(placed.gaussians.select(still), parent=0)
    if len(placed.ids):
        parts = rigid_parts(placed)
        if not parts.fit():
            _log.warning(
                "glTF moves rigid parts, which this scene is not well made of; OpenUSD moves each Gaussian"
            )
        lifetimes, stride = _lifetimes(placed, parts.labels)
        remark = str(parts) + (f"; they enter and leave up to {stride - 1} steps off" if stride > 1 else "")
        _add_parts(file, placed, parts, lifetimes)
    write(path, file.content, metadata_of(scene.gaussians), file.parts())
    return remark


def _lifetimes(scene: DynamicScene, labels: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Birth and death [m, 2], rounded to multiples of a stride so that meshes are few; and that stride."""
    stride = 1
    while True:
        birth = scene.birth // stride * stride
        death = (-(-scene.death // stride) * stride).clamp(max=scene.num_steps)
        lifetimes = torch.stack([birth, death], dim=1)
        groups = torch.unique(torch.cat([labels[:, None], lifetimes], dim=1), dim=0)
        if len(groups) <= _MOST_MESHES or stride >= scene.num_steps:
            return lifetimes, stride
        stride *= 2


def _add_parts(file: _File, scene: DynamicScene, parts: RigidParts, lifetimes: torch.Tensor) -> None:
    local = replace(
        scene.gaussians.select(scene.ids),
        means=parts.means.to(scene.means),
        quats=parts.quats.to(scene.quats),
    )
    quats = quat_from_rotation(parts.motions.rotations).float().numpy()
    for part in range(len(parts)):
        node = file.add_moving(parts.motions.shifts[part].float().numpy(), quats[part])
        members = parts.labels == part
        for birth, death in torch.unique(lifetimes[members], dim=0).tolist():
            rows = members & (lifetimes == torch.tensor([birth, death])).all(1)
            child = file.add_mesh(local.select(rows), parent=node)
            file.add_lifetime(child, birth, death)


class _File:
    """Nodes, meshes and the animation of a file; node 0 is the root."""

    def __init__(self, times: np.ndarray) -> None:
        self.content = Content()
        self._times = times.astype(np.float32)
        self._nodes: list[dict[str, Any]] = [{}]
        self._meshes: list[dict[str, Any]] = []
        self._samplers: list[dict[str, Any]] = []
        self._channels: list[dict[str, Any]] = []
        self._steps: int | None = None

    def add_mesh(self, gaussians: Gaussians, parent: int) -> int:
        """A node with Gaussians; its index."""
        self._meshes.append({"primitives": [self.content.primitive(gaussians)]})
        return self._add_node({"mesh": len(self._meshes) - 1}, parent)

    def add_moving(self, shifts: np.ndarray, quats: np.ndarray) -> int:
        """A node with shifts [t, 3] and rotations [t, 4] (w, x, y, z); its index."""
        # Rotations are interpolated along the shorter arc only if signs agree.
        signs = np.cumprod(np.where((quats[1:] * quats[:-1]).sum(axis=1) < 0, -1, 1))
        xyzw = quats * np.concatenate([[1], signs])[:, None]
        xyzw = np.ascontiguousarray(xyzw[:, [1, 2, 3, 0]], dtype=np.float32)
        node = self._add_node({"translation": shifts[0].tolist(), "rotation": xyzw[0].tolist()}, parent=0)
        if self._steps is None:
            self._steps = self.content.numbers(self._times)
        self._animate(node, "translation", self._steps, np.ascontiguousarray(shifts), "LINEAR")
        self._animate(node, "rotation", self._steps, xyzw, "LINEAR")
        return node

    def add_lifetime(self, node: int, birth: int, death: int) -> None:
        """Show a node from its birth until its death only."""
        shown = {0: birth == 0, birth: True, **({death: False} if death < len(self._times) else {})}
        if len(shown) == 1:
            return
        times = self.content.numbers(self._times[list(shown)])
        scales = np.repeat(np.array(list(shown.values()), np.float32)[:, None], 3, axis=1)
        self._animate(node, "scale", times, scales, "STEP")

    def parts(self) -> dict[str, Any]:
        """Entries of the JSON."""
        moving = {"animations": [{"samplers": self._samplers, "channels": self._channels}]}
        return {"nodes": self._nodes, "meshes": self._meshes, **(moving if self._channels else {})}

    def _add_node(self, node: dict[str, Any], parent: int) -> int:
        self._nodes.append(node)
        self._nodes[parent].setdefault("children", []).append(len(self._nodes) - 1)
        return len(self._nodes) - 1

    def _animate(self, node: int, what: str, times: int, output: np.ndarray, how: str) -> None:
        sampler = {"input": times, "output": self.content.numbers(output), "interpolation": how}
        self._samplers.append(sampler)
        self._channels.append({"sampler": len(self._samplers) - 1, "target": {"node": node, "path": what}})
