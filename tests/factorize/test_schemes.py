"""Schemes at full rank are the layer itself, borders, strides and all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factorize.layers import (
    chain_outputs,
    conv,
    convolutions,
    dense,
    inputs,
    layer_outputs,
    tensors,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnndsl.diagnostics import CompileError
from cnndsl.factorize.catalog import REWRITES, WEIGHT_SCHEMES
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.estimates import estimated_errors
from cnndsl.factorize.factors import chain_graph, layer_cost
from cnndsl.factorize.fields import field_change
from cnndsl.factorize.kernels import composed, relative_error, spread
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.rewrites import Rewrite, rewrites
from cnndsl.factorize.scheme import Label, Scheme, break_even
from cnndsl.factorize.schemes.dense import DenseSvd
from cnndsl.factorize.schemes.stacked import Stacked
from cnndsl.ops.activation import Relu
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.norm import BatchNorm
from cnndsl.types.padding import Same, Valid

BY_NAME = {s.name: s for s in WEIGHT_SCHEMES}


def full(scheme: Scheme, layer: Layer) -> tuple[int, ...]:
    return tuple(limit.maximum for limit in scheme.rank_limits(layer))


def check_full_rank(scheme: WeightScheme, layer: Layer, seed: int) -> None:
    weight, bias = tensors(layer, seed)
    found = scheme.decompose(layer, weight, bias, full(scheme, layer))
    x = inputs(layer, seed + 1)
    y = chain_outputs(layer, found.factors, found.tensors, x)
    np.testing.assert_allclose(y, layer_outputs(layer, weight, bias, x), atol=1e-9)
    kernel = composed([t["weight"] for t in found.tensors], layer.in_channels)
    np.testing.assert_allclose(kernel, spread(weight, layer.in_channels), atol=1e-9)
    assert found.error < 1e-10
    assert found.label is Label.EXACT
    assert field_change(found.factors, layer) is None


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
@settings(max_examples=25, deadline=None)
@given(layer=convolutions(), seed=st.integers(0, 9))
def test_full_rank_is_the_layer(scheme: WeightScheme, layer: Layer, seed: int) -> None:
    if isinstance(scheme, DenseSvd):
        layer = dense(layer.in_channels, layer.out_channels, bias=layer.bias)
    assume(scheme.refusal(layer) is None or isinstance(scheme, Stacked))
    if scheme.refusal(layer) is None:
        check_full_rank(scheme, layer, seed)


@pytest.mark.parametrize("name", ["spatial_svd", "spatial_svd_reversed"])
@settings(max_examples=25, deadline=None)
@given(data=st.data(), groups=st.integers(2, 4), seed=st.integers(0, 9))
def test_groups_at_full_rank_are_the_layer(
    name: str, data: st.DataObject, groups: int, seed: int
) -> None:
    layer = data.draw(convolutions(ranks=(2, 3), groups=groups))
    assume(BY_NAME[name].refusal(layer) is None)
    check_full_rank(BY_NAME[name], layer, seed)


def test_a_depthwise_kernel_becomes_two_depthwise_ones() -> None:
    layer = conv(6, 6, (7, 7), (9, 9), groups=6)
    layer = replace(
        layer,
        op=DepthwiseConv(kernel=(7, 7), stride=(1, 1), padding=Same(), dilation=(1, 1), bias=True),
    )
    first, second = (f.op for f in BY_NAME["spatial_svd"].factors(layer, (1,)))
    assert isinstance(first, DepthwiseConv)
    assert isinstance(second, DepthwiseConv)
    assert (first.kernel, second.kernel) == ((7, 1), (1, 7))
    # Each kernel is a matrix of rank 2: one direction keeps what its first singular value does.
    weight, bias = tensors(layer)
    u, _, vt = np.linalg.svd(weight[:, 0])
    weight = (3 * u[:, :, :1] @ vt[:, :1] + u[:, :, 1:2] @ vt[:, 1:2])[:, None]
    one, two = (BY_NAME["spatial_svd"].decompose(layer, weight, bias, (r,)).error for r in (1, 2))
    assert one == pytest.approx(np.sqrt(1 / 10))
    assert two < 1e-12
    assert estimated_errors(BY_NAME["spatial_svd"], layer, weight, bias, [(1,), (2,)]) == (
        pytest.approx((one, two), abs=1e-7)
    )


@pytest.mark.parametrize("side", [5, 7])
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=st.integers(0, 9))
def test_stacked_kernels_of_full_width_are_the_layer(
    side: int, data: st.DataObject, seed: int
) -> None:
    layer = data.draw(convolutions(ranks=(1, 2) if side == 7 else (1, 2, 3), side=side))
    assert BY_NAME["stacked"].refusal(layer) is None
    check_full_rank(BY_NAME["stacked"], layer, seed)


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
def test_error_falls_with_the_rank_and_is_that_of_the_chain(scheme: WeightScheme) -> None:
    layer = dense(12, 10) if scheme.name == "dense_svd" else conv(6, 7, (5, 5), (9, 9))
    weight, bias = tensors(layer)
    errors = []
    for fraction in (0.1, 0.3, 0.6, 1.0):
        ranks = scheme.ranks_at(layer, fraction)
        found = scheme.decompose(layer, weight, bias, ranks)
        kernel = composed([t["weight"] for t in found.tensors], layer.in_channels)
        assert found.error == pytest.approx(relative_error(weight, kernel))
        specs = chain_graph(found.factors, layer.input).parameters
        assert [p.spec.shape for p in specs] == [
            a.shape for own in found.tensors for a in own.values()
        ]
        errors.append(found.error)
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1
    assert errors[-1] < 1e-10


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
@pytest.mark.parametrize("kind", ["zeros", "rank 1", "one channel", "huge", "tiny"])
def test_hostile_weights(scheme: WeightScheme, kind: str) -> None:
    layer = dense(8, 6) if scheme.name == "dense_svd" else conv(4, 6, (5, 5), (9, 9))
    weight, bias = tensors(layer)
    match kind:
        case "zeros":
            weight = np.zeros_like(weight)
        case "rank 1":
            weight = np.ones_like(weight) * np.arange(1, 1 + len(weight)).reshape(
                -1, *(1,) * (weight.ndim - 1)
            )
        case "one channel":
            weight[1:] = 0
        case "huge":
            weight *= 1e30
        case _:
            weight *= 1e-30
    for fraction in (0.01, 0.5):
        found = scheme.decompose(layer, weight, bias, scheme.ranks_at(layer, fraction))
        assert all(np.isfinite(a).all() for own in found.tensors for a in own.values())
        assert 0 <= found.error <= 1 + 1e-9
        if kind == "zeros":
            assert found.error == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(value: float) -> None:
    for scheme in WEIGHT_SCHEMES:
        layer = dense(8, 6) if scheme.name == "dense_svd" else conv(4, 6, (5, 5), (9, 9))
        weight, bias = tensors(layer)
        weight[1, 2] = value
        assert bias is not None
        bias[3] = value
        with pytest.raises(CompileError) as caught:
            scheme.decompose(layer, weight, bias, scheme.ranks_at(layer, 0.5))
        assert [d.code for d in caught.value.diagnostics] == ["CNN661", "CNN661"]
        assert layer.label in caught.value.diagnostics[0].message


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
def test_decompositions_depend_on_their_arguments_alone(scheme: WeightScheme) -> None:
    layer = dense(8, 6) if scheme.name == "dense_svd" else conv(5, 6, (5, 5), (9, 9))
    weight, bias = tensors(layer)
    ranks = scheme.ranks_at(layer, 0.2)
    first, second = (scheme.decompose(layer, weight, bias, ranks) for _ in range(2))
    for a, b in zip(first.tensors, second.tensors, strict=True):
        for role, array in a.items():
            np.testing.assert_array_equal(array, b[role])


def test_refusals() -> None:
    reasons = {
        "grouped": conv(8, 8, (3, 3), (9, 9), groups=2),
        "depthwise": conv(8, 8, (3, 3), (9, 9), groups=8),
        "dense": dense(8, 8),
    }
    for word, layer in reasons.items():
        for scheme in (*WEIGHT_SCHEMES, *REWRITES):
            splits = scheme.name.startswith("spatial") or scheme.name == "anisotropic"
            if splits and word in ("grouped", "depthwise"):
                assert scheme.refusal(layer) is None
            elif (word, scheme.name) != ("dense", "dense_svd"):
                reason = scheme.refusal(layer)
                assert reason is not None, (word, scheme.name)
                if scheme.name != "dense_svd":
                    assert word in reason
    pointwise = conv(8, 8, (1, 1), (9, 9))
    applies = {s.name for s in WEIGHT_SCHEMES if s.refusal(pointwise) is None}
    assert applies == {"channel_output"}
    row = conv(8, 8, (1, 5), (9, 9))
    assert "one side only" in str(BY_NAME["spatial_svd"].refusal(row))
    even = conv(8, 8, (4, 4), (9, 9))
    assert "even" in str(BY_NAME["stacked"].refusal(even))


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda s: s.name)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_rewrites_keep_sizes_and_reach(rewrite: Rewrite, data: st.DataObject) -> None:
    side = data.draw(st.sampled_from([5, 7])) if rewrite.name == "stack3x3" else None
    ranks = (1, 2) if side else (1, 2, 3)
    groups = data.draw(st.sampled_from([1, 3])) if rewrite.name == "anisotropic" else 1
    layer = data.draw(convolutions(ranks=ranks, side=side, groups=groups))
    assume(rewrite.refusal(layer) is None)
    factors = rewrite.factors(layer, rewrite.usual_ranks(layer))
    graph = chain_graph(factors, layer.input)
    assert graph.types[graph.outputs[0].value] == layer.output
    assert field_change(factors, layer) is None


def test_what_stands_between_the_factors_of_a_rewrite() -> None:
    layer = conv(8, 8, (3, 3), (9, 9))

    def words(norm: bool, relu: bool) -> list[str]:
        (bottleneck,) = (
            r
            for r in rewrites(norm=norm, activation=Relu() if relu else None)
            if r.name == "bottleneck"
        )
        return [
            f"{type(f.op).__name__}{'+bias' if getattr(f.op, 'bias', False) else ''}"
            for f in bottleneck.factors(layer, (2, 3))
        ]

    assert words(False, False) == ["Conv", "Conv", "Conv+bias"]
    assert words(True, True) == [*["Conv", "BatchNorm", "Relu"] * 2, "Conv+bias"]
    assert words(True, False) == [*["Conv", "BatchNorm"] * 2, "Conv+bias"]
    assert words(False, True) == [*["Conv+bias", "Relu"] * 2, "Conv+bias"]


def test_savings_of_the_lecture() -> None:
    """5x5 to 3x3, 3x3 saves 28 %; 7x7 to three 3x3 22 of 49; 3x3 to 1x3, 3x1 a third."""
    by_name = {r.name: r for r in REWRITES}

    def ratio(name: str, side: int) -> float:
        layer = conv(64, 64, (side, side), (32, 32), bias=False)
        scheme = by_name[name]
        cost = scheme.cost(layer, scheme.usual_ranks(layer))
        assert cost.params / layer_cost(layer).params == pytest.approx(
            cost.macs / layer_cost(layer).macs
        )
        return cost.params / layer_cost(layer).params

    assert ratio("stack3x3", 5) == pytest.approx(18 / 25)
    assert ratio("stack3x3", 7) == pytest.approx(27 / 49)
    assert ratio("anisotropic", 3) == pytest.approx(6 / 9)
    assert ratio("depthwise_separable", 3) == pytest.approx((9 * 64 + 64 * 64) / (9 * 64 * 64))


def closed_forms(layer: Layer) -> dict[str, tuple[tuple[int, ...], int, int]]:
    """Return (ranks, parameters, MACs) by science's formulas, for k x k, without biases."""
    S, T = layer.in_channels, layer.out_channels
    k = layer.kernel[0]
    sizes = dict(layer.sizes)
    (H, W), (h, w) = layer.input.at(sizes)[2:], layer.output.at(sizes)[2:]
    r, q, t = 5, 7, 3
    return {
        "channel_output": ((r,), r * (S * k * k + T), r * (S * k * k + T) * h * w),
        "channel_input": ((r,), r * (S + T * k * k), r * S * H * W + r * T * k * k * h * w),
        "spatial_svd": ((r,), r * k * (S + T), r * S * k * h * W + r * T * k * h * w),
        "spatial_svd_reversed": ((r,), r * k * (S + T), r * S * k * H * w + r * T * k * h * w),
        "tucker2": (
            (r, q),
            S * r + k * k * r * q + T * q,
            S * r * H * W + (k * k * r * q + T * q) * h * w,
        ),
        "cp3": (
            (r,),
            r * (S + k * k + T),
            r * S * H * W + r * (k * k + T) * h * w,
        ),
        "cp4": (
            (r,),
            r * (S + k + k + T),
            r * S * H * W + r * k * h * W + r * (k + T) * h * w,
        ),
        "asymmetric3d": (
            (r, q),
            r * k * S + r * k * q + q * T,
            r * S * k * h * W + (r * q * k + q * T) * h * w,
        ),
        "decouple_pointwise": (
            (t,),
            t * (S * T + T * k * k),
            t * (S * T * H * W + T * k * k * h * w),
        ),
        "decouple_depthwise": (
            (t,),
            t * (S * k * k + S * T),
            t * (S * k * k + S * T) * h * w,
        ),
    }


@pytest.mark.parametrize("stride", [1, 2])
def test_costs_are_the_closed_forms(stride: int) -> None:
    layer = conv(16, 24, (3, 3), (14, 18), stride=stride, bias=False)
    forms = closed_forms(layer)
    assert forms.keys() == BY_NAME.keys() - {"dense_svd", "stacked"}
    for name, (ranks, params, macs) in forms.items():
        cost = BY_NAME[name].cost(layer, ranks)
        assert (cost.params, cost.macs) == (params, macs), name
    wide = conv(16, 24, (5, 5), (14, 18), bias=False)
    cost = BY_NAME["stacked"].cost(wide, (10,))
    # The first kernel is evaluated on the map padded by 2, less its own reach of 2: two more.
    assert cost.params == 9 * 10 * (16 + 24)
    assert cost.macs == 9 * 10 * (16 * 16 * 20 + 24 * 14 * 18)
    cost = BY_NAME["dense_svd"].cost(dense(30, 20, bias=False), (4,))
    assert (cost.params, cost.macs) == (4 * 50, 4 * 50)


def test_break_even_is_the_largest_rank_that_saves() -> None:
    S, T, k = 64, 96, 3
    layer = conv(S, T, (k, k), (14, 14), bias=False)

    def rank(name: str) -> int:
        found = break_even(BY_NAME[name], layer, lambda cost: cost.params)
        assert found is not None
        return found[0]

    assert rank("spatial_svd") == (S * T * k - 1) // (S + T)
    assert rank("channel_output") == (S * T * k * k - 1) // (S * k * k + T)
    assert rank("channel_input") == (S * T * k * k - 1) // (S + T * k * k)
    tiny = conv(1, 1, (3, 3), (9, 9), bias=False)
    assert break_even(BY_NAME["tucker2"], tiny, lambda cost: cost.params) is None


def test_ops_of_the_factors_are_as_a_person_would_write_them() -> None:
    layer = conv(16, 24, (3, 3), (14, 14), padding=Valid())
    vertical, horizontal = BY_NAME["spatial_svd"].factors(layer, (5,))
    ones = (1, 1)
    assert vertical.op == Conv(
        out_channels=5, kernel=(3, 1), stride=ones, dilation=ones, padding=Valid(), bias=False
    )
    assert horizontal.op == Conv(
        out_channels=24, kernel=(1, 3), stride=ones, dilation=ones, padding=Valid(), bias=True
    )
    reduce, _, _ = BY_NAME["tucker2"].factors(layer, (5, 5))
    assert reduce.op == Conv(
        out_channels=5, kernel=ones, stride=ones, dilation=ones, padding=Same(), bias=False
    )
    assert not any(isinstance(f.op, BatchNorm) for f in (vertical, horizontal))
