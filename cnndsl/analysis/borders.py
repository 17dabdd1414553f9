"""Borders: which units of a map see padding, and which padding no unit sees."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cnndsl.analysis.axis_field import AxisField
from cnndsl.analysis.receptive_field import ReceptiveFields, map_extents
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, MaxPool
from cnndsl.types.padding import span_of, window_padding


@dataclass(frozen=True, slots=True)
class CleanUnits:
    """How many units of a map see no padding: those whose field lies inside the input."""

    clean: int
    units: int


def clean_units(fields: ReceptiveFields, value: str) -> CleanUnits | None:
    """Count the units of a value that see no padding; None if its field is irregular or whole.

    Unit i sees padding where its interval begins before position 0 or ends beyond the input's last
    (Alsallakh et al., "Mind the Pad", 2021).
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
