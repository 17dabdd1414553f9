"""Max and average pooling over windows, and over the whole map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Extents, Op, OpError, Reach, argument
from cnndsl.ops.checks import require_map
from cnndsl.ops.reach import Whole
from cnndsl.ops.registry import register
from cnndsl.ops.windows import (
    output_spatial,
    pad_spatial,
    require_spatial,
    slide,
    window_pads,
    window_reach,
)
from cnndsl.types.extents import Extent
from cnndsl.types.padding import Explicit, Padding, Same, span_of, window_output
from cnndsl.types.tensor import TensorType


def check_windows_hold_input(
    keyword: str, x: TensorType, kernel: Extents, dilation: Extents, padding: Padding
) -> None:
    """Check that no window lies in the padding alone: its pool would have no meaning."""
    for axis, extent in enumerate(x.spatial):
        spanned = span_of(kernel[axis], dilation[axis])
        if isinstance(padding, Explicit) and max(padding.pairs[axis]) >= spanned:
            raise OpError(
                "CNN211",
                f"{keyword} spans {spanned} positions of spatial axis {axis}, so padding of "
                f"{max(padding.pairs[axis])} makes windows that hold no input",
                help=f"pad by at most {spanned - 1} there",
                argument="padding",
            )
        if isinstance(extent, int) and kernel[axis] > 1 and dilation[axis] > extent:
            raise OpError(
                "CNN211",
                f"{keyword} with dilation={dilation[axis]} steps over the whole of spatial axis "
                f"{axis} of {x}",
                help=f"dilation={extent} is the largest that fits",
                argument="dilation",
            )


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool(Op):
    """Largest value of each window, channel by channel; padding never wins.

    The stride is the kernel unless given. With `ceil_mode` a last window that reaches beyond the
    padded input counts too, unless it would start in the padding at the end.
    """

    keyword: ClassVar[str] = "maxpool"
    other_operations_rule: ClassVar[str] = (
        "k - 1 comparisons per output element, for k elements of the window"
    )
    kernel_suffix: ClassVar[bool] = True
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 32, 32]\n"
        "output y = x -> maxpool2x2 -> maxpool3x3(stride=2, padding=1)\n"
    )

    stride: Extents | None = argument(
        "step between windows; the kernel unless given", default=None, minimum=1
    )
    padding: Padding = argument("elements around the input that never win", default=Same())
    dilation: Extents = argument(
        "distance between window elements", default=(1,), minimum=1, aliases=("rate",)
    )
    ceil_mode: bool = argument("round the number of windows up", default=False)
    kernel: Extents = argument("extent of the window", minimum=1)

    @property
    def step(self) -> Extents:
        """The stride, by default the kernel."""
        return self.kernel if self.stride is None else self.stride

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_spatial(self.keyword, x, self.kernel)
        spatial = output_spatial(
            self.keyword,
            x,
            self.kernel,
            self.step,
            self.dilation,
            self.padding,
            ceil_mode=self.ceil_mode,
        )
        check_windows_hold_input(self.keyword, x, self.kernel, self.dilation, self.padding)
        return x.with_shape(x.batch, x.channels, *spatial)

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return window_reach(inputs[0], self.kernel, self.step, self.dilation, self.padding)

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return self.infer(inputs).elements * (prod(self.kernel) - 1)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        out, padded = _windows(
            x, self.kernel, self.step, self.dilation, self.padding, self.ceil_mode, -np.inf
        )
        result = np.full((*x.shape[:2], *out), -np.inf, x.dtype)
        for at in np.ndindex(*self.kernel):
            np.maximum(result, slide(padded, out, self.step, self.dilation, at), out=result)
        return result

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        """Give the gradient of each window to its first largest element."""
        (x,) = inputs
        out, padded = _windows(
            x, self.kernel, self.step, self.dilation, self.padding, self.ceil_mode, -np.inf
        )
        largest = self.evaluate(inputs, params)
        sources = gradient.astype(np.float64)
        spread = np.zeros(padded.shape)
        for at in np.ndindex(*self.kernel):
            found = slide(padded, out, self.step, self.dilation, at) == largest
            slide(spread, out, self.step, self.dilation, at)[...] += sources * found
            sources = np.where(found, 0.0, sources)
        return (_inside(spread, x, self.kernel, self.step, self.dilation, self.padding),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool(Op):
    """Mean of each window, channel by channel.

    The stride is the kernel unless given. The divisor is the number of input elements in the
    window; with `count_padding` the padding's zeros count too, but never what `ceil_mode` reaches
    beyond the padding.
    """

    keyword: ClassVar[str] = "avgpool"
    other_operations_rule: ClassVar[str] = (
        "k - 1 additions and a division per output element, for k elements of the window"
    )
    kernel_suffix: ClassVar[bool] = True
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 32, 32]\n"
        "output y = x -> avgpool2x2 -> avgpool3x3(stride=1, count_padding=true)\n"
    )

    stride: Extents | None = argument(
        "step between windows; the kernel unless given", default=None, minimum=1
    )
    padding: Padding = argument("zeros around the input", default=Same())
    ceil_mode: bool = argument("round the number of windows up", default=False)
    count_padding: bool = argument("count the padding in the divisor", default=False)
    kernel: Extents = argument("extent of the window", minimum=1)

    @property
    def step(self) -> Extents:
        """The stride, by default the kernel."""
        return self.kernel if self.stride is None else self.stride

    @property
    def _undilated(self) -> Extents:
        return (1,) * len(self.kernel)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_spatial(self.keyword, x, self.kernel)
        spatial = output_spatial(
            self.keyword,
            x,
            self.kernel,
            self.step,
            self._undilated,
            self.padding,
            ceil_mode=self.ceil_mode,
        )
        check_windows_hold_input(self.keyword, x, self.kernel, self._undilated, self.padding)
        return x.with_shape(x.batch, x.channels, *spatial)

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return window_reach(inputs[0], self.kernel, self.step, self._undilated, self.padding)

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return self.infer(inputs).elements * prod(self.kernel)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        out, padded = self._windows(x.astype(np.float64))
        total = np.zeros((*x.shape[:2], *out))
        for at in np.ndindex(*self.kernel):
            total += slide(padded, out, self.step, self._undilated, at)
        return (total / self._counts(x)).astype(x.dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        (x,) = inputs
        out, padded = self._windows(x)
        shares = gradient / self._counts(x)
        spread = np.zeros(padded.shape)
        for at in np.ndindex(*self.kernel):
            slide(spread, out, self.step, self._undilated, at)[...] += shares
        return (_inside(spread, x, self.kernel, self.step, self._undilated, self.padding),)

    def _windows(self, x: Array) -> tuple[tuple[int, ...], Array]:
        window = (self.kernel, self.step, self._undilated, self.padding, self.ceil_mode)
        return _windows(x, *window, 0.0)

    def _counts(self, x: Array) -> Array:
        """Return the divisor of each window: of shape [1, 1, out spatial...]."""
        inside = np.ones((1, 1, *x.shape[2:]))
        out, counted = self._windows(inside)
        if self.count_padding:
            pads = window_pads(x.shape[2:], self.kernel, self.step, self._undilated, self.padding)
            inside = pad_spatial(inside, pads, 1.0)
            reached = [(0, max(p - s, 0)) for p, s in zip(counted.shape[2:], inside.shape[2:])]
            counted = pad_spatial(inside, reached)
        count = np.zeros((1, 1, *out))
        for at in np.ndindex(*self.kernel):
            count += slide(counted, out, self.step, self._undilated, at)
        return count


def _windows(
    x: Array,
    kernel: Extents,
    stride: Extents,
    dilation: Extents,
    padding: Padding,
    ceil_mode: bool,
    value: float,
) -> tuple[tuple[int, ...], Array]:
    """Return the number of windows per axis, and the input padded as far as they reach."""
    pads = window_pads(x.shape[2:], kernel, stride, dilation, padding)
    out: list[int] = []
    reached: list[tuple[int, int]] = []
    for axis, (low, high) in enumerate(pads):
        extent = x.shape[2 + axis]
        count = window_output(
            padding,
            axis,
            extent,
            kernel[axis],
            stride[axis],
            dilation[axis],
            ceil_mode=ceil_mode,
        )
        assert isinstance(count, int)
        end = (count - 1) * stride[axis] + span_of(kernel[axis], dilation[axis])
        out.append(count)
        reached.append((low, max(high, end - extent - low)))
    return tuple(out), pad_spatial(x, reached, value)


def _inside(
    padded: Array, x: Array, kernel: Extents, stride: Extents, dilation: Extents, padding: Padding
) -> Array:
    """Return the part of a padded array that lies over the input."""
    pads = window_pads(x.shape[2:], kernel, stride, dilation, padding)
    places = tuple(slice(low, low + n) for (low, _), n in zip(pads, x.shape[2:], strict=True))
    return padded[(slice(None), slice(None), *places)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _GlobalPool(Op):
    keep_axes: bool = argument("keep the spatial axes, each with extent 1", default=False)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_map(self.keyword, x)
        ones = (1,) * len(x.spatial) if self.keep_axes else ()
        return x.with_shape(x.batch, x.channels, *ones)

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return Whole()

    def _over_map(self, x: Array, reduced: Array) -> Array:
        ones = (1,) * (x.ndim - 2) if self.keep_axes else ()
        return reduced.reshape(*x.shape[:2], *ones).astype(x.dtype)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAveragePool(_GlobalPool):
    """Mean of each channel over the whole map: [N, C, spatial...] becomes [N, C].

    With `keep_axes` it becomes [N, C, 1...], which broadcasts in products and sums.
    """

    keyword: ClassVar[str] = "global_avgpool"
    other_operations_rule: ClassVar[str] = (
        "an addition less than elements, and a division, per channel"
    )
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "output y = x -> conv3x3(16) -> relu -> global_avgpool -> dense(10)\n"
    )

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        axes = tuple(range(2, x.ndim))
        return self._over_map(x, x.sum(axis=axes, dtype=np.float64) / prod(x.shape[2:]))

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        (x,) = inputs
        shares = gradient.astype(np.float64) / prod(x.shape[2:])
        ones = (1,) * (x.ndim - 2)
        return (np.broadcast_to(shares.reshape(*x.shape[:2], *ones), x.shape).copy(),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalMaxPool(_GlobalPool):
    """Largest value of each channel over the whole map: [N, C, spatial...] becomes [N, C].

    With `keep_axes` it becomes [N, C, 1...], which broadcasts in products and sums.
    """

    keyword: ClassVar[str] = "global_maxpool"
    other_operations_rule: ClassVar[str] = "a comparison less than elements per channel"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "output y = x -> conv3x3(16) -> relu -> global_maxpool -> dense(10)\n"
    )

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        (x,) = inputs
        return x.elements - x.batch * x.channels

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        return self._over_map(x, x.max(axis=tuple(range(2, x.ndim))))

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        """Give the gradient of each channel to its first largest element."""
        (x,) = inputs
        first = x.reshape(*x.shape[:2], -1).argmax(axis=2)[..., None]
        result = np.zeros((*x.shape[:2], prod(x.shape[2:])))
        np.put_along_axis(result, first, gradient.reshape(first.shape), axis=2)
        return (result.reshape(x.shape),)
