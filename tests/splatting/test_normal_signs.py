"""Signs of normals: consistent between neighbours, outwards, or towards the scanner."""

import numpy as np

from sfumato.splatting.local_planes import local_planes
from sfumato.splatting.normal_signs import oriented
from support.surfaces import plane, sphere


def flipped(normals):
    """The same with random signs."""
    signs = np.where(np.random.default_rng(0).random(len(normals)) < 0.5, -1, 1)
    return normals * signs[:, None].astype(normals.dtype)


def planes_of(xyz):
    return local_planes(xyz, lambda done, total: None)


def test_each_of_two_surfaces_points_outwards():
    xyz = np.concatenate([sphere(400), sphere(300, 0.5, (4, 0, 0))])
    planes = planes_of(xyz)
    signed = oriented(xyz, flipped(planes.normals), planes.rows)
    outwards = np.concatenate([xyz[:400], xyz[400:] - [4, 0, 0]])
    assert (np.einsum("ni,ni->n", signed, outwards) > 0).all()


def test_a_curved_sheet_is_consistent():
    # A half-cylinder of radius 1, whose normals span 180 degrees.
    at = plane(30)
    angle = np.pi * at[:, 0] / 29
    xyz = np.stack([np.cos(angle), np.sin(angle), 0.1 * at[:, 1]], axis=1)
    planes = planes_of(xyz)
    signed = oriented(xyz, flipped(planes.normals), planes.rows)
    along = np.einsum("ni,ni->n", signed[:, :2], xyz[:, :2])
    assert (along > 0).all() or (along < 0).all()


def test_known_scanner_positions_determine_the_signs():
    xyz = sphere(400)
    planes = planes_of(xyz)
    inwards = (-xyz).astype(np.float32)
    for known in (np.ones(400, bool), np.arange(400) < 20):
        signed = oriented(xyz, flipped(planes.normals), planes.rows, inwards * known[:, None])
        assert (np.einsum("ni,ni->n", signed, xyz) < 0).all()
