"""What every function of one element has, and the logistic function that several are made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Op
from cnndsl.ops.checks import require_float
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise(Op):
    """An op that maps every element by itself: the result has the operand's type."""

    operations_per_element: ClassVar[int]
    """How many operations `other_operations_rule` names."""

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        return x

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements * self.operations_per_element

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """Return the function's values for float64 elements."""

    @abstractmethod
    def derivative(self, x: Array) -> Array:
        """Return the function's derivatives at float64 elements; `pullback` says which at kinks."""

    def flat_ends(self) -> tuple[float, float]:
        """Return up to where, and from where on, the function is constant: its slope is zero."""
        return -inf, inf

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        return self.apply(inputs[0].astype(np.float64)).astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (gradient * self.derivative(inputs[0].astype(np.float64)),)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    # exp of a negative number only, so that nothing overflows.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
