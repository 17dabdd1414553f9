"""From a node to the text of its layer; what torch cannot say is refused with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.backends.torch import layout, pointwise, windows
from cnndsl.backends.torch.text import Lowered, Rule
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op
from cnndsl.types.tensor import TensorType
from cnndsl.weights.initialize import ops_after, scheme

RULES: dict[type[Op], Rule] = {**windows.RULES, **pointwise.RULES, **layout.RULES}


def lower(graph: Graph) -> dict[str, Lowered]:
    """Return the text of every node's layer by the name of its value.

    Raises CompileError (CNN702) with every node that torch has no way to say.
    """
    after = ops_after(graph)
    found: dict[str, Lowered] = {}
    refusals = []
    for node in graph.nodes:
        rule = RULES.get(type(node.op))
        if rule is None:
            refusals.append(_refusal(node))
            continue
        lowered = rule(node.op, graph.operand_types(node), node.output.type)
        if lowered.drawn:
            lowered = _drawn(lowered, scheme(after[node.output.name]))
        found[node.output.name] = lowered
    if refusals:
        raise CompileError(refusals)
    return found


def rule_of(op: Op, types: Sequence[TensorType], result: TensorType) -> Lowered:
    """Return the text of a layer with torch's own initial weights."""
    return RULES[type(op)](op, types, result)


def _drawn(lowered: Lowered, name: str) -> Lowered:
    """Let the initial weights be drawn by one of the schemes of `cnndsl init`."""
    assert lowered.make is not None
    make = (f"{name}(", *lowered.make, ")")
    return replace(lowered, make=make, helpers=(*lowered.helpers, name, "draw"))


def _refusal(node: Node) -> Diagnostic:
    return Diagnostic(
        code="CNN702",
        message=f"{node.label}: the torch target has no way to say {type(node.op).__name__}",
        span=node.span,
        trail=tuple(reversed(node.path)),
    )
