"""Networks with some layers changed: what a proposal would give is computed, not estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnndsl.analysis.receptive_field import ReceptiveFields, receptive_fields
from cnndsl.ir.graph import Graph, Input, Node, Value
from cnndsl.ops.base import Op, OpError
from cnndsl.types.padding import Explicit
from cnndsl.types.tensor import TensorType


def changed_fields(
    graph: Graph, fields: ReceptiveFields, ops: Mapping[str, Op]
) -> tuple[Graph, ReceptiveFields] | None:
    """Return the network, at the fields' sizes, and its fields with other ops in some layers.

    `ops` are by label. Layers that share weights change together. None if they would have to
    change differently, or the network cannot be built so.
    """
    by_params: dict[tuple[str, ...], Op] = {}
    for node in graph.nodes:
        op = ops.get(node.label)
        if op is not None and node.params and by_params.setdefault(node.params, op) != op:
            return None
    types: dict[str, TensorType] = dict(fields.sizes.types)
    nodes: list[Node] = []
    for node in graph.nodes:
        op = ops.get(node.label) or by_params.get(node.params) or node.op
        try:
            result = op.infer([types[name] for name in node.inputs])
        except OpError:
            return None
        types[node.output.name] = result
        nodes.append(replace(node, op=op, output=Value(node.output.name, result)))
    inputs = (Input(Value(i.value.name, types[i.value.name]), i.span) for i in graph.inputs)
    found = replace(graph, inputs=tuple(inputs), nodes=tuple(nodes), usual_sizes=())
    return found, receptive_fields(found, input=fields.input)


def with_dilation(op: Op, dilation: Sequence[int]) -> Op | None:
    """Return an op with another dilation, explicit padding scaled along so that its map stays.

    None if the op has no dilation, or its padding does not scale to whole numbers.
    """
    old: tuple[int, ...] | None = getattr(op, "dilation", None)
    if old is None:
        return None
    changes: dict[str, Any] = {"dilation": tuple(dilation)}
    padding = getattr(op, "padding", None)
    if isinstance(padding, Explicit):
        scaled = list(zip(padding.pairs, dilation, old, strict=True))
        if any(side * new % was for pair, new, was in scaled for side in pair):
            return None
        changes["padding"] = Explicit(
            tuple((low * new // was, high * new // was) for (low, high), new, was in scaled)
        )
    changed: Op = replace(op, **changes)
    return changed
