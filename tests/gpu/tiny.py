"""Networks made small: the same layers with few channels, on small inputs."""

from __future__ import annotations

import dataclasses
from typing import Any

from properties.networks import GraphBuilder

from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Glu
from cnndsl.ops.base import OpError
from cnndsl.types.tensor import TensorType

SIZES = (8, 12, 16, 24, 32, 40, 48, 64, 76)
"""Extents to try for an input, the smallest first."""

WIDTHS = ("out_channels", "out_features", "features")
MOST_CHANNELS = 8


def tiny(graph: Graph) -> Graph:
    """Return a network with the layers of another, and an even, small number of channels each.

    Its inputs are the smallest that its layers take; the batch stays a symbol.
    """
    for size in SIZES:
        try:
            return _of_size(graph, size)
        except OpError:
            continue
    raise ValueError(f"{graph.name} takes no small input")


def _of_size(graph: Graph, size: int) -> Graph:
    b = GraphBuilder(graph.name)
    names = {}
    for i in graph.inputs:
        batch, *rest = i.value.type.shape
        shape: list[Any] = [min(e, size) if isinstance(e, int) else size for e in rest]
        if i.value.type.dtype.is_float:
            channels = rest[0]
            assert isinstance(channels, int)
            shape[0] = min(channels, MOST_CHANNELS)
        type_ = TensorType(i.value.type.dtype, (batch, *shape))
        names[i.value.name] = b.input(i.value.name, type_)
    for node in graph.nodes:
        op: Any = node.op
        parts = 2 if any(isinstance(n.op, Glu) for n in graph.readers[node.output.name]) else 1
        changes = {
            field: parts * max(2, min(MOST_CHANNELS, getattr(op, field) // parts // 64 * 2))
            for field in WIDTHS
            if isinstance(getattr(op, field, None), int)
        }
        if getattr(op, "groups", 1) > 1:
            changes["groups"] = 2
        operands = (names[name] for name in node.inputs)
        names[node.output.name] = b.add(dataclasses.replace(op, **changes), *operands)
    return b.graph(**{o.name: names[o.value] for o in graph.outputs})
