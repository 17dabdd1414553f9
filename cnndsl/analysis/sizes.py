"""Definite sizes: a number for every symbol of a network's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph
from cnndsl.types.extents import symbols_of
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


def required_sizes(graph: Graph, known: Mapping[str, int], purpose: str) -> dict[str, int]:
    """Return the known size of every symbol; raise CompileError (CNN207) for those without one.

    `purpose` ends the sentence "the size H must be known to ...".
    """
    wanting = [symbol for symbol in graph.symbols if symbol not in known]
    if wanting:
        raise CompileError(
            Diagnostic(
                code="CNN207",
                message=f"the size {symbol} must be known to {purpose}",
                span=next(
                    i.span
                    for i in graph.inputs
                    if any(symbol in symbols_of(e) for e in i.value.type.shape)
                ),
                help=f"give it with --set {symbol}=224, or write a usual size: {symbol} = 224",
            )
            for symbol in wanting
        )
    return {symbol: known[symbol] for symbol in graph.symbols}
