"""The windows of factors: which of them takes an axis's kernel, stride, dilation and padding."""

from __future__ import annotations

from collections.abc import Collection

from cnndsl.factorize.layer import Layer
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.types.padding import Explicit, Padding, Same, Valid


def conv(
    layer: Layer,
    out_channels: int,
    axes: Collection[int] = (),
    *,
    groups: int = 1,
    bias: bool = False,
) -> Conv:
    """Return a convolution that does the layer's window along some axes, and 1 along the others."""
    return Conv(
        out_channels=out_channels,
        stride=_where(layer.stride, axes),
        padding=_padding(layer, axes),
        dilation=_where(layer.dilation, axes),
        groups=groups,
        bias=bias,
        kernel=_where(layer.kernel, axes),
    )


def grouped(
    layer: Layer,
    out_channels: int,
    axes: Collection[int],
    in_channels: int | None = None,
    *,
    bias: bool = False,
) -> Conv | DepthwiseConv:
    """Return a convolution along some axes with the layer's groups: depthwise where it is that.

    It reads `in_channels`, as many as the layer does if not said.
    """
    entering = layer.in_channels if in_channels is None else in_channels
    if 1 < layer.groups == entering:
        return depthwise(layer, axes, multiplier=out_channels // entering, bias=bias)
    return conv(layer, out_channels, axes, groups=layer.groups, bias=bias)


def depthwise(
    layer: Layer, axes: Collection[int], *, multiplier: int = 1, bias: bool = False
) -> DepthwiseConv:
    """Return a depthwise convolution with the layer's window along some axes."""
    return DepthwiseConv(
        stride=_where(layer.stride, axes),
        padding=_padding(layer, axes),
        dilation=_where(layer.dilation, axes),
        multiplier=multiplier,
        bias=bias,
        kernel=_where(layer.kernel, axes),
    )


def all_axes(layer: Layer) -> tuple[int, ...]:
    return tuple(range(layer.rank))


def _where(values: tuple[int, ...], axes: Collection[int]) -> tuple[int, ...]:
    return tuple(v if axis in axes else 1 for axis, v in enumerate(values))


def _padding(layer: Layer, axes: Collection[int]) -> Padding:
    """Return padding for some axes, zero along the others.

    `same` and `causal` pad nothing along an axis of kernel 1 and stride 1, so they stay as they
    are; 1x1 kernels get the language's default.
    """
    match layer.padding:
        case Explicit(pairs):
            kept = tuple(p if axis in axes else (0, 0) for axis, p in enumerate(pairs))
            return Explicit(kept) if any(map(any, kept)) else _least(layer, axes)
        case padding:
            return padding if axes else Same()


def _least(layer: Layer, axes: Collection[int]) -> Padding:
    """Return no padding, said as the default where that is the same."""
    return Valid() if any(layer.kernel[a] > 1 or layer.stride[a] > 1 for a in axes) else Same()
