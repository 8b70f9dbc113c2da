"""Known cameras, and a small dataset of them in the format of each capture program.

Formulas are those that the formats are described by, not those of the readers.
"""

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from sfumato.scene.lenses import distort
from support.capture_folders import picture, save

WIDTH, HEIGHT = 32, 24
NAMES = ("shot_00.jpg", "shot_01.jpg", "shot_02.jpg", "shot_03.jpg")
POINTS = np.array([[0.1, 0.2, 0.3], [-0.4, 0.2, 0.5], [0.3, -0.6, 0.1]])
COLOURS = np.array([[255, 0, 10], [20, 200, 30], [40, 50, 60]])


def _look(centre):
    """camera_from_world of a slightly tilted camera that looks past the origin."""
    forward = np.array([0.1, 0.05, 0.2]) - centre
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.2, 0.1, 1.0])
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = [right, np.cross(forward, right), forward]
    pose[:3, 3] = -pose[:3, :3] @ centre
    return pose


CENTRES = np.array([[3.0, 0.5, 1.0], [0.4, 2.8, 1.5], [-2.6, 0.8, 0.7], [0.3, -3.1, 2.2]])
POSES = {name: _look(centre) for name, centre in zip(NAMES, CENTRES, strict=True)}


def same_poses(source, tolerance=1e-9, names=POSES):
    """Check the poses of a loaded dataset, by the stem of each picture's name."""
    wanted = {Path(name).stem: pose for name, pose in names.items()}
    found = {Path(frame.name).stem: frame.camera_from_world for frame in source.frames}
    assert found.keys() == wanted.keys()
    for name, pose in found.items():
        np.testing.assert_allclose(pose, wanted[name], atol=tolerance, rtol=0)


def pixel_of(frame, point):
    """Pixel of a world point in a frame, by the lens formulas of the package."""
    there = frame.camera_from_world[:3, :3] @ point + frame.camera_from_world[:3, 3]
    ideal = there[:2] / there[2]
    intrinsics = frame.intrinsics
    return distort(intrinsics.lens, ideal) * intrinsics.focal_px + intrinsics.centre_px


def ideal_of(name, point=POINTS[1]):
    """x / z and y / z of a point in a camera."""
    there = POSES[name] @ [*point, 1.0]
    return there[0] / there[2], there[1] / there[2]


def save_pictures(folder, names=NAMES):
    for i, name in enumerate(names):
        save(folder / name, picture(WIDTH, HEIGHT, seed=i))


def write_ply(path):
    head = "ply\nformat ascii 1.0\nelement vertex 3\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz")
    head += "".join(f"property uchar {colour}\n" for colour in ("red", "green", "blue"))
    rows = [" ".join(map(str, (*xyz, *rgb))) for xyz, rgb in zip(POINTS, COLOURS, strict=True)]
    path.write_text(head + "end_header\n" + "\n".join(rows) + "\n")


def opengl_world_from_camera(name):
    """Columns are right, up and backward direction of the camera, and its position."""
    pose = POSES[name]
    right, down, forward = pose[:3, :3]
    centre = -pose[:3, :3].T @ pose[:3, 3]
    return np.stack([right, -down, -forward, centre], axis=1)


def write_polycam(root, corrected=True):
    kind = "corrected_" if corrected else ""
    save_pictures(root / f"keyframes/{kind}images")
    cameras = root / f"keyframes/{kind}cameras"
    cameras.mkdir(parents=True)
    for i, name in enumerate(NAMES):
        matrix = opengl_world_from_camera(name)
        values = {f"t_{row}{column}": matrix[row, column] for row in range(3) for column in range(4)}
        values |= {"fx": 40.0 + i, "fy": 41.0, "cx": 15.5, "cy": 12.5, "width": WIDTH, "height": HEIGHT}
        values |= {"blur_score": 115.28, "timestamp": 1, "center_depth": 0.5}
        (cameras / f"{Path(name).stem}.json").write_text(json.dumps(values))
    return cameras / "shot_01.json"


def write_record3d(root, *, per_frame=True):
    names = [f"{i}.jpg" for i in range(len(NAMES))]
    save_pictures(root / "EXR_RGBD/rgb", names)
    poses = []
    for name in NAMES:
        matrix = opengl_world_from_camera(name)
        poses.append([*Rotation.from_matrix(matrix[:, :3]).as_quat(), *matrix[:, 3]])
    values = {
        "w": WIDTH,
        "h": HEIGHT,
        "fps": 30,
        "K": [40.0, 0, 0, 0, 41.0, 0, 15.5, 12.5, 1],
        "poses": poses,
    }
    if per_frame:
        values["perFrameIntrinsicCoeffs"] = [[42.0 + i, 43.0, 15.0, 12.0] for i in range(len(names))]
    path = root / "EXR_RGBD/metadata.json"
    path.write_text(json.dumps(values))
    return path


METASHAPE_WORLD = (2.5, Rotation.from_euler("xyz", [0.3, -0.4, 0.9]).as_matrix(), np.array([0.7, -1.2, 0.4]))
METASHAPE_TERMS = {
    "cx": -0.7,
    "cy": 0.4,
    "b1": 1.5,
    "k1": 0.05,
    "k2": -0.02,
    "k3": 0.01,
    "p1": 0.003,
    "p2": -0.002,
}


def write_metashape(root, *, kind="frame", terms=METASHAPE_TERMS, where="component", extra="", labels=NAMES):
    save_pictures(root / "images")
    scale, turn, shift = METASHAPE_WORLD
    cameras = '<camera id="9" sensor_id="0" label="unaligned.jpg"/>'
    for i, (name, label) in enumerate(zip(NAMES, labels, strict=True)):
        pose = POSES[name]
        matrix = np.eye(4)
        matrix[:3, :3] = turn.T @ pose[:3, :3].T
        matrix[:3, 3] = turn.T @ (-pose[:3, :3].T @ pose[:3, 3] - shift) / scale
        text = " ".join(map(repr, matrix.ravel().tolist()))
        cameras += f'<camera id="{i}" sensor_id="0" component_id="0" label="{label}">'
        cameras += f"<transform>{text}</transform></camera>"
    rows = " ".join(map(repr, turn.ravel().tolist()))
    transform = f"<transform><rotation locked='false'>{rows}</rotation><translation>"
    transform += " ".join(map(repr, shift.tolist())) + f"</translation><scale>{scale}</scale></transform>"
    component = f'<components><component id="0">{transform}</component></components>'
    calibration = "".join(f"<{key}>{value!r}</{key}>" for key, value in {"f": 40.0, **terms}.items())
    size = f'<resolution width="{WIDTH}" height="{HEIGHT}"/>'
    sensor = f'<sensor id="0" type="{kind}">{size}<calibration type="{kind}" class="adjusted">{size}'
    sensor += f"{calibration}</calibration></sensor>"
    path = root / "cameras.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<document version="2.0.0"><chunk label="Chunk 1">'
        f"<sensors>{sensor}</sensors>{component if where == 'component' else transform}"
        f"<cameras><group>{cameras}</group></cameras>{extra}</chunk></document>"
    )
    return path


REALITYSCAN_TERMS = {"f": 45.0, "px": 0.01, "py": -0.02, "k1": 0.05, "k2": -0.02, "k3": 0.01, "k4": 0.0}
REALITYSCAN_TERMS |= {"t1": 0.003, "t2": -0.002}


def write_realityscan(root, terms=REALITYSCAN_TERMS):
    """Angles are computed from the matrix of (heading, pitch, roll) published by Epic."""
    save_pictures(root / "photos")
    lines = [",".join(["#name", "x", "y", "alt", "heading", "pitch", "roll", *terms])]
    for name, centre in zip(NAMES, CENTRES, strict=True):
        turn = POSES[name][:3, :3]
        heading, roll = np.arctan2(-turn[1, 0], -turn[1, 1]), np.arctan2(-turn[0, 2], -turn[2, 2])
        angles = np.degrees([heading, np.arcsin(-turn[1, 2]), roll])
        lines.append(",".join([name, *map(repr, [*centre.tolist(), *angles.tolist(), *terms.values()])]))
    path = root / "cameras.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


BROWN = {"projection_type": "brown", "width": WIDTH, "height": HEIGHT, "focal_x": 1.25, "focal_y": 1.2}
BROWN |= {"c_x": 0.01, "c_y": -0.02, "k1": 0.05, "k2": -0.02, "k3": 0.01, "p1": 0.003, "p2": -0.002}


def write_opensfm(root, *, camera=BROWN, project="opensfm", images="images"):
    save_pictures(root / images)
    shots = {}
    for name, pose in POSES.items():
        vector = Rotation.from_matrix(pose[:3, :3]).as_rotvec()
        shots[name] = {"camera": "v2 phone", "rotation": vector.tolist(), "translation": pose[:3, 3].tolist()}
    points = {
        str(i): {"coordinates": xyz.tolist(), "color": rgb.astype(float).tolist()}
        for i, (xyz, rgb) in enumerate(zip(POINTS, COLOURS, strict=True))
    }
    whole = {"cameras": {"v2 phone": camera}, "shots": shots, "points": points}
    part = {"cameras": {}, "shots": {"other.jpg": {}}, "points": {}}
    path = root / project / "reconstruction.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([part, whole]))
    return path


WRITERS = {
    "polycam": write_polycam,
    "record3d": write_record3d,
    "metashape": write_metashape,
    "realityscan": write_realityscan,
    "opensfm": write_opensfm,
}
