"""Elementwise arithmetic: two operands, or one operand and numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.adjoint import summed_to
from cnndsl.ops.base import Array, Op, OpError, PerAxis, Reach, argument
from cnndsl.ops.checks import require_float
from cnndsl.ops.reach import AxisReach, Mapped, Window
from cnndsl.ops.registry import register
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.tensor import TensorType


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Op):
    """An op on two operands of one shape, but that a spatial extent of 1 is repeated."""

    arity: ClassVar[int | None] = 2
    other_operations_rule: ClassVar[str] = "1 per output element"
    symbol: ClassVar[str] = ""

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        a, b = inputs
        require_float(self.keyword, a)
        require_float(self.keyword, b)
        if a.rank != b.rank:
            deeper, flat = (a, b) if a.rank > b.rank else (b, a)
            raise OpError(
                "CNN205",
                f"{self.keyword} takes two operands of one shape, got {a} and {b}",
                help="`global_avgpool(keep_axes=true)` keeps the spatial axes"
                if flat.rank == 2 and deeper.rank > 2
                else None,
            )
        shape = []
        for axis, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)):
            if m != n and not (axis >= 2 and 1 in (m, n)):
                raise OpError(
                    "CNN205",
                    f"{self.keyword} takes two operands of one shape, got {a} and {b}: "
                    f"{_axis_name(axis)} is {m} and {n}",
                    help=_mend(axis, isinstance(m, Dim) or isinstance(n, Dim)),
                )
            shape.append(n if m == 1 else m)
        return a.with_shape(*shape)

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        result = self.infer(inputs)
        axes: list[AxisReach] = [
            # Clamped to the only position, an extent of 1 is read by every output.
            Window() if mine == whole else Mapped(1, 1)
            for mine, whole in zip(inputs[operand].spatial, result.spatial, strict=True)
        ]
        return PerAxis(tuple(axes))

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return self.infer(inputs).elements

    @abstractmethod
    def combine(self, a: Array, b: Array) -> Array:
        """Return the result for float64 operands."""

    @abstractmethod
    def partials(self, a: Array, b: Array, gradient: Array) -> tuple[Array, Array]:
        """Return the gradient times the derivatives by a and by b, before repeats are summed."""

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        a, b = inputs
        return self.combine(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        a, b = (x.astype(np.float64) for x in inputs)
        of_a, of_b = self.partials(a, b, gradient.astype(np.float64))
        return summed_to(a.shape, of_a), summed_to(b.shape, of_b)


def _axis_name(axis: int) -> str:
    return ("the batch", "the number of channels")[axis] if axis < 2 else f"spatial axis {axis - 2}"


def _mend(axis: int, symbolic: bool) -> str:
    if axis == 1:
        return "a `conv1x1(channels)` on one operand makes the channels equal"
    if symbolic:
        return "use one symbol for both inputs, or give the sizes with --set"
    return "`crop` the larger operand, or choose strides and padding that give equal sizes"


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Binary):
    """Sum of two tensors, element by element; also written a + b.

    Shapes are equal, except that a spatial extent of 1 is repeated.
    """

    keyword: ClassVar[str] = "add"
    symbol: ClassVar[str] = "+"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "h = x -> conv3x3(8) -> relu\n"
        "output y = (x, h) -> add\n"
    )

    def combine(self, a: Array, b: Array) -> Array:
        return a + b

    def partials(self, a: Array, b: Array, gradient: Array) -> tuple[Array, Array]:
        return gradient, gradient


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Sub(Binary):
    """Difference of two tensors, element by element; also written a - b.

    Shapes are equal, except that a spatial extent of 1 is repeated.
    """

    keyword: ClassVar[str] = "sub"
    symbol: ClassVar[str] = "-"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "h = x -> avgpool3x3(stride=1)\n"
        "output y = (x, h) -> sub\n"
    )

    def combine(self, a: Array, b: Array) -> Array:
        return a - b

    def partials(self, a: Array, b: Array, gradient: Array) -> tuple[Array, Array]:
        return gradient, -gradient


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Mul(Binary):
    """Product of two tensors, element by element; also written a * b.

    Shapes are equal, except that a spatial extent of 1 is repeated: a gate of [N, C, 1, 1] scales
    the channels of a map.
    """

    keyword: ClassVar[str] = "mul"
    symbol: ClassVar[str] = "*"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "gate = x -> global_avgpool(keep_axes=true) -> conv1x1(8) -> sigmoid\n"
        "output y = (x, gate) -> mul\n"
    )

    def combine(self, a: Array, b: Array) -> Array:
        return a * b

    def partials(self, a: Array, b: Array, gradient: Array) -> tuple[Array, Array]:
        return gradient * b, gradient * a


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Affine(Op):
    """x * scale + shift with two numbers: what tensor + 1, 2 * tensor and the like mean."""

    other_operations_rule: ClassVar[str] = (
        "a multiplication and an addition per element, where they change anything"
    )

    scale: float = argument("factor", default=1.0)
    shift: float = argument("addend", default=0.0)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float("arithmetic with a number", x, 0)
        return x

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements * ((self.scale != 1) + (self.shift != 0))

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        return (x.astype(np.float64) * self.scale + self.shift).astype(x.dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (gradient.astype(np.float64) * self.scale,)
