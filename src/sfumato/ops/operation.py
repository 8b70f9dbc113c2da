"""Registration of operations with torch: a schema, results for tensors without data, and gradients."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Operation:
    """An operation that torch knows by name, called like the function it was made from.

    As ``torch.library.custom_op``, which imports torch's compiler at the first call: two seconds before
    the first picture of each process.

    Args:
        function: the implementation; its annotations are the schema.
        name: "sfumato::" and a name.
        mutates_args: names of the tensors that it changes in place.
    """

    def __init__(self, function: Callable[..., Any], name: str, mutates_args: Sequence[str]) -> None:
        self._name = name
        self._setup: Callable[..., Any] | None = None
        self._backward: Callable[..., Any] | None = None
        torch.library.define(name, torch.library.infer_schema(function, mutates_args=mutates_args))
        torch.library.impl(name, "CompositeExplicitAutograd", self._tracking(function, mutates_args))
        if not mutates_args:
            torch.library.register_autograd(name, self._differentiate, setup_context=self._keep)
        space, _, rest = name.partition("::")
        self._call = getattr(getattr(torch.ops, space), rest).default

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def register_fake(self, function: _Function) -> _Function:
        """Decorator for the function that makes empty results of the right shapes."""
        torch.library.register_fake(self._name, function)
        return function

    def register_autograd(self, backward: Callable[..., Any], *, setup_context: Callable[..., Any]) -> None:
        """Set the gradient, as in ``torch.library.register_autograd``."""
        self._setup, self._backward = setup_context, backward

    @staticmethod
    def _tracking(function: Callable[..., Any], mutates_args: Sequence[str]) -> Callable[..., Any]:
        """The function, which also tells torch which tensors it has changed."""
        names = function.__code__.co_varnames
        changed = [names.index(name) for name in mutates_args]

        def call(*args: Any) -> Any:
            result = function(*args)
            for position in changed:
                given = args[position]
                for tensor in given if isinstance(given, list) else [given]:
                    torch.autograd.graph.increment_version(tensor)
            return result

        return call if changed else function

    def _keep(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if self._setup is not None:
            self._setup(ctx, inputs, output)

    def _differentiate(self, ctx: Any, *grads: Any) -> Any:
        if self._backward is None:
            raise RuntimeError(f"{self._name} has no gradient")
        return self._backward(ctx, *grads)


def operation(name: str, mutates_args: Sequence[str] = ()) -> Callable[[Callable[..., Any]], Operation]:
    """Decorator that makes an :class:`Operation` of a function."""
    return lambda function: Operation(function, name, mutates_args)
