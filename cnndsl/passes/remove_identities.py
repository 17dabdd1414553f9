"""Remove nodes that return their operand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.activation import Dropout, Identity
from cnndsl.ops.elementwise import Affine
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.passes.base import Effect, Match, Pass, Refusal


@dataclass(frozen=True)
class RemoveIdentities(Pass):
    """y = identity(x), dropout(x), x * 1 + 0, concat(x), or a reshape to x's shape  ==>  y is x"""

    effect: ClassVar[Effect] = Effect.EXACT

    def match(self, graph: Graph, node: Node) -> Match | Refusal | None:
        if not _is_identity(graph, node):
            return None
        (operand,) = node.inputs
        name = node.output.name
        if name in graph.output_values and operand not in graph.producers:
            return Refusal(f"the output {name} would be {operand} itself, not a copy", node)
        return Match(
            node=node,
            message=f"{node.label} returns {operand} unchanged",
            replaced={name: ()},
            renamed={name: operand},
        )


def _is_identity(graph: Graph, node: Node) -> bool:
    match node.op:
        case Identity() | Dropout() | Affine(scale=1.0, shift=0.0):
            return True
        case Concat():
            return len(node.inputs) == 1
        case Flatten() | Reshape():
            return graph.operand_types(node)[0] == node.output.type
    return False
