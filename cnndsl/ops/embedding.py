"""Embedding: whole numbers to feature vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, DataMovement, OpError, ParameterSpec, Reach, argument
from cnndsl.ops.reach import identity_reach
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import DType, TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding(DataMovement):
    """Look up a learned vector for every whole number: int[N, L...] to float32[N, features, L...].

    Numbers lie in 0 to entries - 1; any other is an error when the network runs. Weight: [entries,
    features].
    """

    keyword: ClassVar[str] = "embedding"
    example: ClassVar[str] = (
        "network example\n"
        "input words: int64[N, 128]\n"
        "output y = words -> embedding(1000, 16) -> conv3(32) -> relu -> global_maxpool\n"
    )

    entries: int = argument("how many numbers have a vector", minimum=1)
    features: int = argument("length of a vector", minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        if x.dtype.is_float:
            raise OpError(
                "CNN202",
                f"embedding takes int32 or int64 values, got {x}",
                help="declare the input as int64[N, L]",
            )
        if x.rank < 1:
            raise OpError("CNN202", f"embedding needs a batch axis, got {x}")
        return TensorType(DType.FLOAT32, (x.shape[0], self.features, *x.shape[1:]))

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        # A vector is looked up, not summed over entries: its elements are as large as if it came
        # from a layer of `features` inputs.
        return (
            ParameterSpec(
                "weight",
                (self.entries, self.features),
                fan_in=self.features,
                fan_out=self.features,
            ),
        )

    def weight_elements_read(self, inputs: Sequence[TensorType]) -> Extent:
        """Return the elements of the vectors looked up: the rest of the table stays unread."""
        return self.infer(inputs).elements

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return identity_reach(inputs[0].rank - 1)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (numbers,) = inputs
        outside = (numbers < 0) | (numbers >= self.entries)
        if outside.any():
            raise IndexError(
                f"embedding has entries 0 to {self.entries - 1}, got {numbers[outside][0]}"
            )
        return np.moveaxis(params[0][numbers], -1, 1)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (np.zeros(inputs[0].shape),)
