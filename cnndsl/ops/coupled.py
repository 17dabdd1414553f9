"""Activations that couple elements: softmax, and the gated linear unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Op, OpError, PerAxis, Reach, argument
from cnndsl.ops.checks import known_channels, require_axis, require_float
from cnndsl.ops.function import sigmoid
from cnndsl.ops.reach import Everything, Window
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent, product
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Op):
    """Normalised exponentials along an axis: exp(x) / sum(exp(x)); axis 1 is the channels."""

    keyword: ClassVar[str] = "softmax"
    other_operations_rule: ClassVar[str] = (
        "a subtraction, exp and a division per element; n - 1 comparisons and n - 1 additions for "
        "every n elements that sum to one"
    )
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "output y = x -> global_avgpool -> dense(10) -> softmax\n"
    )

    axis: int = argument("axis that sums to one", default=1, minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        require_axis(self.keyword, x, self.axis)
        return x

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return PerAxis(
            tuple(
                Everything() if i + 2 == self.axis else Window()
                for i in range(len(inputs[0].spatial))
            )
        )

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        (x,) = inputs
        lines = product((*x.shape[: self.axis], *x.shape[self.axis + 1 :]))
        return x.elements * 5 - lines * 2

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        x = inputs[0].astype(np.float64)
        # Subtracting the largest element changes nothing but keeps exp from overflowing.
        powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
        result: Array = powers / powers.sum(axis=self.axis, keepdims=True)
        return result.astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        y = self.evaluate([inputs[0].astype(np.float64)], params)
        return (y * (gradient - (gradient * y).sum(axis=self.axis, keepdims=True)),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Glu(Op):
    """Gated linear unit: splits the channels into halves a and b, returns a * sigmoid(b)."""

    keyword: ClassVar[str] = "glu"
    other_operations_rule: ClassVar[str] = (
        "4 per output element: those of sigmoid and a multiplication"
    )
    example: ClassVar[str] = (
        "network example\ninput x: float32[N, 8, 16, 16]\noutput y = x -> conv3x3(16) -> glu\n"
    )

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        channels = known_channels(self.keyword, x)
        if channels % 2:
            raise OpError(
                "CNN209",
                f"glu halves the channels, but {x} has {channels}",
                help="give the layer before it twice the channels wanted",
            )
        return x.with_shape(x.batch, channels // 2, *x.spatial)

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return self.infer(inputs).elements * 4

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        value, gate = np.split(inputs[0].astype(np.float64), 2, axis=1)
        return (value * sigmoid(gate)).astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        value, gate = np.split(inputs[0].astype(np.float64), 2, axis=1)
        opened = sigmoid(gate)
        of_gate = gradient * value * opened * (1 - opened)
        return (np.concatenate([gradient * opened, of_gate], axis=1),)
