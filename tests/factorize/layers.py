"""Layers for tests: convolutions by hand, and generated ones of any rank, stride and padding."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from cnndsl.backends.reference.run import run
from cnndsl.factorize.factors import Factor, Factors, Tensors, chain_graph, chain_weights
from cnndsl.factorize.layer import Layer
from cnndsl.ops.base import Array
from cnndsl.ops.conv import Conv
from cnndsl.ops.dense import Dense
from cnndsl.types.extents import Dim
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid
from cnndsl.types.tensor import DType, TensorType

_SAME = Same()
_ONE = (("N", 1),)


def conv(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, ...],
    extents: tuple[int, ...],
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = _SAME,
    groups: int = 1,
    bias: bool = True,
) -> Layer:
    """Return a convolution of maps of some extents, any number of samples."""
    rank = len(kernel)
    op = Conv(
        out_channels=out_channels,
        stride=(stride,) * rank,
        padding=padding,
        dilation=(dilation,) * rank,
        groups=groups,
        bias=bias,
        kernel=kernel,
    )
    type_ = TensorType(DType.FLOAT32, (Dim.symbol("N"), in_channels, *extents))
    return Layer(label="conv", op=op, input=type_, sizes=_ONE)


def dense(in_features: int, out_features: int, *, bias: bool = True) -> Layer:
    op = Dense(out_features=out_features, bias=bias)
    type_ = TensorType(DType.FLOAT32, (Dim.symbol("N"), in_features))
    return Layer(label="dense", op=op, input=type_, sizes=_ONE)


@st.composite
def convolutions(
    draw: st.DrawFn,
    ranks: tuple[int, ...] = (1, 2, 3),
    side: int | None = None,
    groups: int = 1,
) -> Layer:
    """Return convolutions with any stride, dilation and padding, and small maps.

    With `side` the kernel has this side along some axes, and 1 along the others. Channels are those
    of each of the `groups`.
    """
    rank = draw(st.sampled_from(ranks))

    def each(strategy: st.SearchStrategy[int]) -> tuple[int, ...]:
        return tuple(draw(strategy) for _ in range(rank))

    kernel = each(st.integers(1, 5 if rank < 3 else 3))
    if side is not None:
        kernel = (side, *each(st.sampled_from([1, side] if rank == 2 else [1])))[:rank]
    dilation = each(st.integers(1, 2))
    extents = tuple(
        (k - 1) * d + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True)
    )
    pairs = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(rank))
    op = Conv(
        out_channels=groups * draw(st.integers(1, 6)),
        groups=groups,
        stride=each(st.integers(1, 3)),
        padding=draw(st.sampled_from([Same(), Valid(), Causal(), Explicit(pairs)])),
        dilation=dilation,
        bias=draw(st.booleans()),
        kernel=kernel,
    )
    type_ = TensorType(DType.FLOAT32, (2, groups * draw(st.integers(1, 5)), *extents))
    return Layer(label="conv", op=op, input=type_)


def tensors(layer: Layer, seed: int = 0) -> tuple[Array, Array | None]:
    """Return a random weight and, if the layer has one, a bias."""
    rng = np.random.default_rng(seed)
    bias = rng.standard_normal(layer.out_channels) if layer.bias else None
    return rng.standard_normal(layer.weight_shape), bias


def inputs(layer: Layer, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal(layer.input.at(dict(layer.sizes)))


def chain_outputs(layer: Layer, factors: Factors, own: Tensors, x: Array) -> Array:
    """Return what a chain makes of an input, by the reference evaluator."""
    return run(chain_graph(factors, layer.input), {"x": x}, chain_weights(factors, own))["y"]


def layer_outputs(layer: Layer, weight: Array, bias: Array | None, x: Array) -> Array:
    """Return what the layer makes of an input, by the reference evaluator."""
    own = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    return chain_outputs(layer, (Factor("layer", layer.op),), (own,), x)
