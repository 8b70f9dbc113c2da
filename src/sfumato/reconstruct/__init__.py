"""From anything a user has to a scene. The package can be called: ``sfumato.reconstruct(task, out)``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call :func:`sfumato.reconstruct.run.reconstruct`."""
        from sfumato.reconstruct.run import reconstruct

        return reconstruct(*args, **options)


sys.modules[__name__].__class__ = _Verb
