"""Every setting of a renderer changes the render."""

from dataclasses import fields, replace

import pytest
import torch

from sfumato import rasterize, raytrace
from sfumato.render.settings import RasterSettings, TraceSettings
from support.small_scenes import camera_at, small_scene

RENDERERS = {RasterSettings: rasterize, TraceSettings: raytrace}
# Limits within the scene, which is at a distance of about 4.
CHANGED = {
    "background": (0.2, 0.9, 0.4),
    "sh_degree": 0,
    "colour": "sh-sigmoid",
    "antialiased": True,
    "blur_px2": 2.0,
    "near": 4.0,
    "far": 4.0,
    "depth": False,
    "absolute_gradient": True,
}


def seen_with(settings):
    """Outputs of a render by name, and the screen-space gradients that densification uses."""
    scene = small_scene(20)
    for tensor in scene.tensors().values():
        tensor.requires_grad_()
    render = RENDERERS[type(settings)](scene, camera_at(0.3), settings)
    render.seen.retain_gradients()
    render.image.square().sum().backward()
    outputs = {
        "image": render.image,
        "alpha": render.alpha,
        "depth": render.depth,
        "screen_gradient": render.seen.screen_gradient(),
    }
    return {name: None if tensor is None else tensor.detach() for name, tensor in outputs.items()}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, field.name) for kind in RENDERERS for field in fields(kind)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_setting_changes_a_render(kind, name):
    plain, changed = (seen_with(settings) for settings in (kind(), replace(kind(), **{name: CHANGED[name]})))
    differing = {
        one
        for one, tensor in plain.items()
        if (tensor is None) != (changed[one] is None)
        or (tensor is not None and not torch.equal(tensor, changed[one]))
    }
    assert differing
    # Settings that add an output do not change the others.
    only = {"absolute_gradient": {"screen_gradient"}, "depth": {"depth"}}
    assert differing == only.get(name, differing)
