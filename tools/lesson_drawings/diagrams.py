"""The lesson's diagrams, drawn from the formulas that they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from lesson_drawings.svg import BLUE, GOLD, GREEN, INK, MUTED, RED, RULE, Svg

from sfumato import ops

PALE_BLUE, PALE_GOLD, PALE_GREEN = "#cfe0f3", "#f4dfba", "#d0e8d7"


def at(x: float, y: float) -> np.ndarray:
    return np.array([x, y])


def turned(variances: tuple[float, float], degrees: float) -> np.ndarray:
    """Covariance [2, 2] with these variances along axes turned by an angle."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[c, -s], [s, c]])
    return rotation @ np.diag(variances) @ rotation.T


def gaussian_2d(path: Path) -> None:
    """Mean, two standard deviations and an angle; ellipses at one, two and three standard deviations."""
    svg, mean = Svg(640, 330), np.array([320.0, 168.0])
    scales, angle = (88.0, 36.0), -24.0
    covariance = turned((scales[0] ** 2, scales[1] ** 2), angle)
    for sigmas in (3, 2.5, 2, 1.5, 1, 0.5):
        svg.ellipse(mean, covariance, "none", sigmas=sigmas, fill=BLUE, opacity=0.13)
    for sigmas in (1, 2, 3):
        svg.ellipse(mean, covariance, BLUE, sigmas=sigmas, dash="" if sigmas == 1 else "5 5")
    turn = np.radians(angle)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    svg.path([mean, mean + at(150, 0)], MUTED, dash="3 4")
    arc = np.radians(np.linspace(0, angle, 20))
    svg.path(mean + 120 * np.stack([np.cos(arc), np.sin(arc)], 1), MUTED)
    svg.letter(mean[0] + 134, mean[1] - 20, "θ", MUTED)
    svg.arrow(mean, mean + scales[0] * along, GOLD, 2.6)
    svg.arrow(mean, mean + scales[1] * across, GOLD, 2.6)
    svg.letter(mean[0] + 62, mean[1] - 3, "s_{1}", GOLD)
    svg.letter(mean[0] + 36, mean[1] + 44, "s_{2}", GOLD)
    pixel = mean + at(-96.0, -76.0)
    svg.arrow(mean, pixel, RED)
    svg.box(pixel[0] - 6, pixel[1] - 6, 12, 12, fill="none", line=RED)
    svg.letter(pixel[0] - 18, pixel[1] - 2, "p", RED)
    svg.letter(mean[0] - 74, mean[1] - 24, "Δ", RED)
    svg.dot(mean, 4.5)
    svg.letter(mean[0] - 10, mean[1] + 26, "μ")
    svg.save(path)


class SideView:
    """A camera at the origin that looks along z, its picture and what it sees, looked at from the side."""

    def __init__(self, centre: tuple[float, float], zoom: float) -> None:
        turn, tilt = np.radians(62.0), np.radians(20.0)
        about_y = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
        self.rotation, self.centre, self.zoom = about_x @ about_y, np.array(centre), zoom

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Places [..., 2] in the drawing of points [..., 3]."""
        turned_points = (np.asarray(points, float) - [0, 0, 1.7]) @ self.rotation.T
        return self.centre + self.zoom * turned_points[..., :2] * [-1, 1] / (1 + turned_points[..., 2:] / 9)


def projected_ellipse(mean: np.ndarray, quat: list[float], scales: list[float]) -> np.ndarray:
    """Covariance [2, 2] of the projection at the distance 1, by the library."""
    focal = 1000.0
    projected = ops.project(
        torch.tensor(mean[None], dtype=torch.float64),
        ops.covariance(torch.tensor([quat]).double(), torch.tensor([scales]).double()),
        torch.eye(4, dtype=torch.float64),
        torch.tensor([[focal, 0, 500], [0, focal, 400], [0, 0, 1]], dtype=torch.float64),
        width=1000,
        height=800,
        blur_px2=0.0,
    )
    a, b, c = projected.conic[0].tolist()
    return np.linalg.inv([[a, b], [b, c]]) / focal**2


def projection(path: Path) -> None:
    """A Gaussian in space, the rays of its mean and of its axes, and its ellipse in the picture."""
    svg, view = Svg(720, 350), SideView((386, 186), 205)
    mean, quat, scales = np.array([0.16, -0.1, 3.0]), [0.9, 0.1, 0.35, 0.25], [0.5, 0.2, 0.2]
    unit = np.array(quat) / np.linalg.norm(quat)
    w, x, y, z = unit
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    picture = np.array([[-0.5, -0.4, 1], [0.5, -0.4, 1], [0.5, 0.4, 1], [-0.5, 0.4, 1.0]])
    eye = view(np.zeros(3))
    for corner in view(picture):
        svg.path([eye, corner], MUTED, width=1)
    svg.path(view(picture), INK, fill="#ffffff", closed=True, opacity=0.85)
    turns = np.linspace(0, 2 * np.pi, 60)
    circle = np.stack([np.cos(turns), np.sin(turns)], 1)
    values, axes = np.linalg.eigh(projected_ellipse(mean, quat, scales))
    flat = mean[:2] / mean[2] + (circle * np.sqrt(values)) @ axes.T
    svg.path(view(np.c_[flat, np.ones(60)]), BLUE, fill=PALE_BLUE, closed=True, width=2)
    svg.path(view(np.stack([np.zeros(3), mean])), RED, dash="5 4")
    sphere = [np.insert(circle, axis, 0, axis=1) for axis in range(3)]
    svg.path(
        hull(view(mean + ball(40) * scales @ rotation.T)), GOLD, fill=PALE_GOLD, closed=True, opacity=0.8
    )
    for ring in sphere:
        svg.path(view(mean + ring * scales @ rotation.T), GOLD, width=1)
    for axis in range(3):
        svg.arrow(view(mean), view(mean + 1.0 * scales[axis] * rotation[:, axis]), INK, 1.4)
    svg.dot(view(mean), 4)
    svg.dot(eye, 5)
    middle = view(np.r_[mean[:2] / mean[2], 1])
    svg.dot(middle, 3.5, BLUE)
    place = view(mean)
    svg.letter(place[0] + 10, place[1] - 82, "Σ = R S S^{T} R^{T}", GOLD)
    svg.letter(place[0] - 14, place[1] + 22, "μ")
    svg.letter(middle[0] + 6, middle[1] - 122, "Σ_{2} = J W Σ W^{T} J^{T}", BLUE)
    svg.letter(eye[0] + 2, eye[1] - 14, "W, t")
    for axis, symbol in enumerate("xyz"):
        end = 0.35 * np.eye(3)[axis]
        svg.arrow(eye, view(end), GREEN, 1.6)
        tip = eye + 1.22 * (view(end) - eye)
        svg.letter(tip[0], tip[1] + 6, symbol, GREEN, size=22)
    svg.save(path)


def ball(count: int) -> np.ndarray:
    """Points [count^2, 3] on the unit sphere."""
    u, v = np.meshgrid(np.linspace(0, np.pi, count), np.linspace(0, 2 * np.pi, count))
    return np.stack([np.sin(u) * np.cos(v), np.sin(u) * np.sin(v), np.cos(u)], -1).reshape(-1, 3)


def hull(points: np.ndarray) -> np.ndarray:
    """The convex outline [m, 2] of points [n, 2]."""
    from scipy.spatial import ConvexHull

    return points[ConvexHull(points).vertices]


def blending(path: Path) -> None:
    """Transmittance in front of each of five Gaussians, and the part of it that each takes, in percent."""
    svg = Svg(720, 330)
    alphas, colours = [0.35, 0.2, 0.6, 0.5, 0.7], [GOLD, BLUE, GREEN, RED, "#7b5ea7"]
    left, bottom, height, step, transmittance = 104.0, 270.0, 184.0, 100.0, 1.0
    svg.arrow((28, 48), (690, 48), MUTED, 1.6)
    svg.dot((28, 48), 5)
    for n, (alpha, colour) in enumerate(zip(alphas, colours, strict=True), 1):
        x = left + (n - 1) * step
        svg.ellipse((x + 30, 48), turned((22.0**2, 10.0**2), 25 * n), colour, fill=colour, opacity=alpha)
        svg.ellipse((x + 30, 48), turned((22.0**2, 10.0**2), 25 * n), colour)
        svg.box(x, bottom - height * transmittance, 60, height * transmittance, fill="#ece9e1", line=RULE)
        part = alpha * transmittance
        svg.box(x, bottom - height * part, 60, height * part, fill=colour)
        svg.number(x + 30, bottom - height * part - 6, f"{100 * part:.0f}", INK)
        svg.letter(x + 30, bottom + 24, f"α_{{{n}}}", colour, size=24)
        svg.number(x + 30, bottom + 48, f"{100 * alpha:.0f}")
        transmittance *= 1 - alpha
    x = left + 5 * step
    svg.box(x, bottom - height * transmittance, 60, height * transmittance, fill=MUTED)
    svg.number(x + 30, bottom - height * transmittance - 6, f"{100 * transmittance:.0f}", INK)
    svg.letter(x + 30, bottom + 24, "b", MUTED, size=24)
    svg.path([(left - 14, bottom), (x + 74, bottom)], INK)
    svg.path([(left - 14, bottom), (left - 14, bottom - height)], INK)
    svg.number(left - 24, bottom + 6, "0")
    svg.number(left - 32, bottom - height + 6, "100")
    svg.letter(left - 58, bottom - height / 2 + 6, "T_{n}", size=28)
    svg.save(path)


def ray(path: Path) -> None:
    """Two Gaussians on one ray: each counts once, where its response along the ray is greatest."""
    svg, eye = Svg(720, 360), np.array([40.0, 150.0])
    direction = np.array([np.cos(-0.07), np.sin(-0.07)])
    bottom = 320.0
    svg.dot(eye, 5)
    svg.letter(eye[0] - 2, eye[1] + 30, "o")
    svg.path([(eye[0], bottom), (700, bottom)], INK)
    for n, (mean, variances, degrees, colour, pale) in enumerate([
        (np.array([290.0, 96.0]), (86.0**2, 24.0**2), 32, GOLD, PALE_GOLD),
        (np.array([520.0, 154.0]), (30.0**2, 62.0**2), 20, BLUE, PALE_BLUE),
    ], 1):  # fmt: skip
        covariance = turned(variances, degrees)
        svg.ellipse(mean, covariance, "none", sigmas=1, fill=pale, opacity=0.9)
        inverse = np.linalg.inv(covariance)
        tau = (mean - eye) @ inverse @ direction / (direction @ inverse @ direction)
        best = eye + tau * direction
        off = best - mean
        nearest = np.sqrt(off @ inverse @ off)
        svg.ellipse(mean, covariance, colour)
        svg.ellipse(mean, covariance, colour, sigmas=nearest, dash="4 4")
        svg.path([mean, best], RED, dash="3 3")
        svg.dot(mean, 3.5, colour)
        svg.letter(mean[0] + (-16, -56)[n - 1], mean[1] - 8 + 24 * (n - 1), f"μ_{{{n}}}", colour)
        along = np.linspace(0, 640, 300)
        away = eye + along[:, None] * direction - mean
        response = np.exp(-0.5 * np.einsum("ni,ij,nj->n", away, inverse, away))
        svg.path(np.c_[eye[0] + along * direction[0], bottom - 80 * response], colour, width=2)
        svg.path([best, (best[0], bottom)], MUTED, dash="3 4", width=1.2)
        svg.letter(best[0], bottom + 24, f"τ_{{{n}}}", colour)
        svg.dot(best, 4.5, RED)
        svg.letter(best[0] + 26, best[1] + 28 - 40 * (n - 1), f"x_{{{n}}}", RED)
    svg.arrow(eye, eye + 655 * direction, INK)
    svg.letter(686, 84, "d")
    svg.letter(62, bottom - 66, "G", MUTED)
    svg.save(path)
