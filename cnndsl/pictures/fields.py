"""What a picture of receptive fields shows, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnndsl.ops.base import Array

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class UnitField:
    """What one unit of a value sees; everything is per spatial axis of the network's input.

    `intervals` are the first and last input position, not clipped: below 0 or beyond the input
    lies padding. `read` marks which positions from the first to the last are read; None stands for
    all. The effective field is either normal, with `sigma_px` around `centre` (the middle of the
    intervals, unless given), or `influence`: an array over the whole input, not negative.
    """

    unit: tuple[int, ...]
    intervals: tuple[tuple[int, int], ...]
    read: tuple[Mask, ...] | None = None
    sigma_px: tuple[float, ...] | None = None
    centre: tuple[float, ...] | None = None
    influence: Array | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(high - low + 1 for low, high in self.intervals)

    @property
    def middle(self) -> tuple[float, ...]:
        """Where the effective field has its centre."""
        if self.centre is not None:
            return self.centre
        return tuple((low + high) / 2 for low, high in self.intervals)

    @property
    def coverage(self) -> float:
        """Return the share of positions within the intervals that is read."""
        if self.read is None:
            return 1.0
        return float(np.prod([mask.mean() for mask in self.read]))

    def looks_like(self, other: UnitField) -> bool:
        """Return whether a drawing of the other would be the same."""
        own, others = (
            [array for array in (unit.influence, *(unit.read or ())) if array is not None]
            for unit in (self, other)
        )
        return (
            self.intervals == other.intervals
            and self.sigma_px == other.sigma_px
            and self.middle == other.middle
            and len(own) == len(others)
            and all(np.array_equal(a, b) for a, b in zip(own, others, strict=True))
        )

    def on(self, axes: Sequence[int]) -> UnitField:
        """Return the field seen along some axes alone; influence is summed over the others."""

        def some(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
            return None if values is None else tuple(values[a] for a in axes)

        influence = self.influence
        if influence is not None:
            influence = influence.sum(axis=tuple(set(range(influence.ndim)) - set(axes)))
        return UnitField(
            tuple(self.unit[a] for a in axes),
            tuple(self.intervals[a] for a in axes),
            None if self.read is None else tuple(self.read[a] for a in axes),
            some(self.sigma_px),
            some(self.centre),
            influence,
        )


@dataclass(frozen=True, eq=False)
class ValueFields:
    """The fields of some units of a value: the first is drawn in full, the others as outlines.

    `size_px` is the receptive field as it is published (of the union over phases); `jump_px` the
    distance of neighbouring units. A `whole` value sees the whole map.
    """

    name: str
    size_px: tuple[int, ...]
    jump_px: tuple[float, ...]
    units: tuple[UnitField, ...]
    whole: bool = False

    def on(self, axes: Sequence[int]) -> ValueFields:
        """Return the fields seen along some axes alone."""
        return ValueFields(
            self.name,
            tuple(self.size_px[a] for a in axes),
            tuple(self.jump_px[a] for a in axes),
            tuple(unit.on(axes) for unit in self.units),
            self.whole,
        )


@dataclass(frozen=True, eq=False)
class FieldPicture:
    """Everything to draw.

    `input_px` is the extent of the input per spatial axis (one to three). `image` is
    [height, width], [height, width, 3] with numbers in 0..1, or for one axis [time]; `object_px`
    an object in the middle of the input whose size is compared.
    """

    network: str
    input_px: tuple[int, ...]
    values: tuple[ValueFields, ...]
    image: Array | None = None
    object_px: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        rank = len(self.input_px)
        if not 1 <= rank <= 3:
            raise ValueError(f"a picture has 1 to 3 axes, not {rank}")
        if not self.values or not all(value.units for value in self.values):
            raise ValueError("there is nothing to draw")
        lengths = {len(u.intervals) for v in self.values for u in v.units}
        if lengths != {rank}:
            raise ValueError(f"intervals of {lengths} axes on an input of {rank}")
