"""Convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from math import prod
from typing import Any

import numpy as np
from onnx import TensorProto
from onnx.helper import make_tensor

from cnndsl.backends.onnx.builder import Builder, Cases, Site
from cnndsl.ops.base import Extents
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.extents import Extent, ceil_div
from cnndsl.types.padding import Padding, Same, span_of, window_padding
from cnndsl.types.tensor import TensorType

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """What slides over x, and how x is padded for it."""

    x: TensorType
    kernel: Extents
    stride: Extents
    dilation: Extents
    padding: Padding

    @property
    def spans(self) -> Extents:
        return tuple(starmap(span_of, zip(self.kernel, self.dilation, strict=True)))

    @property
    def pairs(self) -> Pairs | None:
        """(before, after) per axis; None where `same` depends on a symbol."""
        pairs = [self._pair(axis) for axis in range(len(self.kernel))]
        known = tuple(p for p in pairs if p is not None)
        return known if len(known) == len(pairs) else None

    def _pair(self, axis: int) -> tuple[int, int] | None:
        if isinstance(self.padding, Same) and self.spans[axis] == 1:
            return (0, 0)
        kernel, stride, dilation = self.kernel[axis], self.stride[axis], self.dilation[axis]
        return window_padding(self.padding, axis, self.x.spatial[axis], kernel, stride, dilation)

    @property
    def fits_auto_pad(self) -> bool:
        """Whether ONNX Runtime's SAME_UPPER is right.

        It refuses or ignores dilation, and takes negative padding for strides above the kernel.
        """
        plain = all(d == 1 for d in self.dilation)
        return plain and all(s <= k for s, k in zip(self.stride, self.kernel, strict=True))


def _window(
    op: Conv | DepthwiseConv | LocallyConnected | MaxPool | AveragePool, x: TensorType
) -> Window:
    ones = (1,) * len(op.kernel)
    stride = op.step if isinstance(op, MaxPool | AveragePool) else op.stride
    dilation = ones if isinstance(op, LocallyConnected | AveragePool) else op.dilation
    return Window(x, op.kernel, stride, dilation, op.padding)


def _padded(
    b: Builder, site: Site, window: Window, value: float = 0.0
) -> tuple[str, dict[str, Any]]:
    """Return the operand and the attributes that pad it; it is padded already if they cannot."""
    pairs = window.pairs
    if pairs is not None:
        return site.x, {"pads": ends(pairs)}
    if window.fits_auto_pad:
        return site.x, {"auto_pad": "SAME_UPPER"}
    pads = b.step(site, "pads", "Concat", _same_pads(b, window), axis=0)
    operands = (site.x, pads) if value == 0 else (site.x, pads, b.floats(site, "fill", value))
    return b.step(site, "padded", "Pad", operands), {}


def _same_pads(b: Builder, window: Window) -> list[str]:
    """Return vectors of the pads of `same` in ONNX's order, computed when the model runs."""

    def computed(kind: str, *operands: str) -> str:
        return b.add(kind, operands, b.name("extent.pad"))

    lows, highs = [], []
    for e, stride, span in zip(window.x.spatial, window.stride, window.spans, strict=True):
        # total = max((ceil(e / stride) - 1) * stride + span - e, 0), the odd one after.
        total = b.extent((ceil_div(e, stride) - 1) * stride + span - e)
        total = computed("Max", total, b.extent(0))
        low = computed("Div", total, b.extent(2))
        lows.append(low)
        highs.append(computed("Sub", total, low))
    return [b.extent(0), b.extent(0), *lows, b.extent(0), b.extent(0), *highs]


def ends(pairs: Pairs) -> list[int]:
    """Return the numbers in ONNX's order: all before, then all after."""
    return [low for low, _ in pairs] + [high for _, high in pairs]


def is_known(extents: Sequence[Extent]) -> bool:
    return all(isinstance(e, int) for e in extents)


def known(extents: Sequence[Extent]) -> tuple[int, ...]:
    """Return extents that the op's type rule has shown to be numbers."""
    numbers = tuple(e for e in extents if isinstance(e, int))
    assert len(numbers) == len(extents), "a symbolic extent"
    return numbers


def conv(b: Builder, op: Conv | DepthwiseConv, site: Site) -> None:
    x = site.types[0]
    groups = x.channels if isinstance(op, DepthwiseConv) else op.groups
    operand, pads = _padded(b, site, _window(op, x))
    b.add(
        "Conv",
        (operand, *site.params),
        site.output,
        kernel_shape=op.kernel,
        strides=op.stride,
        dilations=op.dilation,
        group=groups,
        **pads,
    )


def conv_transpose(b: Builder, op: ConvTranspose, site: Site) -> None:
    b.add(
        "ConvTranspose",
        (site.x, *site.params),
        site.output,
        kernel_shape=op.kernel,
        strides=op.stride,
        dilations=op.dilation,
        group=op.groups,
        pads=ends(op.crops),
        output_padding=op.extra,
    )


def dense(b: Builder, op: Dense, site: Site) -> None:
    b.add("Gemm", (site.x, *site.params), site.output, transB=1)


def local(b: Builder, op: LocallyConnected, site: Site) -> None:
    """One matrix product per output position, over the windows laid side by side."""
    x, rank = site.types[0], len(op.kernel)
    pairs = _window(op, x).pairs
    assert pairs is not None, "local has known sizes"
    padded = site.x
    if any(ends(pairs)):
        padded = b.pad(site, site.x, pairs, b.name(f"{site.output}.padded"))
    out = known(site.type.spatial)
    (channels,) = known((x.channels,))
    axes = b.integers(site, "axes", *range(2, 2 + rank))
    steps = b.integers(site, "steps", *op.stride)
    seen = []
    for at in np.ndindex(*op.kernel):
        stops = (k + (o - 1) * s + 1 for k, o, s in zip(at, out, op.stride, strict=True))
        bounds = (b.integers(site, "starts", *at), b.integers(site, "stops", *stops))
        seen.append(b.step(site, "seen", "Slice", (padded, *bounds, axes, steps)))
    places, taps = prod(out), prod(op.kernel)
    windows = b.step(site, "windows", "Concat", seen, axis=1)
    depth = taps * channels
    flat = b.reshape(
        site,
        windows,
        (x.batch, depth, *out),
        (x.batch, depth, places),
        b.name(f"{site.output}.columns"),
    )
    columns = b.step(site, "columns", "Transpose", (flat,), perm=(2, 0, 1))
    # Rows of the matrices in the order of the windows: kernel position, then input channel.
    weight = b.weights[site.params[0]].reshape(places, op.out_channels, channels, taps)
    matrices = weight.transpose(0, 3, 2, 1).reshape(places, depth, op.out_channels)
    product = b.step(site, "product", "MatMul", (columns, b.floats(site, "matrices", matrices)))
    last = b.step(site, "channels_first", "Transpose", (product,), perm=(1, 2, 0))
    result = b.name(f"{site.output}.map") if len(site.params) > 1 else site.output
    b.reshape(
        site, last, (x.batch, op.out_channels, places), (x.batch, op.out_channels, *out), result
    )
    if len(site.params) > 1:
        b.add("Add", (result, site.params[1]), site.output)


def _reaching(window: Window, out: TensorType, pairs: Pairs) -> Pairs:
    """Return the pads extended to where the last windows end, which replaces ceil mode."""
    spans, counts = window.spans, known(out.spatial)
    return tuple(
        (low, max(high, (count - 1) * stride + span - extent - low))
        for (low, high), count, stride, span, extent in zip(
            pairs, counts, window.stride, spans, known(window.x.spatial), strict=True
        )
    )


def max_pool(b: Builder, op: MaxPool, site: Site) -> None:
    window = _window(op, site.types[0])
    pairs, ceil = window.pairs, False
    if pairs is None:
        operand, pads = _padded(b, site, window, -np.inf)
    else:
        ceil = op.ceil_mode and not is_known(window.x.spatial)
        if op.ceil_mode and not ceil:
            pairs = _reaching(window, site.type, pairs)
        operand = site.x
        if any(max(pair) >= k for pair, k in zip(pairs, op.kernel, strict=True)):
            # Runtimes refuse pads as large as the kernel, which dilation allows.
            padded = b.name(f"{site.output}.padded")
            operand = b.pad(site, site.x, pairs, padded, value=-np.inf)
            pairs = tuple((0, 0) for _ in pairs)
        pads = {"pads": ends(pairs)}
    b.add(
        "MaxPool",
        (operand,),
        site.output,
        kernel_shape=op.kernel,
        strides=op.step,
        dilations=op.dilation,
        ceil_mode=int(ceil),
        **pads,
    )


def average_pool(b: Builder, op: AveragePool, site: Site) -> None:
    window, count = _window(op, site.types[0]), op.count_padding
    pairs, ceil, operand = window.pairs, False, site.x
    if pairs is None and not (count or window.fits_auto_pad):
        _average_of_inside(b, op, site, window)
        return
    if pairs is None:
        operand, pads = _padded(b, site, window)
    else:
        if op.ceil_mode:
            if count and any(ends(pairs)):
                # The padding counts but what lies beyond it does not: the first becomes input.
                operand = b.pad(site, site.x, pairs, b.name(f"{site.output}.padded"))
                spatial = (e + sum(p) for e, p in zip(window.x.spatial, pairs, strict=True))
                window = replace(window, x=window.x.with_shape(*window.x.shape[:2], *spatial))
                pairs = tuple((0, 0) for _ in pairs)
            count = False
            ceil = not is_known(window.x.spatial)
            pairs = pairs if ceil else _reaching(window, site.type, pairs)
        pads = {"pads": ends(pairs)}
    b.add(
        "AveragePool",
        (operand,),
        site.output,
        kernel_shape=op.kernel,
        strides=op.step,
        ceil_mode=int(ceil),
        count_include_pad=int(count),
        **pads,
    )


def _average_of_inside(b: Builder, op: AveragePool, site: Site, window: Window) -> None:
    """Divide the mean over all of each window by the share of it that is input."""
    pads = b.step(site, "pads", "Concat", _same_pads(b, window), axis=0)
    size = b.step(site, "size", "Concat", [b.extent(e) for e in (1, 1, *window.x.spatial)], axis=0)
    one = make_tensor("one", TensorProto.FLOAT, (1,), (1.0,))
    ones = b.step(site, "ones", "ConstantOfShape", (size,), value=one)

    def mean(word: str, x: str) -> str:
        padded = b.step(site, "padded", "Pad", (x, pads))
        kernel = {"kernel_shape": op.kernel, "strides": op.step}
        return b.step(site, word, "AveragePool", (padded,), **kernel)

    b.add("Div", (mean("mean", site.x), mean("share", ones)), site.output)


def global_pool(b: Builder, op: GlobalAveragePool | GlobalMaxPool, site: Site) -> None:
    kind = type(op).__name__
    if op.keep_axes:
        b.add(kind, (site.x,), site.output)
    else:
        pooled = b.step(site, "pooled", kind, (site.x,))
        b.add("Flatten", (pooled,), site.output, axis=1)


CASES: Cases = {
    Conv: conv,
    DepthwiseConv: conv,
    ConvTranspose: conv_transpose,
    Dense: dense,
    LocallyConnected: local,
    MaxPool: max_pool,
    AveragePool: average_pool,
    GlobalAveragePool: global_pool,
    GlobalMaxPool: global_pool,
}
