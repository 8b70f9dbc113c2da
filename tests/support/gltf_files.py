"""glTF files of two Gaussians, written independently of the package."""

import base64
import json

import numpy as np

KINDS = {"f4": 5126, "i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123}
SPLAT = "KHR_gaussian_splatting"


def attributes(n: int = 2, degree: int = 0) -> dict[str, np.ndarray]:
    """Two Gaussians without mirror symmetry."""
    found = {
        "POSITION": np.array([[1, 2, 3], [4, 5, 6]], "f4")[:n],
        f"{SPLAT}:ROTATION": np.array([[0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5]], "f4")[:n],
        f"{SPLAT}:SCALE": np.array([[0.1, 0.2, 0.3], [1, 2, 3]], "f4")[:n],
        f"{SPLAT}:OPACITY": np.array([[0.25], [0.5]], "f4")[:n],
    }
    for at, k in enumerate((d, c) for d in range(degree + 1) for c in range(2 * d + 1)):
        found[f"{SPLAT}:SH_DEGREE_{k[0]}_COEF_{k[1]}"] = np.full((n, 3), at / 10, "f4")
    return found


def document(arrays: dict[str, np.ndarray], *, node=None, space="srgb_rec709_display", normalized=()) -> dict:
    """JSON and data of a file, written independently of the package."""
    data, views, accessors, names = b"", [], [], {}
    for index, (name, array) in enumerate(arrays.items()):
        raw = array.tobytes()
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(raw)})
        kind = KINDS[array.dtype.str[1:]]
        shape = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[array.shape[1]]
        accessors.append({"bufferView": index, "componentType": kind, "count": len(array), "type": shape})
        if name in normalized:
            accessors[-1]["normalized"] = True
        names[name] = index
        data += raw + bytes(-len(raw) % 4)
    extension = {SPLAT: {"kernel": "ellipse", "colorSpace": space}}
    uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0} | (node or {})],
        "meshes": [{"primitives": [{"attributes": names, "mode": 0, "extensions": extension}]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data), "uri": uri}],
    }


def written(tmp_path, root: dict):
    (tmp_path / "a.gltf").write_text(json.dumps(root))
    return tmp_path / "a.gltf"


def json_of(path):
    """The JSON of a binary glTF file."""
    raw = path.read_bytes()
    return json.loads(raw[20 : 20 + int.from_bytes(raw[12:16], "little")])
