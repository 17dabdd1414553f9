"""The usual sizes of a network's symbols: whether it works at them, and as properties of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cnndsl import limits
from cnndsl.ir.graph import Graph, Node
from cnndsl.types.extents import Dim, evaluate_extent, is_linear, symbols_of

_PREFIX = "cnndsl.usual_size."
"""What the name of a property begins with; the symbol follows."""


def vanishing(graph: Graph, sizes: Mapping[str, int]) -> tuple[Node, int, int] | None:
    """Return a node, a spatial axis and the extent below one that it has there at some sizes."""
    known: dict[Dim, int] = {}
    for node in graph.nodes:
        for axis, extent in enumerate(node.output.type.spatial):
            if not isinstance(extent, Dim):
                continue
            if extent not in known:
                if not symbols_of(extent) <= sizes.keys():
                    continue
                known[extent] = evaluate_extent(extent, sizes)
            if known[extent] < 1:
                return node, axis, known[extent]
    return None


def as_properties(graph: Graph) -> dict[str, str]:
    """Return the usual sizes as a file's properties, which hold text."""
    return {f"{_PREFIX}{symbol}": str(size) for symbol, size in graph.usual_sizes}


def of_properties(
    graph: Graph, properties: Iterable[tuple[str, str]]
) -> tuple[tuple[str, int], ...]:
    """Return the usual sizes among a file's properties that a network can have.

    All or none: the file may be anyone's, and say what makes no sense. A program says the size
    where a multiple of the symbol is an axis of an input (`16*h = 224`), so there must be one.
    """
    stated = {
        key.removeprefix(_PREFIX): text for key, text in properties if key.startswith(_PREFIX)
    }
    axes = [e for i in graph.inputs for e in i.value.type.shape if isinstance(e, Dim)]
    alone = {s for e in axes if is_linear(e) and len(symbols_of(e)) == 1 for s in symbols_of(e)}
    sizes: dict[str, int] = {}
    for symbol in graph.symbols:
        text = stated.get(symbol, "")
        if symbol in alone and text.isascii() and text.isdigit() and len(text) < 11:
            sizes[symbol] = int(text)
    known = [evaluate_extent(e, sizes) for e in axes if symbols_of(e) <= sizes.keys()]
    if not all(1 <= size <= limits.MAX_EXTENT for size in (*sizes.values(), *known)):
        return ()
    return () if vanishing(graph, sizes) else tuple(sizes.items())
