"""The scenes that the lesson's pictures show: trained once, then kept in a folder."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

import sfumato
from sfumato.capture.dataset import Capture, View

ROOT = Path(__file__).resolve().parents[2]
STILL_LIFE, MOVING_ROOM = ROOT / "demo" / "still_life", ROOT / "demo" / "moving_room"
STILL_LIFE_VIDEO = ROOT / "demo" / "still_life_video" / "still_life.mp4"
HALF = ["train", STILL_LIFE, "--downscale", "2", "--steps", "800"]
# The commands behind the lesson's scenes and figures, by the name of their folder.
COMMANDS = {
    "good": ["train", STILL_LIFE, "--steps", "2500"],
    "ssim_0": [*HALF, "--ssim-weight", "0"],
    "ssim_0.2": [*HALF, "--ssim-weight", "0.2"],
    "ssim_1": [*HALF, "--ssim-weight", "1"],
    "fixed": [*HALF, "--schedule.refine-from", "0", "--schedule.refine-until", "0.001"],
    "mcmc": [*HALF, "--strategy", "mcmc"],
    "sfm": ["sfm", STILL_LIFE_VIDEO],
    "room": ["track", MOVING_ROOM, "--test-cameras", "cam00", "cam15", "--steps-first", "1500"],
}
# What says that a run is finished.
RESULTS = {"sfm": "sfm.json"}


@dataclass(frozen=True)
class Work:
    """The folder of the runs."""

    folder: Path

    def run(self, name: str) -> Path:
        """The folder of a run; made first if it is not there."""
        folder = self.folder / name
        if not (folder / RESULTS.get(name, "metrics.json")).exists():
            program = Path(sys.executable).with_name("sfumato")
            command = [str(program), *map(str, COMMANDS[name]), "-o", str(folder)]
            subprocess.run(command, check=True)
        return folder

    def scene(self, name: str) -> sfumato.Scene:
        """The trained scene of a run."""
        return sfumato.load(self.run(name) / "scene.ply")


def still_life(downscale: int = 1) -> Capture:
    return sfumato.load_capture(STILL_LIFE, downscale=downscale)


def held_out(capture: Capture, number: int) -> View:
    return capture.test_views[number]


def photograph(view: View) -> torch.Tensor:
    """[h, w, 3] float32 in [0, 1]."""
    return torch.from_numpy(view.load().rgb).float() / 255
