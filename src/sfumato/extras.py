"""Optional packages: which extra has them, and the command that installs them where Sfumato runs."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

from sfumato.errors import ConfigError, SfumatoError

# The packages of each extra, as in pyproject.toml. They are named instead of "sfumato[...]", since that finds
# Sfumato itself only where it came from a package index.
PACKAGES = {
    "heic": ("pillow-heif>=0.20",),
    "raw": ("rawpy>=0.24",),
    "spz": ("zstandard>=0.22",),
    "usd": ("usd-core>=26.3",),
    "mesh": ("trimesh>=4",),
    "las": ("laspy>=2.5", "lazrs>=0.6"),
    "e57": ("pye57>=0.4.15",),
    "cluster": ("distributed>=2026.8",),
}


def command_for(extra: str) -> str:
    """The command that installs the packages of an extra for the Python that runs this.

    Args:
        extra: one of ``PACKAGES``.
    """
    packages = " ".join(f"'{one}'" for one in PACKAGES[extra])
    here = Path(sys.executable)
    if importlib.util.find_spec("pip") is None:
        return f"uv pip install --python {_quoted(here)} {packages}"
    # The pip of the path may belong to another Python.
    found = shutil.which("pip")
    is_ours = found is not None and Path(found).parent == here.parent
    return f"{'pip' if is_ours else f'{_quoted(here)} -m pip'} install {packages}"


def extra_module(name: str, extra: str, what: object, error: type[SfumatoError] = ConfigError) -> ModuleType:
    """Import an optional package.

    Args:
        name: of the module.
        extra: that has its package.
        what: what needs it, such as a file, for the message.
        error: raised if it is missing.

    Raises:
        SfumatoError: it is not installed; the message is one line and names the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise error(
            f"{what} needs the package {name}, which is not installed; run: {command_for(extra)}"
        ) from None


def _quoted(path: Path) -> str:
    return f"'{path}'" if " " in str(path) else str(path)
