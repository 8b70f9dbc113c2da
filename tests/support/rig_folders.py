"""Tiny multi-view videos on disk: cameras in a ring that look at the origin."""

import json

import numpy as np

from support.capture_folders import picture, save

SIZE_PX = (32, 24)
K = [[30.0, 0.0, 16.5], [0.0, 31.0, 12.5], [0.0, 0.0, 1.0]]


def ring_pose(angle: float, distance: float = 4.0) -> np.ndarray:
    """camera_from_world of a camera on a circle around the y axis, looking at the origin."""
    c, s = np.cos(angle), np.sin(angle)
    pose = np.eye(4)
    pose[:3, :3] = [[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]
    pose[2, 3] = distance
    return pose


def panoptic_folder(root, *, train=("1", "2", "10"), test=("3",), steps=3):
    """A dataset in the layout of PanopticSports; frames are noise, masks the left half."""
    names = [*train, *test]
    for part, cameras in (("train", train), ("test", test)):
        poses = [ring_pose(0.4 * names.index(camera)).tolist() for camera in cameras]
        rows = range(steps)
        meta = {
            "w": SIZE_PX[0],
            "h": SIZE_PX[1],
            "k": [[K] * len(cameras) for _ in rows],
            "w2c": [poses for _ in rows],
            "fn": [[f"{camera}/{step:06d}.jpg" for camera in cameras] for step in rows],
            "cam_id": [[int(camera) for camera in cameras] for _ in rows],
        }
        (root / f"{part}_meta.json").write_text(json.dumps(meta))
    for i, camera in enumerate(names):
        for step in range(steps):
            save(root / "ims" / camera / f"{step:06d}.jpg", picture(*SIZE_PX, seed=100 * i + step))
            if camera in train:
                mask = np.zeros(SIZE_PX[::-1], np.uint8)
                mask[:, : SIZE_PX[0] // 2] = 255
                save(root / "seg" / camera / f"{step:06d}.png", mask)
    return root


def edit_meta(root, change, part="train"):
    """Change the contents of a file of cameras."""
    path = root / f"{part}_meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))
