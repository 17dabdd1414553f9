"""Borders: which units of a map see padding, and which padding no unit sees."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cnndsl.analysis.axis_field import AxisField, cycle, is_broadcast, reads
from cnndsl.analysis.receptive_field import ReceptiveFields, map_extents
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, MaxPool
from cnndsl.ops.reach import Everything, PerAxis, Window
from cnndsl.types.padding import span_of, window_padding


@dataclass(frozen=True, slots=True)
class CleanUnits:
    """How many units of a map see no padding: those whose field lies inside the input."""

    clean: int
    units: int


def padding_inside(graph: Graph, fields: ReceptiveFields) -> frozenset[str]:
    """Return the values on whose way padding stands at places that lie inside the input.

    Behind a crop, and at the cut edges of a transposed convolution, units that read padding see
    intervals inside the input all the same: intervals do not tell which units are clean.
    """
    found: set[str] = set()
    for node in graph.nodes:
        if not found.isdisjoint(node.inputs) or _pads_inside(node, fields):
            found.add(node.output.name)
    return frozenset(found)


def _pads_inside(node: Node, fields: ReceptiveFields) -> bool:
    types = [fields.sizes.types[name] for name in node.inputs]
    after = map_extents(fields.sizes.types[node.output.name])
    for place, name in enumerate(node.inputs):
        field = fields.of(name)
        reach = node.op.reach(types, place) if field is not None else None
        if field is None or not isinstance(reach, PerAxis) or len(reach.axes) != len(field.hull):
            continue
        before = map_extents(types[place])
        for axis, one, extent, units, size in zip(
            field.hull, reach.axes, before, after, fields.extents, strict=True
        ):
            if (
                axis.whole
                or (one == Window() and units <= extent)
                or isinstance(one, Everything)
                or is_broadcast(one, extent)
            ):
                continue
            turn = min(cycle(one)[0], units)
            reading = [reads(one, u) for u in (*range(turn), *range(units - turn, units))]
            low = min((r[0] for r in reading if r), default=0)
            high = max((r[-1] for r in reading if r), default=0)
            # Places a period further out lie further out.
            below = range(max(low, -axis.period), 0)
            above = range(extent, min(high + 1, extent + axis.period))
            ends = [axis.interval(u) for u in below]
            if any(seen is None or seen[0] >= 0 for seen in ends):
                return True
            ends = [axis.interval(u) for u in above]
            if any(seen is None or seen[1] < size for seen in ends):
                return True
    return False


def clean_units(fields: ReceptiveFields, value: str) -> CleanUnits | None:
    """Count the units of a value that see no padding; None if its field is irregular or whole.

    The value must not be among those of `padding_inside`. A unit sees padding where its interval
    begins before position 0 or ends beyond the input's last (Alsallakh et al., "Mind the Pad",
    2021).
    """
    field = fields.of(value)
    extents = map_extents(fields.sizes.types[value])
    if field is None or field.whole or len(extents) != len(field.hull):
        return None
    clean = (
        _clean(axis, extent, size)
        for axis, extent, size in zip(field.hull, extents, fields.extents, strict=True)
    )
    return CleanUnits(prod(clean), prod(extents))


def _clean(axis: AxisField, extent: int, size: int) -> int:
    """Count the units 0..extent-1 whose interval lies in 0..size-1, or that see nothing."""
    total = 0
    for phase, seen in enumerate(axis.phases[:extent]):
        turns = (extent - 1 - phase) // axis.period + 1
        if seen is None:
            total += turns
            continue
        # Unit phase + q * period sees seen + q * shift.
        first = max(0, -(seen[0] // axis.shift))
        last = min(turns - 1, (size - 1 - seen[1]) // axis.shift)
        total += max(0, last - first + 1)
    return total


@dataclass(frozen=True, slots=True)
class UnusedPadding:
    """Padding at the end of an axis that a strided window never reaches."""

    node: Node
    axis: int
    unused: int
    """Elements of its padding that the layer does not read."""


def unused_padding(graph: Graph, fields: ReceptiveFields) -> tuple[UnusedPadding, ...]:
    """Return the padding at the end of an axis that no window of its layer reads.

    The windows of stride s leave (input + padding - span) mod s elements at the end; as far as they
    are padding, the padding is uneven in effect, and the map is seen shifted.
    """
    found = []
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, (Conv, DepthwiseConv, LocallyConnected, MaxPool, AveragePool)):
            continue
        stride = op.step if isinstance(op, (MaxPool, AveragePool)) else op.stride
        dilation = getattr(op, "dilation", (1,) * len(op.kernel))
        before = map_extents(fields.sizes.types[node.inputs[0]])
        after = map_extents(fields.sizes.types[node.output.name])
        for axis, extent in enumerate(before):
            pads = window_padding(
                op.padding, axis, extent, op.kernel[axis], stride[axis], dilation[axis]
            )
            assert pads is not None
            low, high = pads
            span = span_of(op.kernel[axis], dilation[axis])
            read_up_to = (after[axis] - 1) * stride[axis] - low + span
            unused = min(high, extent + high - read_up_to)
            if unused > 0:
                found.append(UnusedPadding(node, axis, unused))
    return tuple(found)
