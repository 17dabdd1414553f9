"""What every test of an op's meaning does: draw operands, evaluate, compare shapes and dtypes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.ops import Op, OpError
from cnndsl.types import Dim, DType, TensorType, evaluate_extent


def float_type(*shape: object) -> TensorType:
    """float32 with extents given as numbers, symbols' names or formulas."""
    return TensorType(
        DType.FLOAT32, tuple(Dim.symbol(e) if isinstance(e, str) else e for e in shape)
    )


def type_of(x: np.ndarray) -> TensorType:
    return TensorType(DType(x.dtype.name), x.shape)


def whole_numbers(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Small whole numbers as float32: their sums of products are exact in any order."""
    return rng.integers(-4, 5, tuple(shape)).astype(np.float32)


def normal(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    return rng.standard_normal(tuple(shape)).astype(np.float32)


def draw_params(
    op: Op, inputs: Sequence[np.ndarray], rng: np.random.Generator, draw=whole_numbers
) -> list[np.ndarray]:
    return [draw(rng, spec.shape) for spec in op.parameters([type_of(x) for x in inputs])]


def evaluate(op: Op, inputs: Sequence[np.ndarray], params: Sequence[np.ndarray]) -> np.ndarray:
    """Evaluate an op, checking on the way all that holds for any op.

    The result has the inferred shape and dtype, float64 operands give the float64 result that
    rounds to it, and the shape inferred for symbols, at their sizes, is the shape for numbers.
    """
    types = [type_of(x) for x in inputs]
    inferred = op.infer(types)
    result = op.evaluate(inputs, params)
    assert result.shape == inferred.shape
    assert result.dtype == np.float32
    wide = op.evaluate(
        [x.astype(np.float64) if x.dtype == np.float32 else x for x in inputs],
        [p.astype(np.float64) for p in params],
    )
    assert wide.dtype == np.float64
    np.testing.assert_allclose(result, wide, rtol=1e-6, atol=1e-6)
    check_symbolic(op, types)
    return result


def check_symbolic(op: Op, types: Sequence[TensorType]) -> None:
    """Check that symbols for batch and space give the shape and cost that numbers give."""
    first = types[0]
    names = ["N", None, "D", "H", "W"] if first.dtype.is_float else ["N", "D", "H", "W"]
    symbols: list[object] = []
    sizes: dict[str, int] = {}
    for name, extent in zip(names, first.shape):
        symbols.append(Dim.symbol(name) if name else extent)
        if name:
            sizes[name] = extent
    symbolic = [
        TensorType(t.dtype, tuple(symbols)) if t.shape == first.shape else None for t in types
    ]
    if None in symbolic:
        return
    try:
        inferred = op.infer(symbolic)
    except OpError as error:
        if error.code == "CNN207":
            return
        raise
    assert inferred.at(sizes) == op.infer(types).shape
    assert evaluate_extent(op.macs(symbolic), sizes) == op.macs(types)
    assert evaluate_extent(op.other_operations(symbolic), sizes) == op.other_operations(types)
