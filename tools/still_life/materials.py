"""Mitsuba materials by name; every texture is painted here in numpy, none is downloaded."""

from __future__ import annotations

import drawings as d
import mitsuba as mi
import numpy as np
import textures as t
from noise import fractal_noise, value_noise


def linear_from_srgb(colour) -> np.ndarray:
    """Undo the sRGB transfer curve."""
    colour = np.asarray(colour, float)
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def colour(picture, repeat=(1, 1)) -> dict:
    """A Mitsuba texture from a picture [h, w, 3] or one sRGB colour (3,)."""
    picture = np.asarray(picture, float)
    if picture.ndim == 1:
        return {"type": "rgb", "value": linear_from_srgb(picture).tolist()}
    return _bitmap(linear_from_srgb(picture), repeat)


def _bitmap(values: np.ndarray, repeat) -> dict:
    scale = mi.ScalarTransform3f().scale([repeat[0], repeat[1]]) if hasattr(mi, "ScalarTransform3f") else None
    bitmap = mi.Bitmap(np.ascontiguousarray(values, dtype=np.float32))
    return {"type": "bitmap", "bitmap": bitmap, "raw": True, "to_uv": scale}


def matte(picture, repeat=(1, 1)) -> dict:
    """Diffuse on both sides."""
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": colour(picture, repeat)}}


def glossy(picture, alpha: float, repeat=(1, 1)) -> dict:
    """A diffuse body under a dielectric coat of roughness ``alpha``, on both sides."""
    coat = {"type": "roughplastic", "alpha": alpha, "distribution": "ggx"}
    return {"type": "twosided", "bsdf": {**coat, "diffuse_reflectance": colour(picture, repeat)}}


# Complex index of refraction at the red, green and blue primaries: (eta, k).
BRASS = ((0.444, 0.527, 1.094), (3.695, 2.765, 1.829))
GOLD = ((0.143, 0.375, 1.442), (3.983, 2.386, 1.603))
STEEL = ((2.912, 2.950, 2.584), (3.089, 2.932, 2.767))


def metal(index, alpha: float, tint=(1, 1, 1)) -> dict:
    """A rough conductor with complex ``index`` of refraction, on both sides."""
    body = {"type": "roughconductor", "alpha": alpha, "distribution": "ggx"}
    values = zip(("eta", "k", "specular_reflectance"), (*index, tint), strict=True)
    spectra = {name: {"type": "rgb", "value": list(value)} for name, value in values}
    return {"type": "twosided", "bsdf": {**body, **spectra}}


def bumpy(bsdf: dict, height: np.ndarray, scale: float, repeat=(1, 1)) -> dict:
    """Tilt the normals of a two-sided material by a height map [h, w]."""
    bumps = _bitmap(height[..., None], repeat)
    inner = {"type": "bumpmap", "arbitrary": bumps, "scale": scale, "bsdf": bsdf["bsdf"]}
    return {"type": "twosided", "bsdf": inner}


def _room(rng) -> dict:
    umber, olive, ochre = (0.50, 0.42, 0.32), (0.42, 0.43, 0.34), (0.56, 0.46, 0.34)
    return {
        "wall_back": matte(t.plaster(rng, umber), (3, 2)),
        "wall_left": matte(t.plaster(rng, ochre), (3, 2)),
        "wall_right": matte(t.plaster(rng, olive), (3, 2)),
        "floor": glossy(t.floor_tiles(rng), 0.22, (2, 2)),
        "wall_tiles": glossy(t.wall_tiles(rng), 0.15, (5.5, 1)),
        "wood": glossy(t.wood(rng), 0.20),
        "wood_dark": glossy(t.wood(rng, (512, 512), 1, 0.6), 0.25),
        "linen": matte(t.linen(rng)),
        "damask": matte(t.damask(rng), (1, 1.6)),
        "damask_green": matte(t.damask(rng, (0.16, 0.25, 0.22), (0.46, 0.46, 0.30)), (1.4, 1.8)),
        "gilt": metal(GOLD, 0.32, (0.85, 0.80, 0.70)),
        "landscape": glossy(d.landscape(rng), 0.25),
        "chart": matte(d.chart(rng)),
    }


def _books(rng) -> dict:
    bases = {"green": (0.16, 0.26, 0.18), "red": (0.48, 0.12, 0.09), "brown": (0.40, 0.24, 0.13)}
    titles = {"green": "TRATTATO", "red": "SFUMATO", "brown": "DELLA PITTURA"}
    found = {
        "page_edges": matte(d.page_edges(rng)),
        "page_left": matte(d.page(rng, False)),
        "page_right": matte(d.page(rng, True)),
    }
    for name, base in bases.items():
        found[f"leather_{name}"] = glossy(d.leather(rng, base), 0.28)
        found[f"spine_{name}"] = glossy(d.spine(rng, base, titles[name]), 0.25)
    return found


def _fruit(rng) -> dict:
    pores = value_noise((256, 512), (64, 128), rng)
    return {
        "apple_a": glossy(t.apple_skin(rng), 0.14),
        "apple_b": glossy(t.apple_skin(rng) * (0.95, 1.1, 0.9), 0.14),
        "orange": bumpy(glossy(t.citrus_skin(rng, (0.98, 0.60, 0.12)), 0.22), pores, 0.0015),
        "lemon": bumpy(glossy(t.citrus_skin(rng, (0.97, 0.86, 0.22)), 0.20), pores, 0.0012),
        "lemon_flesh": glossy((0.93, 0.86, 0.52), 0.12),
        "peel": glossy(t.citrus_skin(rng, (0.97, 0.86, 0.24), (64, 512)), 0.22),
        "grape": glossy(t.grape_skin(rng), 0.12),
    }


def library(seed: int) -> dict:
    """Every material of the still life by name."""
    rng = np.random.default_rng(seed)
    rest = {
        "delft": glossy(t.delft(rng), 0.06),
        "clay": matte((0.45, 0.38, 0.30)),
        "brass": metal(BRASS, 0.16, (1.0, 0.86, 0.62)),
        "steel": metal(STEEL, 0.12),
        "bone": glossy(
            np.array([0.86, 0.80, 0.66]) * (0.85 + 0.2 * fractal_noise((64, 256), (2, 20), rng))[..., None],
            0.12,
        ),
        "wax": glossy((0.88, 0.82, 0.66), 0.30),
        "soot": matte((0.08, 0.07, 0.06)),
        "globe": glossy(d.chart(rng, (192, 384)) * (0.7, 0.85, 1.0), 0.10),
        "bark": matte(
            np.array([0.36, 0.26, 0.18]) * (0.6 + 0.7 * fractal_noise((256, 64), (40, 6), rng))[..., None]
        ),
        "leaf": glossy(t.leaf_green(rng), 0.30),
        "petal": matte(t.petal(rng)),
        "stamen": matte((0.86, 0.70, 0.22)),
    }
    return {**_room(rng), **_books(rng), **_fruit(rng), **rest}
