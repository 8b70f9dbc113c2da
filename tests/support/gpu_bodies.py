"""Rigid bodies that the GPU's kernels align to a photograph, against the definition."""

import torch

from sfumato import ops
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops import reference
from support.op_scenes import converted


def check_alignment(points, bodies):
    """Sums of some bodies, one of which has no points, in and out of the picture."""
    random = torch.Generator().manual_seed(points)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    ends = torch.randint(points + 1, (bodies - 2,), generator=random).sort().values
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = rotation_from_quats(torch.tensor([[0.98, 0.1, -0.15, 0.05]], dtype=torch.float64))[0]
    pose[:3, 3] = torch.tensor([0.1, -0.2, 3.0])
    inputs = {
        "offsets": 0.7 * normal(points, 3),
        "colours": torch.rand(points, 3, generator=random, dtype=torch.float64),
        "weights": torch.rand(points, generator=random, dtype=torch.float64),
        "first": torch.cat([torch.zeros(2, dtype=torch.int64), ends, torch.tensor([points])]),
        "positions": 0.7 * normal(bodies, 3),
        "rotations": rotation_from_quats(normal(bodies, 4)),
        "image": torch.rand(13, 17, 3, generator=random, dtype=torch.float64),
        "camera_from_world": pose,
        "intrinsics": torch.tensor([[22.0, 0, 8.3], [0, 21.0, 6.6], [0, 0, 1]], dtype=torch.float64),
    }
    rough = converted(inputs, torch.float32)
    found, wanted = ops.alignment(**rough), reference.alignment(**converted(rough, torch.float64))
    assert found.shape == wanted.shape and not found[0].any(), "a body without points"
    error = (found.double() - wanted).norm() / wanted.norm()
    # Rounding of a place between pixels changes slopes by its share of a pixel.
    assert error < 1e-4, f"relative error {error:.2e}"
    assert wanted[1:].any(1).all()
    narrow = ops.alignment(**rough | {"image": rough["image"][:1]})
    assert not narrow.any(), "a picture of one row has nothing between its pixels"
