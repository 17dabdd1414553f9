"""Match tensors to a network's parameters by name and shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

import numpy as np

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


def match(graph: Graph, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors in the order of the graph's parameters.

    Raises CompileError naming every tensor that is missing (CNN602), that the network does not
    have (CNN603), or that differs in shape or dtype (CNN604).
    """
    problems = [*_missing(graph, tensors), *_extra(graph, tensors), *_unlike(graph, tensors)]
    if problems:
        raise CompileError(problems)
    return {p.value.name: tensors[p.value.name] for p in graph.parameters}


def _missing(graph: Graph, tensors: Mapping[str, Array]) -> Iterator[Diagnostic]:
    names = {p.value.name for p in graph.parameters}
    unused = [name for name in tensors if name not in names]
    for parameter in graph.parameters:
        name = parameter.value.name
        if name in tensors:
            continue
        near = get_close_matches(name, unused[:1000], n=1, cutoff=0.75)
        yield Diagnostic(
            code="CNN602",
            message=f"the weights have no tensor {name} of shape {list(parameter.spec.shape)}",
            span=parameter.span,
            label="this layer needs it",
            help=f"rename {near[0]} to {name}" if near else None,
        )


def _extra(graph: Graph, tensors: Mapping[str, Array]) -> Iterator[Diagnostic]:
    names = {p.value.name for p in graph.parameters}
    wanting = [name for name in names if name not in tensors]
    for name, array in tensors.items():
        if name in names:
            continue
        near = get_close_matches(name, sorted(wanting)[:1000], n=1, cutoff=0.75)
        yield Diagnostic(
            code="CNN603",
            message=f"the network has no parameter {shown(name)}; "
            f"the weights hold one of shape {list(array.shape)}",
            help=f"the network has {near[0]}" if near else "leave it out of the weights",
        )


def _unlike(graph: Graph, tensors: Mapping[str, Array]) -> Iterator[Diagnostic]:
    for parameter in graph.parameters:
        name, shape = parameter.value.name, parameter.spec.shape
        array = tensors.get(name)
        if array is None or (array.shape == shape and array.dtype == np.float32):
            continue
        if array.shape == shape:
            wanted, got, help = "float32", str(array.dtype), f"convert {name} to float32"
        else:
            wanted, got, help = str(list(shape)), str(list(array.shape)), None
        yield Diagnostic(
            code="CNN604",
            message=f"{name} must be {wanted}, the weights have {got}",
            span=parameter.span,
            label="this layer needs it",
            help=help,
        )


def shown(name: str) -> str:
    """Return a tensor's name as a message may show it: printable and of bounded length."""
    return name if name.isprintable() and len(name) <= 200 else ascii(name[:200])
