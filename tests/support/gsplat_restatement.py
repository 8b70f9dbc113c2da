"""gsplat 1.5.3's rendering, restated densely in plain torch and float64 from its documented behaviour.

Independent of the package: nothing is imported from it. b batches, c cameras, n Gaussians, h x w pixels.
Every pixel evaluates every Gaussian, so scenes must be small.
"""

import math

import torch

ALPHA_THRESHOLD = 1 / 255
FISHEYE_EPSILON = 1e-7


def rotations(quats):
    q = quats / quats.norm(dim=-1, keepdim=True)
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    entries = [
        *(w * w + x * x - y * y - z * z, 2 * x * y - 2 * w * z, 2 * x * z + 2 * w * y),
        *(2 * x * y + 2 * w * z, w * w - x * x + y * y - z * z, 2 * y * z - 2 * w * x),
        *(2 * x * z - 2 * w * y, 2 * y * z + 2 * w * x, w * w - x * x - y * y + z * z),
    ]
    return torch.stack(entries, -1).reshape(*quats.shape[:-1], 3, 3)


def world_covariances(quats, scales, covars):
    if covars is None:
        r = rotations(quats)
        return r @ torch.diag_embed(scales**2) @ r.mT
    if covars.shape[-1] == 6:
        index = torch.tensor([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
        return covars[..., index]
    upper = torch.triu(covars)
    return upper + torch.triu(covars, 1).mT


def pinhole(p, fx, fy, cx, cy, width, height):
    x, y, z = p.unbind(-1)
    half_x, half_y = 0.5 * width / fx, 0.5 * height / fy
    tx = z * torch.minimum((width - cx) / fx + 0.3 * half_x, torch.maximum(-(cx / fx + 0.3 * half_x), x / z))
    ty = z * torch.minimum((height - cy) / fy + 0.3 * half_y, torch.maximum(-(cy / fy + 0.3 * half_y), y / z))
    zero = torch.zeros_like(z)
    j = torch.stack([fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2], -1)
    return torch.stack([fx * x / z + cx, fy * y / z + cy], -1), j


def ortho(p, fx, fy, cx, cy, width, height):
    x, y, z = p.unbind(-1)
    zero = torch.zeros_like(z)
    j = torch.stack([fx + zero, zero, zero, zero, fy + zero, zero], -1)
    return torch.stack([fx * x + cx, fy * y + cy], -1), j


def fisheye(p, fx, fy, cx, cy, width, height):
    x, y, z = p.unbind(-1)
    length = (x * x + y * y).sqrt() + FISHEYE_EPSILON
    theta = torch.atan2(length, z + FISHEYE_EPSILON)
    x2, y2 = x * x + FISHEYE_EPSILON, y * y
    inverse = 1 / (x2 + y2 + z * z)
    b = torch.atan2(length, z) / length / (x2 + y2)
    a = z * inverse / (x2 + y2)
    row_x = (fx * (x2 * a + y2 * b), fx * x * y * (a - b), -fx * x * inverse)
    row_y = (fy * x * y * (a - b), fy * (y2 * a + x2 * b), -fy * y * inverse)
    return torch.stack([x * fx * theta / length + cx, y * fy * theta / length + cy], -1), torch.stack(
        [*row_x, *row_y], -1
    )


CAMERAS = {"pinhole": pinhole, "ortho": ortho, "fisheye": fisheye}


def project(means, covariances, opacities, viewmats, Ks, o):
    """Per batch, camera and Gaussian: mean, conic, z, opacity in the image, and radii."""
    r, t = viewmats[..., :3, :3], viewmats[..., :3, 3]
    p = torch.einsum("bcij,bnj->bcni", r, means) + t[:, :, None]
    cov = torch.einsum("bcij,bnjk,bclk->bcnil", r, covariances, r)
    fx, fy, cx, cy = (Ks[..., i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    mean, j = CAMERAS[o["camera_model"]](p, fx, fy, cx, cy, o["width"], o["height"])
    j = j.unflatten(-1, (2, 3))
    cov = j @ cov @ j.mT
    blurred = cov + o["eps2d"] * torch.eye(2, dtype=cov.dtype)
    compensation = (torch.linalg.det(cov) / torch.linalg.det(blurred)).clamp_min(0).sqrt()
    peak = opacities[:, None].expand(p.shape[:-1])
    if o["rasterize_mode"] == "antialiased":
        peak = peak * compensation
    extent = (2 * (peak.detach().clamp_min(ALPHA_THRESHOLD) * 255).log()).sqrt().clamp_max(3.33)
    radii = (extent[..., None] * blurred.detach().diagonal(dim1=-2, dim2=-1).sqrt()).ceil()
    z = p[..., 2]
    keep = (z >= o["near_plane"]) & (z <= o["far_plane"]) & (peak >= ALPHA_THRESHOLD)
    keep &= ~((radii <= o["radius_clip"]).all(-1))
    size = torch.tensor([o["width"], o["height"]])
    keep &= ((mean + radii > 0) & (mean - radii < size)).all(-1)
    inverse = torch.linalg.inv(blurred)
    conic = torch.stack([inverse[..., 0, 0], inverse[..., 0, 1], inverse[..., 1, 1]], -1)
    return mean, conic, z, peak, radii * keep[..., None]


def sh_values(x, y, z):
    """The basis after Sloan 2013 ("Efficient spherical harmonic evaluation"), as gsplat evaluates it."""
    c1, s1 = x * x - y * y, 2 * x * y
    c2, s2 = x * c1 - y * s1, x * s1 + y * c1
    third = -2.285228997322329 * z * z + 0.4570457994644658
    return [
        *(0.2820947917738781 + 0 * x, -0.48860251190292 * y, 0.48860251190292 * z, -0.48860251190292 * x),
        *(0.5462742152960395 * s1, -1.092548430592079 * z * y),
        0.9461746957575601 * z * z - 0.3153915652525201,
        *(-1.092548430592079 * z * x, 0.5462742152960395 * c1),
        *(-0.5900435899266435 * s2, 1.445305721320277 * z * s1, third * y),
        z * (1.865881662950577 * z * z - 1.119528997770346),
        *(third * x, 1.445305721320277 * z * c1, -0.5900435899266435 * c2),
    ]


def shaded(colors, means, viewmats, sh_degree):
    """[b, c, n, d] colours, given per Gaussian or per camera and Gaussian."""
    plain_dims = 3 if sh_degree is None else 4
    if colors.ndim == plain_dims:
        colors = colors[:, None].expand(-1, viewmats.shape[1], *colors.shape[1:])
    if sh_degree is None:
        return colors
    offsets = means[:, None] - torch.linalg.inv(viewmats)[..., None, :3, 3]
    directions = offsets / offsets.norm(dim=-1, keepdim=True)
    basis = torch.stack(sh_values(*directions.unbind(-1))[: (sh_degree + 1) ** 2], -1)
    return ((basis[..., None] * colors[..., : basis.shape[-1], :]).sum(-2) + 0.5).clamp_min(0)


def blend(mean, conic, z, peak, visible, channels, background, width, height):
    """One image [h, w, channels] and its alpha [h, w]."""
    order = torch.argsort(z, stable=True)
    order = order[visible[order]]
    mean, conic, peak, channels = mean[order], conic[order], peak[order], channels[order]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    dx = mean[:, 0, None, None] - x
    dy = mean[:, 1, None, None] - y
    a, b, c = (conic[:, i, None, None] for i in range(3))
    sigma = 0.5 * (a * dx**2 + c * dy**2) + b * dx * dy
    alpha = torch.minimum(peak[:, None, None] * (-sigma).exp(), torch.tensor(0.999, dtype=sigma.dtype))
    alpha = alpha * ((sigma >= 0) & (alpha >= ALPHA_THRESHOLD))
    alpha = alpha * (torch.cumprod(1 - alpha, 0) > 1e-4)
    before = torch.cumprod(torch.cat([torch.ones_like(alpha[:1]), 1 - alpha]), 0)[: len(alpha)]
    remaining = (1 - alpha).prod(0)
    image = torch.einsum("nhw,nd->hwd", alpha * before, channels) + remaining[..., None] * background
    return image, 1 - remaining


def rasterization(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **options):
    """Renders, alphas and [..., c, n, 2] radii, for the options that change the picture."""
    defaults = {"near_plane": 0.01, "far_plane": 1e10, "radius_clip": 0.0, "eps2d": 0.3, "sh_degree": None}
    defaults |= {"backgrounds": None, "render_mode": "RGB", "rasterize_mode": "classic", "covars": None}
    defaults |= {"camera_model": "pinhole"}
    o = {**defaults, **options, "width": width, "height": height}
    dims = means.shape[:-2]

    def flat(tensor):
        return None if tensor is None else tensor.reshape(math.prod(dims), *tensor.shape[len(dims) :])

    means, opacities, colors, viewmats = flat(means), flat(opacities), flat(colors), flat(viewmats)
    covariances = world_covariances(flat(quats), flat(scales), flat(o["covars"]))
    mean, conic, z, peak, radii = project(means, covariances, opacities, viewmats, flat(Ks), o)
    channels, background = shaded(colors, means, viewmats, o["sh_degree"]), flat(o["backgrounds"])
    if background is None:
        background = means.new_zeros(*viewmats.shape[:2], channels.shape[-1])
    if "D" in o["render_mode"]:
        channels = torch.cat([channels, z[..., None]], -1)
        background = torch.cat([background, means.new_zeros(*viewmats.shape[:2], 1)], -1)
    first = -1 if o["render_mode"] in ("D", "ED") else 0
    renders, alphas = [], []
    for i in range(means.shape[0]):
        for k in range(viewmats.shape[1]):
            visible = (radii[i, k] > 0).all(-1)
            image, alpha = blend(
                *(table[i, k] for table in (mean, conic, z, peak)),
                visible,
                channels[i, k, :, first:],
                background[i, k, first:],
                width,
                height,
            )
            if "ED" in o["render_mode"]:
                image = torch.cat([image[..., :-1], image[..., -1:] / alpha[..., None].clamp(min=1e-10)], -1)
            renders.append(image)
            alphas.append(alpha[..., None])
    shape = (*dims, viewmats.shape[1])
    return (
        torch.stack(renders).unflatten(0, shape),
        torch.stack(alphas).unflatten(0, shape),
        radii.reshape(*shape, *radii.shape[2:]),
    )
