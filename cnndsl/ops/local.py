"""Locally connected layer: a convolution whose weights differ from place to place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Extents, Op, OpError, ParameterSpec, Reach, argument
from cnndsl.ops.checks import known_channels
from cnndsl.ops.registry import register
from cnndsl.ops.windows import (
    crop_spatial,
    output_spatial,
    pad_spatial,
    require_spatial,
    slide,
    window_pads,
    window_reach,
)
from cnndsl.types.extents import Dim, Extent, product
from cnndsl.types.padding import Padding, Same
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class LocallyConnected(Op):
    """Locally connected layer: like `conv`, with a kernel of its own for every output position.

    The spatial extents must be known, since the weights depend on them. Weight: [out spatial...,
    out_channels, in_channels, kernel...]; bias: [out_channels, out spatial...]. The bias follows
    the rule of `conv`.
    """

    keyword: ClassVar[str] = "local"
    macs_rule: ClassVar[str] = "out_channels x output positions x in_channels x kernel elements"
    other_operations_rule: ClassVar[str] = "1 addition per output element with a bias"
    kernel_suffix: ClassVar[bool] = True
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 3, 16, 16]\n"
        "output y = x -> conv3x3(8, stride=2) -> relu -> local3x3(4, padding=valid)\n"
    )

    out_channels: int = argument("number of output channels", minimum=1)
    stride: Extents = argument("step between windows", default=(1,), minimum=1)
    padding: Padding = argument("zeros around the input", default=Same())
    bias: bool | None = argument("add a bias per output channel and position", default=None)
    kernel: Extents = argument("extent of the kernel", minimum=1)

    @property
    def _undilated(self) -> Extents:
        return (1,) * len(self.kernel)

    def _output(self, x: TensorType) -> tuple[int, ...]:
        known: list[int] = []
        for axis, extent in enumerate(
            output_spatial(self.keyword, x, self.kernel, self.stride, self._undilated, self.padding)
        ):
            if isinstance(extent, Dim):
                raise OpError(
                    "CNN207",
                    f"local has weights for every position, so it needs known sizes; "
                    f"spatial axis {axis} of its output is {extent}",
                    help="give the size with --set, or use `conv`",
                )
            known.append(extent)
        return tuple(known)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_spatial(self.keyword, x, self.kernel)
        known_channels(self.keyword, x)
        return x.with_shape(x.batch, self.out_channels, *self._output(x))

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        (x,) = inputs
        channels = known_channels(self.keyword, x)
        spatial = self._output(x)
        taps = prod(self.kernel)
        weight = ParameterSpec(
            "weight",
            (*spatial, self.out_channels, channels, *self.kernel),
            fan_in=channels * taps,
            fan_out=self.out_channels * taps,
        )
        bias = ParameterSpec("bias", (self.out_channels, *spatial), fill=0.0)
        return (weight,) if self.bias is False else (weight, bias)

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        channels = known_channels(self.keyword, inputs[0])
        return product(self.infer(inputs).shape) * (channels * prod(self.kernel))

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0 if self.bias is False else self.infer(inputs).elements

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return window_reach(inputs[0], self.kernel, self.stride, self._undilated, self.padding)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        pads = window_pads(x.shape[2:], self.kernel, self.stride, self._undilated, self.padding)
        padded = pad_spatial(x.astype(np.float64), pads)
        out = params[0].shape[: len(self.kernel)]
        places = prod(out)
        batch, channels = x.shape[:2]
        weight = params[0].astype(np.float64)
        weight = weight.reshape(places, self.out_channels, channels, *self.kernel)
        result = np.zeros((batch, self.out_channels, places))
        for at in np.ndindex(*self.kernel):
            seen = slide(padded, out, self.stride, self._undilated, at)
            seen = seen.reshape(batch, channels, places)
            # p: place, o: output channel, c: input channel, b: sample.
            result += np.einsum("poc,bcp->bop", weight[(..., *at)], seen, optimize=True)
        result = result.reshape(batch, self.out_channels, *out)
        if len(params) > 1:
            result += params[1]
        return result.astype(x.dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        (x,) = inputs
        pads = window_pads(x.shape[2:], self.kernel, self.stride, self._undilated, self.padding)
        out = gradient.shape[2:]
        places = prod(out)
        batch, channels = x.shape[:2]
        weight = params[0].astype(np.float64)
        weight = weight.reshape(places, self.out_channels, channels, *self.kernel)
        sources = gradient.astype(np.float64).reshape(batch, self.out_channels, places)
        spread = pad_spatial(np.zeros(x.shape), pads)
        for at in np.ndindex(*self.kernel):
            term = np.einsum("poc,bop->bcp", weight[(..., *at)], sources, optimize=True)
            reached = slide(spread, out, self.stride, self._undilated, at)
            reached += term.reshape(reached.shape)
        return (crop_spatial(spread, pads),)
