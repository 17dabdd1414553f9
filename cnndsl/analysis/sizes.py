"""Definite sizes: a number for every symbol of a network's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.ir.graph import Graph
from cnndsl.types.tensor import TensorType

_ASSUMED = 4096
"""Size taken for a symbol without one: a multiple of every usual stride, and large."""

_LARGEST_ASSUMED = 1 << 24


class NoSizeError(Exception):
    """No size is known at which every map of the network has at least one element."""


@dataclass(frozen=True)
class Sizes:
    """A size for every symbol; `assumed` are the symbols whose size is arbitrary."""

    values: Mapping[str, int]
    assumed: tuple[str, ...]
    types: Mapping[str, TensorType]
    """The type of every value at these sizes."""


def definite_sizes(graph: Graph, sizes: Mapping[str, int] | None = None) -> Sizes:
    """Return sizes for all symbols: those given, then the usual ones; 1 for the batch.

    A symbol that has neither gets an arbitrary large size. Raises NoSizeError where a map would be
    empty.
    """
    known = {**dict.fromkeys(graph.batch_symbols, 1), **dict(graph.usual_sizes), **(sizes or {})}
    assumed = tuple(symbol for symbol in graph.symbols if symbol not in known)
    size = _ASSUMED
    while True:
        values = {**known, **dict.fromkeys(assumed, size)}
        empty = None
        types: dict[str, TensorType] = {}
        memo: dict[TensorType, TensorType] = {}
        for name, type_ in graph.types.items():
            if type_ not in memo:
                memo[type_] = type_.with_shape(*type_.at(values))
            types[name] = memo[type_]
            if any(e < 1 for e in memo[type_].at({})):
                empty = name
        if empty is None:
            return Sizes(values, assumed, types)
        size *= 16
        if not assumed or size > _LARGEST_ASSUMED:
            raise NoSizeError(f"{empty} is empty at {values}")
