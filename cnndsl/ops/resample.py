"""Upsampling by whole factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.adjoint import gathered
from cnndsl.ops.base import Array, Extents, Op, PerAxis, Reach, argument
from cnndsl.ops.checks import require_map
from cnndsl.ops.reach import Interpolated, Mapped, Window
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent, product
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Upsample(Op):
    """Enlarge the map by a whole factor per spatial axis.

    mode=nearest repeats each element; mode=bilinear interpolates linearly along every axis (also
    for one and three axes) between element centres: output o lies at (o + 1/2) / scale - 1/2 of
    the input, clamped at the edges (PyTorch's align_corners=False, ONNX's half_pixel).
    """

    keyword: ClassVar[str] = "upsample"
    other_operations_rule: ClassVar[str] = (
        "bilinear: 3 per element that each axis makes in turn; nearest: none, it moves data only"
    )
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        'output y = x -> upsample(2) -> conv3x3(4) -> upsample(2, mode="bilinear")\n'
    )

    scale: Extents = argument("factor of the spatial extents", minimum=1)
    mode: str = argument(
        "how values between are found", default="nearest", choices=("nearest", "bilinear")
    )

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_map(self.keyword, x)
        spatial = (e * s for e, s in zip(x.spatial, self.scale, strict=True))
        return x.with_shape(x.batch, x.channels, *spatial)

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        if self.mode == "nearest":
            return PerAxis(tuple(Mapped(1, s) if s > 1 else Window() for s in self.scale))
        return PerAxis(tuple(Interpolated(s) for s in self.scale))

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        (x,) = inputs
        if self.mode == "nearest":
            return 0
        total: Extent = 0
        shape = list(x.shape)
        for axis, scale in enumerate(self.scale, 2):
            shape[axis] = shape[axis] * scale
            total = total + product(tuple(shape)) * 3
        return total

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        if self.mode == "nearest":
            for axis, scale in enumerate(self.scale, 2):
                x = np.repeat(x, scale, axis=axis)
            return x
        result = x.astype(np.float64)
        for axis, scale in enumerate(self.scale, 2):
            result = _interpolate(result, axis, scale)
        return result.astype(x.dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        if self.mode == "nearest":
            return gathered(self, inputs[0], gradient)
        result = gradient.astype(np.float64)
        for axis, scale in enumerate(self.scale, 2):
            result = _interpolate_back(result, axis, scale)
        return (result,)


def _neighbours(extent: int, scale: int) -> tuple[Array, Array, Array]:
    """Return, for every output position, the input below, the input above, and its share."""
    place = (np.arange(extent * scale) + 0.5) / scale - 0.5
    first = np.floor(place).astype(np.int64)
    below, above = (np.clip(first + side, 0, extent - 1) for side in (0, 1))
    return below, above, place - first


def _interpolate(x: Array, axis: int, scale: int) -> Array:
    """Interpolate linearly along one axis."""
    below, above, share = _neighbours(x.shape[axis], scale)
    share = share.reshape(-1, *(1,) * (x.ndim - axis - 1))
    result: Array = x.take(below, axis) * (1 - share) + x.take(above, axis) * share
    return result


def _interpolate_back(gradient: Array, axis: int, scale: int) -> Array:
    """Give each input along an axis its shares of the gradients of the outputs it is part of."""
    extent = gradient.shape[axis] // scale
    below, above, share = _neighbours(extent, scale)
    sources = np.moveaxis(gradient, axis, -1)
    weights = np.zeros((len(share), extent))
    np.add.at(weights, (np.arange(len(share)), below), 1 - share)
    np.add.at(weights, (np.arange(len(share)), above), share)
    return np.moveaxis(sources @ weights, -1, axis)
