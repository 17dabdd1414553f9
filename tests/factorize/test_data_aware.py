"""Fits in the metric of the inputs: closed forms, and better than without data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from factorize.layers import chain_outputs, conv, convolutions, dense, layer_outputs, tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.diagnostics import CompileError
from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.channels import ChannelMoments
from cnndsl.factorize.collect import Collector, refusal_to_collect
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.expanding import Expanding
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.kernels import composed
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.nonlinear import nearest_latent, rectified_error
from cnndsl.factorize.reconstruct import reconstruct
from cnndsl.factorize.rectifier import Rectifier
from cnndsl.factorize.statistics import Statistics
from cnndsl.ops.base import Array
from cnndsl.types.padding import Valid

BY_NAME = {s.name: s for s in WEIGHT_SCHEMES}
EVERYWHERE = 10**6


def smooth(shape: tuple[int, ...], seed: int) -> Array:
    """Return maps like natural ones: neighbours and channels alike, so that spectra decay."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    x = rng.standard_normal(shape)
    for axis in range(2, len(shape)):
        x = x + 0.9 * np.roll(x, 1, axis) + 0.7 * np.roll(x, 2, axis)
    mixing = rng.standard_normal((channels, channels)) * np.exp(-np.arange(channels) / 2)
    return np.einsum("cd,nd...->nc...", mixing, x) + 0.3


def gathered(
    layer: Layer, weight: Array, bias: Array | None, x: Array, wanted: Array | None = None
) -> Statistics:
    """Return the statistics of all positions; the outputs wanted are the layer's own."""
    collector = Collector(layer, positions=EVERYWHERE)
    collector.add(x, layer_outputs(layer, weight, bias, x) if wanted is None else wanted)
    return collector.statistics()


def decaying(side: int = 3, *, bias: bool = True) -> tuple[Layer, Array, Array | None, Statistics]:
    layer = conv(12, 14, (side, side), (12, 12), bias=bias)
    weight, b = tensors(layer)
    return layer, weight, b, gathered(layer, weight, b, smooth((16, 12, 12, 12), 3))


def output_error(layer: Layer, kernel: Array, bias: Array | None, seen: Statistics) -> float:
    """Return the relative error of the outputs by their definition, row by row."""
    y = seen.patches @ kernel.reshape(len(kernel), -1).T + (0 if bias is None else bias)
    centre = 0 if bias is None else seen.output_mean
    return float(np.linalg.norm(y - seen.outputs) / np.linalg.norm(seen.outputs - centre))


@settings(max_examples=40, deadline=None)
@given(layer=convolutions(), seed=st.integers(0, 9))
def test_patches_are_what_the_layer_multiplies(layer: Layer, seed: int) -> None:
    weight, bias = tensors(layer, seed)
    x = np.random.default_rng(seed).standard_normal(layer.input.at({}))
    seen = gathered(layer, weight, bias, x)
    again = seen.patches @ weight.reshape(len(weight), -1).T + (0 if bias is None else bias)
    np.testing.assert_allclose(again, seen.outputs, atol=1e-9)
    assert seen.count == len(seen.patches) == np.prod(layer.output.at({})) // len(weight)
    np.testing.assert_allclose(seen.input_moment, seen.patches.T @ seen.patches / seen.count)
    np.testing.assert_allclose(seen.cross_moment, seen.outputs.T @ seen.patches / seen.count)
    np.testing.assert_allclose(seen.output_square, (seen.outputs**2).mean(axis=0))


def test_batches_do_not_matter_and_memory_is_bounded() -> None:
    layer = conv(3, 4, (3, 3), (9, 9), padding=Valid())
    weight, bias = tensors(layer)
    x = np.random.default_rng(0).standard_normal((40, 3, 9, 9))
    y = layer_outputs(layer, weight, bias, x)
    found = []
    for size in (1, 7, 40):
        collector = Collector(layer, positions=5, kept_rows=30, seed=4)
        for start in range(0, 40, size):
            collector.add(x[start : start + size], y[start : start + size])
        found.append(collector.statistics())
    for other in found[1:]:
        np.testing.assert_allclose(other.input_moment, found[0].input_moment, rtol=1e-12)
        np.testing.assert_array_equal(other.patches, found[0].patches)
    assert found[0].count == 200
    assert found[0].patches.shape == (30, 27)
    other = Collector(layer, positions=5, kept_rows=30, seed=5)
    other.add(x, y)
    assert not np.allclose(other.statistics().input_mean, found[0].input_mean, rtol=1e-3)


def test_rows_are_kept_with_equal_chance() -> None:
    layer = dense(1, 1)
    kept = np.zeros(40)
    for seed in range(300):
        collector = Collector(layer, kept_rows=10, seed=seed)
        collector.add(np.arange(40.0)[:, None], np.zeros((40, 1)))
        kept[collector.statistics().patches[:, 0].astype(int)] += 1
    assert kept.sum() == 3000
    # 75 are expected, with a deviation of 7.5.
    assert kept.min() > 75 - 38
    assert kept.max() < 75 + 38


def test_what_is_not_gathered() -> None:
    assert "moments would take" in str(refusal_to_collect(dense(25_088, 4096)))
    assert refusal_to_collect(conv(512, 512, (3, 3), (14, 14))) is None
    layer = dense(3, 2)
    with pytest.raises(CompileError) as caught:
        Collector(layer).add(np.full((1, 3), np.nan), np.zeros((1, 2)))
    assert [d.code for d in caught.value.diagnostics] == ["CNN661"]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rank", [1, 4, 9])
def test_channel_low_rank_is_the_closed_form(rank: int, bias: bool) -> None:
    """[W L]_r L^-1 with moment = L L^T; the error is the root of its tail's energy."""
    layer, weight, b, seen = decaying(bias=bias)
    found = BY_NAME["channel_output"].decompose(layer, weight, b, (rank,), seen)
    moment = seen.input_moment
    if bias:
        moment = moment - np.outer(seen.input_mean, seen.input_mean)
    lower = np.linalg.cholesky(moment + 1e-12 * np.eye(len(moment)))
    values = np.linalg.svd(weight.reshape(14, -1) @ lower, compute_uv=False)
    expected = np.sqrt((values[rank:] ** 2).sum() / (values**2).sum())
    assert found.output_error == pytest.approx(expected, rel=1e-4)
    kernel = composed([t["weight"] for t in found.tensors], 12)
    measured = output_error(layer, kernel, found.tensors[-1].get("bias"), seen)
    assert found.output_error == pytest.approx(measured, rel=1e-9)
    # As principal components of the responses: U U^T W, and the bias that fits.
    responses = seen.outputs - (seen.outputs.mean(axis=0) if bias else 0)
    _, _, vt = np.linalg.svd(responses, full_matrices=False)
    projected = vt[:rank].T @ vt[:rank] @ weight.reshape(14, -1)
    np.testing.assert_allclose(kernel.reshape(14, -1), projected, atol=1e-4)


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
@pytest.mark.parametrize("bias", [False, True])
def test_data_aware_beats_plain(scheme: WeightScheme, bias: bool) -> None:
    layer, weight, b, seen = decaying(5 if scheme.name == "stacked" else 3, bias=bias)
    if scheme.name == "dense_svd":
        layer = dense(40, 30, bias=bias)
        weight, b = tensors(layer)
        seen = gathered(layer, weight, b, smooth((500, 40), 3))
    ranks = scheme.ranks_at(layer, 0.25)
    plain = scheme.decompose(layer, weight, b, ranks)
    kernel = composed([t["weight"] for t in plain.tensors], layer.in_channels)
    before = output_error(layer, kernel, b, seen)
    aware = scheme.decompose(layer, weight, b, ranks, seen)
    kernel = composed([t["weight"] for t in aware.tensors], layer.in_channels)
    after = output_error(layer, kernel, aware.tensors[-1].get("bias"), seen)
    assert aware.output_error == pytest.approx(after, rel=1e-6)
    assert after < before
    if scheme.name in ("channel_output", "channel_input", "tucker2", "spatial_svd"):
        assert after < before / 1.4
    assert aware.error > plain.error
    best = reconstruct(scheme, layer, weight, b, ranks, seen)
    assert best.output_error is not None
    assert best.output_error <= after * (1 + 1e-9)
    assert scheme.errors(layer, weight, b, [ranks], seen) == pytest.approx([after])


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
def test_full_rank_loses_nothing_with_data_either(scheme: WeightScheme) -> None:
    side = 5 if scheme.name == "stacked" else 3
    layer = dense(9, 7) if scheme.name == "dense_svd" else conv(3, 4, (side, side), (8, 8))
    weight, bias = tensors(layer)
    x = smooth((10, *layer.input.at(dict(layer.sizes))[1:]), 1)
    seen = gathered(layer, weight, bias, x)
    full = tuple(limit.maximum for limit in scheme.rank_limits(layer))
    found = scheme.decompose(layer, weight, bias, full, seen)
    assert found.output_error is not None
    assert found.output_error < 1e-5
    y = chain_outputs(layer, found.factors, found.tensors, x[:1])
    expected = layer_outputs(layer, weight, bias, x[:1])
    np.testing.assert_allclose(y, expected, atol=1e-4 * np.abs(expected).max())


def test_errors_before_the_layer_are_made_up_for() -> None:
    """Inputs of a compressed network, outputs of the original one: asymmetric reconstruction."""
    layer, weight, bias, _ = decaying()
    x = smooth((16, 12, 12, 12), 3)
    rng = np.random.default_rng(5)
    worse = x * 0.8 + 0.2 * np.roll(x, 1, axis=1) + 0.05 * rng.standard_normal(x.shape)
    wanted = layer_outputs(layer, weight, bias, x)
    symmetric = gathered(layer, weight, bias, worse)
    asymmetric = gathered(layer, weight, bias, worse, wanted)
    for name in ("channel_output", "spatial_svd", "tucker2", "decouple_pointwise"):
        scheme = BY_NAME[name]
        ranks = scheme.ranks_at(layer, 0.4)
        losses = []
        for seen in (symmetric, asymmetric):
            found = scheme.decompose(layer, weight, bias, ranks, seen)
            y = chain_outputs(layer, found.factors, found.tensors, worse)
            losses.append(np.linalg.norm(y - wanted))
        assert losses[1] < 0.85 * losses[0], name
        assert found.output_error == pytest.approx(
            losses[1] / np.linalg.norm(wanted - wanted.mean(axis=(0, 2, 3), keepdims=True)),
            rel=1e-6,
        )


def test_inputs_that_say_nothing_keep_the_kernel() -> None:
    layer = conv(4, 6, (3, 3), (9, 9))
    weight, bias = tensors(layer)
    seen = gathered(layer, weight, bias, np.zeros((3, 4, 9, 9)))
    plain = BY_NAME["channel_output"].decompose(layer, weight, bias, (3,))
    found = BY_NAME["channel_output"].decompose(layer, weight, bias, (3,), seen)
    assert found.error == pytest.approx(plain.error)
    fit = Fit.of(weight, bias, seen)
    np.testing.assert_allclose(fit.target, weight.reshape(6, -1), atol=1e-12)


def test_latent_outputs_are_the_best_ones() -> None:
    """Against a grid of values for each element."""
    rng = np.random.default_rng(0)
    wanted, predicted = rng.standard_normal((2, 50))
    grid = np.linspace(-4, 4, 8001)
    for penalty in (0.1, 1.0, 10.0):
        cost = (np.maximum(wanted, 0)[:, None] - np.maximum(grid, 0)) ** 2
        cost = cost + penalty * (grid - predicted[:, None]) ** 2
        found = nearest_latent(wanted, predicted, penalty)
        own = (np.maximum(wanted, 0) - np.maximum(found, 0)) ** 2
        own = own + penalty * (found - predicted) ** 2
        assert (own <= cost.min(axis=1) + 1e-6).all()


@pytest.mark.parametrize(
    "name", ["channel_output", "spatial_svd", "tucker2", "asymmetric3d", "decouple_pointwise"]
)
@pytest.mark.parametrize("bias", [False, True])
def test_behind_a_relu_less_is_lost(name: str, bias: bool) -> None:
    layer, weight, b, seen = decaying(bias=bias)
    scheme = BY_NAME[name]
    rng = np.random.default_rng(2)
    size = np.sqrt(seen.output_square)
    shift = -0.5 * rng.random(14) - seen.output_mean / size
    rectifier = Rectifier(scale=1 / size, shift=shift)
    ranks = scheme.ranks_at(layer, 0.3)
    linear = reconstruct(scheme, layer, weight, b, ranks, seen)
    found = reconstruct(scheme, layer, weight, b, ranks, seen, rectifier)
    losses = []
    for made in (linear, found):
        flat = composed([t["weight"] for t in made.tensors], 12).reshape(14, -1)
        losses.append(rectified_error(rectifier, seen, flat, made.tensors[-1].get("bias")))
    assert found.rectified_error == pytest.approx(losses[1])
    assert losses[1] <= losses[0]
    if isinstance(scheme, Expanding):
        assert losses[1] < 0.985 * losses[0]
    assert ("bias" in found.tensors[-1]) is bias
    assert found.output_error is not None
    assert linear.output_error is not None
    assert found.output_error >= linear.output_error * (1 - 1e-6)


def test_channel_moments_are_those_of_all_batches() -> None:
    x = np.random.default_rng(0).standard_normal((12, 3, 4, 5)) * [[[[2.0]], [[1]], [[9]]]] + 1e4
    moments = ChannelMoments(3)
    for first, last in pairwise([0, 1, 5, 5, 12]):
        moments.add(x[first:last])
    np.testing.assert_allclose(moments.mean, x.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(moments.variance, x.var(axis=(0, 2, 3)))
    assert moments.count == 240
