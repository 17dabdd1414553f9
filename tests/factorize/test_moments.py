"""Statistics of layers: the rows that are collected answer as the layer does."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.factorize.layer import Layer
from cnndsl.factorize.moments import POSITIONS, Moments
from cnndsl.ops.conv import Conv
from cnndsl.ops.dense import Dense
from cnndsl.types.padding import Explicit, Padding, Same, Valid
from cnndsl.types.tensor import DType, TensorType


@pytest.mark.parametrize(
    "kernel, stride, dilation, padding",
    [
        ((3, 3), (1, 1), (1, 1), Same()),
        ((3, 2), (2, 1), (1, 2), Valid()),
        ((5, 3), (2, 3), (1, 1), Explicit(((2, 1), (0, 2)))),
        ((4,), (3,), (2,), Same()),
        ((2, 3, 1), (1, 2, 1), (1, 1, 1), Same()),
    ],
)
def test_rows_are_what_the_layer_sees_and_makes(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], padding: Padding
) -> None:
    rng = np.random.default_rng(0)
    op = Conv(
        out_channels=5, kernel=kernel, stride=stride, dilation=dilation, padding=padding, bias=True
    )
    extents = {1: (90,), 2: (17, 13), 3: (7, 8, 6)}[len(kernel)]
    layer = Layer(label="l", op=op, input=TensorType(DType.FLOAT32, (1, 3, *extents)))
    weight, bias = rng.standard_normal(layer.weight_shape), rng.standard_normal(5)
    moments = Moments(layer, 0)
    rows = 0
    for batch in (2, 1):
        x = rng.standard_normal((batch, 3, *extents)).astype(np.float32)
        y = op.evaluate([x], [weight, bias])
        moments.add(x, y)
        rows += batch * min(POSITIONS, int(np.prod(y.shape[2:])))
    found = moments.statistics()
    assert found is not None
    assert found.count == rows == len(found.patches)
    flat = weight.reshape(5, -1)
    np.testing.assert_allclose(found.patches @ flat.T + bias, found.outputs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.input_moment, found.patches.T @ found.patches / rows)
    np.testing.assert_allclose(found.cross_moment, found.outputs.T @ found.patches / rows)
    np.testing.assert_allclose(found.input_mean, found.patches.mean(axis=0))
    np.testing.assert_allclose(found.output_square, (found.outputs**2).mean(axis=0))


def test_a_dense_layer_sees_its_input() -> None:
    rng = np.random.default_rng(1)
    layer = Layer(
        label="l", op=Dense(out_features=4, bias=True), input=TensorType(DType.FLOAT32, (1, 6))
    )
    x, y = rng.standard_normal((12, 6)), rng.standard_normal((12, 4))
    moments = Moments(layer, 0)
    moments.add(x[:11], y[:11])
    assert moments.statistics() is None  # too few for six inputs
    moments.add(x[11:], y[11:])
    found = moments.statistics()
    assert found is not None
    np.testing.assert_array_equal(found.patches, x)
    np.testing.assert_array_equal(found.outputs, y)
