"""Flatten, reshape, and concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, DataMovement, OpError, PerAxis, Reach, argument
from cnndsl.ops.checks import divide_exactly, require_axis, require_float
from cnndsl.ops.reach import AxisReach, Whole, Window
from cnndsl.ops.registry import register
from cnndsl.types.extents import Dim, Extent, product
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(DataMovement):
    """All elements of a sample as one feature vector: [N, C, spatial...] becomes [N, C * ...]."""

    keyword: ClassVar[str] = "flatten"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 4, 4]\n"
        "output y = x -> conv3x3(8) -> relu -> flatten -> dense(10)\n"
    )

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        return x.with_shape(x.batch, product(x.shape[1:]))

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return Whole()

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        return x.reshape(x.shape[0], -1)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (gradient.astype(np.float64).reshape(inputs[0].shape),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(DataMovement):
    """The same elements, in the same order, under another shape; the batch stays.

    One extent may be -1: it becomes what the others leave. Written reshape(8, 4, 4) or
    reshape(shape=(8, 4, 4)).
    """

    keyword: ClassVar[str] = "reshape"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 16]\n"
        "output y = x -> dense(128) -> reshape(8, 4, 4) -> conv3x3(3)\n"
    )

    shape: tuple[int, ...] = argument(
        "extents of a sample: channels, then spatial axes", minimum=-1, variadic=True
    )

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        open_axes = self.shape.count(-1)
        if not self.shape or open_axes > 1 or any(e < 1 and e != -1 for e in self.shape):
            raise OpError(
                "CNN307",
                "reshape takes extents of at least 1, one of which may be -1, "
                f"got ({', '.join(map(str, self.shape))})",
                argument="shape",
            )
        elements = product(x.shape[1:])
        known = product(tuple(e for e in self.shape if e != -1))
        assert isinstance(known, int)
        if open_axes:
            rest = self._rest(x, elements, known)
            return x.with_shape(x.batch, *(rest if e == -1 else e for e in self.shape))
        if isinstance(elements, Dim):
            raise OpError(
                "CNN207",
                f"reshape to {known} elements cannot be shown to fit {x}, "
                f"which has {elements} in each sample",
                help="leave one extent open with -1, or give the sizes with --set",
                argument="shape",
            )
        if elements != known:
            raise OpError(
                "CNN208",
                f"reshape to ({', '.join(map(str, self.shape))}) takes {known} elements in each "
                f"sample, but {x} has {elements}",
                help="-1 for one extent stands for what the others leave",
                argument="shape",
            )
        return x.with_shape(x.batch, *self.shape)

    def _rest(self, x: TensorType, elements: Extent, known: int) -> Extent:
        if isinstance(elements, int) and elements % known:
            raise OpError(
                "CNN208",
                f"reshape to ({', '.join(map(str, self.shape))}) needs a multiple of {known} "
                f"elements in each sample, but {x} has {elements}",
                argument="shape",
            )
        return divide_exactly(self.keyword, "the elements of a sample", elements, known, "shape")

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return Whole()

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        return x.reshape(x.shape[0], *self.shape)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (gradient.astype(np.float64).reshape(inputs[0].shape),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Concat(DataMovement):
    """Operands one after the other along an axis; also written [a, b] in a chain.

    Axis 1 is the channels, 2 and up the spatial axes. All other extents are equal.
    """

    keyword: ClassVar[str] = "concat"
    arity: ClassVar[int | None] = None
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "a = x -> conv1x1(4)\n"
        "b = x -> conv3x3(4)\n"
        "output y = (a, b, x) -> concat -> relu\n"
    )

    axis: int = argument("axis that grows", default=1, minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        first = inputs[0]
        for x in inputs:
            require_float(self.keyword, x)
        require_axis(self.keyword, first, self.axis)
        for number, x in enumerate(inputs[1:], 2):
            if x.rank != first.rank:
                raise OpError(
                    "CNN206",
                    f"concat takes operands of one rank, but operand 1 is {first} "
                    f"and operand {number} is {x}",
                )
            for axis, (m, n) in enumerate(zip(first.shape, x.shape, strict=True)):
                if axis != self.axis and m != n:
                    symbolic = isinstance(m, Dim) or isinstance(n, Dim)
                    raise OpError(
                        "CNN206",
                        f"concat along axis {self.axis} needs equal extents on the other axes, "
                        f"but on axis {axis} operand 1, {first}, has {m} "
                        f"and operand {number}, {x}, has {n}",
                        help="use one symbol for both, or give the sizes with --set"
                        if symbolic
                        else "`crop` the larger, or choose strides and padding that agree",
                    )
        total: Extent = 0
        for x in inputs:
            total = total + x.shape[self.axis]
        return first.with_shape(*first.shape[: self.axis], total, *first.shape[self.axis + 1 :])

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        axes: list[AxisReach] = [Window()] * len(inputs[0].spatial)
        if self.axis >= 2:
            before: Extent = 0
            for x in inputs[:operand]:
                before = before + x.shape[self.axis]
            if isinstance(before, Dim):
                raise OpError(
                    "CNN207", f"where an operand of concat starts depends on the symbolic {before}"
                )
            axes[self.axis - 2] = Window(before=before)
        return PerAxis(tuple(axes))

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        return np.concatenate(inputs, axis=self.axis)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        ends = np.cumsum([x.shape[self.axis] for x in inputs])
        return tuple(np.split(gradient.astype(np.float64), ends[:-1], axis=self.axis))
