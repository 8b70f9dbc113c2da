"""Normal equations for the alignment of rigid bodies to a photograph."""

import torch

from sfumato.ops.constants import ALIGNMENT_ENTRIES
from sfumato.ops.gpu.kernels.point_equations import ROW, point_equations
from sfumato.ops.gpu.kernels.splat_records import add_pairs
from sfumato.ops.gpu.launch import start, start_elementwise

# Rows of points summed at a time by one program.
ROWS_AT_ONCE = 16


def forward(offsets, colours, weights, first, positions, rotations, image, camera_from_world, intrinsics):
    """See sfumato.ops.alignment."""
    (height, width, _), bodies, n = image.shape, len(positions), len(offsets)
    sums = positions.new_zeros(bodies, ROW.value)
    # An image of one row or column cannot be interpolated.
    if min(height, width) > 1:
        numbers = torch.arange(bodies, device=offsets.device, dtype=torch.int32)
        owner = torch.repeat_interleave(numbers, first.diff(), output_size=n)
        given = offsets, colours, weights, owner, positions, rotations, image, camera_from_world, intrinsics
        rows = offsets.new_empty(n, ROW.value)
        given = [tensor.contiguous() for tensor in given]
        start_elementwise(point_equations, n, *given, rows, float(width), float(height), 3 * width)
        start(
            add_pairs, bodies, 1, rows, first.int(), numbers, sums,
            COLUMNS=ROW.value, PADDED=32, CHUNK=ROWS_AT_ONCE,
        )  # fmt: skip
    return sums[:, :ALIGNMENT_ENTRIES].contiguous()
