"""A producer with what follows it: residual addition and activation in one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Op, OpError, ParameterSpec, Reach
from cnndsl.ops.reach import identity_reach
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Fused(Op):
    """activation(base(operands) + residual), made by fusion; in each part the type stays.

    The operands are those of `base`; with `residual` one more, the last, is added to its result.
    The parameters are those of `base`: the activation has none of its own.
    """

    arity: ClassVar[int | None] = None
    other_operations_rule: ClassVar[str] = (
        "those of its parts, and 1 addition per element with a residual"
    )

    base: Op
    residual: bool = False
    activation: Op | None = None

    def _split(self, inputs: Sequence[TensorType]) -> tuple[Sequence[TensorType], TensorType]:
        """Return the operands of `base` and the type of its result."""
        own = inputs[:-1] if self.residual else inputs
        return own, self.base.infer(own)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        result = self._split(inputs)[1]
        if self.residual and inputs[-1] != result:
            raise OpError(
                "CNN205",
                f"a residual of type {inputs[-1]} cannot be added to a result of type {result}",
            )
        if self.activation is None:
            return result
        if self.activation.parameters([result]):
            raise OpError(
                "CNN702", f"{type(self.activation).__name__} owns parameters and cannot be fused"
            )
        activated = self.activation.infer([result])
        if activated != result:
            raise OpError(
                "CNN702", f"{type(self.activation).__name__} changes the type and cannot be fused"
            )
        return activated

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        return self.base.parameters(self._split(inputs)[0])

    def weight_elements_read(self, inputs: Sequence[TensorType]) -> Extent:
        return self.base.weight_elements_read(self._split(inputs)[0])

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        return self.base.macs(self._split(inputs)[0])

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        own, result = self._split(inputs)
        total = self.base.other_operations(own)
        if self.residual:
            total = total + result.elements
        if self.activation is not None:
            total = total + self.activation.other_operations([result])
        return total

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        own, result = self._split(inputs)
        if operand == len(own):
            return identity_reach(len(result.spatial))
        return self.base.reach(own, operand)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        result = self._before_activation(inputs, params)
        return result if self.activation is None else self.activation.evaluate([result], ())

    def _before_activation(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        own = inputs[:-1] if self.residual else inputs
        result = self.base.evaluate(own, params)
        return result + inputs[-1].astype(result.dtype) if self.residual else result

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        if self.activation is not None:
            before = self._before_activation(inputs, params)
            (gradient,) = self.activation.pullback([before], (), gradient)
        own = inputs[:-1] if self.residual else inputs
        found = self.base.pullback(own, params, gradient)
        return (*found, gradient.astype(np.float64)) if self.residual else found
