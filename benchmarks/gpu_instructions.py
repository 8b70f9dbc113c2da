"""What the kernels for GPUs compile to, without a GPU: registers, spills, instructions of inner loops.

    python benchmarks/gpu_instructions.py [blend:sm_90 blend_backward:gfx942 ...] [--json]

Of blending it counts the instructions that a warp takes for 32 pairs of a Gaussian and a pixel. Nothing here
is a time. Ends with an error if a kernel spills, needs more registers than its bound, converts layouts in a
loop, or takes more instructions than its bound.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from harness import print_table

TARGETS = {
    "sm_80": ("cuda", 80, 32),
    "sm_90": ("cuda", 90, 32),
    "sm_120": ("cuda", 120, 32),
    "gfx942": ("hip", "gfx942", 64),
}
PACKAGE = "sfumato.ops.gpu.kernels"
# Types of the kernels' arguments by name; all others are pointers to float32.
POINTERS = {
    "*i32": "order radius_px first_row rows row_starts span_rank span_tile span_length span_starts pair_rank "
    "pair_slot tile_starts rank_starts neighbours edge_rows links bodies starts hits gaussian_index "
    "ray_index",
    "*i16": "pair_tile",
    "*u8": "seen visible",
    "*i64": "numbers face sorted_hits",
    "*fp64": "limits boxes triangles frames rays remaining moments",
}
NUMBERS = {
    "i32": "n width height steps ranks spans tiles_x first across pitch plane shift channels stride columns "
    "updated run nodes faces leaves bits m",
    "fp32": "wide tall blur radius_clip offset floor beta1 rest1 beta2 rest2 epsilon root_correction "
    "ssim_weight pixel_weight least of_opacity of_scale",
}
TYPES = {
    name: kind for kinds in (POINTERS, NUMBERS) for kind, names in kinds.items() for name in names.split()
}
# Numbers that are multiples of 16 whatever the image, as Triton finds when a kernel is started.
MULTIPLES = ("pitch", "plane")


class Kernel(NamedTuple):
    """A kernel as it is started, and the most registers that it may take.

    Attributes:
        module: in the package of kernels.
        constants: compile-time ones by name.
        registers: of a thread, on NVIDIA.
        warps: of a program.
        loop: instructions of the inner loop for 32 pairs, on sm_90.
    """

    module: str
    constants: dict[str, Any]
    registers: int
    warps: int = 4
    loop: float | None = None


TILE = {"ROWS": 8, "TILE_WIDTH": 16, "RECORD": 16}
SUMS = {"COLUMNS": 12, "ABSOLUTE": False}
RAYS = {"DEGREE": -1, "ORDERED": False, "TILED": True, "K": 8, "RAYS": 32}
KERNELS = {
    "blend": Kernel("tile_blending", TILE | {"CHANNELS": 3}, 96, 1, 17.7),
    "blend_backward": Kernel("tile_blending", TILE | SUMS | {"CHANNELS": 3}, 112, 1, 48.0),
    "blend_backward_many": Kernel("tile_blending", TILE | SUMS | {"COLUMNS": 16}, 128, 1),
    "tile_rows": Kernel("tile_lists", {"TILE_HEIGHT": 16}, 24),
    "row_spans": Kernel("tile_lists", {"TILE_HEIGHT": 16, "TILE_WIDTH": 16}, 32),
    "span_pairs": Kernel("tile_lists", {}, 24),
    "splat_records": Kernel("splat_records", {"D": 3, "CHANNELS": 3, "RECORD": 16}, 24),
    "add_pairs": Kernel("splat_records", {"COLUMNS": 12, "PADDED": 16, "CHUNK": 16}, 64, 1),
    "splat_gradients": Kernel("splat_records", {"D": 3} | SUMS, 32),
    "covariance_forward": Kernel("shapes", {}, 32),
    "covariance_backward": Kernel("shapes", {}, 40),
    "project_forward": Kernel("ellipse_projection", {"MODEL": 0, "OPACITIES": True, "ANTIALIASED": True}, 48),
    "project_backward": Kernel("ellipse_projection", {"MODEL": 2, "POSE": True}, 80),
    "colour_forward": Kernel("harmonics", {"COEFFICIENTS": 16}, 40),
    "colour_backward": Kernel("harmonics", {"COEFFICIENTS": 16}, 48),
    "first_hits": Kernel("triangle_tree", {"LEAF": 4}, 96),
    "hull_rows": Kernel("hulls", {"ORDERED": True}, 64),
    "hull_gradients": Kernel("hulls", {"ABSOLUTE": True}, 56),
    "blend_rays": Kernel("ray_blending", RAYS | {"CHANNELS": 3}, 128, 1),
    "replay_rays": Kernel("ray_replay", RAYS | {"WITH_RAYS": True}, 160, 1),
    "sum_hits": Kernel("ray_sums", {"DEGREE": -1, "ABSOLUTE": True, "LANES": 32}, 112, 1),
    "sum_values": Kernel("ray_sums", {"PADDED": 4, "LANES": 8}, 40, 1),
    "sum_harmonic": Kernel("ray_sums", {"K": 15, "LANES": 32}, 48, 1),
    "fading_penalty": Kernel("fading", {}, 32),
    "motion_states": Kernel("neighbour_motion", {}, 32),
    "priors_forward": Kernel("neighbour_motion", {}, 48),
    "priors_backward": Kernel("neighbour_motion", {}, 72),
    "motion_gradients": Kernel("neighbour_motion", {}, 32),
    "point_equations": Kernel("point_equations", {}, 48),
    "adam_rows": Kernel("adam_rows", {}, 24),
    "ssim_along_rows": Kernel("similarity", {"WEIGHTED": True}, 40),
    "ssim_statistics": Kernel("similarity", {}, 64),
    "slopes_along_rows": Kernel("similarity", {"WEIGHTED": True}, 40),
    "photometric_gradient": Kernel("similarity", {"WEIGHTED": True, "ABSOLUTE": True}, 64),
}
# 64 lanes wide, with 512 registers of which 256 are for all purposes: the bound of every kernel.
AMD_REGISTERS = 256


def compiled(name: str, target: str) -> Any:
    """A kernel compiled for a target, as Triton would when it is started there."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = KERNELS[name]
    function = getattr(importlib.import_module(f"{PACKAGE}.{kernel.module}"), name)
    constants = dict(kernel.constants)
    if "RAYS" in constants:
        # One ray per lane.
        constants["RAYS"] = TARGETS[target][2]
    if "BLOCK" in function.arg_names:
        constants["BLOCK"] = importlib.import_module("sfumato.ops.gpu.launch").BLOCK
    places = {one: place for place, one in enumerate(function.arg_names)}
    signature = {one: "constexpr" if one in constants else TYPES.get(one, "*fp32") for one in places}
    multiples = [one for one in places if signature[one].startswith("*") or one in MULTIPLES]
    source = ASTSource(
        fn=function,
        signature=signature,
        constexprs={(places[one],): value for one, value in constants.items()},
        attrs={(places[one],): [["tt.divisibility", 16]] for one in multiples},
    )
    options = {"num_warps": kernel.warps, "enable_fp_fusion": True}
    return triton.compile(source, target=GPUTarget(*TARGETS[target]), options=options)


def measured(name: str, target: str) -> dict[str, Any]:
    """Registers, spills, layout conversions in loops, and instructions in the inner loop, of one kernel."""
    start = time.perf_counter()
    binary = compiled(name, target)
    found: dict[str, Any] = {"kernel": name, "target": target}
    if TARGETS[target][0] == "hip":
        found |= _of_assembly(binary.asm["amdgcn"])
    else:
        found |= _of_cubin(binary.asm["cubin"], KERNELS[name])
    found |= {"shared_bytes": binary.metadata.shared, "conversions": conversions(binary.asm["ttgir"])}
    return found | {"seconds": time.perf_counter() - start}


def _of_assembly(text: str) -> dict[str, int]:
    def number(field: str) -> int:
        return int(re.search(rf"\.{field}:\s+(\d+)", text)[1])

    return {"registers": number("vgpr_count"), "spills": number("vgpr_spill_count")}


def _of_cubin(cubin: bytes, kernel: Kernel) -> dict[str, Any]:
    import triton

    tools = Path(triton.__file__).parent / "backends/nvidia/bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        use, code = (
            subprocess.run(
                [tools / tool, option, file.name], capture_output=True, text=True, check=True
            ).stdout
            for tool, option in (("cuobjdump", "-res-usage"), ("nvdisasm", "-c"))
        )
    found = {
        "registers": int(re.search(r"REG:(\d+)", use)[1]),
        "spills": len(re.findall(r"\b(?:LDL|STL)\b", code)),
    }
    if kernel.loop:
        found["per_32_pairs"] = inner_loop(code) / kernel.constants["ROWS"]
    return found


def inner_loop(code: str) -> int:
    """Instructions of the shortest loop that takes exponentials, in disassembled code."""
    labels: dict[str, int] = {}
    loops, lines = [], []
    for line in code.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(lines)
        elif re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+\S.*;", line):
            lines.append(line)
            target = re.search(r"\bBRA\b.*`\((\.L_x_\d+)\)", line)
            if target and target[1] in labels:
                loops.append(lines[labels[target[1]] :])
    return min(len(loop) for loop in loops if any("EX2" in line for line in loop))


def conversions(ttgir: str) -> int:
    """Layout conversions inside ``scf.for`` in Triton's own code."""
    depth, loops, found = 0, [], 0
    for line in ttgir.splitlines():
        if "scf.for" in line:
            loops.append(depth)
        found += "ttg.convert_layout" in line and bool(loops)
        depth += line.count("{") - line.count("}")
        while loops and depth <= loops[-1]:
            loops.pop()
    return found


def faults(found: dict[str, Any]) -> list[str]:
    """What is above the bounds, in words."""
    kernel, where = KERNELS[found["kernel"]], f"{found['kernel']} on {found['target']}"
    bound = AMD_REGISTERS if TARGETS[found["target"]][0] == "hip" else kernel.registers
    said = []
    if found["registers"] > bound:
        said.append(f"{where}: {found['registers']} registers, at most {bound}")
    if found["spills"]:
        said.append(f"{where}: {found['spills']} spills")
    if found["conversions"]:
        said.append(f"{where}: {found['conversions']} layout conversions in loops")
    if kernel.loop and found["target"] == "sm_90" and found["per_32_pairs"] > kernel.loop:
        said.append(f"{where}: {found['per_32_pairs']:.1f} instructions for 32 pairs, at most {kernel.loop}")
    return said


def main() -> None:
    """Compile, count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = [f"{name}:{target}" for name in KERNELS for target in TARGETS]
    parser.add_argument(
        "pairs", nargs="*", default=everything, metavar="KERNEL:TARGET", help="all, if none are named"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    given = parser.parse_args()
    if unknown := set(given.pairs) - set(everything):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; give one of {', '.join(everything)}")
    rows = [measured(*pair.split(":")) for pair in given.pairs]
    said = [fault for row in rows for fault in faults(row)]
    if given.json:
        print(json.dumps(rows))
    else:
        headings = ("kernel", "target", "registers", "spills", "shared_bytes", "conversions", "per_32_pairs")
        table = [[row.get(heading, "") for heading in headings] for row in rows]
        print_table("What kernels compile to", headings, table)
    raise SystemExit("\n".join(said) or 0)


if __name__ == "__main__":
    main()
