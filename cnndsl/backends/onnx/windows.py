"""Convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from cnndsl.backends.onnx.builder import Builder, Cases, Site
from cnndsl.ops.base import Extents
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.padding import Padding, span_of, window_padding
from cnndsl.types.tensor import TensorType

Pairs = tuple[tuple[int, int], ...]


def paddings(
    x: TensorType, kernel: Extents, stride: Extents, dilation: Extents, padding: Padding
) -> Pairs | None:
    """Return (before, after) per axis; None where `same` depends on a symbol."""
    windows = zip(x.spatial, kernel, stride, dilation, strict=True)
    pairs = [window_padding(padding, axis, *window) for axis, window in enumerate(windows)]
    known = tuple(p for p in pairs if p is not None)
    return known if len(known) == len(pairs) else None


def ends(pairs: Pairs) -> list[int]:
    """Return the numbers in ONNX's order: all before, then all after."""
    return [low for low, _ in pairs] + [high for _, high in pairs]


def _pads(pairs: Pairs | None) -> dict[str, Any]:
    return {"auto_pad": "SAME_UPPER"} if pairs is None else {"pads": ends(pairs)}


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
    pairs = paddings(x, op.kernel, op.stride, op.dilation, op.padding)
    b.add(
        "Conv",
        (site.x, *site.params),
        site.output,
        kernel_shape=op.kernel,
        strides=op.stride,
        dilations=op.dilation,
        group=groups,
        **_pads(pairs),
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
    pairs = paddings(x, op.kernel, op.stride, (1,) * rank, op.padding)
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


def _reaching(x: TensorType, out: TensorType, op: MaxPool | AveragePool, pairs: Pairs) -> Pairs:
    """Return the pads extended to where the last windows end, which replaces ceil mode."""
    dilation = op.dilation if isinstance(op, MaxPool) else (1,) * len(op.kernel)

    def extended(axis: int, low: int, high: int) -> tuple[int, int]:
        extent, count = x.spatial[axis], out.spatial[axis]
        if isinstance(extent, Dim) or isinstance(count, Dim):
            return low, high
        span = span_of(op.kernel[axis], dilation[axis])
        return low, max(high, (count - 1) * op.step[axis] + span - extent - low)

    return tuple(extended(axis, *pair) for axis, pair in enumerate(pairs))


def max_pool(b: Builder, op: MaxPool, site: Site) -> None:
    x, operand = site.types[0], site.x
    pairs = paddings(x, op.kernel, op.step, op.dilation, op.padding)
    ceil = op.ceil_mode and pairs is not None and not is_known(x.spatial)
    if pairs is not None:
        if op.ceil_mode and not ceil:
            pairs = _reaching(x, site.type, op, pairs)
        if any(max(pair) >= k for pair, k in zip(pairs, op.kernel, strict=True)):
            # Runtimes refuse pads as large as the kernel, which dilation allows.
            operand = b.pad(site, site.x, pairs, b.name(f"{site.output}.padded"), value=-np.inf)
            pairs = tuple((0, 0) for _ in pairs)
    b.add(
        "MaxPool",
        (operand,),
        site.output,
        kernel_shape=op.kernel,
        strides=op.step,
        dilations=op.dilation,
        ceil_mode=int(ceil),
        **_pads(pairs),
    )


def average_pool(b: Builder, op: AveragePool, site: Site) -> None:
    x, operand, count = site.types[0], site.x, op.count_padding
    pairs = paddings(x, op.kernel, op.step, (1,) * len(op.kernel), op.padding)
    ceil = op.ceil_mode and pairs is not None and not is_known(x.spatial)
    if pairs is not None and op.ceil_mode:
        if count and any(ends(pairs)):
            # The padding counts but what lies beyond it does not: the first becomes input.
            operand = b.pad(site, site.x, pairs, b.name(f"{site.output}.padded"))
            x = TensorType(
                x.dtype,
                (*x.shape[:2], *(e + sum(p) for e, p in zip(x.spatial, pairs, strict=True))),
            )
            pairs = tuple((0, 0) for _ in pairs)
        count = False
        if not ceil:
            pairs = _reaching(x, site.type, op, pairs)
    b.add(
        "AveragePool",
        (operand,),
        site.output,
        kernel_shape=op.kernel,
        strides=op.step,
        ceil_mode=int(ceil),
        count_include_pad=int(count),
        **_pads(pairs),
    )


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
