"""Fused ops and folded weights mean what the ops they stand for mean."""

from __future__ import annotations

import numpy as np
import pytest
from op_checks import draw_params, evaluate, float_type, normal, type_of

from cnndsl.ops import OpError
from cnndsl.ops.activation import Glu, PRelu, Relu, Sigmoid
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add
from cnndsl.ops.folding import FoldedBias, FoldedWeight
from cnndsl.ops.fused import Fused
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.reach import PerAxis, Window
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.padding import Valid

CONV = Conv(out_channels=4, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), bias=True)


@pytest.mark.parametrize("activation", (None, Relu(), Sigmoid()))
@pytest.mark.parametrize("residual", (False, True))
def test_fused_is_base_then_residual_then_activation(residual, activation):
    rng = np.random.default_rng(1)
    x, more = normal(rng, (2, 3, 5, 6)), normal(rng, (2, 4, 5, 6))
    params = draw_params(CONV, [x], rng, normal)
    fused = Fused(base=CONV, residual=residual, activation=activation)
    inputs = [x, more] if residual else [x]
    expected = CONV.evaluate([x], params)
    if residual:
        expected = expected + more
    if activation is not None:
        expected = activation.evaluate([expected], [])
    np.testing.assert_array_equal(evaluate(fused, inputs, params), expected)
    types = [type_of(v) for v in inputs]
    assert fused.macs(types) == CONV.macs(types[:1])
    assert fused.parameters(types) == CONV.parameters(types[:1])


def test_reach_of_the_residual_is_its_own_position():
    types = [float_type(1, 3, 5, 6), float_type(1, 4, 5, 6)]
    fused = Fused(base=CONV, residual=True)
    assert fused.reach(types, 0) == CONV.reach(types[:1])
    assert fused.reach(types, 1) == PerAxis((Window(), Window()))


def test_fused_add_takes_three_operands():
    rng = np.random.default_rng(2)
    a, b, c = (normal(rng, (2, 3, 4)) for _ in range(3))
    fused = Fused(base=Add(), residual=True, activation=Relu())
    np.testing.assert_array_equal(evaluate(fused, [a, b, c], []), np.maximum(a + b + c, 0))


@pytest.mark.parametrize(
    "fused, shapes, code",
    [
        (Fused(base=CONV, residual=True), [(1, 3, 5, 6), (1, 4, 5, 5)], "CNN205"),
        (Fused(base=CONV, activation=PRelu()), [(1, 3, 5, 6)], "CNN702"),
        (Fused(base=CONV, activation=Glu()), [(1, 3, 5, 6)], "CNN702"),
    ],
)
def test_illegal_fusions(fused, shapes, code):
    with pytest.raises(OpError) as caught:
        fused.infer([float_type(*s) for s in shapes])
    assert caught.value.code == code


LAYERS = [
    (Conv(out_channels=6, kernel=(3,), stride=(2,), dilation=(1,), groups=2, bias=True), (2, 4, 7)),
    (DepthwiseConv(kernel=(3, 2), stride=(1, 1), dilation=(1, 1), multiplier=2), (2, 3, 5, 4)),
    (Dense(out_features=5, bias=False), (3, 4)),
    *(
        (
            ConvTranspose(
                out_channels=6,
                kernel=(3, 2),
                stride=(2, 1),
                dilation=(1, 1),
                output_padding=(0, 0),
                groups=groups,
                padding=Valid(),
                bias=bias,
            ),
            (2, 4, 5, 4),
        )
        for groups, bias in ((1, True), (2, False))
    ),
    (
        Conv(out_channels=3, kernel=(1, 1, 1), stride=(1,) * 3, dilation=(1,) * 3, bias=False),
        (1, 2, 2, 3, 2),
    ),
]


@pytest.mark.parametrize("layer, shape", LAYERS, ids=str)
def test_folded_parameters_make_the_norm_superfluous(layer, shape):
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape)
    params = [rng.standard_normal(s.shape) for s in layer.parameters([float_type(*shape)])]
    plain = layer.evaluate([x], params)
    gamma, beta, mean, variance = (rng.standard_normal(plain.shape[1]) for _ in range(4))
    variance = np.abs(variance)
    expected = BatchNorm(epsilon=0.1).evaluate([plain], [gamma, beta, mean, variance])

    transposed = isinstance(layer, ConvTranspose)
    weight_op = FoldedWeight(
        axis=int(transposed), groups=layer.groups if transposed else 1, epsilon=0.1
    )
    bias_op = FoldedBias(epsilon=0.1, has_bias=len(params) > 1)
    inputs = [params[0], gamma, variance]
    weight = weight_op.evaluate(inputs, [])
    assert weight_op.infer([float_type(*v.shape) for v in inputs]).shape == weight.shape
    inputs = [*params[1:], gamma, beta, mean, variance]
    bias = bias_op.evaluate(inputs, [])
    assert bias_op.infer([float_type(*v.shape) for v in inputs]).shape == bias.shape
    np.testing.assert_allclose(
        layer.evaluate([x], [weight, bias]), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(
    "op, shapes",
    [
        (FoldedWeight(), [(4, 2, 3), (4,), (2,)]),
        (FoldedWeight(axis=1, groups=2), [(4, 2, 3), (2,), (2,)]),
        (FoldedBias(), [(4,), (4,), (4,), (4,), (3,)]),
        (FoldedBias(has_bias=True), [(4,), (4,), (4,), (4,)]),
    ],
)
def test_folding_checks_its_operands(op, shapes):
    with pytest.raises(OpError):
        op.infer([float_type(*s) for s in shapes])


def test_folded_weights_keep_the_dtype():
    vectors = [np.ones(4, np.float32)] * 4
    weight = FoldedWeight().evaluate([np.ones((4, 2), np.float32), *vectors[:2]], [])
    bias = FoldedBias(has_bias=False).evaluate(vectors, [])
    assert weight.dtype == bias.dtype == np.float32
