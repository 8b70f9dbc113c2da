"""The state of a run divided among processes, and joined again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

Tree = dict[str, Any]


def divided(saved: Tree, rows: Sequence[Tensor], with_rows: Collection[str]) -> list[Tree]:
    """The state of each process.

    Args:
        saved: from ``TrainState.state_dict``.
        rows: for each process the int64 rows of its Gaussians.
        with_rows: names of the parts whose tensors have a row for each Gaussian.
    """

    def of(own: Tensor) -> Tree:
        return _changed(saved, with_rows, lambda _, tensor: tensor[own])

    return [of(own) for own in rows]


def joined(shards: Sequence[Tree], with_rows: Collection[str]) -> Tree:
    """The state whose Gaussians are those of all processes in their order; all else is that of the first.

    Args:
        shards: from ``divided``, or from the ``state_dict`` of each process.
        with_rows: as in ``divided``.

    Raises:
        KeyError, TypeError, RuntimeError: they are not of one run.
    """

    def of_all(path: tuple[str, ...], _: Tensor) -> Tensor:
        return torch.cat([_at(shard, path) for shard in shards])

    return _changed(shards[0], with_rows, of_all)


def flattened(tree: Tree) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a tree by their paths, and the tree with these paths instead, ready for JSON."""
    tensors: dict[str, Tensor] = {}

    def rest(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {key: rest(item, f"{path}/{key}") for key, item in value.items()}
        if isinstance(value, Tensor):
            tensors[path] = value
            return ["tensor", path]
        return ["plain", value]

    return tensors, rest(tree, "")


def unflattened(tensors: dict[str, Tensor], rest: Any) -> Any:
    """The tree from the results of ``flattened``."""
    if isinstance(rest, dict):
        return {key: unflattened(tensors, value) for key, value in rest.items()}
    kind, value = rest
    return tensors[value] if kind == "tensor" else value


def _changed(
    saved: Tree, with_rows: Collection[str], change: Callable[[tuple[str, ...], Tensor], Tensor]
) -> Tree:
    """A copy in which every tensor with a row for each Gaussian is changed."""

    def walk(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        return change(path, value) if isinstance(value, Tensor) else value

    parts = {
        name: walk(part, ("parts", name)) if name in with_rows else part
        for name, part in saved["parts"].items()
    }
    return {**saved, "population": walk(saved["population"], ("population",)), "parts": parts}


def _at(tree: Tree, path: tuple[str, ...]) -> Tensor:
    for key in path:
        tree = tree[key]
    if not isinstance(tree, Tensor):
        raise TypeError(f"{'/'.join(path)} is not a tensor in every part")
    return tree
