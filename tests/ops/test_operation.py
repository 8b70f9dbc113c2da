"""Operations that torch knows by name."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from sfumato.ops.backend import Tensors
from sfumato.ops.operation import operation


@operation("sfumato::test_product")
def product(a: Tensor, factor: float) -> Tensor:
    return a * factor


@product.register_fake
def _(a, factor):
    return torch.empty_like(a)


@operation("sfumato::test_cube")
def cube(a: Tensor) -> Tensor:
    return a**3


cube.register_autograd(
    lambda ctx, grad: product(grad * ctx.saved_tensors[0] ** 2, 3.0),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)


@operation("sfumato::test_add", mutates_args=("total", "parts"))
def add(total: Tensor, parts: Tensors, addend: float) -> None:
    for tensor in (total, *parts):
        tensor.numpy()[...] += addend


@pytest.mark.slow
def test_results_and_shapes_without_data():
    assert product(torch.tensor([2.0]), 3.0).tolist() == [6.0]
    assert product(torch.empty(2, 5, device="meta"), 3.0).shape == (2, 5)
    torch.library.opcheck(torch.ops.sfumato.test_product.default, (torch.ones(3), 2.0))


def test_the_gradient_that_was_set():
    a = torch.tensor([2.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(cube(a).sum(), a)
    assert gradient.tolist() == [12.0]


def test_without_a_gradient_it_says_so():
    a = torch.tensor([2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="sfumato::test_product has no gradient"):
        product(a, 3.0).backward()
    (gradient,) = torch.autograd.grad(cube(a).sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="test_product has no gradient"):
        gradient.backward()


def test_torch_learns_of_changes_in_place():
    """Autograd refuses a gradient for which it needs the tensor as it was before."""
    total, part = torch.tensor([2.0]), torch.tensor([5.0])
    for changed in (total, part):
        leaf = torch.ones(1, requires_grad=True)
        result = leaf * changed
        add(total, [part], 1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            result.backward()
    assert total.item() == 4.0 and part.item() == 7.0


@pytest.mark.slow
def test_the_first_call_does_not_import_the_compiler_of_torch():
    code = """
import sys, torch
from sfumato.ops import covariance
covariance(torch.ones(1, 4), torch.ones(1, 3))
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
