"""Gaussians by their moments, as arrays: the form in which they are merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from sfumato.maths.covariances import covariance_matrices, pack_symmetric
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.scene.files import values
from sfumato.scene.gaussians import Gaussians

# The three views along the axes: the components (aa, ab, bb) of a packed covariance that each one sees, and
# the components (a, b) of a position.
VIEWS = (((0, 1, 3), (0, 1)), ((0, 2, 5), (0, 2)), ((3, 4, 5), (1, 2)))
# Merged opacities stay below 1, which has no logit.
MAX_OPACITY = 1 - values.OPACITY_MARGIN
# Smallest area and determinant, where the unit of length is a typical standard deviation.
TINY = 1e-30
# Smallest ratio of the variances of one Gaussian, about that of float64.
_THINNEST = 1e-14
_BLOCK = 65536


@dataclass(frozen=True)
class Blobs:
    """n Gaussians by their moments.

    Attributes:
        xyz: [3, n] float64 centres, relative to an origin, in units of a typical standard deviation.
        cov: [6, n] float64 covariances, packed as (xx, xy, xz, yy, yz, zz), in that unit squared.
        opacities: [n] float64.
        sh: [n, 3 k] float32 coefficients.
    """

    xyz: np.ndarray
    cov: np.ndarray
    opacities: np.ndarray
    sh: np.ndarray

    def __len__(self) -> int:
        return self.xyz.shape[1]

    def rows(self, keep: np.ndarray) -> Blobs:
        """Those at a mask or at indices."""
        return Blobs(self.xyz[:, keep], self.cov[:, keep], self.opacities[keep], self.sh[keep])

    def joined(self, other: Blobs) -> Blobs:
        """These, then others."""
        return Blobs(
            np.concatenate([self.xyz, other.xyz], axis=1),
            np.concatenate([self.cov, other.cov], axis=1),
            np.concatenate([self.opacities, other.opacities]),
            np.concatenate([self.sh, other.sh]),
        )


@dataclass(frozen=True)
class BlobFrame:
    """Origin [3] and unit of length of ``Blobs``, scene units."""

    origin: np.ndarray
    unit: float


def blobs_of(gaussians: Gaussians) -> tuple[Blobs, BlobFrame]:
    """The moments of Gaussians, and the frame they are in.

    Args:
        gaussians: at least one, any device or float type.
    """
    scene = gaussians.map(lambda tensor: tensor.detach().cpu())
    means = scene.means.double().numpy()
    log_scales = scene.log_scales.double()
    frame = BlobFrame(np.median(means, axis=0), float(log_scales.median().exp()))
    cov = np.empty((6, len(scene)))
    for start in range(0, len(scene), _BLOCK):
        part = slice(start, start + _BLOCK)
        scales = (log_scales[part] - np.log(frame.unit)).exp()
        rotations = rotation_from_quats(scene.quats[part].double())
        cov[:, part] = pack_symmetric(covariance_matrices(rotations, scales)).numpy().T
    xyz = np.ascontiguousarray(((means - frame.origin) / frame.unit).T)
    sh = scene.sh.float().numpy().reshape(len(scene), -1)
    return Blobs(xyz, cov, scene.logit_opacities.double().sigmoid().numpy(), sh), frame


def gaussians_of(blobs: Blobs, frame: BlobFrame) -> Gaussians:
    """Gaussians with these moments, float32 on the CPU."""
    log_scales, quats = np.empty((len(blobs), 3), np.float32), np.empty((len(blobs), 4), np.float32)
    for start in range(0, len(blobs), _BLOCK):
        part = slice(start, start + _BLOCK)
        full = blobs.cov[:, part].T[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
        variances, axes = np.linalg.eigh(full)
        axes[:, :, 0] *= np.linalg.det(axes)[:, None]
        variances = np.maximum(variances, np.maximum(_THINNEST * variances[:, 2:], TINY))
        log_scales[part] = np.log(variances) / 2 + np.log(frame.unit)
        quats[part] = Rotation.from_matrix(axes).as_quat(scalar_first=True)
    arrays = {
        "means": (blobs.xyz.T * frame.unit + frame.origin).astype(np.float32),
        "log_scales": log_scales,
        "quats": quats,
        "logit_opacities": values.logit_of_opacities(blobs.opacities),
        "sh": blobs.sh.reshape(len(blobs), -1, 3),
    }
    return Gaussians(**{name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()})


def root_area(cov: np.ndarray, view: tuple[int, int, int]) -> np.ndarray:
    """[n] square roots of the determinants of covariances [6, n] as one view sees them."""
    aa, ab, bb = view
    return np.sqrt(np.maximum(cov[aa] * cov[bb] - cov[ab] * cov[ab], 0))


def mean_area(cov: np.ndarray) -> np.ndarray:
    """[n] areas of Gaussians with covariances [6, n], over 2 pi, mean of the three views."""
    return np.maximum(sum(root_area(cov, view) for view, _ in VIEWS) / 3, TINY)
