"""Errors of many ranks at once are those that are found when the layer is taken apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.estimates import estimated_errors
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.schemes.tucker import Tucker2
from cnndsl.ops.base import Array
from cnndsl.ops.conv import Conv
from cnndsl.ops.dense import Dense
from cnndsl.types.padding import Same
from cnndsl.types.tensor import DType, TensorType

CONV = Layer(
    label="conv",
    op=Conv(
        out_channels=10, kernel=(3, 3), stride=(1, 1), padding=Same(), dilation=(1, 1), bias=True
    ),
    input=TensorType(DType.FLOAT32, (1, 8, 12, 12)),
)
DENSE = Layer(
    label="dense",
    op=Dense(out_features=12, bias=True),
    input=TensorType(DType.FLOAT32, (1, 9)),
)


def decaying(shape: tuple[int, ...]) -> Array:
    rng = np.random.default_rng(4)
    weight = rng.standard_normal(shape)
    u, s, vt = np.linalg.svd(weight.reshape(shape[0], -1), full_matrices=False)
    return (u * (s * 0.6 ** np.arange(len(s)))) @ vt.reshape(len(s), -1)


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
def test_estimates_are_near_what_is_found(scheme: WeightScheme) -> None:
    layer = DENSE if scheme.refusal(CONV) else CONV
    if scheme.refusal(layer):
        pytest.skip("neither layer is one of its kind")
    weight = decaying(layer.weight_shape).reshape(layer.weight_shape)
    bias = np.zeros(layer.out_channels)
    ranks = [scheme.ranks_at(layer, f) for f in (0.1, 0.3, 0.5, 0.8)]
    ranks = list(dict.fromkeys(ranks))
    found = scheme.errors(layer, weight, bias, ranks)
    estimated = estimated_errors(scheme, layer, weight, bias, ranks)
    if isinstance(scheme, Tucker2):
        # Iteration only improves on the higher-order SVD, and by little.
        assert all(e >= f - 1e-9 for e, f in zip(estimated, found, strict=True))
        np.testing.assert_allclose(estimated, found, rtol=0.1)
    elif scheme.quick() != scheme:
        # The first sweeps gain the most; of weights that decay so fast many are left.
        assert all(e >= f * 0.999 for e, f in zip(estimated, found, strict=True))
        assert all(e <= 1.8 * f + 0.002 for e, f in zip(estimated, found, strict=True))
    else:
        np.testing.assert_allclose(estimated, found, rtol=1e-6, atol=1e-7)


def test_between_computed_ranks_the_error_falls() -> None:
    (cp,) = (s for s in WEIGHT_SCHEMES if s.name == "cp3")
    weight = decaying(CONV.weight_shape).reshape(CONV.weight_shape)
    ranks = [(r,) for r in range(1, 30)]
    errors = estimated_errors(cp, CONV, weight, None, ranks)
    exact = cp.quick().errors(CONV, weight, None, [ranks[0], ranks[-1]])
    assert errors[0] == pytest.approx(exact[0])
    assert errors[-1] == pytest.approx(exact[-1])
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(errors))
