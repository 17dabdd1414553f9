"""Each scheme against its definition, written down again: NumPy's SVD, sums of layers, lstsq."""

from __future__ import annotations

import numpy as np
import pytest
from factorize.layers import conv, dense, layer_outputs, tensors
from factorize.test_data_aware import gathered, smooth

from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.kernels import composed
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.scheme import Decomposition
from cnndsl.ops.base import Array
from cnndsl.ops.conv import Conv, DepthwiseConv

BY_NAME = {s.name: s for s in WEIGHT_SCHEMES}
T, S, K = 7, 6, 3
LAYER = conv(S, T, (K, K), (8, 9), stride=2)


def made(name: str, ranks: tuple[int, ...], layer: Layer = LAYER) -> tuple[Array, Decomposition]:
    weight, bias = tensors(layer)
    return weight, BY_NAME[name].decompose(layer, weight, bias, ranks)


@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize(
    "name, order, rows",
    [
        ("spatial_svd", "sitj", S * K),
        ("spatial_svd_reversed", "sjti", S * K),
        ("channel_output", "tsij", T),
        ("channel_input", "stij", S),
    ],
)
def test_what_is_lost_is_what_the_svd_cuts_off(name: str, order: str, rows: int, rank: int) -> None:
    weight, found = made(name, (rank,))
    matrix = np.einsum(f"tsij->{order}", weight).reshape(rows, -1)
    values = np.linalg.svd(matrix, compute_uv=False)
    expected = np.sqrt((values[rank:] ** 2).sum() / (values**2).sum())
    assert found.error == pytest.approx(expected, rel=1e-9)


def test_a_dense_layer_loses_what_the_svd_cuts_off() -> None:
    weight, found = made("dense_svd", (4,), dense(9, 8))
    u, s, vt = np.linalg.svd(weight)
    kernel = composed([t["weight"] for t in found.tensors], 9)
    np.testing.assert_allclose(kernel, (u[:, :4] * s[:4]) @ vt[:4], atol=1e-12)


@pytest.mark.parametrize("name, axis", [("decouple_pointwise", 0), ("decouple_depthwise", 1)])
def test_decoupling_is_a_sum_of_pairs_of_layers(name: str, axis: int) -> None:
    """Guo et al.: an SVD for each output (or input), each term a 1x1 and a depthwise layer."""
    terms = 2
    weight, found = made(name, (terms,))
    bias = tensors(LAYER)[1]
    x = np.random.default_rng(3).standard_normal(LAYER.input.at({"N": 2}))
    own, depth = LAYER.op, T if axis == 0 else S
    assert isinstance(own, Conv)
    pointwise = conv(S, T, (1, 1), (1, 1), bias=False).op
    window = DepthwiseConv(
        kernel=own.kernel, stride=own.stride, padding=own.padding, dilation=own.dilation, bias=False
    )
    total: Array | float = 0.0
    energy = 0.0
    for i in range(terms):
        point, taps = np.zeros((T, S, 1, 1)), np.zeros((depth, 1, K, K))
        for c in range(depth):
            matrix = np.moveaxis(weight, axis, 0)[c].reshape(-1, K * K)
            u, s, vt = np.linalg.svd(matrix, full_matrices=False)
            np.moveaxis(point, axis, 0)[c] = (u[:, i] * s[i])[:, None, None]
            taps[c, 0] = vt[i].reshape(K, K)
            energy += s[i] ** 2
        layers = [("p", pointwise, point), ("d", window, taps)]
        value = x
        for _, op, kernel in layers if axis == 0 else reversed(layers):
            value = op.evaluate([value], [kernel])
        total = total + value
    chain = x
    for factor, tensor in zip(found.factors, found.tensors, strict=True):
        chain = factor.op.evaluate([chain], list(tensor.values()))
    assert bias is not None
    np.testing.assert_allclose(chain, total + bias[:, None, None], atol=1e-9)
    assert found.error == pytest.approx(np.sqrt(1 - energy / (weight**2).sum()), rel=1e-9)


def test_the_asymmetric_one_is_two_svds() -> None:
    """Zhang et al.: a spatial SVD, then that of its 1xk kernel behind orthonormal kx1 ones."""
    weight, found = made("asymmetric3d", (5, 4))
    u, s, vt = np.linalg.svd(np.einsum("tsij->sitj", weight).reshape(S * K, -1))
    second = (s[:5, None] * vt[:5]).reshape(5, T, K)
    across = np.einsum("rtj->trj", second).reshape(T, -1)
    a, b, ct = np.linalg.svd(across, full_matrices=False)
    kept = ((a[:, :4] * b[:4]) @ ct[:4]).reshape(T, 5, K)
    expected = np.einsum("sir,trj->tsij", u[:, :5].reshape(S, K, 5), kept)
    kernel = composed([t["weight"] for t in found.tensors], S)
    np.testing.assert_allclose(kernel, expected, atol=1e-10)


@pytest.mark.parametrize("hidden", [8, 12])
def test_a_planted_pair_of_3x3_is_found(hidden: int) -> None:
    """Of a 5x5 kernel that is a 3x3 after a 3x3, nearly nothing is lost; of noise much is."""
    layer = conv(8, 8, (5, 5), (9, 9))
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((8, 8, 3, 3)), rng.standard_normal((8, 8, 3, 3))
    planted = np.zeros((8, 8, 5, 5))
    for i, j, m, n in np.ndindex(3, 3, 3, 3):
        planted[:, :, i + m, j + n] += two[:, :, m, n] @ one[:, :, i, j]
    scheme = BY_NAME["stacked"]
    noise = tensors(layer)[0]
    found, worse = (scheme.decompose(layer, w, None, (hidden,)).error for w in (planted, noise))
    assert found < 0.6 * worse


@pytest.mark.parametrize(
    "name",
    [s.name for s in WEIGHT_SCHEMES if s.name not in ("stacked", "dense_svd", "asymmetric3d")],
)
def test_with_data_the_last_factor_is_least_squares(name: str) -> None:
    """What is left of the outputs is orthogonal to all that the last factor reads."""
    layer = conv(6, 7, (3, 3), (10, 10))
    weight, bias = tensors(layer)
    x = smooth((20, 6, 10, 10), 4)
    seen = gathered(layer, weight, bias, x)
    scheme = BY_NAME[name]
    found = scheme.decompose(layer, weight, bias, scheme.ranks_at(layer, 0.2), seen)
    *first, last = zip(found.factors, found.tensors, strict=True)
    read = x
    for factor, tensor in first:
        read = factor.op.evaluate([read], list(tensor.values()))
    wanted = layer_outputs(layer, weight, bias, x)
    rest = wanted - last[0].op.evaluate([read], list(last[1].values()))
    np.testing.assert_allclose(rest.mean(axis=(0, 2, 3)), 0, atol=1e-8 * np.abs(wanted).max())
    # Each weight of the last factor moves the outputs by what a unit kernel makes of its input.
    rng = np.random.default_rng(0)
    for _ in range(20):
        change = {role: np.zeros_like(a) for role, a in last[1].items()}
        at = tuple(rng.integers(n) for n in change["weight"].shape)
        change["weight"][at] = 1.0
        moved = last[0].op.evaluate([read], list(change.values()))
        moved = moved - moved.mean(axis=(0, 2, 3), keepdims=True)
        size = np.linalg.norm(moved) * np.linalg.norm(rest)
        assert abs(np.vdot(moved, rest)) < 2e-3 * size + 1e-9
