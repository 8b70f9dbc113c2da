"""Selection of the implementation: a backend consists of its operations only."""

import subprocess
import sys

import pytest
import torch

from sfumato import ops
from sfumato.errors import ConfigError, ShapeError
from sfumato.ops import backend, reference
from sfumato.ops.backend import device_named, implementation, served_by
from support.op_scenes import gaussians, gradients
from support.plain_backend import PLAIN


def inputs():
    scene = gaussians(20, dtype=torch.float32)
    return {name: scene[name] for name in ("quats", "scales")}


def test_a_backend_may_implement_a_single_operation():
    wanted, by_kernels = ops.covariance(**inputs()), gradients(ops.covariance, inputs())
    with served_by("plain", PLAIN):
        found, by_torch = ops.covariance(**inputs()), gradients(ops.covariance, inputs())
        assert torch.equal(found, reference.covariance(**inputs())), "another backend has served it"
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for name, grad in by_torch.items():
        torch.testing.assert_close(grad, by_kernels[name], rtol=1e-3, atol=1e-4)


def test_an_operation_that_a_backend_lacks_is_named():
    with (
        served_by("plain", PLAIN),
        pytest.raises(ConfigError, match="plain backend has no operation 'trace'"),
    ):
        implementation("trace", torch.empty(0))


def test_the_previous_backend_is_restored():
    with pytest.raises(RuntimeError), served_by("plain", PLAIN):
        raise RuntimeError
    assert implementation("covariance", torch.empty(0)).__name__ == "sfumato.ops.cpu.covariance"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_a_type_without_kernels_is_named(dtype):
    quats, scales = torch.ones(3, 4, dtype=dtype), torch.ones(3, 3, dtype=dtype)
    with pytest.raises(
        ShapeError, match=f"no kernel for {dtype} on cpu: use float32 on cpu, cuda, or float64"
    ):
        ops.covariance(quats, scales)


def test_devices_are_named_or_chosen_automatically():
    assert device_named("auto") == device_named("cpu") == torch.device("cpu")
    with served_by("plain", PLAIN, "meta"):
        assert device_named("auto") == device_named("meta") == torch.device("meta"), "the last is the fastest"
        assert device_named("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "", "cpu:x"])
def test_a_device_without_backend_is_refused_with_the_available_ones(name):
    with pytest.raises(ConfigError, match=f"device '{name}' is not available: give auto or cpu"):
        device_named(name)


@pytest.mark.parametrize(
    ("torch_version", "triton", "missing"),
    [
        (None, True, "this torch is built for CPUs only, install its build for CUDA or ROCm"),
        ("13.0", False, "the package triton is not installed, which kernels for GPUs need"),
        ("13.0", True, "torch finds no GPU, look at its driver"),
    ],
)
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_what_a_gpu_lacks_is_said_in_one_line(name, torch_version, triton, missing, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", torch_version)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda module: module if triton else None)
    with pytest.raises(ConfigError) as caught:
        device_named(name)
    assert str(caught.value) == f"device '{name}' is not available ({missing}): give auto or cpu"
    assert device_named("auto") == torch.device("cpu")


def test_a_package_that_a_backend_lacks_is_named(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("sfumato.ops.gpu")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "triton", None)
    with (
        served_by("gpu", device_type="cpu"),
        pytest.raises(ConfigError, match="the gpu backend needs the package triton: install it"),
    ):
        implementation("covariance", torch.empty(0))


@pytest.mark.slow
def test_the_package_is_imported_without_the_compiler_of_kernels_for_gpus():
    program = "import sys, sfumato, sfumato.ops; sfumato.rasterize; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_missing_devices_are_not_chosen():
    with served_by("plain", PLAIN, "xpu"):
        assert device_named("auto") == torch.device("cpu")
        with pytest.raises(ConfigError, match="device 'xpu' is not available: give auto or cpu"):
            device_named("xpu")
