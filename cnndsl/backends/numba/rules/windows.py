"""Layers with a window: convolutions, dense and pools."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.numba.call import Arg, Call, Request, Rule
from cnndsl.ops import conv, dense, local, pool, transposed
from cnndsl.ops.base import Extents, Op
from cnndsl.types.padding import Padding, window_padding
from cnndsl.types.tensor import TensorType


def _pads(
    padding: Padding, x: TensorType, kernel: Extents, stride: Extents, dilation: Extents
) -> tuple[tuple[int, int], ...] | None:
    """Return the padding of every axis; None where `same` depends on a symbol."""
    pads = [
        window_padding(padding, i, e, kernel[i], stride[i], dilation[i])
        for i, e in enumerate(x.spatial)
    ]
    known = [p for p in pads if p is not None]
    return tuple(known) if len(known) == len(pads) else None


def _firsts(pads: tuple[tuple[int, int], ...] | None) -> Arg:
    return None if pads is None else tuple(p[0] for p in pads)


def _conv(r: Request) -> Call:
    op = r.op
    assert isinstance(op, conv.Conv)
    pads = _pads(op.padding, r.x_type, op.kernel, op.stride, op.dilation)
    grouped: dict[str, Arg] = {"groups": op.groups} if op.groups > 1 else {}
    return r.call(
        "conv_layer",
        r.x,
        r.shape,
        *r.params,
        kernel=op.kernel,
        stride=op.stride,
        dilation=op.dilation,
        before=_firsts(pads),
        layers=("conv",),
        **grouped,
    )


def _depthwise(r: Request) -> Call:
    op = r.op
    assert isinstance(op, conv.DepthwiseConv)
    pads = _pads(op.padding, r.x_type, op.kernel, op.stride, op.dilation)
    return r.call(
        "depthwise_layer",
        r.x,
        r.shape,
        *r.params,
        kernel=op.kernel,
        stride=op.stride,
        dilation=op.dilation,
        before=_firsts(pads),
        layers=("depthwise",),
    )


def _transposed(r: Request) -> Call:
    op = r.op
    assert isinstance(op, transposed.ConvTranspose)
    before = tuple(low for low, _ in op.crops)
    grouped: dict[str, Arg] = {"groups": op.groups} if op.groups > 1 else {}
    return r.call(
        "transposed_layer",
        r.x,
        r.shape,
        *r.params,
        kernel=op.kernel,
        stride=op.stride,
        dilation=op.dilation,
        before=before,
        layers=("transposed",),
        **grouped,
    )


def _dense(r: Request) -> Call:
    return r.call("dense_layer", r.x, r.shape, *r.params, layers=("dense",))


def _local(r: Request) -> Call:
    op = r.op
    assert isinstance(op, local.LocallyConnected)
    pads = _pads(op.padding, r.x_type, op.kernel, op.stride, (1,) * len(op.kernel))
    return r.call(
        "local_layer",
        r.x,
        r.shape,
        *r.params,
        kernel=op.kernel,
        stride=op.stride,
        before=_firsts(pads),
        layers=("local",),
    )


def _max_pool(r: Request) -> Call:
    op = r.op
    assert isinstance(op, pool.MaxPool)
    stride = op.stride or op.kernel
    return r.call(
        "max_pool_layer",
        r.x,
        r.shape,
        kernel=op.kernel,
        stride=stride,
        dilation=op.dilation,
        before=_firsts(_pads(op.padding, r.x_type, op.kernel, stride, op.dilation)),
        layers=("max_pool",),
    )


def _average_pool(r: Request) -> Call:
    op = r.op
    assert isinstance(op, pool.AveragePool)
    stride = op.stride or op.kernel
    pads = _pads(op.padding, r.x_type, op.kernel, stride, (1,) * len(op.kernel))
    return r.call(
        "average_pool_layer",
        r.x,
        r.shape,
        kernel=op.kernel,
        stride=stride,
        before=_firsts(pads),
        after=None if pads is None else tuple(p[1] for p in pads),
        count_padding=op.count_padding,
        layers=("average_pool",),
    )


def _global_pool(r: Request) -> Call:
    largest = isinstance(r.op, pool.GlobalMaxPool)
    return r.call("global_pool_layer", r.x, r.shape, take_largest=largest, layers=("global_pool",))


RULES: Mapping[type[Op], Rule] = {
    conv.Conv: _conv,
    conv.DepthwiseConv: _depthwise,
    transposed.ConvTranspose: _transposed,
    dense.Dense: _dense,
    local.LocallyConnected: _local,
    pool.MaxPool: _max_pool,
    pool.AveragePool: _average_pool,
    pool.GlobalAveragePool: _global_pool,
    pool.GlobalMaxPool: _global_pool,
}
