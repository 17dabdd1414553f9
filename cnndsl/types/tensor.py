"""The type of a value: dtype and extents, in the order batch, channels, spatial axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from cnndsl.types.extents import Extent, evaluate_extent, product, substitute


class DType(Enum):
    """The element types that programs may use."""

    FLOAT32 = "float32"
    INT32 = "int32"
    INT64 = "int64"

    @property
    def numpy(self) -> np.dtype[np.generic]:
        return np.dtype(self.value)

    @property
    def item_bytes(self) -> int:
        return self.numpy.itemsize

    @property
    def is_float(self) -> bool:
        return self is DType.FLOAT32

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class TensorType:
    """dtype[N, C, spatial...]; a feature vector is [N, C], an index sequence is [N, L]."""

    dtype: DType
    shape: tuple[Extent, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def batch(self) -> Extent:
        return self.shape[0]

    @property
    def channels(self) -> Extent:
        return self.shape[1]

    @property
    def spatial(self) -> tuple[Extent, ...]:
        return self.shape[2:]

    @property
    def elements(self) -> Extent:
        return product(self.shape)

    def with_shape(self, *shape: Extent) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def at(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape for given sizes of the symbols."""
        return tuple(evaluate_extent(e, sizes) for e in self.shape)

    def substitute(self, values: Mapping[str, Extent]) -> TensorType:
        return TensorType(self.dtype, tuple(substitute(e, values) for e in self.shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(e) for e in self.shape)}]"
