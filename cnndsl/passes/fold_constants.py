"""Merge arithmetic with numbers, and compute at compile time what depends on weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import ClassVar

from cnndsl.ir.graph import Graph, Node, Parameter
from cnndsl.ops.base import Array, ParameterSpec
from cnndsl.ops.elementwise import Affine
from cnndsl.passes.base import Effect, Match, Pass, Refusal, sole_reader_refusal


@dataclass(frozen=True)
class FoldConstants(Pass):
    """(x * a + b) * c + d  ==>  x * (a * c) + (b * c + d)"""

    effect: ClassVar[Effect] = Effect.ROUNDS

    def match(self, graph: Graph, node: Node) -> Match | Refusal | None:
        outer = node.op
        producer = graph.producers.get(node.inputs[0])
        if not isinstance(outer, Affine) or producer is None:
            return None
        inner = producer.op
        if not isinstance(inner, Affine):
            return None
        refusal = sole_reader_refusal(graph, producer.output.name, node)
        if refusal is not None:
            return refusal
        scale, shift = inner.scale * outer.scale, inner.shift * outer.scale + outer.shift
        if not (isfinite(scale) and isfinite(shift)):
            return Refusal(f"the numbers of {producer.label} and {node.label} overflow", node)
        merged = replace(node, op=Affine(scale=scale, shift=shift), inputs=producer.inputs)
        return Match(
            node=node,
            message=f"{producer.label} and {node.label} are one multiplication and addition",
            replaced={producer.output.name: (), node.output.name: (merged,)},
        )


def fold_constants(graph: Graph, weights: Mapping[str, Array]) -> tuple[Graph, dict[str, Array]]:
    """Compute the nodes that read parameters alone; their values become parameters.

    Returns the graph that is left, with the parameters that it reads, and the values of those.
    """
    values = {p.value.name: weights[p.value.name] for p in graph.parameters}
    computed: list[Parameter] = []
    left: list[Node] = []
    for node in graph.nodes:
        if node.output.name not in graph.load_time:
            left.append(node)
            continue
        values[node.output.name] = node.op.evaluate(
            [values[name] for name in node.inputs], [values[name] for name in node.params]
        )
        spec = ParameterSpec(
            node.output.name.rpartition(".")[2], values[node.output.name].shape, trainable=False
        )
        computed.append(Parameter(node.output, spec, node.span))
    read = {name for node in left for name in node.operands} | graph.output_values
    parameters = tuple(p for p in (*graph.parameters, *computed) if p.value.name in read)
    folded = replace(graph, parameters=parameters, nodes=tuple(left))
    return folded, {p.value.name: values[p.value.name] for p in parameters}
