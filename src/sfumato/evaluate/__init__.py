"""Evaluation. The package can be called: ``sfumato.evaluate(gaussians, views)``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call :func:`sfumato.evaluate.scenes.evaluate_scene`."""
        from sfumato.evaluate.scenes import evaluate_scene

        return evaluate_scene(*args, **options)


sys.modules[__name__].__class__ = _Verb
