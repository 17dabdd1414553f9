"""Which layers of a model are uses of one block: those of a program's line, if it were written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.diagnostics import CompileError
from cnndsl.factorize.candidates import Place
from cnndsl.importers.writing.write import write_source
from cnndsl.ir.graph import Graph


def with_origins(graph: Graph, places: Sequence[Place]) -> tuple[Place, ...]:
    """Return places with their origins where the graph has none, as an imported model.

    The model is written as a program, where layers that repeat are a block's: so they are to have
    one scheme, and the smaller program has a block, too. A model that cannot be written so has no
    blocks to keep.
    """
    if any(place.origin is not None for place in places):
        return tuple(places)
    try:
        spans = write_source(graph).spans
    except CompileError:
        return tuple(places)
    return tuple(replace(place, origin=spans.get(place.label)) for place in places)
