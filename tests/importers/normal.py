"""Graphs as other formats have them, for comparison with the programs that they came from."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.activation import Dropout
from cnndsl.types.padding import Explicit, span_of, window_padding


def in_numbers(graph: Graph) -> Graph:
    """Return a graph with paddings in numbers where they depend on no open size, as ONNX has them.

    At 28 x 28 the words of a pool of 2 x 2 say the same, and nobody can tell which one it was.
    Numbers are those of float32.
    """

    def rewritten(node: Node) -> Node:
        op = node.op
        floats = {f.name: getattr(op, f.name) for f in fields(op)}
        floats = {n: float(np.float32(v)) for n, v in floats.items() if isinstance(v, float)}
        op = replace(op, **floats)
        if "padding" not in {f.name for f in fields(op)}:
            return replace(node, op=op)
        spatial = graph.types[node.inputs[0]].spatial
        dilation = getattr(op, "dilation", (1,) * len(spatial))
        windows = list(zip(spatial, op.kernel, op.stride, dilation, strict=True))
        pads = [window_padding(op.padding, i, *window) for i, window in enumerate(windows)]
        if None in pads:
            return replace(node, op=op)
        if getattr(op, "ceil_mode", False) and all(isinstance(e, int) for e in spatial):
            # As far as the last windows reach.
            ends = [
                (count - 1) * stride + span_of(kernel, step) - extent - low
                for count, (extent, kernel, stride, step), (low, _) in zip(
                    node.output.type.spatial, windows, pads, strict=True
                )
            ]
            pads = [(low, max(end, 0)) for (low, _), end in zip(pads, ends, strict=True)]
            op = replace(op, ceil_mode=False)
        return replace(node, op=replace(op, padding=Explicit(tuple(pads))))

    return graph.with_nodes(map(rewritten, graph.nodes))


def alive(graph: Graph) -> Graph:
    """Return a graph without layers that lead to no output: WaveNet's last has one."""
    needed = set(graph.output_values)
    for node in reversed(graph.nodes):
        if node.output.name in needed:
            needed.update(node.operands)
    return replace(
        graph,
        nodes=tuple(n for n in graph.nodes if n.output.name in needed),
        parameters=tuple(p for p in graph.parameters if p.value.name in needed),
    )


def structure(graph: Graph) -> Graph:
    """Return a graph in numbers, without name, usual sizes and dropouts."""
    kept: list[Node] = []
    instead: dict[str, str] = {}
    for node in in_numbers(graph).nodes:
        inputs = tuple(instead.get(name, name) for name in node.inputs)
        if isinstance(node.op, Dropout):
            instead[node.output.name] = inputs[0]
        else:
            kept.append(replace(node, inputs=inputs))
    outputs = tuple(replace(o, value=instead.get(o.value, o.value)) for o in graph.outputs)
    bare = replace(graph, name="net", nodes=tuple(kept), outputs=outputs, usual_sizes=())
    return alive(bare)
