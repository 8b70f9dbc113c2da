import torch

from sfumato.maths.covariances import covariance_matrices, determinant_2x2, pack_symmetric, unpack_symmetric
from sfumato.maths.quaternions import rotation_from_quats


def test_packing_is_undone_by_unpacking():
    packed = torch.arange(12.0).reshape(2, 6)
    matrices = unpack_symmetric(packed)
    assert torch.equal(matrices, matrices.mT)
    assert torch.equal(matrices[0], torch.tensor([[0.0, 1, 2], [1, 3, 4], [2, 4, 5]]))
    assert torch.equal(pack_symmetric(matrices), packed)


def test_eigenvalues_of_a_covariance_are_the_squared_scales():
    scales = torch.tensor([[0.1, 0.5, 2.0]], dtype=torch.float64)
    rotations = rotation_from_quats(torch.tensor([[0.3, -0.5, 0.9, 0.1]], dtype=torch.float64))
    eigenvalues = torch.linalg.eigvalsh(covariance_matrices(rotations, scales))
    torch.testing.assert_close(eigenvalues, scales**2)


def test_determinant():
    assert determinant_2x2(torch.tensor([[2.0, 3.0, 5.0]])).item() == 1.0
