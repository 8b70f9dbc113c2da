"""A second process that compiles kernels before the first one needs them.

To compile the kernels of a render takes a core half a minute, in the order in which they are called. Where
there is another core, it compiles those that are called last. See ``kernel_cache`` for how processes share.
"""

import atexit
import contextlib
import subprocess
from collections.abc import Iterator

from sfumato import machine
from sfumato.children import FOLDER, call_of, child_command
from sfumato.ops.cpu.kernel_cache import KernelCache, environment


def start_blending() -> None:
    """Start a process that compiles what an image with depth needs last; it ends with this one."""
    process = contextlib.ExitStack()
    process.enter_context(beside(call_of(blending)))
    atexit.register(process.close)


def blending() -> None:
    """The process of ``start_blending``."""
    from sfumato.ops.cpu.composite import compile_ahead

    KernelCache.announced = True
    compile_ahead(channels=4)


@contextlib.contextmanager
def beside(code: str, given: bytes = b"") -> Iterator[None]:
    """Run Python code in another process, with the same cache, while the block runs; not with only one core.

    Args:
        code: Python source.
        given: its standard input.
    """
    if machine.cores() < 2:
        yield
        return
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        child_command(code),
        stdin=subprocess.PIPE,
        stdout=nowhere,
        stderr=nowhere,
        cwd=FOLDER,
        env=environment(),
    ) as process:
        try:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.write(given)
                process.stdin.close()
            yield
        finally:
            process.kill()
