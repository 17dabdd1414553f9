"""Remove nodes on which no output depends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.graph import Graph, Node
from cnndsl.passes.base import Effect, Match, Pass, Refusal


@dataclass(frozen=True)
class EliminateDeadNodes(Pass):
    """A value that no output depends on  ==>  nothing. Parameters stay, as weights files do."""

    effect: ClassVar[Effect] = Effect.EXACT

    def match(self, graph: Graph, node: Node) -> Match | Refusal | None:
        return None if node.output.name in _live(graph) else _removal(node)

    def find(self, graph: Graph) -> Iterator[Match | Refusal]:
        live = _live(graph)
        return (_removal(node) for node in graph.nodes if node.output.name not in live)


def _live(graph: Graph) -> set[str]:
    live = set(graph.output_values)
    for node in reversed(graph.nodes):
        if node.output.name in live:
            live.update(node.operands)
    return live


def _removal(node: Node) -> Match:
    return Match(
        node=node,
        message=f"no output depends on {node.label}",
        replaced={node.output.name: ()},
    )
