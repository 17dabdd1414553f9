"""Operations outside the multiply-accumulates: compared with counts of arithmetic that was done.

Two instruments count: an array that counts the elements its ufuncs make while `evaluate` runs, and
a number that counts its own arithmetic, put into the formula of an op's documentation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any, ClassVar

import numpy as np
import pytest
from conformance.cases import cases, vector_cases
from op_checks import draw_params, float_type, normal

from cnndsl.ops import Op, activation, all_ops, conv, elementwise, norm, pool, resample
from cnndsl.ops.base import DataMovement
from cnndsl.ops.dense import Dense
from cnndsl.ops.fused import Fused
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.padding import Same, Valid

NOT_ARITHMETIC = {"negative", "absolute", "isfinite"}


class CountingArray(np.ndarray):  # type: ignore[type-arg]
    """An array whose ufuncs add the operations they do to `operations`."""

    operations: ClassVar[int] = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [x.view(np.ndarray) if isinstance(x, CountingArray) else x for x in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(
                x.view(np.ndarray) if isinstance(x, CountingArray) else x for x in kwargs["out"]
            )
        result = getattr(ufunc, method)(*plain, **kwargs)
        if ufunc.__name__ not in NOT_ARITHMETIC:
            done = plain[0].size - result.size if method == "reduce" else result.size
            CountingArray.operations += done
        return np.asarray(result).view(CountingArray)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Keep counting after functions that are no ufuncs (np.where)."""
        result = super().__array_function__(func, types, args, kwargs)
        return result.view(CountingArray) if isinstance(result, np.ndarray) else result


def counted(op: Op, shapes: list[tuple[int, ...]]) -> int:
    """Evaluate an op and return the operations done."""
    rng = np.random.default_rng(1)
    inputs = [normal(rng, s) for s in shapes]
    params = draw_params(op, inputs, rng, draw=lambda r, s: np.abs(normal(r, s)) + 0.5)
    CountingArray.operations = 0
    op.evaluate([x.view(CountingArray) for x in inputs], params)
    return CountingArray.operations


ONE = [(2, 6, 4, 5)]
EVALUATED = [
    (activation.Relu(), ONE),
    (activation.LeakyRelu(), ONE),
    (activation.PRelu(), ONE),
    (activation.Elu(), ONE),
    (activation.Selu(), ONE),
    (activation.SRelu(), ONE),
    (activation.Relu6(), ONE),
    (activation.Tanh(), ONE),
    (activation.Gelu(), ONE),
    (activation.HardSigmoid(), ONE),
    (activation.HardSwish(), ONE),
    (activation.Dropout(), ONE),
    (activation.Identity(), ONE),
    (activation.Softmax(axis=1), ONE),
    (activation.Softmax(axis=3), ONE),
    (elementwise.Add(), ONE * 2),
    (elementwise.Sub(), ONE * 2),
    (elementwise.Mul(), [(2, 6, 4, 5), (2, 6, 1, 1)]),
    (elementwise.Affine(scale=2.0, shift=1.0), ONE),
    (norm.LayerNorm(), ONE),
    (norm.GroupNorm(groups=3), ONE),
    (pool.GlobalAveragePool(), ONE),
    (pool.GlobalMaxPool(keep_axes=True), ONE),
    (resample.Upsample(scale=(2, 3), mode="bilinear"), ONE),
    (resample.Upsample(scale=(2, 3)), ONE),
]


@pytest.mark.parametrize("op, shapes", EVALUATED, ids=lambda v: str(v)[:40])
def test_what_evaluate_does(op: Op, shapes: list[tuple[int, ...]]) -> None:
    types = [float_type(*s) for s in shapes]
    assert op.other_operations(types) == counted(op, shapes)


class Number:
    """A number that counts the arithmetic it takes part in; its value does not matter."""

    operations: ClassVar[int] = 0

    def _did(self, *_: Any) -> Number:
        Number.operations += 1
        return self

    __add__ = __radd__ = __sub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _did
    __pow__ = exp = log = tanh = max = _did

    def __neg__(self) -> Number:
        return self


def operations_of(formula: Callable[..., Any], *arguments: Any) -> int:
    Number.operations = 0
    formula(*arguments)
    return Number.operations


def sigmoid(x: Any) -> Any:
    return 1 / (1 + (-x).exp())


def gelu(x: Any) -> Any:
    return x / 2 * (1 + (0.8 * (x + 0.044715 * (x * x * x))).tanh())


def lrn(squares: list[Any], x: Any) -> Any:
    return x / (2 + 1e-4 * reduce(lambda a, b: a + b, squares)) ** 0.75


X = Number()


@pytest.mark.parametrize(
    ("op", "per_element"),
    [
        (activation.Sigmoid(), operations_of(sigmoid, X)),
        (activation.Softplus(), operations_of(lambda x: (1 + x.exp()).log(), X)),
        (activation.Silu(), operations_of(lambda x: x * sigmoid(x), X)),
        (activation.Glu(), operations_of(lambda a, b: a * sigmoid(b), X, X) / 2),
        (activation.Gelu(approximate=True), operations_of(gelu, X)),
        (norm.BatchNorm(), operations_of(lambda x: x * 2.0 + 1.0, X)),
        # Each square is of use to many sums, and computed once.
        (norm.LRN(size=5), operations_of(lrn, [X] * 5, X) + operations_of(lambda x: x * x, X)),
        (elementwise.Affine(shift=3.0), 1),
        (elementwise.Affine(scale=3.0), 1),
    ],
    ids=lambda v: str(v)[:40],
)
def test_what_the_formula_of_an_element_needs(op: Op, per_element: float) -> None:
    assert op.other_operations([float_type(*ONE[0])]) == per_element * prod(ONE[0])


def largest(window: list[Number]) -> Number:
    return reduce(lambda a, b: a.max(b), window)


def mean(window: list[Number]) -> Number:
    return reduce(lambda a, b: a + b, window) / len(window)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 3)])
@pytest.mark.parametrize(
    ("made", "formula"), [(pool.MaxPool, largest), (pool.AveragePool, mean)], ids=["max", "mean"]
)
def test_what_windows_need(
    made: Any, formula: Callable[[list[Number]], Number], kernel: tuple[int, int]
) -> None:
    dilation = {"dilation": (1, 1)} if made is pool.MaxPool else {}
    op = made(kernel=kernel, stride=(2, 1), padding=Valid(), **dilation)
    x = float_type(2, 6, 8, 9)
    outputs = op.infer([x]).elements
    window = [X for _ in itertools.product(*map(range, kernel))]
    assert op.other_operations([x]) == outputs * operations_of(formula, window)


WINDOW: Any = {"kernel": (3, 3), "stride": (2, 2), "padding": Valid()}
DILATION: Any = {"dilation": (1, 1)}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "made",
    [
        lambda bias: conv.Conv(out_channels=6, **WINDOW, **DILATION, bias=bias),
        lambda bias: conv.DepthwiseConv(**WINDOW, **DILATION, bias=bias, multiplier=2),
        lambda bias: LocallyConnected(out_channels=6, **WINDOW, bias=bias),
        lambda bias: ConvTranspose(
            out_channels=6, output_padding=(0, 0), **WINDOW, **DILATION, bias=bias
        ),
    ],
)
def test_a_bias_is_added_once_to_every_output(made: Callable[[bool], Op], bias: bool) -> None:
    op, x = made(bias), float_type(2, 4, 8, 9)
    assert op.other_operations([x]) == (op.infer([x]).elements if bias else 0)
    dense = Dense(out_features=7, bias=bias)
    assert dense.other_operations([float_type(3, 5)]) == (21 if bias else 0)


def test_a_fused_op_does_what_its_parts_do() -> None:
    window: Any = {**WINDOW, **DILATION, "padding": Same(), "stride": (1, 1)}
    base = conv.Conv(out_channels=6, **window, bias=True)
    fused = Fused(base=base, residual=True, activation=activation.Relu6())
    x, r = float_type(2, 4, 8, 9), float_type(2, 6, 8, 9)
    assert fused.other_operations([x, r]) == r.elements * (1 + 1 + 2)
    assert fused.weight_elements_read([x, r]) == 4 * 6 * 9 + 6


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.__name__)
def test_every_op_says_what_it_counts(op: type[Op]) -> None:
    assert op.other_operations_rule
    if issubclass(op, DataMovement):
        assert op.other_operations_rule == DataMovement.other_operations_rule


def test_a_zero_is_never_silent() -> None:
    """Where nothing is counted the rule says "none", elsewhere it does not begin with it."""
    for case in [*(c for rank in (1, 2, 3) for c in cases(rank)), *vector_cases()]:
        operations, rule = case.op.other_operations(case.inputs), case.op.other_operations_rule
        has_bias = len(case.op.parameters(case.inputs)) > 1 or case.op.macs_rule == Op.macs_rule
        if rule.startswith("none"):
            assert operations == 0, case
        elif operations == 0:
            one_element = isinstance(case.op, pool.MaxPool | pool.GlobalMaxPool)
            assert not has_bias or one_element or "nearest: none" in rule, case
