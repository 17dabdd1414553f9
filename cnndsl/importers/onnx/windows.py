"""Convolutions, pools, and what is a matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap

import numpy as np

from cnndsl.importers.onnx.call import Call, Cases, vector
from cnndsl.importers.onnx.pointwise import of_two
from cnndsl.importers.onnx.state import Unsupported, View, shortest
from cnndsl.ops.base import Array, Extents
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.extents import Extent
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid, span_of, window_padding

Pairs = tuple[tuple[int, int], ...]


def conv(c: Call) -> View:
    x, weight = c.value(), c.weights(1, "weight")
    kernel = _kernel(c, weight.shape[2:])
    stride, dilation = _per_axis(c, "strides", kernel), _per_axis(c, "dilations", kernel)
    type_ = c.type_of(x)
    padding = window(c, type_.spatial, kernel, stride, dilation)
    groups, out = c.attribute("group"), weight.shape[0]
    weights = _with_bias(c, weight, out)
    key = [*c.names(1, 2)]
    if groups == type_.channels and groups > 1 and out % groups == 0:
        depthwise = DepthwiseConv(
            stride=stride,
            padding=padding,
            dilation=dilation,
            multiplier=out // groups,
            bias=len(weights) > 1,
            kernel=kernel,
        )
        return c.result(depthwise, weights, key)
    op = Conv(
        out_channels=out,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=len(weights) > 1,
        kernel=kernel,
    )
    return c.result(op, weights, key)


def _with_bias(c: Call, weight: Array, out: int, place: int = 2) -> list[Array]:
    return [weight, vector(c.weights(place, "bias"), out)] if c.given(place) else [weight]


def _kernel(c: Call, shape: Sequence[int]) -> Extents:
    given = c.attribute("kernel_shape")
    if not shape:
        raise Unsupported("its weight has no axis for a kernel")
    if given is not None and tuple(given) != tuple(shape):
        raise Unsupported(f"its kernel_shape is {list(given)}, its weight's {list(shape)}")
    return tuple(shape)


def _per_axis(c: Call, name: str, kernel: Extents, least: int = 1) -> Extents:
    given = c.attribute(name)
    if given is None:
        return (least,) * len(kernel)
    if len(given) != len(kernel) or min(given) < least:
        raise Unsupported(f"its {name} are {list(given)} for {len(kernel)} spatial axes")
    return tuple(given)


def _pairs(c: Call, kernel: Extents) -> Pairs | None:
    """Return the pads as (before, after) of each axis; None if auto_pad decides."""
    given, rank = c.attribute("pads"), len(kernel)
    if (c.attribute("auto_pad") or "NOTSET") not in ("NOTSET", "VALID"):
        return None
    if given is None or c.attribute("auto_pad") == "VALID":
        return ((0, 0),) * rank
    if len(given) != 2 * rank:
        raise Unsupported(f"its pads are {list(given)} for {rank} spatial axes")
    if min(given) < 0:
        raise Unsupported("its pads are negative")
    return tuple(zip(given[:rank], given[rank:], strict=True))


def window(
    c: Call, spatial: Sequence[Extent], kernel: Extents, stride: Extents, dilation: Extents
) -> Padding:
    """Return the padding of a sliding window, by word where one says it."""
    pairs = _pairs(c, kernel)
    if len(spatial) != len(kernel):
        raise Unsupported(f"its kernel has {len(kernel)} axes, and its input {len(spatial)}")
    same = [
        window_padding(Same(), axis, spatial[axis], kernel[axis], stride[axis], dilation[axis])
        for axis in range(len(kernel))
    ]
    if pairs is None:
        mode = c.attribute("auto_pad")
        if mode == "SAME_UPPER":
            return Same()
        if mode != "SAME_LOWER":
            raise Unsupported(f"auto_pad={mode} is not a mode of ONNX")
        lower = tuple((pair[1], pair[0]) for pair in same if pair is not None)
        if len(lower) != len(same):
            raise Unsupported("auto_pad=SAME_LOWER depends on the size of a symbol")
        return named(lower, same, kernel, stride, dilation)
    return named(pairs, same, kernel, stride, dilation)


def named(
    pairs: Pairs,
    same: Sequence[tuple[int, int] | None],
    kernel: Extents,
    stride: Extents,
    dilation: Extents,
) -> Padding:
    """Return explicit padding by a word, if the word gives it and is what must have been meant.

    `same` gives it for every size where windows step by one or span one. Where they step by more
    it gives one of two numbers, by the size: pads that differ at the two sides can only be that.
    """
    spans = list(starmap(span_of, zip(kernel, dilation, strict=True)))
    always = all(s == 1 or span == 1 for s, span in zip(stride, spans, strict=True))
    uneven = any(low != high for low, high in pairs)
    if list(pairs) == _spanning(same, spans) and (always or uneven):
        return Same()
    if not any(map(any, pairs)):
        return Valid()
    if list(pairs) == [(span - 1, 0) for span in spans]:
        return Causal()
    return Explicit(pairs)


def _spanning(
    same: Sequence[tuple[int, int] | None], spans: Sequence[int]
) -> list[tuple[int, int] | None]:
    """Return the padding of `same`; a window that spans one element needs none at any size."""
    return [(0, 0) if span == 1 else pair for pair, span in zip(same, spans, strict=True)]


def conv_transpose(c: Call) -> View:
    x, weight = c.value(), c.weights(1, "weight")
    kernel = _kernel(c, weight.shape[2:])
    stride, dilation = _per_axis(c, "strides", kernel), _per_axis(c, "dilations", kernel)
    extra = _per_axis(c, "output_padding", kernel, 0)
    groups = c.attribute("group")
    out = weight.shape[1] * groups
    weights = _with_bias(c, weight, out)
    op = ConvTranspose(
        out_channels=out,
        stride=stride,
        padding=Same(),
        output_padding=(0,) * len(kernel),
        dilation=dilation,
        groups=groups,
        bias=len(weights) > 1,
        kernel=kernel,
    )
    spans = tuple(starmap(span_of, zip(kernel, dilation, strict=True)))
    pairs, extra = _cut(c, c.type_of(x).spatial, stride, spans, extra)
    if pairs != op.crops or extra != op.extra:
        padding = Explicit(pairs) if any(map(any, pairs)) else Valid()
        op = ConvTranspose(
            out_channels=out,
            stride=stride,
            padding=padding,
            output_padding=extra,
            dilation=dilation,
            groups=groups,
            bias=len(weights) > 1,
            kernel=kernel,
        )
    return c.result(op, weights, c.names(1, 2))


def _cut(
    c: Call, spatial: Sequence[Extent], stride: Extents, spans: Extents, extra: Extents
) -> tuple[Pairs, Extents]:
    """Return how much of a transposed convolution's result is cut off, and how much is added."""
    if len(spatial) != len(spans):
        raise Unsupported(f"its kernel has {len(spans)} axes, and its input {len(spatial)}")
    sizes, mode = c.attribute("output_shape"), c.attribute("auto_pad") or "NOTSET"
    pairs = _pairs(c, spans)
    if sizes is None and pairs is not None:
        return pairs, extra
    if sizes is not None:
        if len(sizes) != len(spans) or not all(isinstance(e, int) for e in spatial):
            raise Unsupported("its output_shape does not say one size for each spatial axis")
        wholes = zip(spatial, stride, spans, extra, sizes, strict=True)
        totals = [(e - 1) * s + span + more - size for e, s, span, more, size in wholes]
    else:
        totals = [span + more - s for span, more, s in zip(spans, extra, stride, strict=True)]
    numbers = [t for t in totals if isinstance(t, int)]
    # A size beyond what the kernel reaches is filled up at the end.
    added = tuple(more + max(-t, 0) for more, t in zip(extra, numbers, strict=True))
    cut = [max(t, 0) for t in numbers]
    if mode == "SAME_UPPER":
        return tuple((t // 2, t - t // 2) for t in cut), added
    return tuple((t - t // 2, t // 2) for t in cut), added


# ------------------------------------------------------------------------- pools


def max_pool(c: Call) -> View:
    c.only_first_output("indices")
    c.attribute("storage_order")
    x = c.value()
    kernel = _pool_kernel(c)
    stride, dilation = _per_axis(c, "strides", kernel), _per_axis(c, "dilations", kernel)
    op = MaxPool(
        stride=stride,
        padding=window(c, c.type_of(x).spatial, kernel, stride, dilation),
        dilation=dilation,
        ceil_mode=bool(c.attribute("ceil_mode")),
        kernel=kernel,
    )
    return c.result(op)


def _pool_kernel(c: Call) -> Extents:
    kernel = tuple(c.attribute("kernel_shape"))
    if not kernel:
        raise Unsupported("its kernel_shape has no axis")
    return kernel


def average_pool(c: Call) -> View:
    x = c.value()
    kernel = _pool_kernel(c)
    stride = _per_axis(c, "strides", kernel)
    ones = (1,) * len(kernel)
    if _per_axis(c, "dilations", kernel) != ones:
        raise Unsupported("average pools have no dilation in the language")
    padding = window(c, c.type_of(x).spatial, kernel, stride, ones)
    counted = bool(c.attribute("count_include_pad")) and not isinstance(padding, Valid)
    op = AveragePool(
        stride=stride,
        padding=padding,
        ceil_mode=bool(c.attribute("ceil_mode")),
        count_padding=counted,
        kernel=kernel,
    )
    return c.result(op)


def global_pool(c: Call, kind: type[GlobalAveragePool | GlobalMaxPool]) -> View:
    """Pool the whole map, and keep its axes only if something needs them."""
    x = c.value()
    rank = c.type_of(x).rank
    name = c.node.outputs[0]
    flat = not c.state.is_output(name) and all(
        reader.op in ("Flatten", "Squeeze") for reader in c.state.readers(name)
    )
    pooled = c.emit(kind(keep_axes=not flat), (x,))
    return View(pooled, (0, 1, *((None,) * (rank - 2) if flat else range(2, rank))))


# ---------------------------------------------------------------- matrix products


def gemm(c: Call) -> View:
    """Multiply [N, in] by a constant matrix and add a constant row."""
    x = c.view()
    if c.attribute("transA"):
        x = View(x.value, x.axes[::-1])
    if len(x.axes) != 2:
        raise Unsupported(f"its first operand has {len(x.axes)} axes, and must have 2")
    matrix = c.weights(1, "second operand")
    if matrix.ndim != 2:
        raise Unsupported(f"its second operand has {matrix.ndim} axes, and must have 2")
    weight = _scaled(matrix if c.attribute("transB") else matrix.T, c.attribute("alpha"))
    weights = [weight]
    beta = c.attribute("beta")
    c.attribute("broadcast")
    added = c.operand(2) if c.given(2) else None
    if added is not None and not isinstance(added, View):
        weights.append(_scaled(_row(c, weight.shape[0]), beta))
    key = [*c.names(1, 2), *(str(c.attribute(a)) for a in ("alpha", "beta", "transB"))]
    op = Dense(out_features=weight.shape[0], bias=len(weights) > 1)
    if not isinstance(added, View):
        return c.state.whole(c.emit(op, (c.state.plain(x, c.node),), weights, key=key))
    product = c.emit(op, (c.state.plain(x, c.node),), weights, word="product", key=key)
    if beta != 1:
        added = View(
            c.emit(Affine(scale=shortest(beta)), (added.value,), word="scaled"), added.axes
        )
    return of_two(c, Add(), c.state.whole(product), added)


def _scaled(array: Array, factor: float) -> Array:
    return array if factor == 1 else np.asarray(array * np.float32(factor), np.float32)


def _row(c: Call, columns: int) -> Array:
    row = c.weights(2, "third operand")
    if row.size not in (1, columns) or row.shape[-1:] not in ((), (1,), (columns,)):
        raise Unsupported("its third operand differs from row to row")
    return vector(row, columns)


def matmul(c: Call) -> View:
    """Multiply by a constant matrix: a dense layer, or a 1x1 convolution if channels come last."""
    x = c.view()
    matrix = c.weights(1, "second operand")
    if matrix.ndim != 2:
        raise Unsupported(f"its second operand has {matrix.ndim} axes, and must have 2")
    out = matrix.shape[1]
    type_ = c.state.type_of(x)
    key = c.names(1)
    if len(x.axes) == 2:
        op = Dense(out_features=out, bias=False)
        return c.state.whole(c.emit(op, (c.state.plain(x, c.node),), [matrix.T], key=key))
    if x.axes[-1] != 1 or type_.rank < 3:
        raise Unsupported("its first operand does not have the channels last")
    ones = (1,) * len(type_.spatial)
    pointwise = Conv(
        out_channels=out,
        stride=ones,
        padding=Same(),
        dilation=ones,
        groups=1,
        bias=False,
        kernel=ones,
    )
    weight = matrix.T.reshape(*matrix.T.shape, *ones)
    return View(c.emit(pointwise, (x.value,), [weight], key=key), x.axes)


CASES: Cases = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": lambda c: global_pool(c, GlobalAveragePool),
    "GlobalMaxPool": lambda c: global_pool(c, GlobalMaxPool),
    "Gemm": gemm,
    "MatMul": matmul,
}
