"""Reach: which input positions one output position depends on, per spatial axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


class AxisReach(Protocol):
    """The dependence along one axis."""

    def positions(self, output: int, extent: int) -> tuple[int, ...]:
        """Return, ascending, the input positions inside 0..extent-1 that `output` reads."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """Output o reads inputs o*stride - before + k*dilation, k = 0..kernel-1."""

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0

    def positions(self, output: int, extent: int) -> tuple[int, ...]:
        start = output * self.stride - self.before
        taps = (start + k * self.dilation for k in range(self.kernel))
        return tuple(p for p in taps if 0 <= p < extent)


@dataclass(frozen=True, slots=True)
class Spread:
    """Transposed window: input i reaches outputs i*stride - before + k*dilation."""

    kernel: int
    stride: int
    dilation: int
    before: int

    def positions(self, output: int, extent: int) -> tuple[int, ...]:
        found = set()
        for k in range(self.kernel):
            place, rest = divmod(output + self.before - k * self.dilation, self.stride)
            if rest == 0 and 0 <= place < extent:
                found.add(place)
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Mapped:
    """Output o reads inputs floor((o*numerator + offset) / denominator) + 0..width-1, clamped.

    Covers nearest resampling, depth-to-space, edge padding and broadcasting.
    """

    numerator: int
    denominator: int
    offset: int = 0
    width: int = 1

    def positions(self, output: int, extent: int) -> tuple[int, ...]:
        start = (output * self.numerator + self.offset) // self.denominator
        clamped = (min(max(start + k, 0), extent - 1) for k in range(self.width))
        return tuple(sorted(set(clamped)))


@dataclass(frozen=True, slots=True)
class Interpolated:
    """Linear interpolation by a whole factor, half-pixel centres: the two nearest, clamped."""

    scale: int

    def positions(self, output: int, extent: int) -> tuple[int, ...]:
        start, fraction = divmod(2 * output + 1 - self.scale, 2 * self.scale)
        nearest = {start} if fraction == 0 else {start, start + 1}
        return tuple(sorted({min(max(p, 0), extent - 1) for p in nearest}))


@dataclass(frozen=True, slots=True)
class Reflected:
    """Output o reads input o - before, mirrored at the first and last element."""

    before: int

    def positions(self, output: int, extent: int) -> tuple[int, ...]:
        place = abs(output - self.before)
        return (place if place < extent else 2 * (extent - 1) - place,)


@dataclass(frozen=True, slots=True)
class Everything:
    """Every input position along the axis."""

    def positions(self, output: int, extent: int) -> tuple[int, ...]:
        return tuple(range(extent))


@dataclass(frozen=True, slots=True)
class PerAxis:
    """The output's spatial axes are the input's, each with its own dependence."""

    axes: tuple[AxisReach, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """The result depends on the whole map (dense, global pools, flatten)."""


Reach: TypeAlias = PerAxis | Whole


def identity_reach(rank: int) -> PerAxis:
    """Return the reach of an op that works position by position."""
    return PerAxis((Window(),) * rank)
