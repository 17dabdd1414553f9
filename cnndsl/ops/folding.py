"""Batch-norm folding: the values of weight and bias after the norm is absorbed.

These nodes read parameters only, so they run once, when the weights are loaded. A file of weights
thus always holds the tensors of the source program.

bn(conv(x)) = (w * x + b - mean) * s + beta with s = gamma / sqrt(var + epsilon), so the folded
weight is w * s and the folded bias (b - mean) * s + beta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.adjoint import reads_weights_alone
from cnndsl.ops.base import Array, Op, OpError
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType


def _check_vectors(op: str, vectors: Sequence[TensorType], length: object) -> None:
    for vector in vectors:
        if vector.shape != (length,):
            raise OpError("CNN202", f"{op} takes vectors of {length} channels, got {vector}")


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedWeight(Op):
    """weight * (gamma / sqrt(var + epsilon)) along the output channels.

    Operands: weight, the norm's weight (gamma) and its running_var. `axis` is where the weight has
    its output channels: 0, or 1 for a transposed convolution, where [in, out / groups, kernel...]
    holds the groups one after the other along axis 0.
    """

    arity: ClassVar[int | None] = 3
    other_operations_rule: ClassVar[str] = "none: it runs once, when the weights are loaded"

    axis: int = 0
    groups: int = 1
    epsilon: float = 1e-5

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        weight, gamma, variance = inputs
        channels = weight.shape[self.axis] * (self.groups if self.axis == 1 else 1)
        _check_vectors("FoldedWeight", (gamma, variance), channels)
        return weight

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        weight, gamma, variance = inputs
        scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + self.epsilon)
        if self.axis == 0:
            factors = scale.reshape(-1, *(1,) * (weight.ndim - 1))
        else:
            per_group = np.repeat(
                scale.reshape(self.groups, -1), weight.shape[0] // self.groups, axis=0
            )
            factors = per_group.reshape(*weight.shape[:2], *(1,) * (weight.ndim - 2))
        return (weight.astype(np.float64) * factors).astype(weight.dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        raise reads_weights_alone(self)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedBias(Op):
    """(bias - mean) * gamma / sqrt(var + epsilon) + beta; a missing bias is zero.

    Operands: with `has_bias` the layer's bias; then the norm's weight (gamma), bias (beta),
    running_mean and running_var.
    """

    arity: ClassVar[int | None] = None
    other_operations_rule: ClassVar[str] = "none: it runs once, when the weights are loaded"

    epsilon: float = 1e-5
    has_bias: bool = True

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        if len(inputs) != 4 + self.has_bias:
            raise OpError("CNN311", f"FoldedBias takes {4 + self.has_bias} operands")
        _check_vectors("FoldedBias", inputs, inputs[0].shape[0])
        return inputs[0]

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        gamma, beta, mean, variance = (v.astype(np.float64) for v in inputs[-4:])
        bias = inputs[0].astype(np.float64) if self.has_bias else np.zeros_like(mean)
        scale = gamma / np.sqrt(variance + self.epsilon)
        return ((bias - mean) * scale + beta).astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        raise reads_weights_alone(self)
