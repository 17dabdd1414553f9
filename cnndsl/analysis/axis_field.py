"""The receptive field of a value along one axis: which input positions each of its units sees.

A convolution moves its window evenly, so unit o of a value sees the interval [start + o*jump,
... + size - 1]. After up-sampling this holds only from one period of units to the next: the units
of one period are its *phases*, and unit o + period sees what unit o sees, `shift` input positions
further on. Intervals ignore the borders: positions below 0 or beyond the input are padding.

For a single path this is the recurrence of Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks" (Distill, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, gcd, lcm
from typing import TypeAlias

from cnndsl.analysis.together import Together
from cnndsl.ops.reach import (
    AxisReach,
    Everything,
    Interpolated,
    Mapped,
    Reflected,
    Spread,
    Window,
)

Interval: TypeAlias = tuple[int, int]
"""First and last input position seen; None stands for a unit that sees nothing."""

MAX_PERIOD = 4096
"""Phases that are told apart."""


class IrregularError(Exception):
    """The field of a value does not repeat along the axis; says why."""


@dataclass(frozen=True)
class AxisField:
    """What the units of a value see along one axis, by phase.

    `step` is the distance between neighbouring units in input positions, on average (the jump).
    Where `whole` is set, every unit sees the whole map: then there is one phase, without shift, and
    its interval is all that the windows before cover, padding included.
    """

    phases: tuple[Interval | None, ...]
    shift: int
    jump: Fraction
    whole: bool = False

    @property
    def period(self) -> int:
        return len(self.phases)

    def interval(self, position: int) -> Interval | None:
        """Return the first and last input position that a unit sees, borders ignored."""
        turns, phase = divmod(position, len(self.phases))
        seen = self.phases[phase]
        return (
            None if seen is None else (seen[0] + turns * self.shift, seen[1] + turns * self.shift)
        )

    @cached_property
    def phase_sizes(self) -> tuple[int, ...]:
        """Input positions from the first to the last that a unit sees, for each phase."""
        return tuple(0 if seen is None else seen[1] - seen[0] + 1 for seen in self.phases)

    @cached_property
    def size(self) -> int:
        """Extent of the union over all phases, each relative to its own place.

        Without up-sampling every unit sees exactly so much. With it a unit sees the size of its
        phase; published figures count the union.
        """
        if len(self.phases) == 1:
            return self.phase_sizes[0]
        low, high = self._ends()
        return 0 if low is None or high is None else ceil(high - low) + 1

    @property
    def start(self) -> int | None:
        """The first input position that unit 0 sees; negative in the padding."""
        seen = self.phases[0]
        return None if seen is None else seen[0]

    @property
    def effective_padding(self) -> int | None:
        """How far unit 0 reaches into the padding (-start)."""
        return None if self.start is None else -self.start

    @cached_property
    def centre(self) -> Fraction | None:
        """The middle of what unit 0 sees; over all phases, the mean relative to unit 0's place."""
        found = [
            Fraction(seen[0] + seen[1], 2) - place
            for seen, place in zip(self.phases, self._places(), strict=True)
            if seen is not None
        ]
        return sum(found, Fraction(0)) / len(found) if found else None

    def _places(self) -> list[Fraction]:
        """Return each phase's nominal place, relative to unit 0's."""
        return [Fraction(p * self.shift, len(self.phases)) for p in range(len(self.phases))]

    def _ends(self) -> tuple[Fraction | None, Fraction | None]:
        seen = [
            (interval[0] - place, interval[1] - place)
            for interval, place in zip(self.phases, self._places(), strict=True)
            if interval is not None
        ]
        if not seen:
            return None, None
        return min(low for low, _ in seen), max(high for _, high in seen)

    def over(self, extent: int) -> Interval | None:
        """Return all that the units 0..extent-1 see together."""
        first = range(min(extent, self.period))
        last = range(max(0, extent - self.period), extent)
        ends = [self.interval(o) for o in (*first, *last)]
        known = [seen for seen in ends if seen is not None]
        if not known:
            return None
        return min(low for low, _ in known), max(high for _, high in known)


IDENTITY = AxisField(phases=((0, 0),), shift=1, jump=Fraction(1))
"""The field of the input itself."""


def everything(field: AxisField, extent: int, jump: Fraction) -> AxisField:
    """Return the field of units that each read all `extent` units of a value."""
    return AxisField((field.over(extent),), 0, jump, whole=True)


def through(field: AxisField, reach: AxisReach, extent: int) -> AxisField:
    """Return the field of an op's result from that of its operand, which has `extent` units.

    Raises IrregularError where the pattern of phases repeats too late.
    """
    if isinstance(reach, Everything) or is_broadcast(reach, extent):
        return everything(field, extent, Fraction(0) if extent == 1 else field.jump)
    units, inputs = cycle(reach)
    if field.whole:
        return AxisField(field.phases, 0, field.jump * inputs / units, whole=True)
    if reach == Window():
        return field
    period, shift = joint_period(field.period, field.shift, units, inputs)

    together: Together[Interval] = Together(field.phases, field.shift, _join, _move)

    def seen(unit: int) -> Interval | None:
        # The first and last units of every phase settle the interval.
        units = reads(reach, unit)
        turn = together.turn(units)
        first = together.over(units[:turn])
        last = first if len(units) <= turn else together.over(units[-turn:])
        return first if first is None or last is None else (first[0], last[1])

    phases = tuple(seen(unit) for unit in range(period))
    return AxisField(phases, shift, Fraction(shift, period))


def is_broadcast(reach: AxisReach, extent: int) -> bool:
    """Tell whether every unit of the result reads the only unit of the operand."""
    return extent == 1 and isinstance(reach, Mapped) and reach.numerator == reach.denominator


def cycle(reach: AxisReach) -> tuple[int, int]:
    """Return (n, m): unit o + n of the result reads what o reads, m operand units further on."""
    match reach:
        case Window():
            return 1, reach.stride
        case Spread():
            return reach.stride, 1
        case Mapped():
            common = gcd(reach.numerator, reach.denominator)
            return reach.denominator // common, reach.numerator // common
        case Interpolated():
            return reach.scale, 1
        case Reflected():
            return 1, 1
        case _:
            raise AssertionError(f"no cycle for {reach}")


def joint_period(period: int, shift: int, units: int, inputs: int) -> tuple[int, int]:
    """Return (period, shift) of a result, from its operand's and the cycle of the op's reach."""
    turns = period // gcd(period, inputs)
    if turns * units > MAX_PERIOD:
        raise IrregularError(f"its pattern repeats only after {turns * units} units")
    return turns * units, shift * (turns * inputs) // period


def reads(reach: AxisReach, unit: int) -> range:
    """Return the operand units that a unit of the result reads, borders ignored."""
    match reach:
        case Window():
            first = unit * reach.stride - reach.before
            return range(first, first + (reach.kernel - 1) * reach.dilation + 1, reach.dilation)
        case Spread():
            # The kernel positions whose place is whole: every turn-th from the first.
            turn = reach.stride // gcd(reach.dilation, reach.stride)
            for k in range(min(turn, reach.kernel)):
                place, rest = divmod(unit + reach.before - k * reach.dilation, reach.stride)
                if rest == 0:
                    step = reach.dilation * turn // reach.stride
                    count = (reach.kernel - 1 - k) // turn + 1
                    return range(place - (count - 1) * step, place + 1, step)
            return range(0)
        case Mapped():
            first = (unit * reach.numerator + reach.offset) // reach.denominator
            return range(first, first + reach.width)
        case Interpolated():
            first, fraction = divmod(2 * unit + 1 - reach.scale, 2 * reach.scale)
            return range(first, first + (1 if fraction == 0 else 2))
        case Reflected():
            return range(unit - reach.before, unit - reach.before + 1)
        case _:
            raise AssertionError(f"no units for {reach}")


def hull(fields: Sequence[AxisField], extents: Sequence[int]) -> AxisField:
    """Return the field of a merge: the units of all operands at the same place, together.

    Raises IrregularError if the operands' units lie at different distances.
    """
    if any(f.whole for f in fields):
        ends = [f.over(extent) for f, extent in zip(fields, extents, strict=True)]
        known = [e for e in ends if e is not None]
        span = (min(e[0] for e in known), max(e[1] for e in known)) if known else None
        return AxisField((span,), 0, max(f.jump for f in fields), whole=True)
    first = fields[0]
    if all(f is first for f in fields):
        return first
    period, shift = common_period([(f.period, f.shift) for f in fields])
    return AxisField(
        tuple(_union([f.interval(o) for f in fields]) for o in range(period)),
        shift,
        Fraction(shift, period),
    )


def common_period(cycles: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the (period, shift) that several have in common; raises IrregularError."""
    period = lcm(*(p for p, _ in cycles))
    if period > MAX_PERIOD:
        raise IrregularError(f"its pattern repeats only after {period} units")
    shifts = {shift * (period // p) for p, shift in cycles}
    if len(shifts) > 1:
        jumps = " and ".join(str(j) for j in sorted({Fraction(shift, p) for p, shift in cycles}))
        raise IrregularError(f"it merges branches whose units are {jumps} input positions apart")
    return period, shifts.pop()


def _union(ends: Sequence[Interval | None]) -> Interval | None:
    known = [e for e in ends if e is not None]
    return (min(e[0] for e in known), max(e[1] for e in known)) if known else None


def _join(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


def _move(seen: Interval, by: int) -> Interval:
    return seen[0] + by, seen[1] + by
