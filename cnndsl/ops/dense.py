"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Op, OpError, ParameterSpec, Reach, argument
from cnndsl.ops.checks import known_channels, require_float
from cnndsl.ops.reach import Whole
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(Op):
    """Fully connected layer: y = weight @ x + bias for each feature vector of the batch.

    Takes [N, features], so a map is flattened or pooled first. Weight: [out_features,
    in_features]. The bias follows the rule of `conv`.
    """

    keyword: ClassVar[str] = "dense"
    macs_rule: ClassVar[str] = "in_features x out_features"
    other_operations_rule: ClassVar[str] = "1 addition per output element with a bias"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 4, 4]\n"
        "output y = x -> flatten -> dense(64) -> relu -> dense(10)\n"
    )

    out_features: int = argument("number of output features", minimum=1)
    bias: bool | None = argument("add a bias per output feature", default=None)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x, 0)
        if x.rank != 2:
            raise OpError(
                "CNN202",
                f"dense takes feature vectors [N, C], got {x}",
                help="put `flatten` or `global_avgpool` before it",
            )
        known_channels(self.keyword, x)
        return x.with_shape(x.batch, self.out_features)

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        features = known_channels(self.keyword, inputs[0])
        weight = ParameterSpec(
            "weight", (self.out_features, features), fan_in=features, fan_out=self.out_features
        )
        bias = ParameterSpec("bias", (self.out_features,), fill=0.0)
        return (weight,) if self.bias is False else (weight, bias)

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements * self.out_features

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0 if self.bias is False else self.infer(inputs).elements

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return Whole()

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        result = inputs[0].astype(np.float64) @ params[0].astype(np.float64).T
        if len(params) > 1:
            result += params[1]
        return result.astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (gradient.astype(np.float64) @ params[0].astype(np.float64),)
