"""A tensor in a file: described by the file's header, read when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from cnndsl.ops.base import Array

FLOATS: Final = ("float16", "bfloat16", "float32", "float64")
"""The dtypes that can be converted to float32."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredTensor:
    """A tensor of a weights file, under its name there.

    `dtype` is what the file stores ("float16", "bfloat16", "int64"); `read` returns the array of
    that dtype, of bfloat16 as float32. What a header claims was compared with the file already, so
    that `read` takes time and memory in proportion to it. `is_constant` says that the file uses it
    as something else than a layer's weights.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Array]
    is_constant: bool = False

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS


def stored(name: str, array: Array) -> StoredTensor:
    """Return an array as a stored tensor."""
    return StoredTensor(name, array.dtype.name, array.shape, lambda: array)


def widened(halves: Array) -> Array:
    """Return bfloat16 values, given as their 16 bits, in float32: the upper half of its bits."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


class OutOfRange(Exception):  # noqa: N818 - the name says what is wrong
    """A finite number of a tensor has no finite counterpart in the dtype asked for.

    `reason` completes a sentence about the tensor, as the message does with "it".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"it {reason}")
        self.reason = reason


def converted(array: Array, dtype: str) -> Array:
    """Return an array of floats in another dtype, rounded to nearest.

    Raises OutOfRange for a finite number that would become infinite.
    """
    if array.dtype.name == dtype:
        return array
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    if np.dtype(dtype).itemsize < array.dtype.itemsize:
        lost = np.isinf(result) & np.isfinite(array)
        if lost.any():
            raise OutOfRange(f"holds {array[lost].flat[0]:g}, which {dtype} cannot hold")
    return result
