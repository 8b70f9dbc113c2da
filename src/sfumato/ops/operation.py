"""Registration of operations with torch: a schema, results for tensors without data, and gradients."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PLAIN = (Tensor, torch.nn.Parameter)


class Operation:
    """An operation that torch knows by name, called like the function it was made from.

    As ``torch.library.custom_op``, which imports torch's compiler at the first call: two seconds before
    the first picture of each process. A call on ordinary tensors that nothing traces goes straight to the
    function: through torch's dispatcher the dozen calls of a training step take 0.7 ms longer.

    Args:
        function: the implementation; its annotations are the schema.
        name: "sfumato::" and a name.
        mutates_args: names of the tensors that it changes in place.
    """

    def __init__(self, function: Callable[..., Any], name: str, mutates_args: Sequence[str]) -> None:
        self._name = name
        self._setup: Callable[..., Any] | None = None
        self._backward: Callable[..., Any] | None = None
        self._function = self._tracking(function, mutates_args)
        torch.library.define(name, torch.library.infer_schema(function, mutates_args=mutates_args))
        torch.library.impl(name, "CompositeExplicitAutograd", self._function)
        if not mutates_args:
            torch.library.register_autograd(name, self._differentiate, setup_context=self._keep)
        space, _, rest = name.partition("::")
        self._call = getattr(getattr(torch.ops, space), rest).default
        self._direct = _differentiable(self._function, self._keep, self._differentiate)

    def __call__(self, *args: Any) -> Any:
        tensors = list(_tensors(args))
        if _is_traced() or not all(type(one) in _PLAIN and not one.is_meta for one in tensors):
            return self._call(*args)
        if not torch.is_grad_enabled() or not any(one.requires_grad for one in tensors):
            return self._function(*args)
        # Gradients of tensors in lists are found only by the dispatcher.
        if any(one.requires_grad for group in args if isinstance(group, list) for one in _tensors(group)):
            return self._call(*args)
        return self._direct.apply(*args)

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


def _tensors(args: Iterable[Any]) -> Iterable[Tensor]:
    """The tensors among arguments, and in lists among them."""
    for one in args:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list):
            yield from _tensors(one)


def _is_traced() -> bool:
    """Whether torch records or transforms calls, rather than only computes their results."""
    return (
        torch.compiler.is_compiling()
        or torch._C._is_tracing()
        or torch._C._autograd._profiler_enabled()
        or _get_current_dispatch_mode() is not None
        or torch._C._are_functorch_transforms_active()
    )


def _differentiable(
    function: Callable[..., Any], keep: Callable[..., None], differentiate: Callable[..., Any]
) -> type[torch.autograd.Function]:
    """A function of autograd, with what ``torch.library.register_autograd`` takes."""

    class Direct(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            output = function(*args)
            keep(ctx, args, output)
            ctx.are_tensors = [isinstance(one, Tensor) for one in args]
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            # Lists of gradients belong to lists of tensors, none of which needs one here.
            found = differentiate(ctx, *grads)
            found = found if isinstance(found, tuple) else (found,)
            return tuple(
                one if is_tensor else None for one, is_tensor in zip(found, ctx.are_tensors, strict=True)
            )

    return Direct
