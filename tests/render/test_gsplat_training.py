"""A trainer in the style of scripts for gsplat, with only the import of ``rasterization`` replaced."""

import pytest
import torch

from sfumato.render.gsplat_api import rasterization

WIDTH, HEIGHT = 30, 24


class GrowAndPrune:
    """Adaptive density control based on ``info``, like the strategies of gsplat."""

    def __init__(self, n, packed, absgrad, threshold):
        self.packed, self.absgrad, self.threshold = packed, absgrad, threshold
        self.forget(n)

    def forget(self, n):
        self.strength, self.times_seen, self.reach = torch.zeros(3, n)

    def before_backward(self, info):
        info["means2d"].retain_grad()

    def after_backward(self, info):
        slopes = info["means2d"].absgrad if self.absgrad else info["means2d"].grad
        per_half_image = torch.tensor([info["width"], info["height"]]) / 2 * info["n_cameras"]
        strength, reach = (slopes * per_half_image).norm(dim=-1), info["radii"].amax(-1)
        if self.packed:
            ids = info["gaussian_ids"]
        else:
            visible = (info["radii"] > 0).all(-1)
            ids, strength, reach = visible.nonzero()[:, 1], strength[visible], reach[visible]
        self.strength.index_add_(0, ids, strength)
        self.times_seen.index_add_(0, ids, torch.ones(len(ids)))
        share = reach / max(info["width"], info["height"])
        self.reach[ids] = torch.maximum(self.reach[ids], share)

    @torch.no_grad()
    def refine(self, params):
        is_high = self.strength / self.times_seen.clamp_min(1) > self.threshold
        keep = params["opacities"].sigmoid() > 0.005
        n_grown, n_pruned = int(is_high.sum()), int((~keep).sum())
        for name, param in params.items():
            copies = param.detach()[is_high]
            if name == "means":
                copies = copies + 0.02 * torch.randn_like(copies)
            params[name] = torch.nn.Parameter(torch.cat([param.detach()[keep], copies]))
        assert 0 < self.reach.max() < 2
        self.forget(len(params["means"]))
        return n_grown, n_pruned


def splats(n):
    random = torch.Generator().manual_seed(3)
    sh = torch.zeros(n, 4, 3)
    sh[:, 0] = torch.randn(n, 3, generator=random)
    tensors = {
        "means": torch.randn(n, 3, generator=random) * torch.tensor([0.8, 0.6, 0.3]),
        "scales": torch.randn(n, 3, generator=random) * 0.2 - 1.7,
        "quats": torch.randn(n, 4, generator=random),
        "opacities": torch.randn(n, generator=random) + 1,
        "sh0": sh[:, :1],
        "shN": sh[:, 1:],
    }
    return torch.nn.ParameterDict({name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()})


def cameras():
    camtoworlds = torch.eye(4).repeat(2, 1, 1)
    camtoworlds[:, 2, 3] = -3
    camtoworlds[1, 0, 3] = 0.3
    Ks = torch.tensor([[28.0, 0, WIDTH / 2], [0, 28.0, HEIGHT / 2], [0, 0, 1]]).repeat(2, 1, 1)
    return torch.linalg.inv(camtoworlds), Ks


def rasterize_splats(params, **options):
    viewmats, Ks = cameras()
    return rasterization(
        means=params["means"],
        quats=params["quats"],
        scales=torch.exp(params["scales"]),
        opacities=torch.sigmoid(params["opacities"]),
        colors=torch.cat([params["sh0"], params["shN"]], 1),
        viewmats=viewmats,
        Ks=Ks,
        width=WIDTH,
        height=HEIGHT,
        sh_degree=1,
        **options,
    )


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("absgrad", [True, False])
@pytest.mark.slow
def test_training_loop_learns_and_grows(packed, absgrad, rasterize_mode):
    with torch.no_grad():
        pixels, _, _ = rasterize_splats(splats(24))
    params = splats(24)
    with torch.no_grad():
        params["sh0"].mul_(0.2)
        params["means"].add_(torch.randn(24, 3, generator=torch.Generator().manual_seed(1)) * 0.1)
        params["opacities"][0] = -9.0
    strategy = GrowAndPrune(24, packed, absgrad, threshold=2e-3 if absgrad else 1e-3)
    options = {
        "packed": packed,
        "absgrad": absgrad,
        "rasterize_mode": rasterize_mode,
        "render_mode": "RGB+ED",
    }
    losses = []
    for _ in range(2):
        optimizers = [torch.optim.Adam([param], lr=0.02) for param in params.values()]
        for _ in range(20):
            renders, _, info = rasterize_splats(params, **options)
            colors, depths = renders[..., 0:3], renders[..., 3:4]
            strategy.before_backward(info)
            loss = torch.nn.functional.l1_loss(colors, pixels)
            loss = loss + 1e-4 * depths.mean() + 1e-3 * torch.sigmoid(params["opacities"]).mean()
            loss.backward()
            strategy.after_backward(info)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
        n_before = len(params["means"])
        n_grown, n_pruned = strategy.refine(params)
        assert 0 < n_grown < n_before
        assert len(params["means"]) == n_before + n_grown - n_pruned
    assert losses[-1] < 0.5 * losses[0]


def test_sparse_adam_updates_only_visible_gaussians():
    params = splats(20)
    names = ("means", "quats", "scales")
    with torch.no_grad():
        params["means"][:10, 2] -= 50
    before = {name: params[name].detach().clone() for name in names}
    optimizers = [torch.optim.SparseAdam([params[name]], lr=0.01) for name in names]
    viewmats, Ks = cameras()
    renders, _, info = rasterization(
        params["means"],
        params["quats"],
        params["scales"],
        torch.sigmoid(params["opacities"]),
        torch.cat([params["sh0"], params["shN"]], 1),
        viewmats[:1],
        Ks[:1],
        WIDTH,
        HEIGHT,
        sh_degree=1,
        sparse_grad=True,
    )
    renders.square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    seen = torch.zeros(20, dtype=torch.bool)
    seen[info["gaussian_ids"]] = True
    assert 0 < seen.sum() <= 10
    for name in names:
        moved = (params[name] != before[name]).any(-1)
        assert torch.equal(moved, seen), name
