"""Schemes at full rank are the layer itself, borders, strides and all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.factors import Factor, chain_graph, chain_weights
from cnndsl.factorize.kernels import composed
from cnndsl.factorize.layer import Layer
from cnndsl.ops.conv import Conv
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid
from cnndsl.types.tensor import DType, TensorType


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Return convolutions of rank 1 to 3, with any stride, dilation and (odd) padding."""
    rank = draw(st.integers(1, 3))

    def each(strategy: st.SearchStrategy[int]) -> tuple[int, ...]:
        return tuple(draw(strategy) for _ in range(rank))

    kernel = each(st.integers(1, 5 if rank < 3 else 3))
    stride = each(st.integers(1, 3))
    dilation = each(st.integers(1, 2))
    extents = tuple(
        (k - 1) * d + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True)
    )
    pairs = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(rank))
    padding: Padding = draw(st.sampled_from([Same(), Valid(), Causal(), Explicit(pairs)]))
    op = Conv(
        out_channels=draw(st.integers(1, 6)),
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias=draw(st.booleans()),
        kernel=kernel,
    )
    shape = (2, draw(st.integers(1, 5)), *extents)
    return Layer(label="conv", op=op, input=TensorType(DType.FLOAT32, shape))


def tensors_of(layer: Layer, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a random weight and bias."""
    rng = np.random.default_rng(seed)
    bias = rng.standard_normal(layer.out_channels) if layer.bias else None
    return rng.standard_normal(layer.weight_shape), bias


def outputs(layer: Layer, x: np.ndarray, *tensors: np.ndarray | None) -> np.ndarray:
    factors = (Factor("layer", layer.op),)
    own = {r: t for r, t in zip(("weight", "bias"), tensors, strict=True) if t is not None}
    return run(chain_graph(factors, layer.input), {"x": x}, chain_weights(factors, (own,)))["y"]


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
@settings(max_examples=25, deadline=None)
@given(layer=layers(), seed=st.integers(0, 9))
def test_full_rank_is_the_layer(scheme: WeightScheme, layer: Layer, seed: int) -> None:
    if scheme.refusal(layer) is not None:
        return
    weight, bias = tensors_of(layer, seed)
    ranks = tuple(limit.maximum for limit in scheme.rank_limits(layer))
    found = scheme.decompose(layer, weight, bias, ranks)
    x = np.random.default_rng(seed + 1).standard_normal(layer.input.shape)
    graph = chain_graph(found.factors, layer.input)
    y = run(graph, {"x": x}, chain_weights(found.factors, found.tensors))["y"]
    assert found.error < 1e-10
    np.testing.assert_allclose(y, outputs(layer, x, weight, bias), atol=1e-9)
    kernel = composed([t["weight"] for t in found.tensors], layer.in_channels)
    np.testing.assert_allclose(kernel, weight, atol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(value: float) -> None:
    op = Conv(
        out_channels=4, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding=Same(), bias=True
    )
    layer = Layer(label="a.conv", op=op, input=TensorType(DType.FLOAT32, (1, 4, 8, 8)))
    weight, bias = tensors_of(layer, 0)
    weight[1, 2, 0, 0] = value
    assert bias is not None
    bias[3] = value
    for scheme in WEIGHT_SCHEMES:
        with pytest.raises(CompileError) as caught:
            scheme.decompose(layer, weight, bias, (1,) * len(scheme.rank_limits(layer)))
        assert [d.code for d in caught.value.diagnostics] == ["CNN661", "CNN661"]
        assert "a.conv" in caught.value.diagnostics[0].message
