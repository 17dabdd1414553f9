"""Which sizes of input a network can make use of, and which objects it can see whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cnndsl.analysis.axis_field import AxisField
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
    """Input sizes, per axis, between which all reach is used and nothing is out of sight.

    Below `low`, even the smallest path into some layer's result is wider than the input: a part of
    that layer's reach is lost beyond the borders. Above `high` no unit before the global pool sees
    the whole input. (Richter et al., "Should You Go Deeper?", 2021; the range is
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
    """Where an object of a given extent is seen whole by one unit.

    `first` is the first layer some of whose units see as much as the object; `anywhere` the first
    that has a unit which sees it whole wherever it lies, borders disregarded. `outputs` says of
    each output of the network whether each of its units sees as much.
    """

    first: Node | None
    anywhere: Node | None
    outputs: tuple[tuple[str, bool], ...]


def sight(graph: Graph, fields: ReceptiveFields, object_px: Sequence[int]) -> Sighting:
    """Return which layers see an object of that extent (in input positions, per axis) whole."""

    def every(value: str, seen: Callable[[AxisField, int], bool]) -> bool:
        field = fields.of(value)
        return field is not None and all(map(seen, field.hull, object_px))

    def first(seen: Callable[[AxisField, int], bool]) -> Node | None:
        return next((node for node in graph.nodes if every(node.output.name, seen)), None)

    return Sighting(
        first(lambda axis, extent: max(axis.phase_sizes) >= extent),
        first(_anywhere),
        tuple(
            (o.name, every(o.value, lambda axis, extent: min(axis.phase_sizes) >= extent))
            for o in graph.outputs
        ),
    )


def _anywhere(axis: AxisField, extent: int) -> bool:
    """Tell whether an object of that extent lies inside the field of some unit, wherever it is.

    A unit that sees first..last sees the objects that begin at first..last - extent + 1.
    """
    if axis.whole:
        return axis.size >= extent
    begins = sorted(
        (first % axis.shift, first % axis.shift + last - first + 1 - extent)
        for first, last in filter(None, axis.phases)
        if last - first + 1 >= extent
    )
    # Each period sees the same, `shift` further on; so the one before reaches this far:
    reached = max((last for _, last in begins), default=-1) - axis.shift
    for first, last in begins:
        if first > reached + 1:
            return False
        reached = max(reached, last)
    return bool(begins)
