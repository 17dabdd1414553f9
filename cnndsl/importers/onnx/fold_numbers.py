"""Rules for arithmetic, comparisons and reductions of constants, formulas in symbols included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnndsl.importers.onnx.folding import FoldError, Operands, Rule, axes_of, require_room
from cnndsl.importers.onnx.model import NodeView
from cnndsl.ops.base import Array
from cnndsl.types.extents import Dim


def _range(node: NodeView, operands: Operands) -> Array:
    start, limit, delta = (o.item() for o in operands if o is not None)
    if isinstance(start, Dim) or isinstance(limit, Dim) or isinstance(delta, Dim):
        raise FoldError("depends on the size of a symbol")
    require_room([max(0, int((limit - start) / delta) + 1)])
    first = operands[0]
    assert first is not None
    return np.arange(start, limit, delta).astype(first.dtype)


def _number(value: Any) -> Any:
    """Return a whole float as an integer, for arithmetic with formulas."""
    return int(value) if not isinstance(value, Dim) and value == int(value) else value


def _product(a: Any, b: Any) -> Any:
    a, b = _number(a), _number(b)
    if isinstance(a, float) or isinstance(b, float):
        raise FoldError("multiplies a symbol by a broken number")
    return a * b


def _quotient(a: Any, b: Any) -> Any:
    a, b = _number(a), _number(b)
    if not isinstance(b, int) or b < 1:
        raise FoldError("divides by a symbol")
    return a // b


def _arithmetic(
    numbers: Callable[[Any, Any], Any], formulas: Callable[[Any, Any], Any] | None
) -> Rule:
    """Return the rule of an op on two operands; `formulas` where a symbol is in one."""

    def rule(node: NodeView, operands: Operands) -> Array:
        a, b = operands
        assert a is not None
        assert b is not None
        require_room(np.broadcast_shapes(a.shape, b.shape))
        if a.dtype != object and b.dtype != object:
            return np.asarray(numbers(a, b))
        if formulas is None:
            raise FoldError("depends on the size of a symbol")
        result = np.frompyfunc(formulas, 2, 1)(a.astype(object), b.astype(object))
        return np.asarray(result, object)

    return rule


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return a / b
    if not b.all():
        raise ZeroDivisionError("division by zero")
    # ONNX rounds towards zero.
    quotient = np.abs(a) // np.abs(b)
    return np.where((a < 0) != (b < 0), -quotient, quotient).astype(a.dtype)


def _remainder(node: NodeView, operands: Operands) -> Array:
    a, b = operands
    assert a is not None
    assert b is not None
    if a.dtype == object or b.dtype == object:
        return np.asarray(np.frompyfunc(lambda x, y: x % y, 2, 1)(a, b), object)
    return np.fmod(a, b) if node.attribute("fmod") else np.mod(a, b)


def _equal(a: Any, b: Any) -> Any:
    if a == b:
        return True
    # A size is at least one, so that the -1 and 0 that models compare with are others.
    if (isinstance(a, int) and a < 1) or (isinstance(b, int) and b < 1):
        return False
    raise FoldError("compares the size of a symbol")


def _each(function: Callable[[Array], Array]) -> Rule:
    def rule(node: NodeView, operands: Operands) -> Array:
        (x,) = operands
        assert x is not None
        if x.dtype == object:
            raise FoldError("depends on the size of a symbol")
        return np.asarray(function(x)).astype(x.dtype)

    return rule


def _rounded(function: Callable[[Array], Array]) -> Rule:
    """Return the rule of a rounding; formulas are whole."""

    def rule(node: NodeView, operands: Operands) -> Array:
        (x,) = operands
        assert x is not None
        return x if x.dtype == object else np.asarray(function(x))

    return rule


def _chained(function: Callable[[Array, Array], Array]) -> Rule:
    def rule(node: NodeView, operands: Operands) -> Array:
        result = operands[0]
        assert result is not None
        for operand in operands[1:]:
            assert operand is not None
            if result.dtype == object or operand.dtype == object:
                raise FoldError("depends on the size of a symbol")
            require_room(np.broadcast_shapes(result.shape, operand.shape))
            result = function(result, operand)
        return result

    return rule


def _where(node: NodeView, operands: Operands) -> Array:
    condition, a, b = operands
    assert condition is not None
    assert a is not None
    assert b is not None
    require_room(np.broadcast_shapes(condition.shape, a.shape, b.shape))
    return np.where(condition, a, b)


def _reduced(function: Any) -> Rule:
    def rule(node: NodeView, operands: Operands) -> Array:
        x = operands[0]
        assert x is not None
        axes = axes_of(node, operands)
        if not axes and node.attribute("noop_with_empty_axes"):
            return x
        kept = bool(node.attribute("keepdims"))
        result = function(x, axis=tuple(axes) if axes else None, keepdims=kept)
        return np.asarray(result, x.dtype)

    return rule


NUMBER_RULES: dict[str, Rule] = {
    "Range": _range,
    "Add": _arithmetic(np.add, lambda a, b: _number(a) + _number(b)),
    "Sub": _arithmetic(np.subtract, lambda a, b: _number(a) - _number(b)),
    "Mul": _arithmetic(np.multiply, _product),
    "Div": _arithmetic(_divide, _quotient),
    "Mod": _remainder,
    "Pow": _arithmetic(lambda a, b: np.power(a, b.astype(a.dtype)), None),
    "Equal": _arithmetic(np.equal, _equal),
    "Less": _arithmetic(np.less, None),
    "LessOrEqual": _arithmetic(np.less_equal, None),
    "Greater": _arithmetic(np.greater, None),
    "GreaterOrEqual": _arithmetic(np.greater_equal, None),
    "And": _arithmetic(np.logical_and, None),
    "Or": _arithmetic(np.logical_or, None),
    "Not": _each(np.logical_not),
    "Neg": _each(np.negative),
    "Abs": _each(np.abs),
    "Sqrt": _each(np.sqrt),
    "Exp": _each(np.exp),
    "Log": _each(np.log),
    "Reciprocal": _each(np.reciprocal),
    "Relu": _each(lambda x: np.maximum(x, 0)),
    "Floor": _rounded(np.floor),
    "Ceil": _rounded(np.ceil),
    "Round": _rounded(np.round),
    "Min": _chained(np.minimum),
    "Max": _chained(np.maximum),
    "Sum": _chained(np.add),
    "Where": _where,
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceMean": _reduced(np.mean),
}
