"""Random scenes, and PLY files of them that are written independently of the package."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from sfumato.scene.gaussians import Gaussians


def random_scene(n: int = 7, degree: int = 3, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(n, 3), (n, 3), (n, 4), (n,), (n, (degree + 1) ** 2, 3)]
    return Gaussians(*(torch.randn(shape, generator=generator) for shape in shapes))


def assert_same(a: Gaussians, b: Gaussians) -> None:
    for field in fields(Gaussians):
        mine, other = getattr(a, field.name), getattr(b, field.name)
        assert mine.shape == other.shape, field.name
        assert mine.numpy().tobytes() == other.numpy().tobytes(), field.name


def columns_of(scene: Gaussians) -> dict[str, np.ndarray]:
    """Property name -> values, written independently of the package."""
    columns = {f"f_dc_{c}": scene.sh[:, 0, c] for c in range(3)}
    rest = scene.sh[:, 1:].transpose(1, 2).flatten(1)
    columns |= {f"f_rest_{i}": rest[:, i] for i in range(rest.shape[1])}
    columns |= {axis: scene.means[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"scale_{i}": scene.log_scales[:, i] for i in range(3)}
    columns |= {f"rot_{i}": scene.quats[:, i] for i in range(4)}
    columns["opacity"] = scene.logit_opacities
    return {name: value.numpy() for name, value in columns.items()}


def write(
    path: Path, columns: dict[str, np.ndarray], *, order="<", kind="f4", before="", prefix=b"", count=None
):
    """A PLY file of one vertex element, optionally after another element."""
    words = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}
    type_name = {"f4": "float", "f8": "double"}[kind]
    n = len(next(iter(columns.values()))) if count is None else count
    header = f"ply\nformat {words[order]} 1.0\n{before}element vertex {n}\n"
    header += "".join(f"property {type_name} {name}\n" for name in columns) + "end_header\n"
    table = np.stack(list(columns.values()), axis=1)
    if order:
        body = table.astype(order + kind).tobytes()
    else:
        body = "".join(" ".join(repr(float(x)) for x in row) + "\n" for row in table).encode()
    path.write_bytes(header.encode() + prefix + body)
    return path
