"""Activations, norms, dense and elementwise ops against ONNX Runtime, or closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_oracle import run_node
from op_checks import draw_params, evaluate, normal, whole_numbers

from cnndsl.ops import activation, norm
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine, Mul, Sub

SHAPES = [(3, 6), (1, 6, 5), (3, 6, 5, 4), (2, 6, 3, 2, 4)]
"""Feature vectors, and maps of one, two and three axes."""

SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}

ACTIVATIONS = [
    (activation.Relu(), "Relu", {}),
    (activation.LeakyRelu(slope=0.2), "LeakyRelu", {"alpha": 0.2}),
    (activation.LeakyRelu(slope=2.0), "LeakyRelu", {"alpha": 2.0}),
    (activation.Elu(), "Elu", {"alpha": 1.0}),
    (activation.Elu(alpha=0.3), "Elu", {"alpha": 0.3}),
    (activation.Selu(), "Selu", SELU),
    (activation.Sigmoid(), "Sigmoid", {}),
    (activation.Tanh(), "Tanh", {}),
    (activation.Softplus(), "Softplus", {}),
    (activation.Gelu(), "Gelu", {}),
    (activation.Gelu(approximate=True), "Gelu", {"approximate": "tanh"}),
    (activation.HardSigmoid(), "HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    (activation.HardSigmoid(alpha=0.2, beta=0.4), "HardSigmoid", {"alpha": 0.2, "beta": 0.4}),
    (activation.HardSwish(), "HardSwish", {}),
    (activation.Identity(), "Identity", {}),
    (activation.Dropout(rate=0.9), "Identity", {}),
]


def wide(shape) -> np.ndarray:
    """Numbers far into both tails, and exactly zero."""
    x = 8 * normal(np.random.default_rng(1), shape)
    x.flat[0] = 0.0
    return x


def close(actual, expected) -> None:
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("op, onnx_op, attributes", ACTIVATIONS, ids=lambda v: str(v)[:30])
def test_activation_equals_onnx_runtime(op, onnx_op, attributes, shape):
    x = wide(shape)
    close(evaluate(op, [x], []), run_node(onnx_op, [x], **attributes))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_activations_that_onnx_writes_as_several_nodes(shape):
    x = wide(shape)
    zero, six = np.float32(0), np.float32(6)
    close(evaluate(activation.Relu6(), [x], []), run_node("Clip", [x, zero, six]))
    close(evaluate(activation.SRelu(), [x], []), run_node("Clip", [x, np.float32(-1)]))
    shifted = activation.SRelu(threshold=-2.5)
    close(evaluate(shifted, [x], []), run_node("Clip", [x, np.float32(-2.5)]))
    close(evaluate(activation.Silu(), [x], []), x * run_node("Sigmoid", [x]))
    gate = run_node("Sigmoid", [x[:, 3:].copy()])
    close(evaluate(activation.Glu(), [x], []), x[:, :3] * gate)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_prelu_has_a_slope_for_each_channel(shape):
    x = wide(shape)
    slope = normal(np.random.default_rng(2), (6,))
    expected = run_node("PRelu", [x, slope.reshape(-1, *(1,) * (len(shape) - 2))])
    close(evaluate(activation.PRelu(), [x], [slope]), expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax_equals_onnx_runtime_on_every_axis(shape):
    x = wide(shape)
    for axis in range(1, len(shape)):
        close(evaluate(activation.Softmax(axis=axis), [x], []), run_node("Softmax", [x], axis=axis))


@pytest.mark.parametrize("op", [activation.Sigmoid(), activation.Silu(), activation.Softplus()])
def test_tails_neither_overflow_nor_warn(op):
    x = np.array([[-1e4, -800.0, 800.0, 1e4]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        result = op.evaluate([x], [])
    low, high = (0.0, 1.0) if isinstance(op, activation.Sigmoid) else (0.0, 1e4)
    np.testing.assert_array_equal(result[0, [0, 3]], np.array([low, high], np.float32))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_equals_onnx_runtime(shape):
    rng = np.random.default_rng(3)
    x = normal(rng, shape)
    op = norm.BatchNorm(epsilon=0.1)
    params = draw_params(op, [x], rng, normal)
    params[3] = np.abs(params[3])
    close(evaluate(op, [x], params), run_node("BatchNormalization", [x, *params], epsilon=0.1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layer_norm_equals_onnx_runtime_with_channels_moved_last(shape):
    rng = np.random.default_rng(4)
    x = normal(rng, shape)
    op = norm.LayerNorm(epsilon=0.1)
    params = draw_params(op, [x], rng, normal)
    last = np.moveaxis(x, 1, -1).copy()
    expected = np.moveaxis(run_node("LayerNormalization", [last, *params], epsilon=0.1), -1, 1)
    close(evaluate(op, [x], params), expected)


@pytest.mark.parametrize("groups", (1, 2, 3, 6))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_group_norm_equals_onnx_runtime(shape, groups):
    rng = np.random.default_rng(5)
    x = normal(rng, shape)
    op = norm.GroupNorm(groups=groups, epsilon=0.1)
    params = draw_params(op, [x], rng, normal)
    # One channel's group is instance norm, for which each row of the reshaped map is a channel.
    rows = x.reshape(1, shape[0] * groups, -1)
    ones, zeros = np.ones(rows.shape[1], np.float32), np.zeros(rows.shape[1], np.float32)
    normalised = run_node("InstanceNormalization", [rows, ones, zeros], epsilon=0.1)
    per_channel = (-1, *(1,) * (len(shape) - 2))
    weight, bias = (p.reshape(per_channel) for p in params)
    close(evaluate(op, [x], params), normalised.reshape(shape) * weight + bias)


@pytest.mark.parametrize("size", (1, 2, 3, 4, 5, 9))
def test_lrn_equals_onnx_runtime(size):
    # As many samples as channels: the reference evaluator sums over no more channels than samples.
    x = 3 * normal(np.random.default_rng(6), (7, 7, 5, 4))
    op = norm.LRN(size=size, alpha=0.2, beta=0.6, k=1.5)
    # ONNX Runtime takes odd sizes only; the reference evaluator takes all.
    expected = run_node(
        "LRN", [x], size=size, alpha=0.2, beta=0.6, bias=1.5, reference=size % 2 == 0
    )
    close(evaluate(op, [x], []), expected)


@pytest.mark.parametrize("shape", [(3, 6), (2, 6, 5), (2, 6, 2, 3, 2)], ids=str)
def test_lrn_works_alike_on_every_rank(shape):
    x = 3 * normal(np.random.default_rng(7), shape)
    op = norm.LRN()
    flat = x.reshape(*shape[:2], -1, 1)
    expected = run_node("LRN", [flat], size=5, alpha=1e-4, beta=0.75, bias=1.0)
    close(evaluate(op, [x], []), expected.reshape(shape))


@pytest.mark.parametrize("batch", (1, 3))
@pytest.mark.parametrize("bias", (False, True))
def test_dense_equals_onnx_runtime(batch, bias):
    rng = np.random.default_rng(8)
    x = whole_numbers(rng, (batch, 7))
    op = Dense(out_features=5, bias=bias)
    params = draw_params(op, [x], rng)
    expected = run_node("Gemm", [x, *params], transB=1)
    np.testing.assert_array_equal(evaluate(op, [x], params), expected)


PAIRS = [
    *((shape, shape) for shape in SHAPES),
    ((2, 6, 5, 4), (2, 6, 1, 1)),
    ((2, 6, 1, 1), (2, 6, 5, 4)),
    ((2, 6, 5, 1), (2, 6, 1, 4)),
    ((3, 2, 5), (3, 2, 1)),
    ((1, 2, 3, 1, 4), (1, 2, 3, 2, 1)),
]


@pytest.mark.parametrize("first, second", PAIRS, ids=str)
@pytest.mark.parametrize("op, onnx_op", [(Add(), "Add"), (Sub(), "Sub"), (Mul(), "Mul")], ids=str)
def test_binary_op_equals_onnx_runtime(op, onnx_op, first, second):
    rng = np.random.default_rng(9)
    a, b = normal(rng, first), normal(rng, second)
    np.testing.assert_array_equal(evaluate(op, [a, b], []), run_node(onnx_op, [a, b]))


@pytest.mark.parametrize("shape", [(3,), *SHAPES], ids=str)
def test_affine_scales_and_shifts(shape):
    x = whole_numbers(np.random.default_rng(10), shape)
    np.testing.assert_array_equal(evaluate(Affine(scale=-2.0, shift=3.0), [x], []), 3 - 2 * x)
