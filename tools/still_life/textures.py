"""Painted textures: wood, plaster, tiles, cloth, glaze, fruit skin. [h, w, 3] sRGB in [0, 1]."""

from __future__ import annotations

import numpy as np
from noise import blend, coordinates, fractal_noise, ramp, step, value_noise


def wood(rng, shape=(1024, 1024), planks: int = 5, dark: float = 1.0) -> np.ndarray:
    """Planks of walnut along u with grain, knots and joints."""
    v, u = coordinates(shape)
    warp = fractal_noise(shape, (6, 2), rng, 4)
    plank = np.floor(v * planks)
    shift = np.random.default_rng(7).random(planks)[plank.astype(int)]
    rings = v * planks * 9 + 5.5 * warp + 30 * shift + 0.6 * np.sin(6 * u + 9 * shift)
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * rings)
    fibre = fractal_noise(shape, (128, 4), rng, 3)
    tone = 0.30 * grain**1.6 + 0.42 * fibre + 0.34 * warp + 0.25 * (shift - 0.5)
    picture = ramp(tone, [(0.0, (0.28, 0.15, 0.08)), (0.45, (0.52, 0.32, 0.18)), (1.0, (0.78, 0.56, 0.34))])
    joint = np.minimum(v * planks % 1, 1 - v * planks % 1)
    picture = blend(picture, (0.06, 0.03, 0.02), 1 - step(0.014, joint, 0.02))
    wear = fractal_noise(shape, (4, 8), rng, 5)
    return np.clip(picture * (0.82 + 0.3 * wear[..., None]) * dark, 0, 1)


def plaster(rng, base, shape=(1024, 1024)) -> np.ndarray:
    """An old lime wall: clouds, stains, hair cracks."""
    clouds = fractal_noise(shape, (3, 3), rng, 7, 0.6)
    stains = fractal_noise(shape, (2, 5), rng, 6, 0.55)
    grit = fractal_noise(shape, (128, 128), rng, 2)
    tone = 0.62 + 0.55 * clouds + 0.16 * (grit - 0.5)
    picture = np.asarray(base) * tone[..., None]
    picture = blend(picture, np.asarray(base) * (1.35, 1.2, 0.95), 0.35 * step(0.60, stains, 0.30))
    crack = np.abs(fractal_noise(shape, (4, 4), rng, 6, 0.6) - 0.5)
    where = step(0.5, fractal_noise(shape, (2, 2), rng, 3), 0.2)
    return np.clip(
        blend(picture, np.asarray(base) * 0.35, 0.4 * where * (1 - step(0.003, crack, 0.005))), 0, 1
    )


def floor_tiles(rng, shape=(1024, 1024), count: int = 8) -> np.ndarray:
    """Black and cream marble in a chequer with veins and grout."""
    v, u = coordinates(shape)
    i, j = np.floor(v * count).astype(int), np.floor(u * count).astype(int)
    veins = np.abs(fractal_noise(shape, (5, 5), rng, 6, 0.62) - 0.5)
    cloud = fractal_noise(shape, (8, 8), rng, 5)
    light = ramp(cloud, [(0, (0.66, 0.60, 0.50)), (1, (0.84, 0.79, 0.68))])
    light = blend(light, (0.48, 0.42, 0.36), 0.7 * (1 - step(0.02, veins, 0.04)))
    dark = ramp(cloud, [(0, (0.10, 0.10, 0.11)), (1, (0.20, 0.19, 0.20))])
    dark = blend(dark, (0.52, 0.50, 0.48), 0.6 * (1 - step(0.012, veins, 0.025)))
    picture = np.where(((i + j) % 2 == 0)[..., None], light, dark)
    picture = picture * (0.85 + 0.3 * rng.random((count, count))[i, j])[..., None]
    edge = np.minimum(
        np.minimum(v * count % 1, 1 - v * count % 1), np.minimum(u * count % 1, 1 - u * count % 1)
    )
    return np.clip(blend(picture, (0.22, 0.19, 0.16), 1 - step(0.018, edge, 0.012)), 0, 1)


def linen(rng, shape=(1024, 1024)) -> np.ndarray:
    """Unbleached linen with woven blue and red borders along u."""
    v, u = coordinates(shape)
    weave = 0.5 + 0.25 * np.sin(2 * np.pi * u * 170) + 0.25 * np.sin(2 * np.pi * v * 170)
    slub = fractal_noise(shape, (170, 6), rng, 2) + fractal_noise(shape, (6, 170), rng, 2)
    picture = np.array([0.86, 0.81, 0.70]) * (0.80 + 0.14 * weave + 0.12 * slub)[..., None]
    blue, red = (0.15, 0.24, 0.45), (0.56, 0.13, 0.11)
    for centre, half, colour in [
        (0.90, 0.022, blue),
        (0.945, 0.006, red),
        (0.855, 0.006, red),
        (0.70, 0.008, blue),
        (0.08, 0.02, blue),
    ]:
        picture = blend(
            picture, np.asarray(colour) * (0.8 + 0.3 * weave)[..., None], (np.abs(v - centre) < half) * 0.92
        )
    cell_u, cell_v = (u * 26) % 1 - 0.5, (v - 0.775) * 26
    diamond = np.abs(np.abs(cell_u) + np.abs(cell_v) - 0.34) < 0.09
    dot = np.abs(cell_u) + np.abs(cell_v) < 0.14
    return np.clip(blend(picture, blue, 0.9 * (diamond | dot)), 0, 1)


def damask(
    rng, ground=(0.40, 0.07, 0.07), silk=(0.57, 0.24, 0.15), shape=(1024, 1024), repeat=8
) -> np.ndarray:
    """Silk with a mirrored figure in a lighter thread, as on a tapestry."""
    tile = (shape[0] // repeat, shape[1] // repeat // 2)
    noise = fractal_noise((tile[0], 2 * tile[1]), (3, 5), rng, 3, 0.5)[:, : tile[1]]
    v, u = coordinates(tile)
    noise = noise + 0.16 * np.cos(2 * np.pi * u) * np.cos(2 * np.pi * v)
    figure = step(0.62, noise, 0.06) + 0.6 * (1 - step(0.018, np.abs(noise - 0.44), 0.03))
    mirrored = np.concatenate([figure, figure[:, ::-1]], -1)
    figure = np.concatenate(
        [np.tile(mirrored, (1, repeat)), np.roll(np.tile(mirrored, (1, repeat)), tile[1], 1)]
    )
    figure = np.tile(figure, (repeat // 2, 1))
    h, w = figure.shape
    thread = 0.88 + 0.12 * np.sin(np.pi * np.arange(h) * 0.9)[:, None] * np.sin(np.pi * np.arange(w) * 0.5)
    picture = blend(np.broadcast_to(ground, (h, w, 3)), silk, 0.9 * figure)
    worn = 0.85 + 0.3 * value_noise((h, w), (8, 8), rng)
    return np.clip(picture * (thread * worn)[..., None], 0, 1)


def delft(rng, shape=(768, 1536)) -> np.ndarray:
    """White tin glaze painted in cobalt: bands, a scrolling vine, flower medallions."""
    v, u = coordinates(shape)
    cloud = fractal_noise(shape, (6, 10), rng, 5)
    brush = 0.55 + 0.6 * fractal_noise(shape, (24, 60), rng, 3)
    paint = np.zeros(shape)
    for centre, half in [
        (0.035, 0.010),
        (0.065, 0.004),
        (0.27, 0.005),
        (0.295, 0.009),
        (0.325, 0.003),
        (0.745, 0.004),
        (0.77, 0.012),
        (0.80, 0.004),
        (0.955, 0.018),
    ]:
        paint = np.maximum(paint, 1 - step(half, np.abs(v - centre), 0.004))
    for row, count, size, petals in [(0.53, 5, 0.088, 8), (0.168, 12, 0.030, 5), (0.875, 14, 0.030, 4)]:
        du = ((u * count) % 1 - 0.5) / count * 2.0
        dv = v - row
        r, angle = np.hypot(du, dv) / size, np.arctan2(dv, du)
        flower = 1 - step(0.72 + 0.28 * np.cos(petals * angle), r, 0.05)
        rim = 1 - step(0.045, np.abs(r - 0.66 - 0.28 * np.cos(petals * angle)), 0.05)
        heart = 1 - step(0.05, np.abs(r - 0.26), 0.05)
        paint = np.maximum(paint, np.maximum(0.42 * flower * (r > 0.3), np.maximum(rim, heart)))
        paint = np.maximum(paint, 0.9 * (1 - step(0.035, np.abs(r - 1.22), 0.04)) * (size > 0.05))
    vine = v - 0.53 - 0.135 * np.sin(2 * np.pi * u * 5)
    paint = np.maximum(paint, 1 - step(0.006, np.abs(vine), 0.005))
    for k in range(40):
        at_u, at_v = (k + 0.5) / 40, 0.53 + 0.135 * np.sin(2 * np.pi * (k + 0.5) / 8)
        du, dv = (u - at_u) * 2.0, v - at_v - (0.028 if k % 2 else -0.028)
        turn = 0.9 if k % 2 else -0.9
        a, b = du * np.cos(turn) + dv * np.sin(turn), -du * np.sin(turn) + dv * np.cos(turn)
        paint = np.maximum(paint, 0.85 * (1 - step(1, (a / 0.010) ** 2 + (b / 0.026) ** 2, 0.25)))
    white = ramp(cloud, [(0, (0.80, 0.82, 0.82)), (1, (0.90, 0.90, 0.86))])
    return np.clip(blend(white, (0.09, 0.17, 0.44), paint * np.clip(brush, 0, 1)), 0, 1)


def apple_skin(rng, shape=(256, 512)) -> np.ndarray:
    """Red streaks over yellow-green, pale freckles, green hollow at the stalk (v = 0)."""
    v, _ = coordinates(shape)
    streak = fractal_noise(shape, (3, 48), rng, 4)
    blush = value_noise(shape, (2, 3), rng)
    red = np.clip(1.7 * blush + 0.9 * streak - 0.62 + 0.4 * v, 0, 1)
    red *= step(0.10, v, 0.12)
    picture = blend(ramp(streak, [(0, (0.66, 0.58, 0.16)), (1, (0.80, 0.68, 0.24))]), (0.58, 0.06, 0.05), red)
    freckle = step(0.80, value_noise(shape, (48, 96), rng), 0.08)
    return np.clip(blend(picture, (0.90, 0.74, 0.42), 0.45 * freckle), 0, 1)


def citrus_skin(rng, base, shape=(256, 512)) -> np.ndarray:
    """Peel of an orange or lemon: colour drifts, dark pores."""
    drift = fractal_noise(shape, (2, 4), rng, 4)
    pores = step(0.66, value_noise(shape, (64, 128), rng), 0.25)
    picture = np.asarray(base) * (0.84 + 0.26 * drift)[..., None]
    return np.clip(blend(picture, np.asarray(base) * (0.80, 0.72, 0.6), 0.25 * pores), 0, 1)


def grape_skin(rng, shape=(128, 256)) -> np.ndarray:
    """Deep purple under a pale bloom that is rubbed off in places."""
    bloom = fractal_noise(shape, (3, 5), rng, 5)
    return ramp(bloom, [(0, (0.15, 0.04, 0.13)), (0.5, (0.25, 0.09, 0.21)), (1, (0.46, 0.37, 0.50))])


def leaf_green(rng, shape=(256, 128)) -> np.ndarray:
    """A leaf with midrib along v and side veins."""
    v, u = coordinates(shape)
    across = np.abs(u - 0.5) * 2
    vein = np.abs((v * 9 - across * 2.2) % 1 - 0.5)
    tone = fractal_noise(shape, (8, 4), rng, 4)
    picture = ramp(tone, [(0, (0.22, 0.36, 0.14)), (1, (0.46, 0.58, 0.22))])
    picture = blend(picture, (0.52, 0.60, 0.30), 0.55 * (1 - step(0.07, vein, 0.06)))
    return np.clip(blend(picture, (0.60, 0.66, 0.36), 1 - step(0.06, across, 0.05)), 0, 1)


def petal(rng, shape=(128, 64)) -> np.ndarray:
    """White turning to rose at the root (v = 0)."""
    v, _ = coordinates(shape)
    tone = v + 0.25 * (fractal_noise(shape, (3, 8), rng, 3) - 0.5)
    return ramp(tone, [(0, (0.72, 0.30, 0.38)), (0.35, (0.88, 0.66, 0.68)), (1, (0.95, 0.90, 0.87))])


def wall_tiles(rng, shape=(768, 768), count: int = 6) -> np.ndarray:
    """White tiles, each with a small cobalt figure and corner flourishes."""
    v, u = coordinates(shape)
    i, j = np.floor(v * count).astype(int), np.floor(u * count).astype(int)
    lobes = rng.integers(2, 7, (count, count))[i, j]
    turn = rng.uniform(0, 6.3, (count, count))[i, j]
    size = rng.uniform(0.18, 0.3, (count, count))[i, j]
    tv, tu = v * count % 1 - 0.5, u * count % 1 - 0.5
    r, angle = np.hypot(tu, tv), np.arctan2(tv, tu)
    figure = 1 - step(0.03, np.abs(r - size * (0.65 + 0.35 * np.cos(lobes * angle + turn))), 0.03)
    corner = np.hypot(np.abs(tu) - 0.5, np.abs(tv) - 0.5)
    figure = np.maximum(figure, 1 - step(0.02, np.abs(corner - 0.16), 0.03))
    tone = 0.78 + 0.12 * rng.random((count, count))[i, j] + 0.06 * fractal_noise(shape, (12, 12), rng)
    picture = blend(tone[..., None] * (0.98, 1.0, 0.96), (0.16, 0.25, 0.48), 0.85 * figure)
    joint = np.minimum(0.5 - np.abs(tu), 0.5 - np.abs(tv))
    return np.clip(blend(picture, (0.42, 0.38, 0.32), 1 - step(0.018, joint, 0.015)), 0, 1)
