"""Allowed imports, sizes of files and functions, and unwanted content of the repository."""

import ast
import re

import pytest

from repository import PACKAGE, ROOT, arguments, functions, name, python_files, text_files, tree

pytestmark = pytest.mark.slow  # They parse every file.
# The parts of the package that each part may import: each is in a higher layer than those it names.
MAY_IMPORT = {
    "errors": "",
    "children": "",
    "choices": "errors",
    "json_files": "errors",
    "npy_files": "",
    "machine": "",
    "extras": "errors",
    "display": "errors",
    "checks": "errors",
    "outputs": "errors",
    "maths": "errors checks",
    "scene": "errors extras npy_files checks outputs maths",
    "ops": "errors children checks outputs machine maths",
    "render": "errors extras checks maths scene ops",
    "capture": "errors npy_files checks outputs machine maths scene",
    "footage": "errors extras json_files outputs machine maths capture",
    "sfm": "errors children choices json_files display outputs machine maths scene capture footage",
    "sequences": "errors display checks outputs json_files capture footage sfm",
    "splatting": "errors extras checks display maths scene render capture",
    "levels": "errors checks display outputs maths scene",
    "edit": "errors json_files checks outputs maths scene capture splatting",
    "evaluation": "errors checks outputs machine maths scene ops render",
    "fitting": "errors display checks outputs maths ops capture",
    "training": "errors children choices display checks outputs machine maths scene ops render capture "
    "evaluation",
    "sharding": "errors children machine maths scene render training",
    "envelope": "errors display checks npy_files outputs maths scene render edit evaluation",
    "tracking": "errors checks maths scene ops render capture evaluation training",
    "runs": "errors choices json_files npy_files display checks outputs machine maths scene ops render "
    "capture evaluation training sequences tracking envelope sharding",
    "reconstruction": "errors display checks outputs machine ops capture footage sfm training runs",
    "meshing": "errors children display checks outputs maths scene ops render capture training runs",
    "paths": "errors json_files checks outputs maths scene render evaluation envelope",
    "blocks": "errors extras display outputs machine maths scene ops render capture evaluation training "
    "runs paths",
    "viewer": "errors json_files display outputs machine maths scene render capture edit evaluation training "
    "envelope tracking sequences runs paths",
    "lesson": "viewer",
    "run_report": "errors display outputs maths scene render capture evaluation training runs paths viewer",
    "cli": "errors extras blocks children display checks choices outputs machine maths scene ops render "
    "capture footage sfm splatting evaluation fitting training envelope tracking runs edit paths viewer "
    "reconstruction lesson run_report meshing levels sharding sfumato",
    "sfumato": "errors scene ops render capture splatting evaluation fitting training runs reconstruction "
    "paths viewer meshing levels",  # __init__.py of the package lists public names and loads them on use.
}
# Packages that only some modules may import, lazily or not.
ONLY_IN = {
    "numba": ("ops/cpu/", "ops/in_threads.py"),
    "llvmlite": ("ops/cpu/", "machine.py"),
    "sfumato.ops.cpu": ("ops/cpu/", "cli/doctor.py", "training/warm_up.py"),
    "triton": ("ops/gpu/",),
    "sfumato.ops.gpu": ("ops/gpu/",),
    "sfumato.ops.reference": ("ops/",),
    "tyro": ("cli/",),
    "rich": ("cli/", "display.py"),
    "distributed": ("blocks/dask_client.py", "blocks/dask_engine.py"),
    "PIL": ("capture/", "evaluation/", "footage/", "scene/files/", "sfm/", "viewer/photographs.py"),
    "zstandard": ("scene/files/",),
    "av": ("footage/", "paths/video_writer.py"),
    "pillow_heif": ("capture/images.py", "footage/"),
    "rawpy": ("footage/",),
    **dict.fromkeys(("laspy", "pye57"), ("splatting/cloud_files/",)),
    "pycolmap": ("sfm/",),
    # Only for serving pages to the browser on this machine.
    **dict.fromkeys(("http", "socket", "socketserver"), ("viewer/",)),
}
# Slow to import: only inside functions, so that `import sfumato` and --help are fast.
LAZY = {
    **dict.fromkeys(("numba", "sfumato.ops.cpu"), "ops/cpu/"),
    "triton": "ops/gpu/",
    "tyro": "cli/",
    "distributed": "no module/",
    "av": "footage/",
    "pycolmap": "sfm/",
}
# The package works without a network and never uses one.
NEVER = ("ssl", "urllib", "ftplib", "requests", "multiprocessing")
NAMES_CUDA = ("ops/backend.py", "cli/")

# Modules in which tensors may leave their device or become arrays. All others run on the scene's device.
ON_THE_HOST = {
    "ops/cpu/": "its device is the host",
    "maths/neighbours.py": "a tree of points, made once for a scene",
    "runs/array_files.py": "poses for files",
    "blocks/": "places on the ground, and metrics for files",
    "capture/": "photographs are decoded there",
    "edit/": "scenes of files, before they are written again",
    "envelope/": "measured after training, and written to files",
    "fitting/": "whole numbers for files, and pixels that Gaussians begin at",
    "evaluation/": "metrics and pictures for files",
    "levels/": "scenes of files, and files",
    "meshing/": "trees of points, and arrays for files",
    "paths/": "cameras of a path, and frames for files",
    **dict.fromkeys(("render/eight_bit.py", "render/png.py"), "pictures for files and notebooks"),
    "run_report/": "a picture of the scene for a page",
    **dict.fromkeys(("maths/sh_rotation.py", "scene/changes.py"), "one matrix for a whole scene"),
    "scene/files/": "readers and writers",
    "scene/image_points.py": "formulas of lenses are in NumPy; asked for outside of training",
    "scene/rays.py": "poses that lie there already",
    "tracking/": "photographs, and tiles that something moves in",
    "sharding/": "places that are divided once, and texts between processes",
    "splatting/cloud_files/": "points of files",
    "training/clearance.py": "a tree of the cameras, which serves points that lie there",
    "training/parts/poses.py": "the given cameras, before the first step",
    "training/start.py": "points before the first step",
    "viewer/": "pictures for a browser",
}

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 300, 80, 8
LARGE_FILES = {
    "src/sfumato/ops/cpu/simd/lanes.py": "one type with its operators; they share their LLVM helpers",
    "tests/ops/test_agreement.py": "one body of checks for every operation and argument",
    "tests/render/test_gsplat_api.py": "every argument of one published function",
}
# Exceptions from the limit of parameters: published signatures, and functions that pass on their arguments.
MANY_PARAMETERS = {
    "src/sfumato/render/gsplat_api.py": "gsplat's signature",
    "src/sfumato/ops/": "numbers and tensors of one formula, named in its documentation",
    "src/sfumato/runs/run.py": "what a run takes, each by name",
    "benchmarks/plain.py": "a kernel of numbers and arrays, as one writes it first",
    "tests/support/gsplat_restatement.py": "the same formulas a second time",
}
MODULES_WITHOUT = {
    "reference": {},
    "cpu": {"unscented": "nothing is blended by it, and most of its time is the lens's: plain torch serves"},
    "gpu": {"unscented": "as on the CPU", "rigid_motion": "few rows: plain torch serves"},
}
VAGUE_NAMES = {"utils", "util", "helpers", "misc", "common"}
HELPERS_OF_OPS = {
    "ops": {"backend", "constants", "in_threads", "limits", "operation"},
    "reference": {"blending_gradients", "shape_gradients", "parameter_gradients", "ray_gradients"},
    "cpu": {"ahead", "arrays", "jit", "kernel_cache", "quaternions"},
    "gpu": {"binning", "box_tree", "hull_tree", "launch", "ray_passes"},
}
# Words that indicate unfinished work, or the machine on which a file was written.
UNWANTED = {
    r"\b(TODO|FIXME|XXX|HACK)\b": "unfinished work",
    r"(?<![\w.])/(work|root|home|mnt|opt|Users)/": "a path of one machine",
    r"(?i)pypi\.org|pythonhosted|download\.pytorch|anaconda\.org|--(extra-)?index-url": "a package registry",
    r"^(<<<<<<<|>>>>>>>) ": "a conflict of versions",
}

MODULES = python_files("src/sfumato/")
PARTS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
PARTS = PARTS - {"__init__"} | {"sfumato"}
EVERYTHING = python_files("src/", "tests/", "tools/", "benchmarks/", "examples/")


def all_functions():
    """(place, node) of every function of the repository."""
    return [(f"{name(path)}:{place}", node) for path in EVERYTHING for place, node in functions(path)]


def inside(path):
    """A module's path in the package."""
    return path.relative_to(PACKAGE).as_posix()


def imports(path, nodes=None):
    """Dotted names that a file imports, ``from x import y`` as both x and x.y."""
    found = set()
    for node in ast.walk(tree(path)) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name(path)}: relative import; name the module in full"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def part_of(dotted):
    """The part of the package that a dotted name lies in."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "sfumato"


def starts_with(dotted, package):
    return dotted == package or dotted.startswith(f"{package}.")


def lines(path):
    return len(path.read_text("utf-8").splitlines())


def test_parts_import_only_what_lies_below_them():
    wrong = []
    for path in MODULES:
        place = inside(path)
        own = "sfumato" if place == "__init__.py" else place.split("/")[0].removesuffix(".py")
        # `from sfumato import x` also counts as an import of `sfumato`, which is ignored.
        found = {dotted for dotted in imports(path) if starts_with(dotted, "sfumato")} - {"sfumato"}
        parts = {part_of(dotted) for dotted in found} & PARTS - {own}
        wrong += [f"{place} imports {part}" for part in parts - set(MAY_IMPORT[own].split())]
    assert not wrong


def test_every_part_has_its_place_and_the_layers_have_no_circle():
    assert set(MAY_IMPORT) == PARTS
    order = list(MAY_IMPORT)
    for part, below in MAY_IMPORT.items():
        assert all(order.index(other) < order.index(part) for other in set(below.split()) - {"sfumato"}), part


def test_packages_are_imported_only_where_they_belong():
    wrong = []
    for path in MODULES:
        for dotted in imports(path):
            places = [place for package, place in ONLY_IN.items() if starts_with(dotted, package)]
            wrong += [f"{inside(path)}: {dotted}" for place in places if not inside(path).startswith(place)]
            wrong += [f"{inside(path)}: {dotted}" for package in NEVER if starts_with(dotted, package)]
    assert not wrong


def test_slow_packages_are_imported_when_they_are_used():
    wrong = []
    for path in MODULES:
        for dotted in imports(path, tree(path).body):
            places = [place for package, place in LAZY.items() if starts_with(dotted, package)]
            wrong += [f"{inside(path)}: {dotted}" for place in places if not inside(path).startswith(place)]
    assert not wrong


def test_cuda_is_named_only_where_a_device_is_chosen():
    others = [path for path in MODULES if not inside(path).startswith(NAMES_CUDA)]
    assert not [name(path) for path in others if "cuda" in path.read_text("utf-8")]


def leaves_its_device(node):
    """Whether an expression copies a tensor to the host: ``numpy()``, ``cpu()`` or ``to("cpu", ...)``."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    to_host = any(isinstance(value, ast.Constant) and value.value == "cpu" for value in node.args)
    return node.func.attr in ("numpy", "cpu") or (node.func.attr == "to" and to_host)


def test_tensors_stay_on_their_device():
    found = {inside(path) for path in MODULES if any(map(leaves_its_device, ast.walk(tree(path))))}
    assert not [place for place in found if not place.startswith(tuple(ON_THE_HOST))]
    assert all(any(place.startswith(start) for place in found) for start in ON_THE_HOST), "is not needed"


def test_files_are_short():
    wrong = {name(path): lines(path) for path in EVERYTHING if lines(path) > MAX_FILE_LINES}
    assert set(wrong) == set(LARGE_FILES), "too long, or named as too long without need"


def test_functions_are_short():
    def length(node):
        documented = ast.get_docstring(node, clean=False)
        return node.end_lineno - node.lineno + 1 - (documented.count("\n") + 1 if documented else 0)

    assert not [place for place, node in all_functions() if length(node) > MAX_FUNCTION_LINES]


def test_functions_have_few_parameters():
    many = {place: len(arguments(f)) for place, f in all_functions() if len(arguments(f)) > MAX_PARAMETERS}
    used = {start for place in many for start in MANY_PARAMETERS if place.startswith(start)}
    assert used == set(MANY_PARAMETERS), "an exception is not needed any more"
    assert not [place for place in many if not place.startswith(tuple(MANY_PARAMETERS))]


def test_python_is_started_in_one_place():
    starting = {name(path) for path in python_files("src/") if "sys.executable" in path.read_text("utf-8")}
    assert starting <= {f"src/sfumato/{one}.py" for one in ("children", "sfm/worker_pool", "extras")}


@pytest.mark.parametrize("backend", ["reference", "cpu", "gpu"])
def test_an_operation_has_one_name_everywhere(backend):
    def operations(folder):
        return {path.stem for path in folder.glob("*.py")} - {"__init__", *HELPERS_OF_OPS[folder.name]}

    here = operations(PACKAGE / "ops") - set(MODULES_WITHOUT[backend])
    assert operations(PACKAGE / "ops" / backend) == here
    assert here <= {path.stem.removeprefix("test_") for path in (ROOT / "tests/ops").glob("*.py")}


def test_file_names_are_descriptive():
    assert not [name(path) for path in EVERYTHING if path.stem in VAGUE_NAMES]


@pytest.mark.parametrize("pattern", UNWANTED)
def test_nothing_unwanted_is_written_anywhere(pattern):
    found = {}
    for path in text_files():
        match = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
        if match and path.name != "test_layers.py":
            found[name(path)] = match.group()
    assert not found, UNWANTED[pattern]
