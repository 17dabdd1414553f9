"""Which sizes of input a network can make use of, and which objects it can see whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from cnndsl.analysis.receptive_field import ReceptiveFields, ValueField
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.reach import PerAxis, Window


def widening(graph: Graph, fields: ReceptiveFields) -> Iterator[tuple[Node, ValueField]]:
    """Yield the layers whose windows widen the field, with the field of what they read."""
    for node in graph.nodes:
        if len(node.inputs) != 1 or fields.of(node.output.name) is None:
            continue
        before = fields.of(node.inputs[0])
        assert before is not None
        reach = node.op.reach([fields.sizes.types[node.inputs[0]]])
        if isinstance(reach, PerAxis) and any(
            isinstance(r, Window) and r.kernel > 1 for r in reach.axes
        ):
            yield node, before


@dataclass(frozen=True, slots=True)
class ResolutionRange:
    """Input sizes, per axis, between which every layer adds something and nothing is out of sight.

    Below `low`, the smallest path into some layer's result sees more than the whole input: that
    layer's windows find nothing that was not seen before. Above `high` no unit before the global
    pool sees the whole input. (Richter et al., "Should You Go Deeper?", 2021; the range is
    rfa_toolbox's input_resolution_range.)
    """

    low: tuple[int, ...]
    high: tuple[int, ...]


def resolution_range(graph: Graph, fields: ReceptiveFields) -> ResolutionRange | None:
    """Return the range of productive input sizes; None for a network without windows."""
    low, high = [], []
    for axis in range(len(fields.extents)):
        windowed = [
            f
            for node, _ in widening(graph, fields)
            if (f := fields.of(node.output.name)) is not None and not f.smallest[axis].whole
        ]
        if not windowed:
            return None
        low.append(max(f.smallest[axis].size for f in windowed))
        regular = [f for f in fields.fields.values() if not f.largest[axis].whole]
        high.append(max(f.largest[axis].size for f in regular))
    return ResolutionRange(tuple(low), tuple(high))


def unproductive(graph: Graph, fields: ReceptiveFields) -> tuple[Node, ...]:
    """Return the layers with windows whose input has already seen the whole image on every path."""
    return tuple(
        node
        for node, before in widening(graph, fields)
        if not before.whole
        and all(f.size >= size for f, size in zip(before.smallest, fields.extents, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where an object of a given extent is first seen whole by one unit.

    `first` is the first layer with units whose field is as large as the object; `anywhere` the
    first where some unit sees it whole wherever it lies (field >= object + jump - 1). `outputs`
    says of each output of the network whether its units see it whole.
    """

    first: Node | None
    anywhere: Node | None
    outputs: tuple[tuple[str, bool], ...]


def sight(graph: Graph, fields: ReceptiveFields, object_px: Sequence[int]) -> Sighting:
    """Return which layers see an object of that extent (in input positions, per axis) whole."""
    first = anywhere = None
    for node in graph.nodes:
        field = fields.of(node.output.name)
        if field is None:
            continue
        if first is None and _sees(field, object_px):
            first = node
        margin = [ceil(max(a.jump - 1, Fraction(0))) for a in field.hull]
        if _sees(field, [o + m for o, m in zip(object_px, margin, strict=True)]):
            anywhere = node
            break
    outputs = []
    for output in graph.outputs:
        field = fields.of(output.value)
        outputs.append((output.name, field is not None and _sees(field, object_px)))
    return Sighting(first, anywhere, tuple(outputs))


def _sees(field: ValueField, object_px: Sequence[int]) -> bool:
    """Tell whether every phase of a value's units sees so much along every axis."""
    return all(
        min(axis.phase_sizes) >= extent for axis, extent in zip(field.hull, object_px, strict=True)
    )
