"""Slice, crop and pad: results that hold a part of the input, or more than it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.adjoint import gathered
from cnndsl.ops.base import Array, DataMovement, OpError, PerAxis, Reach, argument
from cnndsl.ops.checks import require_axis, require_float, require_map
from cnndsl.ops.reach import AxisReach, Mapped, Reflected, Window
from cnndsl.ops.registry import register
from cnndsl.ops.windows import check_padding, crop_spatial, pad_spatial
from cnndsl.types.extents import Dim, Extent, ceil_div, least
from cnndsl.types.padding import Explicit, Padding
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(DataMovement):
    """Elements start, start + step, ... of an axis, up to but not including stop.

    Axis 1 is the channels, 2 and up the spatial axes. A negative start or stop counts from the
    end; without stop the slice runs to the end. Unlike Python's, a slice that reaches outside its
    input is an error.
    """

    keyword: ClassVar[str] = "slice"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "first = x -> slice(axis=1, start=0, stop=4)\n"
        "even_rows = first -> slice(axis=2, start=0, step=2)\n"
        "output y = even_rows\n"
    )

    axis: int = argument("axis that is cut", minimum=1)
    start: int = argument("first element; from the end if negative")
    stop: int | None = argument(
        "end, not included; from the end if negative, the end itself if not given", default=None
    )
    step: int = argument("distance between the elements", default=1, minimum=1)

    def bounds(self, extent: Extent) -> tuple[Extent, Extent]:
        """Return start and stop, counted from the beginning, for an axis of an extent."""
        start = extent + self.start if self.start < 0 else self.start
        if self.stop is None:
            return start, extent
        return start, extent + self.stop if self.stop < 0 else self.stop

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        require_axis(self.keyword, x, self.axis)
        extent = x.shape[self.axis]
        start, stop = self.bounds(extent)
        length = stop - start
        written = f"{self.start}:{'' if self.stop is None else self.stop}"
        for slack, name in ((start, "start"), (extent - stop, "stop"), (length - 1, "stop")):
            if isinstance(slack, int) and slack < 0:
                raise OpError(
                    "CNN210",
                    f"slice {written} reaches outside axis {self.axis} of {x}, "
                    f"or holds none of its {extent} elements",
                    argument=name,
                )
        # The length may depend on a symbol, as that of any window; the ends may not lie outside.
        for slack, name in ((start, "start"), (extent - stop, "stop")):
            lowest = least(slack)
            if lowest is None or lowest < 0:
                raise OpError(
                    "CNN207",
                    f"whether slice {written} lies within axis {self.axis} of {x} depends on "
                    f"the symbolic size {extent}",
                    help="count from the other end, or give the size with --set",
                    argument=name,
                )
        return x.with_shape(
            *x.shape[: self.axis], ceil_div(length, self.step), *x.shape[self.axis + 1 :]
        )

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        axes: list[AxisReach] = [Window()] * len(inputs[0].spatial)
        if self.axis >= 2:
            start, _ = self.bounds(inputs[0].shape[self.axis])
            if isinstance(start, Dim):
                raise OpError("CNN207", f"where the slice starts depends on the symbolic {start}")
            axes[self.axis - 2] = Window(stride=self.step, before=-start)
        return PerAxis(tuple(axes))

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        return x[self._taken(x)].copy()

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        result = np.zeros(inputs[0].shape)
        result[self._taken(result)] = gradient
        return (result,)

    def _taken(self, x: Array) -> tuple[slice, ...]:
        start, stop = self.bounds(x.shape[self.axis])
        return (slice(None),) * self.axis + (slice(start, stop, self.step),)


def _explicit(keyword: str, argument: str, padding: Padding, x: TensorType) -> Explicit:
    """Return numbers of elements per side, or raise OpError for the words same, valid, causal."""
    if not isinstance(padding, Explicit):
        raise OpError(
            "CNN306",
            f"{keyword} needs {argument} in numbers, got {padding}",
            help=f"{keyword}(1) means 1 at every side, {keyword}(((0, 1), (2, 2))) gives "
            "(before, after) for each axis",
            argument=argument,
        )
    check_padding(keyword, padding, len(x.spatial), argument)
    return padding


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(DataMovement):
    """The map without a margin: so many elements fewer before and after on each spatial axis."""

    keyword: ClassVar[str] = "crop"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "h = x -> conv3x3(8, padding=valid) -> relu\n"
        "output y = h + (x -> crop(1))\n"
    )

    margin: Padding = argument("elements cut off, by number: for all sides, or per side")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_map(self.keyword, x)
        spatial: list[Extent] = []
        for axis, (low, high) in enumerate(_explicit(self.keyword, "margin", self.margin, x).pairs):
            size = x.spatial[axis] - (low + high)
            if isinstance(size, int) and size < 1:
                raise OpError(
                    "CNN204",
                    f"crop cuts {low + high} positions off spatial axis {axis} of {x}, "
                    f"which has only {x.spatial[axis]}",
                    argument="margin",
                )
            spatial.append(size)
        return x.with_shape(x.batch, x.channels, *spatial)

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        pairs = _explicit(self.keyword, "margin", self.margin, inputs[0]).pairs
        return PerAxis(tuple(Window(before=-low) for low, _ in pairs))

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        assert isinstance(self.margin, Explicit)
        return crop_spatial(x, self.margin.pairs).copy()

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        assert isinstance(self.margin, Explicit)
        return (pad_spatial(gradient.astype(np.float64), self.margin.pairs),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(DataMovement):
    """The map with a margin around it on the spatial axes.

    mode=zero fills it with `value`, mode=reflect mirrors the map at its outermost elements (which
    are not repeated, so the map must be larger than the margin), mode=edge repeats them.
    """

    keyword: ClassVar[str] = "pad"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 3, 16, 16]\n"
        'output y = x -> pad(3, mode="reflect") -> conv7x7(8, padding=valid)\n'
    )

    amount: Padding = argument("elements added, by number: for all sides, or per side")
    mode: str = argument(
        "what the margin holds", default="zero", choices=("zero", "reflect", "edge")
    )
    value: float = argument("what mode=zero fills in", default=0.0)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_map(self.keyword, x)
        pairs = _explicit(self.keyword, "amount", self.amount, x).pairs
        if self.value != 0 and self.mode != "zero":
            raise OpError(
                "CNN307",
                f"pad with mode={self.mode} takes its values from the map, so value={self.value} "
                "would have no effect",
                help="leave out value, or use mode=zero",
                argument="value",
            )
        if self.mode == "reflect":
            for axis, pair in enumerate(pairs):
                self._check_mirror(x, axis, max(pair))
        spatial = (e + (low + high) for e, (low, high) in zip(x.spatial, pairs, strict=True))
        return x.with_shape(x.batch, x.channels, *spatial)

    def _check_mirror(self, x: TensorType, axis: int, amount: int) -> None:
        extent = x.spatial[axis]
        lowest = least(extent)
        if lowest is not None and lowest > amount:
            return
        if isinstance(extent, int):
            raise OpError(
                "CNN211",
                f"pad mirrors {amount} elements beyond the edge, but spatial axis {axis} of {x} "
                f"has only {extent}",
                help=f"mirror at most {extent - 1}, or use mode=edge",
                argument="amount",
            )
        raise OpError(
            "CNN207",
            f"pad mirrors {amount} elements beyond the edge, and whether spatial axis {axis} has "
            f"more than that depends on the symbolic size {extent}",
            help=f"declare the extent as a multiple, `{amount + 1}*h`, or give it with --set",
            argument="amount",
        )

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        pairs = _explicit(self.keyword, "amount", self.amount, inputs[0]).pairs
        axes: list[AxisReach] = []
        for low, _ in pairs:
            if self.mode == "reflect":
                axes.append(Reflected(low))
            elif self.mode == "edge":
                axes.append(Mapped(1, 1, -low))
            else:
                axes.append(Window(before=low))
        return PerAxis(tuple(axes))

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        assert isinstance(self.amount, Explicit)
        pads = ((0, 0), (0, 0), *self.amount.pairs)
        if self.mode == "reflect":
            return np.pad(x, pads, mode="reflect")
        if self.mode == "edge":
            return np.pad(x, pads, mode="edge")
        return np.pad(x, pads, constant_values=self.value)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        assert isinstance(self.amount, Explicit)
        if self.mode == "zero":
            return (crop_spatial(gradient.astype(np.float64), self.amount.pairs),)
        return gathered(self, inputs[0], gradient)
