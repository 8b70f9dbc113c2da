"""Rendering runs on the device of the scene, without tensors on the host and without synchronisation."""

from dataclasses import replace

import pytest
import torch

from sfumato import Camera, Gaussians, Lens, RasterSettings, Rays, Shutter, TraceSettings, ops
from sfumato.render.draw import draw
from sfumato.render.raytrace import raytrace
from support.fake_device import fake_device

POSE = torch.eye(4, dtype=torch.float64)
MOVED = POSE.clone()
MOVED[0, 3] = 0.1
PINHOLE = Camera(POSE, (20.0, 20.0), (12.0, 9.0), (24, 18))
CAMERAS = {
    "pinhole": PINHOLE,
    "fisheye": replace(PINHOLE, lens=Lens("fisheye")),
    "bent": replace(PINHOLE, lens=Lens("opencv", (0.1, 0.0, 0.0, 0.0))),
    "panorama": replace(PINHOLE, lens=Lens("equirectangular")),
    "ortho": replace(PINHOLE, lens=Lens("ortho")),
}
SETTINGS = {
    "raster": RasterSettings(background=(0.1, 0.2, 0.3), absolute_gradient=True),
    "trace": TraceSettings(background=(0.1, 0.2, 0.3), absolute_gradient=True),
}
# The tracer needs to know whether the origins of parallel rays are near one point of the scene.
PAIRS = [
    (renderer, lens) for renderer in SETTINGS for lens in CAMERAS if (renderer, lens) != ("trace", "ortho")
]


@pytest.fixture(autouse=True)
def device():
    with fake_device() as device:
        yield device


def scene(device, n=10):
    shapes = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacities": (), "sh": (16, 3)}
    fields = {name: torch.empty(n, *shape, device=device) for name, shape in shapes.items()}
    return Gaussians(**{name: tensor.requires_grad_() for name, tensor in fields.items()})


def descend(gaussians, render):
    """Compare with a photograph, backpropagate to the parameters, and take a step of Adam on each."""
    photograph = torch.empty_like(render.image)
    render.seen.retain_gradients()
    ops.photometric_loss(render.image, photograph, torch.empty_like(render.alpha)).backward()
    assert render.seen.screen_gradient().device == gaussians.means.device
    for parameter in gaussians.tensors().values():
        moments = torch.zeros(2, *parameter.shape, device=parameter.device)
        ops.adam_step(parameter, parameter.grad, *moments, render.seen.visible, rate=0.1, step=1)


@pytest.mark.parametrize("colour", ["sh", "logit"])
@pytest.mark.parametrize(("renderer", "lens"), PAIRS)
def test_a_picture_and_its_gradient(renderer, lens, colour, device):
    settings = replace(SETTINGS[renderer], colour=colour, sh_degree=0 if colour == "logit" else None)
    gaussians = scene(device)
    descend(gaussians, draw(gaussians, CAMERAS[lens], settings))


def test_an_antialiased_picture(device):
    gaussians = scene(device)
    descend(gaussians, draw(gaussians, PINHOLE, replace(SETTINGS["raster"], antialiased=True)))


@pytest.mark.parametrize("renderer", SETTINGS)
def test_given_limits(renderer, device):
    gaussians, settings = scene(device), replace(SETTINGS[renderer], near=0.1, far=10.0)
    descend(gaussians, draw(gaussians, PINHOLE, settings))


@pytest.mark.parametrize("renderer", SETTINGS)
@pytest.mark.parametrize("lens", ["pinhole", "bent"])
def test_a_trained_pose(renderer, lens, device):
    pose = torch.empty(4, 4, device=device, requires_grad=True)
    gaussians, camera = scene(device), replace(CAMERAS[lens], camera_from_world=pose)
    descend(gaussians, draw(gaussians, camera, SETTINGS[renderer]))
    assert pose.grad.device == device


@pytest.mark.parametrize("of_poses", ["host", "device"])
def test_a_rolling_shutter(of_poses, device):
    poses = [POSE, MOVED] if of_poses == "host" else torch.empty(2, 4, 4, device=device, requires_grad=True)
    gaussians = scene(device)
    camera = replace(PINHOLE, camera_from_world=poses[0], shutter=Shutter(poses[1]))
    descend(gaussians, draw(gaussians, camera, SETTINGS["raster"]))
    assert of_poses == "host" or poses.grad.device == device


@pytest.mark.parametrize("viewpoint", [None, torch.zeros(3)])
def test_free_rays(viewpoint, device):
    gaussians, rays = scene(device), Rays(torch.rand(7, 3), torch.rand(7, 3), viewpoint)
    render = raytrace(gaussians, rays, TraceSettings())
    (render.image.sum() + render.depth.sum()).backward()
    assert all(tensor.grad.device == device for tensor in gaussians.tensors().values())
    assert render.seen.visible.device == device


def test_the_test_for_a_common_origin_synchronises(device):
    """The only exception, which decides between two operations."""
    with pytest.raises(RuntimeError, match="meta"):
        draw(scene(device), CAMERAS["ortho"], TraceSettings())


@pytest.mark.parametrize(
    "fault",
    [
        lambda own: own + torch.ones(3),
        lambda own: own[torch.tensor([0, 1])],
        lambda own: float(own.sum()),
        lambda own: own.sum().item(),
        lambda own: own[own > 0],
        lambda own: own.tolist(),
        lambda own: own.cpu(),
        lambda own: own.numpy(),
        lambda own: ops.covariance(torch.ones(3, 4), torch.ones(3, 3)),
    ],
)
def test_the_device_refuses_synchronisation(fault, device):
    with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
        fault(torch.empty(3, device=device))
