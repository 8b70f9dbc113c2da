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


def edit_json(path, change):
    """Change the contents of a file of cameras."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


NAMES = ("cam01", "cam02", "cam10")
# Relative to the corner of the first pixel, as everywhere in the package.
FOCAL_PX, CENTRE_PX = (30.0, 31.0), (17.0, 13.0)


def frames_folder(root, *, names=NAMES, steps=3, folder="frames", first=1):
    """A folder of numbered frames for each camera."""
    for i, camera in enumerate(names):
        for step in range(steps):
            name = f"{step + first:04d}.png"
            save(root / folder / camera / name, picture(*SIZE_PX, seed=100 * i + step))
    return root


def poses(count=3):
    return [ring_pose(0.4 * index) for index in range(count)]


def opencv_values(pose, **values):
    """A camera with K and D as OpenCV has them, where the first pixel's centre is (0, 0)."""
    (fx, fy), (cx, cy) = FOCAL_PX, CENTRE_PX
    matrix = [[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]]
    return {"matrix": matrix, "size": list(SIZE_PX), "distortions": [0.0] * 5} | values


def write_toml(path, names=NAMES, distortions=(0.0, 0.0, 0.0, 0.0)):
    """The format of aniposelib and Pose2Sim: a table for each camera, rotations as Rodrigues vectors."""
    lines = []
    for index, (name, pose) in enumerate(zip(names, poses(len(names)), strict=True)):
        values = opencv_values(pose)
        lines += [f"[{name}]", f'name = "{name}"', f"size = [ {SIZE_PX[0]}.0, {SIZE_PX[1]}.0]"]
        lines += [f"matrix = {values['matrix']}", f"distortions = {list(distortions)}"]
        lines += [f"rotation = [0.0, {-0.4 * index}, 0.0]", f"translation = {pose[:3, 3].tolist()}"]
        lines += ["fisheye = false", ""]
    path.write_text("\n".join([*lines, "[metadata]", "adjusted = false", "error = 0.0"]))
    return path


def write_opencv_json(path, names=NAMES, form="w2c"):
    """A list of cameras with one matrix as their pose, or a table of cameras with R and t."""
    (fx, fy), (cx, cy) = FOCAL_PX, CENTRE_PX
    rows = {}
    for name, pose in zip(names, poses(len(names)), strict=True):
        if form == "w2c":
            rows[name] = {"name": name, "w": SIZE_PX[0], "h": SIZE_PX[1], "w2c": pose.tolist()}
            rows[name] |= {"K": [fx, fy, cx - 0.5, cy - 0.5], "D": [0.0, 0.0, 0.0, 0.0]}
        else:
            turn, shift = pose[:3, :3].tolist(), [[value] for value in pose[:3, 3].tolist()]
            rows[name] = opencv_values(pose, R=turn, t=shift)
    path.write_text(json.dumps(list(rows.values()) if form == "w2c" else {"cameras": rows}))
    return path


def write_qualisys(path, names=NAMES, distortions=(0.0, 0.0, 0.0, 0.0, 0.0)):
    """Qualisys' XML: millimetres, 64ths of pixels, and cameras with y up."""
    rows = []
    for name, pose in zip(names, poses(len(names)), strict=True):
        turn = np.diag([1.0, -1.0, -1.0]) @ pose[:3, :3]
        centre = -1000.0 * pose[:3, :3].T @ pose[:3, 3]
        places = " ".join(f'{axis}="{float(value)}"' for axis, value in zip("xyz", centre, strict=True))
        turns = " ".join(f'r{i + 1}{j + 1}="{float(turn[i, j])}"' for i in range(3) for j in range(3))
        lens = {f"focalLength{a}": 64 * value for a, value in zip("UV", FOCAL_PX, strict=True)}
        lens |= {f"centerPoint{a}": 64 * (v - 0.5) for a, v in zip("UV", CENTRE_PX, strict=True)}
        lens |= {f"sensorMin{a}": 0 for a in "UV"}
        lens |= {f"sensorMax{a}": 64 * (side - 1) for a, side in zip("UV", SIZE_PX, strict=True)}
        terms = [f"radialDistortion{i}" for i in (1, 2, 3)] + [f"tangentalDistortion{i}" for i in (1, 2)]
        lens |= dict(zip(terms, distortions, strict=True))
        inside = " ".join(f'{key}="{value}"' for key, value in lens.items())
        rows.append(f'<camera serial="{name}"><transform {turns} {places}/><intrinsic {inside}/></camera>')
    path.write_text(f"<calibration><cameras>{''.join(rows)}</cameras></calibration>")
    return path


def write_bounds(path, count=3, focal_px=30.0, size_px=SIZE_PX):
    """LLFF's rows: axes down, right and backward, position, (h, w, f), and two depths."""
    rows = []
    for pose in poses(count):
        world_from_camera = np.linalg.inv(pose)
        right, down, forward, centre = world_from_camera[:3].T
        shape = [size_px[1], size_px[0], focal_px]
        matrix = np.stack([down, right, -forward, centre, shape], axis=1)
        rows.append([*matrix.ravel(), 1.0, 9.0])
    np.save(path, np.array(rows))
    return path
