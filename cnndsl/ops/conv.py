"""Convolution and depthwise convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Extents, Op, ParameterSpec, Reach, argument
from cnndsl.ops.checks import known_channels, require_groups
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
from cnndsl.types.extents import Extent, product
from cnndsl.types.padding import Padding, Same
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Conv(Op):
    """Convolution (cross-correlation): every output channel sums kernel x input over a window.

    Channels are split into `groups`, each convolved on its own. Weight: [out_channels,
    in_channels / groups, kernel...]. The bias is left out by default when a batch norm is the
    only reader of the result, because the norm would cancel it.
    """

    keyword: ClassVar[str] = "conv"
    macs_rule: ClassVar[str] = (
        "out_channels x output positions x in_channels / groups x kernel elements"
    )
    other_operations_rule: ClassVar[str] = "1 addition per output element with a bias"
    kernel_suffix: ClassVar[bool] = True
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 3, 32, 32]\n"
        "output y = x -> conv3x3(8, stride=2) -> relu -> conv1x7(8, padding=same)\n"
    )

    out_channels: int = argument("number of output channels", minimum=1)
    stride: Extents = argument("step between windows", default=(1,), minimum=1)
    padding: Padding = argument("zeros around the input", default=Same())
    dilation: Extents = argument(
        "distance between kernel elements", default=(1,), minimum=1, aliases=("rate",)
    )
    groups: int = argument("number of channel groups", default=1, minimum=1)
    bias: bool | None = argument("add a bias per output channel", default=None)
    kernel: Extents = argument("extent of the kernel", minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_spatial(self.keyword, x, self.kernel)
        channels = known_channels(self.keyword, x)
        require_groups(self.keyword, self.groups, input=channels, output=self.out_channels)
        spatial = output_spatial(
            self.keyword, x, self.kernel, self.stride, self.dilation, self.padding
        )
        return x.with_shape(x.batch, self.out_channels, *spatial)

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        per_group = known_channels(self.keyword, inputs[0]) // self.groups
        taps = prod(self.kernel)
        weight = ParameterSpec(
            "weight",
            (self.out_channels, per_group, *self.kernel),
            fan_in=per_group * taps,
            fan_out=self.out_channels // self.groups * taps,
        )
        bias = ParameterSpec("bias", (self.out_channels,), fill=0.0)
        return (weight,) if self.bias is False else (weight, bias)

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        per_group = known_channels(self.keyword, inputs[0]) // self.groups
        return product(self.infer(inputs).shape) * (per_group * prod(self.kernel))

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0 if self.bias is False else self.infer(inputs).elements

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return window_reach(inputs[0], self.kernel, self.stride, self.dilation, self.padding)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        return convolve(
            inputs[0],
            params[0],
            params[1] if len(params) > 1 else None,
            self.kernel,
            self.stride,
            self.dilation,
            self.padding,
            self.groups,
        )

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (
            convolve_back(
                inputs[0].shape,
                params[0],
                gradient,
                self.kernel,
                self.stride,
                self.dilation,
                self.padding,
                self.groups,
            ),
        )


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConv(Op):
    """Depthwise convolution: every channel has its own kernel(s) and sees no other channel.

    The result has `multiplier` channels for each input channel. Weight: [channels * multiplier,
    1, kernel...]. The bias follows the rule of `conv`.
    """

    keyword: ClassVar[str] = "dwconv"
    macs_rule: ClassVar[str] = "output channels x output positions x kernel elements"
    other_operations_rule: ClassVar[str] = "1 addition per output element with a bias"
    kernel_suffix: ClassVar[bool] = True
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "output y = x -> dwconv3x3(stride=2) -> bn -> relu -> conv1x1(16)\n"
    )

    stride: Extents = argument("step between windows", default=(1,), minimum=1)
    padding: Padding = argument("zeros around the input", default=Same())
    dilation: Extents = argument(
        "distance between kernel elements", default=(1,), minimum=1, aliases=("rate",)
    )
    multiplier: int = argument("output channels for each input channel", default=1, minimum=1)
    bias: bool | None = argument("add a bias per output channel", default=None)
    kernel: Extents = argument("extent of the kernel", minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_spatial(self.keyword, x, self.kernel)
        channels = known_channels(self.keyword, x) * self.multiplier
        spatial = output_spatial(
            self.keyword, x, self.kernel, self.stride, self.dilation, self.padding
        )
        return x.with_shape(x.batch, channels, *spatial)

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        channels = known_channels(self.keyword, inputs[0]) * self.multiplier
        taps = prod(self.kernel)
        weight = ParameterSpec(
            "weight", (channels, 1, *self.kernel), fan_in=taps, fan_out=taps * self.multiplier
        )
        bias = ParameterSpec("bias", (channels,), fill=0.0)
        return (weight,) if self.bias is False else (weight, bias)

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        return product(self.infer(inputs).shape) * prod(self.kernel)

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0 if self.bias is False else self.infer(inputs).elements

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return window_reach(inputs[0], self.kernel, self.stride, self.dilation, self.padding)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        return convolve(
            inputs[0],
            params[0],
            params[1] if len(params) > 1 else None,
            self.kernel,
            self.stride,
            self.dilation,
            self.padding,
            inputs[0].shape[1],
        )

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return (
            convolve_back(
                inputs[0].shape,
                params[0],
                gradient,
                self.kernel,
                self.stride,
                self.dilation,
                self.padding,
                inputs[0].shape[1],
            ),
        )


def convolve(
    x: Array,
    weight: Array,
    bias: Array | None,
    kernel: Extents,
    stride: Extents,
    dilation: Extents,
    padding: Padding,
    groups: int,
) -> Array:
    """Sum, over kernel positions, weight[..., position] x the input under it."""
    pads = window_pads(x.shape[2:], kernel, stride, dilation, padding)
    padded = pad_spatial(x.astype(np.float64), pads)
    out = tuple(
        (padded.shape[2 + i] - (k - 1) * d - 1) // s + 1
        for i, (k, d, s) in enumerate(zip(kernel, dilation, stride, strict=True))
    )
    batch, channels = x.shape[:2]
    split = weight.astype(np.float64).reshape(groups, -1, channels // groups, *kernel)
    result = np.zeros((batch, groups, split.shape[1], *out))
    for at in np.ndindex(*kernel):
        seen = slide(padded, out, stride, dilation, at)
        seen = seen.reshape(batch, groups, channels // groups, *out)
        result += np.einsum("goc,bgc...->bgo...", split[(..., *at)], seen, optimize=True)
    result = result.reshape(batch, -1, *out)
    if bias is not None:
        result += bias.reshape(-1, *(1,) * len(out))
    return result.astype(x.dtype)


def convolve_back(
    shape: Sequence[int],
    weight: Array,
    gradient: Array,
    kernel: Extents,
    stride: Extents,
    dilation: Extents,
    padding: Padding,
    groups: int,
) -> Array:
    """Return the gradient of an input of a shape: each output's, spread over its window."""
    pads = window_pads(shape[2:], kernel, stride, dilation, padding)
    batch, channels, *extents = shape
    out = gradient.shape[2:]
    split = weight.astype(np.float64).reshape(groups, -1, channels // groups, *kernel)
    sources = gradient.astype(np.float64).reshape(batch, groups, -1, *out)
    spread = np.zeros((batch, channels, *(low + n + high for n, (low, high) in zip(extents, pads))))
    for at in np.ndindex(*kernel):
        term = np.einsum("goc,bgo...->bgc...", split[(..., *at)], sources, optimize=True)
        slide(spread, out, stride, dilation, at)[...] += term.reshape(batch, channels, *out)
    return crop_spatial(spread, pads)
