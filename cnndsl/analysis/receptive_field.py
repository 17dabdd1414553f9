"""Receptive fields: for every value of a graph, which part of the network's input its units see.

The field is kept per spatial axis of the input (`AxisField`), with borders ignored: what a unit in
the middle of an endless map would see. Where branches merge it is the hull over all paths; beside
it stand the fields of the smallest and of the largest single path. Channels are not told apart: a
value sees what any of its channels sees.

Araujo, Norris and Sim (Distill, 2019) for chains and merges; phases after up-sampling as described
in `axis_field`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from cnndsl.analysis.axis_field import (
    IDENTITY,
    AxisField,
    IrregularError,
    everything,
    hull,
    through,
)
from cnndsl.analysis.sizes import Sizes, definite_sizes
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import OpError
from cnndsl.ops.reach import AxisReach, Whole
from cnndsl.ops.shape import Concat
from cnndsl.types.tensor import TensorType

Axes: TypeAlias = tuple[AxisField, ...]

NO_JUMP = Fraction(0)


@dataclass(frozen=True, slots=True)
class ValueField:
    """The receptive field of a value, per spatial axis of the input.

    `hull` covers all paths from the input; `smallest` and `largest` are single paths. Paths that
    see the whole map (gates behind a global pool) are the largest only where there is no other.
    """

    hull: Axes
    smallest: Axes
    largest: Axes

    @property
    def receptive_field_px(self) -> tuple[int, ...]:
        return tuple(f.size for f in self.hull)

    @property
    def jump_px(self) -> tuple[Fraction, ...]:
        """Distance between neighbouring units in input positions; 0 where there is but one."""
        return tuple(f.jump for f in self.hull)

    @property
    def whole(self) -> bool:
        """Whether the units see the whole map along some axis."""
        return any(f.whole for f in self.hull)


@dataclass(frozen=True, slots=True)
class Irregular:
    """Stands for a field that has no period along the axis, and says why."""

    reason: str


@dataclass(frozen=True)
class ReceptiveFields:
    """The fields of all values that depend on one input of the network."""

    input: str
    extents: tuple[int, ...]
    """The input's spatial extents."""
    sizes: Sizes
    values: Mapping[str, ValueField | Irregular]

    @property
    def assumed(self) -> tuple[str, ...]:
        """Symbols without a size; an arbitrary one was taken.

        Sizes and jumps hold for any; starts, centres and borders only where padding does not
        depend on the extent.
        """
        return self.sizes.assumed

    @property
    def fields(self) -> Mapping[str, ValueField]:
        """The fields that are regular."""
        return {n: f for n, f in self.values.items() if isinstance(f, ValueField)}

    def of(self, value: str) -> ValueField | None:
        """Return the field of a value; None if it is irregular or sees nothing of the input."""
        found = self.values.get(value)
        return found if isinstance(found, ValueField) else None


def map_extents(type_: TensorType) -> tuple[int, ...]:
    """Return the extents along which the units of an input or value lie.

    Whole numbers to be looked up ([N, T]) lie along all axes after the batch.
    """
    return type_.spatial if type_.dtype.is_float else type_.shape[1:]  # type: ignore[return-value]


def receptive_fields(
    graph: Graph, sizes: Mapping[str, int] | None = None, input: str | None = None
) -> ReceptiveFields:
    """Return the receptive field of every value, in one input of the network (the first).

    Sizes are those given, then the program's usual ones; see `Sizes`. Raises NoSizeError where a
    map is empty at them.
    """
    source = next(i for i in graph.inputs if input is None or i.value.name == input)
    definite = definite_sizes(graph, sizes)
    extents = map_extents(definite.types[source.value.name])
    identity = (IDENTITY,) * len(extents)
    found: dict[str, ValueField | Irregular] = {
        source.value.name: ValueField(identity, identity, identity)
    }
    for node in graph.nodes:
        field = _node_field(node, definite.types, found)
        if field is not None:
            found[node.output.name] = field
    return ReceptiveFields(source.value.name, extents, definite, found)


def placed_by_size(graph: Graph, nodes: Iterable[Node]) -> bool:
    """Tell whether where these nodes' windows start depends on a size that is not known."""
    known = dict(graph.usual_sizes)
    for node in nodes:
        types = [graph.types[name].substitute(known) for name in node.inputs]
        try:
            for operand in range(len(node.inputs)):
                node.op.reach(types, operand)
        except OpError:
            return True
    return False


def carried(node: Node, fields: ReceptiveFields) -> tuple[tuple[str, Axes], ...]:
    """Return what a node's units see through each of its operands: (operand, field per axis)."""
    operands = [(i, f) for i, name in enumerate(node.inputs) if (f := fields.of(name)) is not None]
    moved = _moved(node, fields.sizes.types, operands)
    names = (node.inputs[place] for place, _ in operands)
    return tuple((name, f.hull) for name, f in zip(names, moved, strict=True))


def _node_field(
    node: Node, types: Mapping[str, TensorType], found: Mapping[str, ValueField | Irregular]
) -> ValueField | Irregular | None:
    operands: list[tuple[int, ValueField]] = []
    for place, name in enumerate(node.inputs):
        field = found.get(name)
        if isinstance(field, Irregular):
            return field
        if field is not None:
            operands.append((place, field))
    if not operands:
        return None
    if isinstance(node.op, Concat) and node.op.axis > 1 and len(node.inputs) > 1:
        return Irregular("maps are joined end to end, so units at different places see differently")
    try:
        moved = _moved(node, types, operands)
        return moved[0] if len(moved) == 1 else _merge(moved, types[node.output.name])
    except IrregularError as error:
        return Irregular(str(error))


def _moved(
    node: Node, types: Mapping[str, TensorType], operands: Sequence[tuple[int, ValueField]]
) -> list[ValueField]:
    """Return what a node's units see through each operand; raises IrregularError."""
    read = [types[name] for name in node.inputs]
    moved: list[ValueField] = []
    for place, field in operands:
        extents = map_extents(read[place])
        reach = node.op.reach(read, place)
        if isinstance(reach, Whole):
            # One unit reads the whole map; of a value without a map, all there is.
            known = extents if len(extents) == len(field.hull) else (1,) * len(field.hull)
            moved.append(_each(field, known, lambda f, _, extent: everything(f, extent, NO_JUMP)))
        elif len(reach.axes) != len(field.hull):
            # The map was made anew (reshape): its units all see the same.
            moved.append(field)
        else:
            moved.append(_each(field, extents, _through(reach.axes)))
    return moved


def _merge(moved: Sequence[ValueField], result: TensorType) -> ValueField:
    axes = range(len(moved[0].hull))
    out = map_extents(result)
    extents = out if len(out) == len(axes) else (1,) * len(axes)
    return ValueField(
        tuple(hull([f.hull[a] for f in moved], [extents[a]] * len(moved)) for a in axes),
        tuple(min((f.smallest[a] for f in moved), key=_measure) for a in axes),
        tuple(
            max((f.largest[a] for f in moved), key=lambda f: (not f.whole, f.size)) for a in axes
        ),
    )


def _measure(field: AxisField) -> tuple[bool, int]:
    return field.whole, field.size


def _through(axes: Sequence[AxisReach]) -> Callable[[AxisField, int, int], AxisField]:
    return lambda field, axis, extent: through(field, axes[axis], extent)


def _each(
    field: ValueField, extents: Sequence[int], move: Callable[[AxisField, int, int], AxisField]
) -> ValueField:
    """Apply `move(axis field, axis, extent)` to the hull and to both paths; once to what is one."""
    done: dict[tuple[int, int], AxisField] = {}

    def moved(axes: Axes) -> Axes:
        result = []
        for axis, f in enumerate(axes):
            key = (id(f), axis)
            if key not in done:
                done[key] = move(f, axis, extents[axis])
            result.append(done[key])
        return tuple(result)

    whole = moved(field.hull)
    smallest = whole if field.smallest is field.hull else moved(field.smallest)
    largest = whole if field.largest is field.hull else moved(field.largest)
    return ValueField(whole, smallest, largest)
