"""What kernels for GPUs compile to: registers, spills, layout conversions in loops, instructions.

Few pairs of a kernel and a target; the benchmark compiles all of them.
"""

import json
import os
import subprocess
import sys

import pytest

from repository import ROOT
from support.interpreted import require_triton

pytestmark = pytest.mark.kernels

PAIRS = [
    "covariance_backward:sm_80", "blend:sm_90", "blend_backward:sm_90", "row_spans:sm_120",
    "blend_backward:gfx942", "blend_rays:sm_90",
]  # fmt: skip


@pytest.mark.slow
def test_kernels_stay_within_their_bounds(tmp_path):
    require_triton()
    program = [sys.executable, ROOT / "benchmarks/gpu_instructions.py", "--json", *PAIRS]
    # Compiled anew, and never for the interpreter.
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [f"{row['kernel']}:{row['target']}" for row in found] == PAIRS
    assert all(row["registers"] > 16 for row in found)


CODE = """
.L_x_0:
        /*0010*/                   MOV R1, c[0x0][0x28] ;
.L_x_1:
        /*0020*/                   MUFU.EX2 R2, R3 ;
        /*0030*/               @P0 BRA `(.L_x_1) ;
        /*0040*/                   IADD3 R6, R6, 0x1, RZ ;
        /*0050*/              @!P1 BRA `(.L_x_0) ;
.L_x_2:
        /*0060*/                   BRA `(.L_x_2) ;
"""
LAYERED = """
    %0 = ttg.convert_layout %a : tensor<8xf32, #blocked> -> tensor<8xf32, #other>
    scf.for %i = %c0 to %n step %c1  : i32 {
      %1 = ttg.convert_layout %b : tensor<8xf32, #blocked> -> tensor<8xf32, #other>
    } {tt.flatten}
    %2 = ttg.convert_layout %a : tensor<8xf32, #blocked> -> tensor<8xf32, #other>
"""


def test_instructions_are_counted_in_the_inner_loop(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu_instructions

    assert gpu_instructions.inner_loop(CODE) == 2
    assert gpu_instructions.conversions(LAYERED) == 1
    found = {"kernel": "blend", "target": "sm_90", "registers": 300, "spills": 2, "conversions": 1}
    assert len(gpu_instructions.faults(found | {"per_32_pairs": 99.0})) == 4
    assert not gpu_instructions.faults(
        found | {"registers": 40, "spills": 0, "conversions": 0, "per_32_pairs": 17.0}
    )
