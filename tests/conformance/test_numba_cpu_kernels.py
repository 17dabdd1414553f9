"""Kernels at sizes around blocks, tiles and chunks, where the grid of small cases is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from conformance.cases import Case
from conformance.modules import graph_of_cases, module_of, random_weights

from cnndsl.backends.reference.run import run
from cnndsl.ops import activation, conv, norm, pool
from cnndsl.ops.base import Op
from cnndsl.ops.fused import Fused
from cnndsl.types.padding import Explicit, Same
from cnndsl.types.tensor import DType, TensorType


def assert_equal_to_definition(
    cases: Sequence[tuple[Op, tuple[np.ndarray, ...]]], tolerance: float = 1e-6
) -> None:
    """Compare with `evaluate` in float64, relative to the largest value of each result."""
    typed = [
        Case(op, tuple(TensorType(DType.FLOAT32, a.shape) for a in arrays)) for op, arrays in cases
    ]
    graph = graph_of_cases(typed)
    inputs = {f"x{i}_{j}": a for i, (_, arrays) in enumerate(cases) for j, a in enumerate(arrays)}
    weights = random_weights(graph, seed=0)
    got = module_of(graph).load(weights, threads=2)(**inputs)
    expected = run(
        graph,
        {n: a.astype(np.float64) for n, a in inputs.items()},
        {n: a.astype(np.float64) for n, a in weights.items()},
    )
    for i, case in enumerate(typed):
        y = expected[f"y{i}"]
        result = got[f"y{i}"] if len(cases) > 1 else got
        error = np.abs(result - y).max() / np.abs(y).max()
        assert error <= tolerance, f"{case}: off by {error:.1e} of the largest value"


def normal(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(shape)
    return rng.standard_normal(shape).astype(np.float32)


def test_values_pass_through_the_edges() -> None:
    """Arrays of the caller go into blocks and out of them, in squares where they are large."""
    shapes = [
        (2, channels, *space)
        for channels in (1, 3, 15, 16, 17, 32, 50)
        for space in ((1,), (15,), (16,), (17,), (3, 16), (2, 37), (2, 3, 33))
    ]
    relu = [(activation.LeakyRelu(slope=1.0), (normal(*shape),)) for shape in shapes]
    assert_equal_to_definition(relu, tolerance=0.0)


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_groups_of_channels_narrower_than_a_block(width: int, stride: int) -> None:
    """Rows of every length up to three tiles; the last block full and in part; a residual."""
    cases: list[tuple[Op, tuple[np.ndarray, ...]]] = []
    for groups, columns in zip((32 // width, 5, 48 // width), (29, 14, 44), strict=True):
        channels = groups * width
        layer: Op = conv.Conv(
            out_channels=channels, kernel=(3, 3), stride=(1, stride), dilation=(1, 2),
            groups=groups, padding=Explicit(((1, 1), (2, 1))),
        )  # fmt: skip
        x = normal(2, channels, 3, columns)
        cases.append((layer, (x,)))
        shape = layer.infer([TensorType(DType.FLOAT32, x.shape)]).at({})
        fused = Fused(base=layer, activation=activation.Relu(), residual=True)
        cases.append((fused, (x, normal(*shape))))
    assert_equal_to_definition(cases, tolerance=2e-6)


def test_response_normalisation_of_any_size_and_exponent() -> None:
    cases: list[tuple[Op, tuple[np.ndarray, ...]]] = [
        (norm.LRN(size=size, alpha=alpha, beta=beta, k=k), (10 * normal(2, channels, 3, 7),))
        for channels, size in ((1, 5), (16, 5), (35, 2), (40, 3), (20, 21), (70, 40))
        for beta, alpha, k in ((0.75, 1e-4, 1.0), (0.5, 2.0, 2.0), (1.0, 0.1, 1.0), (0.6, 0.3, 0.5))
    ]
    assert_equal_to_definition(cases)


def test_norms_keep_their_digits_far_from_zero() -> None:
    """float32 leaves about 13 bits of the deviations here; the kernel must not lose more."""
    x = normal(2, 75, 50) + 1000
    assert_equal_to_definition([(norm.LayerNorm(), (x,)), (norm.LayerNorm(), (x * 1e-4,))])


def test_smooth_activations_over_their_range() -> None:
    x = np.linspace(-30, 30, 4 * 999, dtype=np.float32).reshape(1, 4, 999)
    ops = (
        activation.Sigmoid(), activation.Tanh(), activation.Silu(), activation.Softplus(),
        activation.Elu(), activation.Gelu(), activation.Gelu(approximate=True),
    )  # fmt: skip
    for op in ops:
        got = module_of(graph_of_cases([Case(op, (TensorType(DType.FLOAT32, x.shape),))]))
        result = got.load({}, threads=2)(x)
        expected = op.evaluate([x.astype(np.float64)], [])
        counts = np.abs(expected) > 1e-9  # below, `evaluate` of gelu has few digits
        np.testing.assert_allclose(result[counts], expected[counts], rtol=6e-6, err_msg=str(op))


def test_softmax_and_gates_end_amid_a_block() -> None:
    cases: list[tuple[Op, tuple[np.ndarray, ...]]] = [
        (activation.Softmax(axis=axis), (5 * normal(3, channels, 5, 9),))
        for channels in (1, 16, 19)
        for axis in (1, 2, 3)
    ]
    cases += [(activation.Glu(), (normal(2, 2 * half, 37),)) for half in (1, 8, 15, 16, 17, 40)]
    assert_equal_to_definition(cases)


def test_pools_over_rows_that_end_amid_four_windows() -> None:
    cases: list[tuple[Op, tuple[np.ndarray, ...]]] = []
    for columns in range(3, 14):
        x = normal(1, 17, 5, columns)
        for stride in (1, 2):
            both = (stride, stride)
            cases += [
                (pool.MaxPool(kernel=(3, 3), stride=both, dilation=(1, 1), padding=Same()), (x,)),
                (pool.MaxPool(kernel=(3, 2), stride=both, dilation=(2, 2), padding=Same()), (x,)),
                (pool.AveragePool(kernel=(3, 3), stride=both, padding=Same()), (x,)),
                (
                    pool.AveragePool(
                        kernel=(3, 3), stride=both, padding=Same(), count_padding=True
                    ),
                    (x,),
                ),
            ]
    assert_equal_to_definition(cases)
