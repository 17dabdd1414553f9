"""Compute equal things once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op
from cnndsl.passes.base import Effect, Match, Pass, Refusal


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """a = f(x; w), b = f(x; w)  ==>  b is a: the same op on the same operands and tensors."""

    effect: ClassVar[Effect] = Effect.EXACT

    def match(self, graph: Graph, node: Node) -> Match | Refusal | None:
        return next((m for m in self.find(graph) if m.node is node), None)

    def find(self, graph: Graph) -> Iterator[Match | Refusal]:
        first: dict[tuple[Op, tuple[str, ...], tuple[str, ...]], Node] = {}
        same: dict[str, str] = {}
        for node in graph.nodes:
            inputs = tuple(same.get(name, name) for name in node.inputs)
            params = tuple(same.get(name, name) for name in node.params)
            kept = first.setdefault((node.op, inputs, params), node)
            if kept is node:
                continue
            same[node.output.name] = kept.output.name
            yield Match(
                node=node,
                message=f"{node.label} computes the same as {kept.label}",
                replaced={node.output.name: ()},
                renamed={node.output.name: kept.output.name},
            )
