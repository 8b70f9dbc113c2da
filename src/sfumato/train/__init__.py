"""Training. The package can be called: ``sfumato.train(capture, TrainConfig(minutes=5))``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call :func:`sfumato.train.run.train`."""
        from sfumato.train.run import train

        return train(*args, **options)


sys.modules[__name__].__class__ = _Verb
