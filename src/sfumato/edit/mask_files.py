"""Masks in a folder, named like the photographs of a posed dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from sfumato.capture.offset import near_origin
from sfumato.capture.readers import read_source
from sfumato.capture.readers.masks import MaskFolder, masks_in
from sfumato.capture.view_plans import plan_views
from sfumato.edit.masked_views import MaskedView
from sfumato.errors import CaptureError


def read_masked_views(data: Path, masks: Path) -> list[MaskedView]:
    """The views of a dataset that have a mask, with masks undistorted like the photographs.

    Args:
        data: a posed dataset.
        masks: folder of masks, white where marked, named like the photographs (with any of the usual
            extensions, or one appended to the full name as in COLMAP); photographs without one are skipped.

    Returns:
        The views, in the frame of scenes trained on the dataset.

    Raises:
        CaptureError: the dataset or a mask is broken, or no photograph has a mask.
    """
    source, _ = near_origin(read_source(data), data)
    every = source.frames
    found = masks_in(MaskFolder(masks), every)
    frames = [replace(frame, mask_path=path) for frame, path in zip(every, found, strict=True) if path]
    if not frames:
        raise CaptureError(f"{masks} holds no mask with the name of a photograph of {data}; name them alike")
    views = []
    for planned in plan_views(frames, downscale=1, alpha_is_mask=False):
        mask = planned.make().mask
        shape = (planned.camera.height, planned.camera.width)
        # Masks that are white everywhere are stored as None.
        marked = torch.ones(shape, dtype=torch.bool) if mask is None else torch.from_numpy(mask.copy())
        views.append(MaskedView(planned.camera, marked))
    return views
