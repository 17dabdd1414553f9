"""Infinities, NaN, and numbers at the ends of float32, through every op that meets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conformance.cases import Case
from conformance.modules import graph_of_cases, module_of, random_weights

from cnndsl.backends.reference.run import run
from cnndsl.ops import activation, conv, norm, pool, rearrange, resample, slicing, transposed
from cnndsl.ops import shape as shapes
from cnndsl.ops.base import Op
from cnndsl.types.padding import Explicit, Same
from cnndsl.types.tensor import DType, TensorType

NUMBERS = np.array(
    [
        0.0, -0.0, 1e-45, -1e-45, 1e-38, -1e-38, 0.34, -0.34, 9.0, -9.0, 16.6, -16.6, 87.4, -87.4,
        88.7, -88.7, 88.8, -88.8, 89.0, -89.0, 104.0, -104.0, 1e3, -1e3, 1e10, -1e10, 1e37, -1e37,
        3e38, -3e38, np.inf, -np.inf, np.nan,
    ],
    np.float32,
)  # fmt: skip

ELEMENTWISE: tuple[Op, ...] = (
    activation.Relu(), activation.LeakyRelu(slope=0.2), activation.LeakyRelu(slope=-0.5),
    activation.PRelu(), activation.Elu(), activation.Selu(), activation.SRelu(),
    activation.Relu6(), activation.Sigmoid(), activation.Tanh(), activation.Softplus(),
    activation.Gelu(), activation.Gelu(approximate=True), activation.Silu(),
    activation.HardSigmoid(), activation.HardSwish(), activation.Softmax(axis=1),
    activation.Softmax(axis=2), activation.Identity(),
)  # fmt: skip

MOVING: tuple[Op, ...] = (
    pool.MaxPool(kernel=(3,), stride=(1,), dilation=(1,), padding=Same()),
    pool.MaxPool(kernel=(2,), stride=(2,), dilation=(1,), padding=Same()),
    pool.GlobalMaxPool(), pool.GlobalAveragePool(), resample.Upsample(scale=(2,)),
    slicing.Pad(amount=Explicit(((2, 1),))), slicing.Slice(axis=2, start=3, stop=9),
    rearrange.ChannelShuffle(groups=2), shapes.Flatten(), norm.LayerNorm(),
    norm.GroupNorm(groups=2),
)  # fmt: skip


def result(op: Op, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the module and the definition make of one operand."""
    graph = graph_of_cases([Case(op, (TensorType(DType.FLOAT32, x.shape),))])
    weights = random_weights(graph, seed=1)
    with np.errstate(all="ignore"):
        expected = run(graph, {"x0_0": x}, weights)["y0"]
    got: Any = module_of(graph).load(weights, threads=2)(x)
    return got, expected


@pytest.mark.parametrize("op", (*ELEMENTWISE, *MOVING), ids=str)
def test_the_ends_of_float32(op: Op) -> None:
    x = np.stack([np.roll(NUMBERS, shift) for shift in (0, 7, 3, 16)])[None]
    got, expected = result(op, x)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_a_gate_closes() -> None:
    """Numbers near the largest, times a gate that float32 rounds to zero, are zero."""
    gates = NUMBERS[~((NUMBERS > -104) & (NUMBERS < -87))]  # those between give subnormal gates
    x = np.stack([np.full_like(gates, 3e38), -gates[::-1], gates, gates[::-1]])[None]
    x[:, 1] = np.nan_to_num(x[:, 1])
    got, expected = result(activation.Glu(), x)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "op",
    [
        conv.Conv(out_channels=20, kernel=(3,), stride=(1,), dilation=(1,), bias=True),
        conv.DepthwiseConv(kernel=(3,), stride=(1,), dilation=(1,), bias=True),
        transposed.ConvTranspose(
            out_channels=20, kernel=(3,), stride=(2,), dilation=(1,), output_padding=(0,), bias=True
        ),
        pool.AveragePool(kernel=(3,), stride=(1,)),
        pool.MaxPool(kernel=(3,), stride=(1,), dilation=(1,)),
    ],
    ids=lambda op: type(op).__name__,
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_its_windows_and_nothing_else(op: Op, value: float) -> None:
    """Rows of 20 channels end amid a block of lanes, and in padding."""
    x = np.random.default_rng(0).standard_normal((2, 20, 11)).astype(np.float32)
    x[1, 19, 10] = value
    x[0, 3, 5] = value
    got, expected = result(op, x)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    assert np.isfinite(got).any()
    assert not np.isfinite(got).all() or value == -np.inf
