"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import (
    Array,
    Extents,
    Op,
    OpError,
    ParameterSpec,
    PerAxis,
    Reach,
    argument,
)
from cnndsl.ops.checks import known_channels, require_groups
from cnndsl.ops.reach import Spread
from cnndsl.ops.registry import register
from cnndsl.ops.windows import (
    check_padding,
    crop_spatial,
    pad_spatial,
    require_spatial,
    slide,
)
from cnndsl.types.extents import Extent, product
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid, span_of
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class ConvTranspose(Op):
    """Transposed convolution: every input element adds a scaled kernel to the output.

    Along an axis the whole result has (input - 1) * stride + span elements, span = (kernel - 1) *
    dilation + 1. Padding says what is cut off: `valid` nothing, explicit numbers that many at each
    side, `same` so much that output = input * stride (the odd element at the end), `causal` the
    same size, all at the end. Where span is below stride, `same` and `causal` add at the end
    instead. `output_padding` adds at the end of an explicit or valid result.

    Weight: [in_channels, out_channels / groups, kernel...]. The bias follows the rule of `conv`.
    """

    keyword: ClassVar[str] = "deconv"
    macs_rule: ClassVar[str] = (
        "in_channels x input positions x out_channels / groups x kernel elements"
    )
    other_operations_rule: ClassVar[str] = "1 addition per output element with a bias"
    kernel_suffix: ClassVar[bool] = True
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 16, 8, 8]\n"
        "output y = x -> deconv2x2(8, stride=2) -> relu -> deconv3x3(3, stride=2, padding=1)\n"
    )

    out_channels: int = argument("number of output channels", minimum=1)
    stride: Extents = argument(
        "distance in the output between neighbouring inputs", default=(1,), minimum=1
    )
    padding: Padding = argument("elements cut off the result", default=Same())
    output_padding: Extents = argument(
        "elements added at the end, fewer than the stride", default=(0,), minimum=0
    )
    dilation: Extents = argument(
        "distance between kernel elements", default=(1,), minimum=1, aliases=("rate",)
    )
    groups: int = argument("number of channel groups", default=1, minimum=1)
    bias: bool | None = argument("add a bias per output channel", default=None)
    kernel: Extents = argument("extent of the kernel", minimum=1)

    @property
    def crops(self) -> tuple[tuple[int, int], ...]:
        """How much is cut off before and after, for each axis (ONNX's pads)."""
        return tuple(self._crop(axis) for axis in range(len(self.kernel)))

    @property
    def extra(self) -> Extents:
        """How many elements are added at the end of each axis (ONNX's output_padding)."""
        if isinstance(self.padding, Same | Causal):
            spans = zip(self.kernel, self.dilation, self.stride, strict=True)
            return tuple(max(s - span_of(k, d), 0) for k, d, s in spans)
        return self.output_padding

    @property
    def _added(self) -> tuple[tuple[int, int], ...]:
        return tuple((0, extra) for extra in self.extra)

    def _whole(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the extents of the result before anything is cut off or added."""
        return tuple(
            (n - 1) * s + span_of(k, d)
            for n, s, k, d in zip(grid, self.stride, self.kernel, self.dilation, strict=True)
        )

    def _crop(self, axis: int) -> tuple[int, int]:
        surplus = span_of(self.kernel[axis], self.dilation[axis]) - self.stride[axis]
        surplus = max(surplus, 0)
        match self.padding:
            case Valid():
                return (0, 0)
            case Explicit(pairs):
                return pairs[axis]
            case Causal():
                return (0, surplus)
            case Same():
                return (surplus // 2, surplus - surplus // 2)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_spatial(self.keyword, x, self.kernel)
        channels = known_channels(self.keyword, x)
        require_groups(self.keyword, self.groups, input=channels, output=self.out_channels)
        check_padding(self.keyword, self.padding, len(x.spatial))
        self._check_output_padding()
        spatial: list[Extent] = []
        for axis, extent in enumerate(x.spatial):
            low, high = self.crops[axis]
            spanned = span_of(self.kernel[axis], self.dilation[axis])
            size = (extent - 1) * self.stride[axis] + (spanned + self.extra[axis] - low - high)
            if isinstance(size, int) and size < 1:
                raise OpError(
                    "CNN204",
                    f"deconv makes {size + low + high} positions along spatial axis {axis} of {x}, "
                    f"but padding cuts {low + high} off",
                    help="`padding=same` gives input * stride",
                    argument="padding",
                )
            spatial.append(size)
        return x.with_shape(x.batch, self.out_channels, *spatial)

    def _check_output_padding(self) -> None:
        if not any(self.output_padding):
            return
        if isinstance(self.padding, Same | Causal):
            raise OpError(
                "CNN307",
                f"deconv with padding={self.padding} has input * stride outputs, "
                f"output_padding={self.output_padding} would change that",
                help="leave out output_padding, or give the padding in numbers",
                argument="output_padding",
            )
        for extra, stride in zip(self.output_padding, self.stride, strict=True):
            if extra >= stride:
                raise OpError(
                    "CNN307",
                    f"deconv needs output_padding below the stride, got {extra} with "
                    f"stride={stride}",
                    help=f"output_padding={stride - 1} is the largest",
                    argument="output_padding",
                )

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        channels = known_channels(self.keyword, inputs[0])
        per_group = self.out_channels // self.groups
        taps = prod(self.kernel)
        weight = ParameterSpec(
            "weight",
            (channels, per_group, *self.kernel),
            fan_in=channels // self.groups * taps,
            fan_out=per_group * taps,
        )
        bias = ParameterSpec("bias", (self.out_channels,), fill=0.0)
        return (weight,) if self.bias is False else (weight, bias)

    def macs(self, inputs: Sequence[TensorType]) -> Extent:
        """Every input element meets the whole kernel once, whatever is cut off later."""
        (x,) = inputs
        per_group = self.out_channels // self.groups
        return product(x.shape) * (per_group * prod(self.kernel))

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return 0 if self.bias is False else self.infer(inputs).elements

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return PerAxis(
            tuple(
                Spread(k, s, d, low)
                for k, s, d, (low, _) in zip(
                    self.kernel, self.stride, self.dilation, self.crops, strict=True
                )
            )
        )

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        x = inputs[0].astype(np.float64)
        weight = params[0].astype(np.float64)
        batch, channels = x.shape[:2]
        grid = x.shape[2:]
        sources = x.reshape(batch, self.groups, channels // self.groups, *grid)
        split = weight.reshape(self.groups, channels // self.groups, -1, *self.kernel)
        whole = self._whole(grid)
        result = np.zeros((batch, self.out_channels, *whole))
        for at in np.ndindex(*self.kernel):
            # c: input channel, o: output channel, within a group g.
            term = np.einsum("gco,bgc...->bgo...", split[(..., *at)], sources, optimize=True)
            reached = slide(result, grid, self.stride, self.dilation, at)
            reached += term.reshape(reached.shape)
        result = pad_spatial(result, self._added)
        result = crop_spatial(result, self.crops)
        if len(params) > 1:
            result = result + params[1].reshape(-1, *(1,) * len(grid))
        return result.astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        (x,) = inputs
        batch, channels, *grid = x.shape
        weight = params[0].astype(np.float64)
        split = weight.reshape(self.groups, channels // self.groups, -1, *self.kernel)
        # What was cut off reached nothing; what was added at the end came from nothing.
        whole = pad_spatial(gradient.astype(np.float64), self.crops)
        whole = crop_spatial(whole, self._added)
        result = np.zeros((batch, self.groups, channels // self.groups, *grid))
        for at in np.ndindex(*self.kernel):
            seen = slide(whole, grid, self.stride, self.dilation, at)
            seen = seen.reshape(batch, self.groups, -1, *grid)
            result += np.einsum("gco,bgo...->bgc...", split[(..., *at)], seen, optimize=True)
        return (result.reshape(x.shape),)
