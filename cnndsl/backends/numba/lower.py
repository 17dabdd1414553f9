"""From a graph to calls of layer functions, whatever the target's functions are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cnndsl.backends.numba.call import Call
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph, Node


def lower_graph(
    graph: Graph, target: str, lower_node: Callable[[Graph, Node], Iterable[Call]]
) -> tuple[Call, ...]:
    """Return the calls that compute a graph, in order; load-time nodes are not among them.

    Raises CompileError (CNN702) for a result that is not float32, and what `lower_node` raises.
    """
    for output in graph.outputs:
        if not graph.types[output.value].dtype.is_float:
            raise CompileError(
                Diagnostic(
                    code="CNN702",
                    message=f"{target} cannot return {output.name}: "
                    f"{graph.types[output.value]} is not float32",
                    span=output.span,
                    help="return what is computed from it",
                )
            )
    return tuple(
        call
        for node in graph.nodes
        if node.output.name not in graph.load_time
        for call in lower_node(graph, node)
    )
