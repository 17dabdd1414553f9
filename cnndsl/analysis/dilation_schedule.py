"""Schedules of dilation along a chain: whether they leave holes, and which would not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cnndsl.analysis.changes import changed_fields, with_dilation
from cnndsl.analysis.coverage import coverage
from cnndsl.analysis.receptive_field import ReceptiveFields
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Op
from cnndsl.ops.reach import Whole, Window


@dataclass(frozen=True, slots=True)
class WindowLayer:
    """A layer that widens the field along one axis, on a chain."""

    label: str
    kernel: int
    dilation: int
    jump: Fraction
    """Of its operand: the distance of two taps in the input is dilation * jump."""


def chain_to(graph: Graph, fields: ReceptiveFields, value: str, axis: int) -> list[WindowLayer]:
    """Return the windows on the largest path to a value, first to last."""
    producers = graph.producers
    found: list[WindowLayer] = []
    while value in producers:
        node = producers[value]
        known = [(name, f) for name in node.inputs if (f := fields.of(name)) is not None]
        if not known:
            break
        value, before = max(
            known, key=lambda item: (not item[1].largest[axis].whole, item[1].largest[axis].size)
        )
        types = [fields.sizes.types[name] for name in node.inputs]
        reach = node.op.reach(types, node.inputs.index(value))
        if isinstance(reach, Whole) or len(reach.axes) != len(before.hull):
            continue
        window = reach.axes[axis]
        if isinstance(window, Window) and window.kernel > 1:
            jump = before.largest[axis].jump
            found.append(WindowLayer(node.label, window.kernel, window.dilation, jump))
    return found[::-1]


def covers(windows: Sequence[WindowLayer]) -> bool:
    """Tell whether a chain of windows has no holes.

    With the tap distances D (dilation * jump) in ascending order: it has none if and only if
    D[0] = 1 and D[i + 1] <= 1 + sum of (kernel - 1) * D up to i. Necessary, because only smaller
    distances can fill what lies between two taps; sufficient by induction.
    """
    reached: Fraction = Fraction(1)
    for w in sorted(windows, key=lambda w: w.dilation * w.jump):
        distance = w.dilation * w.jump
        if distance > reached:
            return False
        reached += (w.kernel - 1) * distance
    return True


def covering_dilations(windows: Sequence[WindowLayer]) -> list[int] | None:
    """Return the largest dilations, none above its own, that leave no holes; None if none do."""
    order = sorted(range(len(windows)), key=lambda i: windows[i].dilation * windows[i].jump)
    found = [w.dilation for w in windows]
    reached: Fraction = Fraction(1)
    for i in order:
        w = windows[i]
        found[i] = min(w.dilation, int(reached / w.jump)) if w.jump else w.dilation
        if found[i] < 1:
            return None
        reached += (w.kernel - 1) * found[i] * w.jump
    return found


def covering_schedule(
    graph: Graph, fields: ReceptiveFields, value: str, axis: int
) -> Mapping[str, int] | None:
    """Return smaller dilations, by layer, on the largest path to a value that leave no holes.

    Checked on the changed network: None if the value has holes along the axis with them too.
    """
    smaller = _smaller_dilations(graph, fields, value, axis)
    ops = _with_dilations(graph, {axis: smaller})
    if ops is None or not _covered(graph, fields, value, ops, [axis]):
        return None
    return smaller


def covering_layers(graph: Graph, fields: ReceptiveFields, value: str) -> Mapping[str, Op] | None:
    """Return layers to put in place of others, by label, so that a value has no holes.

    They have smaller dilations. None if no such layers are found.
    """
    axes = range(len(fields.extents))
    ops = _with_dilations(graph, {a: _smaller_dilations(graph, fields, value, a) for a in axes})
    return ops if ops and _covered(graph, fields, value, ops, axes) else None


def _smaller_dilations(
    graph: Graph, fields: ReceptiveFields, value: str, axis: int
) -> Mapping[str, int]:
    chain = chain_to(graph, fields, value, axis)
    found = covering_dilations(chain) or []
    return {w.label: d for w, d in zip(chain, found, strict=False) if d != w.dilation}


def _with_dilations(
    graph: Graph, dilations: Mapping[int, Mapping[str, int]]
) -> Mapping[str, Op] | None:
    """Return layers with other dilations, by label; they are given by axis and label."""
    wanted: dict[str, dict[int, int]] = {}
    for axis, by_label in dilations.items():
        for label, dilation in by_label.items():
            wanted.setdefault(label, {})[axis] = dilation
    found: dict[str, Op] = {}
    for node in graph.nodes:
        if node.label in wanted:
            old: tuple[int, ...] = getattr(node.op, "dilation", ())
            new = [wanted[node.label].get(axis, d) for axis, d in enumerate(old)]
            op = with_dilation(node.op, new)
            if op is None:
                return None
            found[node.label] = op
    return found


def _covered(
    graph: Graph, fields: ReceptiveFields, value: str, ops: Mapping[str, Op], axes: Sequence[int]
) -> bool:
    changed = changed_fields(graph, fields, ops)
    if changed is None or changed[1].of(value) is None:
        return False
    shares = coverage(*changed).shares[value]
    return all(shares[axis] == 1 for axis in axes)


def hybrid_dilated_convolution(kernel: int, dilations: Sequence[int]) -> bool:
    """Return what the HDC test of Wang et al. (2018, section 3.2) says of a stack without strides.

    A heuristic: it refuses schedules that are covered and, for kernels of 2, accepts some with
    holes. `covers` decides.
    """
    if not dilations:
        return True
    largest = dilations[-1]
    for r in reversed(dilations[1:-1]):
        largest = max(largest - 2 * r, 2 * r - largest, r)
    return len(dilations) < 2 or largest <= kernel
