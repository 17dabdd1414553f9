"""Every op's pullback against differences of its `evaluate`, and exactly where it is linear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from backends.op_grid import Case, cases
from op_checks import type_of
from properties.networks import float32

from cnndsl.ops import Op, all_ops
from cnndsl.ops import activation as act
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine, Mul, Sub
from cnndsl.ops.folding import FoldedBias, FoldedWeight
from cnndsl.ops.fused import Fused
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.ops.transposed import ConvTranspose

LINEAR = (
    *(Conv, DepthwiseConv, ConvTranspose, LocallyConnected, Dense, BatchNorm, Affine),
    *(AveragePool, GlobalAveragePool, Upsample, Add, Sub, Concat, Flatten, Reshape),
    *(ChannelShuffle, DepthToSpace, SpaceToDepth, Crop, Pad, Slice, act.Identity, act.Dropout),
)
"""Ops that are linear in their operands, but for a constant."""

STEP = 1e-6


def fused() -> Iterator[Case]:
    conv = Conv(out_channels=3, kernel=(3, 2), stride=(2, 1), dilation=(1, 2), bias=True)
    x = float32("N", 3, 6, 5)
    sizes = {"N": 2}
    for activation in (None, act.Relu(), act.Tanh()):
        yield Fused(base=conv, activation=activation), (x,), sizes
        residual = conv.infer((x,))
        yield Fused(base=conv, residual=True, activation=activation), (x, residual), sizes
    yield Fused(base=Mul(), residual=True, activation=act.Silu()), (x, x, x), sizes


GRID = [*cases(), *fused()]


def drawn(case: Case, seed: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return operands, parameters and a gradient for the result, in float64."""
    op, types, sizes = case
    rng = np.random.default_rng(seed)
    shapes = [t.at(sizes) for t in types]
    inputs = [
        rng.standard_normal(shape) if t.dtype.is_float else rng.integers(0, 5, shape)
        for t, shape in zip(types, shapes)
    ]
    specs = op.parameters([type_of(x.astype(t.dtype.numpy)) for x, t in zip(inputs, types)])
    params = [
        rng.uniform(0.5, 2, s.shape) if s.role == "running_var" else rng.standard_normal(s.shape)
        for s in specs
    ]
    return inputs, params, rng.standard_normal(op.evaluate(inputs, params).shape)


def of_class(case: Case) -> str:
    return type(case[0]).__name__


def test_the_grid_has_every_op_that_runs() -> None:
    # Fused's own cases are above; the others of these run when weights are loaded.
    assert {type(op) for op, _, _ in GRID} == set(all_ops()) - {FoldedWeight, FoldedBias}


@pytest.mark.parametrize("name", sorted({of_class(case) for case in GRID}))
def test_pullback_agrees_with_central_differences(name: str) -> None:
    for number, case in enumerate(c for c in GRID if of_class(c) == name):
        op = case[0]
        inputs, params, gradient = drawn(case, number)
        found = op.pullback(inputs, params, gradient)
        assert [f.shape for f in found] == [x.shape for x in inputs]
        assert all(f.dtype == np.float64 for f in found)
        rng = np.random.default_rng(number)
        for index, x in enumerate(inputs):
            if x.dtype.kind != "f":
                assert not found[index].any()
                continue
            direction = rng.standard_normal(x.shape)
            ahead, behind = (
                op.evaluate([*inputs[:index], x + s * direction, *inputs[index + 1 :]], params)
                for s in (STEP, -STEP)
            )
            expected = float((gradient * (ahead - behind)).sum()) / (2 * STEP)
            assert float((found[index] * direction).sum()) == pytest.approx(
                expected, rel=2e-6, abs=2e-6
            ), f"{op}, operand {index}"


@pytest.mark.parametrize("op", LINEAR, ids=lambda op: op.__name__)
def test_pullback_is_the_adjoint_of_a_linear_op(op: type[Op]) -> None:
    for number, case in enumerate(c for c in GRID if type(c[0]) is op):
        vectors, params, gradient = drawn(case, number)
        at_zero = case[0].evaluate([np.zeros_like(v) for v in vectors], params)
        forward = case[0].evaluate(vectors, params) - at_zero
        anywhere = drawn(case, number + 1)[0]
        found = case[0].pullback(anywhere, params, gradient)
        there = float((forward * gradient).sum())
        back = sum(float((v * f).sum()) for v, f in zip(vectors, found))
        size = float(np.abs(forward * gradient).sum())
        assert abs(there - back) <= 1e-12 * max(size, 1), case[0]


@pytest.mark.parametrize(
    "op, at, slopes",
    [
        (act.Relu(), [-1.0, 0.0, 1.0], [0, 0, 1]),
        (act.Relu6(), [0.0, 3.0, 6.0, 7.0], [0, 1, 0, 0]),
        (act.SRelu(threshold=-1.0), [-2.0, -1.0, 0.0], [0, 0, 1]),
        (act.LeakyRelu(slope=0.5), [-1.0, 0.0], [0.5, 1]),
        (act.Elu(alpha=2.0), [0.0], [1]),
        (act.HardSigmoid(alpha=1.0, beta=0.0), [0.0, 0.5, 1.0], [0, 1, 0]),
        (act.HardSwish(), [-4.0, -3.0, 0.0, 3.0], [0, 0, 0.5, 1]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_at_a_kink_the_flat_side_counts_and_else_the_side_above(op, at, slopes) -> None:
    x = np.array([at])
    (found,) = op.pullback([x], (), np.ones_like(x))
    np.testing.assert_array_equal(found, [slopes])


@pytest.mark.parametrize(
    "op",
    {op for op, _, _ in GRID if isinstance(op, act.Elementwise)}
    | {act.HardSigmoid(alpha=-2.0, beta=0.5), act.HardSigmoid(alpha=0.0)}
    | {act.LeakyRelu(slope=0.0), act.Elu(alpha=0.0)},
    ids=repr,
)
def test_flat_ends_are_where_no_gradient_passes(op: act.Elementwise) -> None:
    low, high = op.flat_ends()
    x = np.array([-9.0, -3.0, -1.0, -0.2, 0.0, 0.1, 0.3, 1.0, 2.9, 3.0, 5.9, 6.0, 9.0])
    flat = (x <= low) | (x >= high)
    np.testing.assert_array_equal(op.derivative(x) == 0, flat)


def test_prelu_at_zero_has_the_slope_above() -> None:
    (found,) = act.PRelu().pullback([np.zeros((1, 1))], [np.array([0.25])], np.ones((1, 1)))
    np.testing.assert_array_equal(found, [[1.0]])


def test_the_first_of_equal_elements_takes_the_gradient() -> None:
    x = np.array([[[2.0, 1.0, 2.0, 2.0]]])
    pool = MaxPool(kernel=(2,), stride=(1,), dilation=(1,))
    (found,) = pool.pullback([x], (), np.array([[[1.0, 10.0, 100.0, 1000.0]]]))
    np.testing.assert_array_equal(found, [[[1, 0, 110, 1000]]])
    (found,) = GlobalMaxPool().pullback([x], (), np.ones((1, 1)))
    np.testing.assert_array_equal(found, [[[1, 0, 0, 0]]])


def test_single_precision_operands_give_double_gradients() -> None:
    inputs, params, gradient = drawn((act.Softmax(), (float32(2, 5),), {}), 0)
    single = act.Softmax().pullback([x.astype(np.float32) for x in inputs], params, gradient)
    assert single[0].dtype == np.float64


@pytest.mark.parametrize("op", [FoldedWeight(), FoldedBias()], ids=lambda op: type(op).__name__)
def test_what_computes_weights_has_no_pullback(op: Op) -> None:
    with pytest.raises(NotImplementedError, match="gradients end at the weights"):
        op.pullback([np.ones((2, 2))], (), np.ones((2, 2)))
