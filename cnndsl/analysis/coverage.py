"""Holes in receptive fields: input positions between the first and the last that no unit reads.

Dilated windows on top of each other, and strides larger than kernels, can leave input positions
unread ("gridding"; Yu, Koltun and Funkhouser, 2017; Wang et al., 2018). Which positions a unit
reads is a sumset of its windows' offsets; it is computed exactly, as bits of a whole number, per
axis and phase, over all branches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import TypeAlias

from cnndsl.analysis.axis_field import (
    common_period,
    cycle,
    is_broadcast,
    joint_period,
    reads,
)
from cnndsl.analysis.receptive_field import ReceptiveFields, ValueField, map_extents
from cnndsl.analysis.together import Together
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.reach import AxisReach, Everything, Whole, Window

MAX_POSITIONS = 1 << 22
"""Largest extent of a receptive field whose positions are told apart."""

MAX_BITS = 1 << 26
"""Largest number of positions of all phases together: 8 MB."""

Positions: TypeAlias = tuple[int, int]
"""The first input position read, and from there on one bit for each position, the lowest first."""


class TooLargeError(Exception):
    """A receptive field has more positions than are told apart."""


@dataclass(frozen=True, slots=True)
class AxisPositions:
    """The positions that the units read along one axis, by phase; see `AxisField`."""

    phases: tuple[Positions | None, ...]
    shift: int
    whole: bool = False

    def at(self, unit: int) -> Positions | None:
        turns, phase = divmod(unit, len(self.phases))
        found = self.phases[phase]
        return None if found is None else (found[0] + turns * self.shift, found[1])

    @property
    def coverage(self) -> Fraction:
        """Share of the positions from the first to the last that is read; of the worst phase."""
        shares = [
            Fraction(found[1].bit_count(), found[1].bit_length())
            for found in self.phases
            if found is not None
        ]
        return min(shares, default=Fraction(1))


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of its receptive field each value reads, per axis, and how that came about."""

    shares: Mapping[str, tuple[Fraction, ...]]
    """By value; 1 where there are no holes. Values whose field is irregular are left out."""
    positions: Mapping[str, tuple[AxisPositions, ...]]
    """By value, for the values asked for."""

    def covered(self, value: str) -> bool:
        return all(share == 1 for share in self.shares[value])

    def first_offender(self, graph: Graph, value: str) -> Node | None:
        """Return the first layer that makes holes on the way to a value with holes."""
        if self.covered(value):
            return None
        for node in ancestors(graph, value):
            mine = self.shares.get(node.output.name)
            if mine is None:
                continue
            before = [self.shares[name] for name in node.inputs if name in self.shares]
            for axis, share in enumerate(mine):
                if share < 1 and all(len(b) <= axis or b[axis] == 1 for b in before):
                    return node
        return None


def ancestors(graph: Graph, value: str) -> tuple[Node, ...]:
    """Return the nodes that a value depends on, its own among them, in order."""
    wanted = {value}
    found = []
    for node in reversed(graph.nodes):
        if node.output.name in wanted:
            found.append(node)
            wanted.update(node.inputs)
    return tuple(reversed(found))


def coverage(graph: Graph, fields: ReceptiveFields, keep: Sequence[str] = ()) -> Coverage:
    """Return the coverage of every value; the positions of those in `keep`.

    `fields` are those of the graph. Raises TooLargeError.
    """
    axes = len(fields.extents)
    start = AxisPositions(((0, 1),), 1)
    alive: dict[str, tuple[AxisPositions, ...]] = {fields.input: (start,) * axes}
    pending = Counter(name for node in graph.nodes for name in set(node.inputs))
    shares = {fields.input: (Fraction(1),) * axes}
    kept = {}
    for node in graph.nodes:
        name = node.output.name
        if fields.of(name) is not None:
            alive[name] = _positions(node, fields, alive)
            shares[name] = tuple(a.coverage for a in alive[name])
            if name in keep:
                kept[name] = alive[name]
        for operand in set(node.inputs):
            pending[operand] -= 1
            if not pending[operand]:
                # The sets of a deep network are large; those nobody reads any more can go.
                alive.pop(operand, None)
    return Coverage(shares, kept)


def _positions(
    node: Node, fields: ReceptiveFields, alive: Mapping[str, tuple[AxisPositions, ...]]
) -> tuple[AxisPositions, ...]:
    types = [fields.sizes.types[name] for name in node.inputs]
    moved: list[tuple[AxisPositions, ...]] = []
    extents: list[tuple[int, ...]] = []
    out = map_extents(fields.sizes.types[node.output.name])
    for place, name in enumerate(node.inputs):
        if name not in alive:
            continue
        before = alive[name]
        field = fields.of(node.output.name)
        assert field is not None
        _require_room(field)
        reach = node.op.reach(types, place)
        mine = map_extents(types[place])
        if isinstance(reach, Whole):
            known = mine if len(mine) == len(before) else (1,) * len(before)
            moved.append(tuple(_everything(p, n) for p, n in zip(before, known, strict=True)))
        elif len(reach.axes) != len(before):
            moved.append(before)
        else:
            moved.append(
                tuple(_through(p, r, n) for p, r, n in zip(before, reach.axes, mine, strict=True))
            )
        extents.append(out if len(out) == len(before) else (1,) * len(before))
    if len(moved) == 1:
        return moved[0]
    return tuple(
        _merge([m[axis] for m in moved], [n[axis] for n in extents])
        for axis in range(len(fields.extents))
    )


def _require_room(field: ValueField) -> None:
    if max(f.size for f in field.hull) > MAX_POSITIONS:
        raise TooLargeError(f"a receptive field has more than {MAX_POSITIONS:_} positions")
    if max(f.size * f.period for f in field.hull) > MAX_BITS:
        raise TooLargeError(f"a field's phases have more than {MAX_BITS:_} positions together")


def _through(p: AxisPositions, reach: AxisReach, extent: int) -> AxisPositions:
    if isinstance(reach, Everything) or is_broadcast(reach, extent):
        return _everything(p, extent)
    if p.whole or reach == Window():
        return p
    period, shift = joint_period(len(p.phases), p.shift, *cycle(reach))
    together = _together(p)
    return AxisPositions(
        tuple(_over(together, p, reads(reach, unit)) for unit in range(period)), shift
    )


def _together(p: AxisPositions) -> Together[Positions]:
    return Together(p.phases, p.shift, _join, lambda found, by: (found[0] + by, found[1]))


def _everything(p: AxisPositions, extent: int) -> AxisPositions:
    """Return what units read that each read all `extent` units of a value."""
    if p.whole or p.shift == 0:
        return replace(p, whole=True)
    if extent * p.shift // len(p.phases) > MAX_POSITIONS:
        raise TooLargeError(f"a map has more than {MAX_POSITIONS:_} positions")
    return AxisPositions((_over(_together(p), p, range(extent)),), 0, whole=True)


def _over(together: Together[Positions], p: AxisPositions, units: range) -> Positions | None:
    """Return what several units read together."""
    turn = together.turn(units)
    if len(units) <= turn:
        return together.over(units)
    # Units of the same phase read the same, shifted: whole turns repeat the first.
    moved = units.step * turn // len(p.phases) * p.shift
    turns = _repeated(together.over(units[:turn]), moved, len(units) // turn)
    return _union([turns, together.over(units[-turn:])])


def _repeated(found: Positions | None, shift: int, count: int) -> Positions | None:
    """Return the union of `count` copies, each shifted against the one before."""
    if found is None:
        return None
    first, once = found
    bits, done = once, 1
    while 2 * done <= count:
        bits |= bits << (done * shift)
        done *= 2
    # The rest overlaps what is there.
    return first, bits | bits << ((count - done) * shift)


def _merge(several: Sequence[AxisPositions], extents: Sequence[int]) -> AxisPositions:
    if any(p.whole for p in several):
        everywhere = [_everything(p, n) for p, n in zip(several, extents, strict=True)]
        return AxisPositions((_union([p.at(0) for p in everywhere]),), 0, whole=True)
    if all(p is several[0] for p in several):
        return several[0]
    period, shift = common_period([(len(p.phases), p.shift) for p in several])
    return AxisPositions(
        tuple(_union([p.at(unit) for p in several]) for unit in range(period)), shift
    )


def _union(several: Sequence[Positions | None]) -> Positions | None:
    known = [p for p in several if p is not None]
    return reduce(_join, known) if known else None


def _join(a: Positions, b: Positions) -> Positions:
    low = min(a[0], b[0])
    return low, a[1] << (a[0] - low) | b[1] << (b[0] - low)
