import pytest
import torch

from sfumato.ops.reference import adam_step

OPTIONS = {"rate": 0.03, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}


def state(n, *shape):
    param = torch.randn(n, *shape, dtype=torch.float64)
    return param, torch.zeros_like(param), torch.zeros_like(param)


@pytest.mark.parametrize("shape", [(), (3,), (4, 3)])
def test_agrees_with_torch_if_all_rows_are_visible(shape):
    param, exp_avg, exp_avg_sq = state(7, *shape)
    twin = param.clone().requires_grad_()
    optimiser = torch.optim.Adam([twin], lr=0.03, betas=(0.9, 0.999), eps=1e-8)
    for step in range(1, 6):
        twin.grad = torch.randn_like(param)
        adam_step(param, twin.grad, exp_avg, exp_avg_sq, torch.ones(7).bool(), **OPTIONS, step=step)
        optimiser.step()
        torch.testing.assert_close(param, twin.detach())
    torch.testing.assert_close(exp_avg, optimiser.state[twin]["exp_avg"])
    torch.testing.assert_close(exp_avg_sq, optimiser.state[twin]["exp_avg_sq"])


def test_invisible_rows_are_unchanged():
    tensors = state(4, 3)
    tensors[1].normal_()
    tensors[2].uniform_()
    before = [tensor.clone() for tensor in tensors]
    seen = torch.tensor([True, False, False, True])
    adam_step(tensors[0], torch.ones(4, 3).double(), *tensors[1:], seen, **OPTIONS, step=3)
    for tensor, old in zip(tensors, before, strict=True):
        assert torch.equal(tensor[~seen], old[~seen])
        assert (tensor[seen] != old[seen]).all()


def test_bias_is_corrected_by_the_given_step():
    param, exp_avg, exp_avg_sq = state(1)
    before = param.clone()
    adam_step(
        param, torch.tensor([5.0]).double(), exp_avg, exp_avg_sq, torch.ones(1).bool(), **OPTIONS, step=10
    )
    first, second = 0.1 * 5 / (1 - 0.9**10), 0.001 * 25 / (1 - 0.999**10)
    assert (before - param).item() == pytest.approx(0.03 * first / (second**0.5 + 1e-8))


def test_no_rows():
    adam_step(torch.zeros(0, 3), *torch.zeros(3, 0, 3), torch.zeros(0).bool(), **OPTIONS, step=1)
