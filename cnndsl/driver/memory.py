"""Refuse what cannot fit into this machine's memory before any of it is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import prod

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph

_SMALLER = "make the network, the sizes of its inputs, or the batch smaller"


def require_room_for_weights(graph: Graph) -> None:
    """Raise CompileError (CNN401) if the weights, once held and once written, cannot fit."""
    needed = 2 * sum(4 * prod(p.spec.shape) for p in graph.parameters)
    _require(needed, f"the weights of network {graph.name}, held and written,")


def require_room_to_run(graph: Graph, sizes: Mapping[str, int]) -> None:
    """Raise CompileError (CNN401) if the inputs and the largest layer's result cannot fit."""
    inputs = [i.value.type for i in graph.inputs]
    results = [n.output.type for n in graph.nodes]
    needed = sum(4 * prod(t.at(sizes)) for t in inputs)
    needed += max((4 * prod(t.at(sizes)) for t in results), default=0)
    at = ", ".join(f"{symbol} = {size}" for symbol, size in sizes.items())
    _require(
        needed,
        f"the inputs of network {graph.name} and its largest layer" + (f" at {at}" if at else ""),
    )


def require_room_for_gradients(graph: Graph, sizes: Mapping[str, int]) -> None:
    """Raise CompileError (CNN401) if all values and weights in float64 cannot fit."""
    needed = sum(8 * prod(t.at(sizes)) for t in graph.types.values())
    _require(needed, f"all values of network {graph.name}, which its gradients need,")


def out_of_memory() -> Diagnostic:
    """Say that memory ran out in the middle."""
    return Diagnostic(code="CNN401", message="there is not enough memory", help=_SMALLER)


def physical_bytes() -> int | None:
    """Return the machine's memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _require(needed: int, what: str) -> None:
    available = physical_bytes()
    if available is not None and needed > available:
        raise CompileError(
            Diagnostic(
                code="CNN401",
                message=f"{what} take {needed:,} bytes; this machine has {available:,} of memory",
                help=_SMALLER,
            )
        )
