"""Convolutions, pools, and the layers of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from cnndsl.backends.torch.text import (
    OWN,
    Arg,
    Lowered,
    Parts,
    Rule,
    X,
    every_axis,
    per_axis,
)
from cnndsl.ops.base import Extents, Op
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.extents import Extent, ceil_div
from cnndsl.types.padding import Padding, Same, span_of, window_padding
from cnndsl.types.tensor import TensorType

Pairs = tuple[tuple[int, int], ...]


def static_pads(
    x: TensorType, kernel: Extents, stride: Extents, dilation: Extents, padding: Padding
) -> Pairs | None:
    """Return (before, after) for each axis; None where `same` depends on a symbolic size."""
    found = []
    for axis, extent in enumerate(x.spatial):
        window = kernel[axis], stride[axis], dilation[axis]
        pair = window_padding(padding, axis, extent, *window)
        if pair is None:
            # The size is symbolic, but may be a multiple of the stride all the same.
            span, step = span_of(kernel[axis], dilation[axis]), stride[axis]
            total = (ceil_div(extent, step) - 1) * step + span - extent
            if kernel[axis] == 1:
                total = 0
            if not isinstance(total, int):
                return None
            total = max(total, 0)
            pair = total // 2, total - total // 2
        found.append(pair)
    return tuple(found)


def known(extent: Extent) -> int:
    """Return an extent that the op's type rule has shown to be a number."""
    assert isinstance(extent, int), "a symbolic extent"
    return extent


def flat_pads(pairs: Pairs) -> Parts:
    """Return pads as F.pad takes them: the last axis first."""
    return every_axis(chain.from_iterable(reversed(pairs)), "padding")


def padded(pairs: Pairs | None, kernel: Extents, stride: Extents, dilation: Extents) -> Parts:
    """Return the argument of F.pad that pads for a window; computed where sizes are symbolic."""
    if pairs is not None:
        return flat_pads(pairs)
    return (
        "same_pads(",
        X,
        *every_axis(kernel, "kernel_size", ", "),
        *every_axis(stride, "stride", ", "),
        *every_axis(dilation, "dilation", ", "),
        ")",
    )


def is_even(pairs: Pairs | None) -> bool:
    """Tell whether each axis is padded by the same number before and after."""
    return pairs is not None and all(low == high for low, high in pairs)


def _bias(op: Conv | DepthwiseConv | ConvTranspose | Dense | LocallyConnected) -> Arg:
    return Arg(op.bias is not False, "bias", ", bias=", True)


def conv(op: Conv | DepthwiseConv, types: Sequence[TensorType], result: TensorType) -> Lowered:
    (x,) = types
    channels = known(x.channels)
    groups = channels if isinstance(op, DepthwiseConv) else op.groups
    pairs = static_pads(x, op.kernel, op.stride, op.dilation, op.padding)
    even = is_even(pairs)
    padding = [low for low, _ in pairs] if even and pairs else [0]
    make = (
        f"nn.Conv{len(op.kernel)}d(",
        Arg(channels, "in_channels"),
        Arg(known(result.channels), "out_channels", ", "),
        *per_axis(op.kernel, "kernel_size", ", "),
        *per_axis(op.stride, "stride", ", stride=", 1),
        *per_axis(padding, "padding", ", padding=", 0),
        *per_axis(op.dilation, "dilation", ", dilation=", 1),
        Arg(groups, "groups", ", groups=", 1),
        _bias(op),
        ")",
    )
    if even:
        return Lowered((OWN, "(", X, ")"), make, drawn=True)
    pads = padded(pairs, op.kernel, op.stride, op.dilation)
    helpers = () if pairs is not None else ("same_pads",)
    return Lowered((OWN, "(F.pad(", X, ", ", *pads, "))"), make, drawn=True, helpers=helpers)


def conv_transpose(op: ConvTranspose, types: Sequence[TensorType], result: TensorType) -> Lowered:
    """Torch crops equally at both sides; what is left to crop follows."""
    common = tuple(min(pair) for pair in op.crops)
    rest = tuple((low - c, high - c) for (low, high), c in zip(op.crops, common, strict=True))
    make = (
        f"nn.ConvTranspose{len(op.kernel)}d(",
        Arg(known(types[0].channels), "in_channels"),
        Arg(op.out_channels, "out_channels", ", "),
        *per_axis(op.kernel, "kernel_size", ", "),
        *per_axis(op.stride, "stride", ", stride=", 1),
        *per_axis(common, "padding", ", padding=", 0),
        *per_axis(op.extra, "output_padding", ", output_padding=", 0),
        Arg(op.groups, "groups", ", groups=", 1),
        _bias(op),
        *per_axis(op.dilation, "dilation", ", dilation=", 1),
        ")",
    )
    return Lowered((OWN, "(", X, ")", *cropped(rest)), make, drawn=True)


def cropped(pairs: Pairs) -> Parts:
    """Return the index that cuts so many elements off both ends of each spatial axis."""
    if not any(chain.from_iterable(pairs)):
        return ()
    parts: list[Parts] = [("[:, :",)]
    for low, high in pairs:
        parts.append((", ",))
        parts.append((Arg(low, "crop"),) if low else ())
        parts.append((":",))
        parts.append((Arg(high, "crop", "-"),) if high else ())
    return (*chain.from_iterable(parts), "]")


def local(op: LocallyConnected, types: Sequence[TensorType], result: TensorType) -> Lowered:
    (x,) = types
    ones = (1,) * len(op.kernel)
    pairs = static_pads(x, op.kernel, op.stride, ones, op.padding)
    assert pairs is not None, "local has known sizes"
    make = (
        "LocallyConnected(",
        Arg(known(x.channels), "in_channels"),
        Arg(op.out_channels, "out_channels", ", "),
        *every_axis((known(e) for e in result.spatial), "size", ", "),
        *every_axis(op.kernel, "kernel_size", ", "),
        *every_axis(op.stride, "stride", ", "),
        _bias(op),
        ")",
    )
    padding: Parts = ("F.pad(", X, ", ", *flat_pads(pairs), ")") if _any(pairs) else (X,)
    return Lowered((OWN, "(", *padding, ")"), make, drawn=True, helpers=("LocallyConnected",))


def _any(pairs: Pairs) -> bool:
    return any(chain.from_iterable(pairs))


def dense(op: Dense, types: Sequence[TensorType], result: TensorType) -> Lowered:
    make = (
        "nn.Linear(",
        Arg(known(types[0].channels), "in_features"),
        Arg(op.out_features, "out_features", ", "),
        _bias(op),
        ")",
    )
    return Lowered((OWN, "(", X, ")"), make, drawn=True)


def embedding(op: Embedding, types: Sequence[TensorType], result: TensorType) -> Lowered:
    make = ("nn.Embedding(", Arg(op.entries, "entries"), Arg(op.features, "features", ", "), ")")
    return Lowered((OWN, "(", X, ").movedim(-1, 1)"), make, drawn=True)


def _reaching(
    pairs: Pairs, x: TensorType, result: TensorType, op: MaxPool | AveragePool, spans: Extents
) -> Pairs:
    """Return the pads extended to where the last windows end, which replaces ceil mode."""
    ends = (
        (known(count) - 1) * stride + span - known(extent) - low
        for (low, _), count, stride, span, extent in zip(
            pairs, result.spatial, op.step, spans, x.spatial, strict=True
        )
    )
    return tuple((low, max(high, end)) for (low, high), end in zip(pairs, ends, strict=True))


def _pool(op: MaxPool | AveragePool, name: str, more: Parts, padding: Parts, ceil: bool) -> Parts:
    rank = len(op.kernel)
    return (
        f"F.{name}_pool{rank}d(",
        *padding,
        *per_axis(op.kernel, "kernel_size", ", "),
        *per_axis(op.step, "stride", ", stride="),
        *more,
        Arg(ceil, "ceil_mode", ", ceil_mode=", False),
    )


def _is_symbolic(x: TensorType) -> bool:
    return not all(isinstance(e, int) for e in x.spatial)


def max_pool(op: MaxPool, types: Sequence[TensorType], result: TensorType) -> Lowered:
    """Torch pads evenly, by half a window at most: what is beyond is padded before."""
    (x,) = types
    spans = tuple(span_of(k, d) for k, d in zip(op.kernel, op.dilation, strict=True))
    pairs = static_pads(x, op.kernel, op.step, op.dilation, op.padding)
    ceil = op.ceil_mode and not isinstance(op.padding, Same)
    dilation = per_axis(op.dilation, "dilation", ", dilation=", 1)
    if pairs is not None and is_even(pairs) and _within_half(pairs, op.kernel):
        evenly = per_axis([low for low, _ in pairs], "padding", ", padding=", 0)
        return Lowered((*_pool(op, "max", (*evenly, *dilation), (X,), ceil), ")"))
    if pairs is None and _only_ends_are_short(op):
        return Lowered((*_pool(op, "max", dilation, (X,), True), ")"))
    if pairs is not None and ceil and not _is_symbolic(x):
        # A window that starts in the padding does not count, but would in what is padded before.
        pairs, ceil = _reaching(pairs, x, result, op, spans), False
    before: Parts = (
        "F.pad(",
        X,
        ", ",
        *padded(pairs, op.kernel, op.step, op.dilation),
        ', value=float("-inf"))',
    )
    helpers = () if pairs is not None else ("same_pads",)
    return Lowered((*_pool(op, "max", dilation, before, ceil), ")"), helpers=helpers)


def _only_ends_are_short(op: MaxPool | AveragePool) -> bool:
    """Tell whether `same` is what rounding up without padding is: it pads one element, at the end.

    That holds for windows of 1 or 2 that lie side by side.
    """
    spans = getattr(op, "dilation", (1,) * len(op.kernel))
    sides = zip(op.kernel, op.step, spans, strict=True)
    return all(k == s <= 2 and (d == 1 or k == 1) for k, s, d in sides)


def _within_half(pairs: Pairs, kernel: Extents) -> bool:
    return all(2 * max(pair) <= span for pair, span in zip(pairs, kernel, strict=True))


def average_pool(op: AveragePool, types: Sequence[TensorType], result: TensorType) -> Lowered:
    (x,) = types
    ones = (1,) * len(op.kernel)
    pairs = static_pads(x, op.kernel, op.step, ones, op.padding)
    ceil = op.ceil_mode and not isinstance(op.padding, Same)
    if pairs is not None and is_even(pairs) and _within_half(pairs, op.kernel):
        more = per_axis([low for low, _ in pairs], "padding", ", padding=", 0)
        if _any(pairs):
            more += (Arg(op.count_padding, "count_padding", ", count_include_pad=", True),)
        return Lowered((*_pool(op, "avg", more, (X,), ceil), ")"))
    if pairs is None and _only_ends_are_short(op) and not op.count_padding:
        return Lowered((*_pool(op, "avg", (), (X,), True), ")"))
    beyond: Parts = ()
    if pairs is not None and ceil and not _is_symbolic(x):
        reached = _reaching(pairs, x, result, op, op.kernel)
        past = tuple((0, far[1] - near[1]) for far, near in zip(reached, pairs, strict=True))
        beyond, ceil = flat_pads(past) if _any(past) else (), False
    run: Parts = (
        "average_pool(",
        X,
        *every_axis(op.kernel, "kernel_size", ", "),
        *every_axis(op.step, "stride", ", "),
        ", ",
        *padded(pairs, op.kernel, op.step, ones),
        Arg(op.count_padding, "count_padding", ", count_padding=", False),
        Arg(ceil, "ceil_mode", ", ceil_mode=", False),
        *((", beyond=", *beyond) if beyond else ()),
        ")",
    )
    helpers = ("average_pool",) if pairs is not None else ("average_pool", "same_pads")
    return Lowered(run, helpers=helpers)


def global_pool(
    op: GlobalAveragePool | GlobalMaxPool, types: Sequence[TensorType], result: TensorType
) -> Lowered:
    word = "mean" if isinstance(op, GlobalAveragePool) else "amax"
    axes = ", ".join(str(2 + axis) for axis in range(len(types[0].spatial)))
    keep = Arg(op.keep_axes, "keep_axes", ", keepdim=", False)
    return Lowered(
        (X, f".{word}(dim=({axes}{',' if len(types[0].spatial) == 1 else ''})", keep, ")")
    )


RULES: dict[type[Op], Rule] = {
    Conv: conv,
    DepthwiseConv: conv,
    ConvTranspose: conv_transpose,
    Dense: dense,
    Embedding: embedding,
    LocallyConnected: local,
    MaxPool: max_pool,
    AveragePool: average_pool,
    GlobalAveragePool: global_pool,
    GlobalMaxPool: global_pool,
}
