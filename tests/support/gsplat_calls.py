"""Arguments of gsplat's ``rasterization``."""

import torch

WIDTH, HEIGHT = 26, 19
FOCAL = {"pinhole": 20.0, "ortho": 7.0, "fisheye": 18.0}


def scene(n=14, cameras=2, batch=(), model="pinhole", seed=0, sh=False, channels=3):
    """Arguments of ``rasterization`` by name, float64: some Gaussians overlap, some are not visible."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*batch, *shape, generator=random, dtype=torch.float64)

    means = normal(n, 3) * torch.tensor([0.9, 0.7, 0.6]) + torch.tensor([0.0, 0.0, 3.0])
    means[..., 0, 2] = -1.0
    means[..., 1, 0] = 40.0
    # One tangent beyond the limit of the pinhole, still reaching into the image.
    means[..., 2, :] = torch.tensor([2.7, 0.3, 2.5])
    scales = (normal(n, 3) * 0.4 - 1.6).exp()
    scales[..., 2, :] = 0.9
    turned = torch.linalg.matrix_exp(0.1 * (turn := normal(cameras, 3, 3)) - 0.1 * turn.mT)
    viewmats = torch.eye(4, dtype=torch.float64).repeat(*batch, cameras, 1, 1)
    viewmats[..., :3, :3] = turned
    viewmats[..., :3, 3] = normal(cameras, 3) * 0.2
    Ks = torch.tensor([[FOCAL[model], 0, 12.2], [0, FOCAL[model] * 1.1, 9.9], [0, 0, 1]], dtype=torch.float64)
    return {
        "means": means,
        "quats": normal(n, 4),
        "scales": scales,
        "opacities": (normal(n) * 0.8).sigmoid(),
        "colors": normal(n, 16, 3) * 0.3 if sh else normal(n, channels).sigmoid(),
        "viewmats": viewmats,
        "Ks": Ks.repeat(*batch, cameras, 1, 1),
    }
