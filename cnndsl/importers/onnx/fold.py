"""Compute nodes whose operands are known: constants, and arithmetic on shapes.

Arrays of whole numbers may hold formulas in symbols (`N`, `16*h`): then their dtype is object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
from onnx import helper

from cnndsl.importers.onnx.model import NodeView
from cnndsl.importers.onnx.tensors import FLOATS, DataFiles, TensorError, read_array
from cnndsl.ops.base import Array
from cnndsl.types.extents import Dim

MAX_ELEMENTS = 1 << 26
"""Elements of a computed constant; weights are read, not computed."""

MAX_FILLED = 1 << 28
"""Elements of a constant of one number, which takes no memory until a layer needs it as weights."""

Operands: TypeAlias = Sequence[Array | None]
Rule: TypeAlias = Callable[[NodeView, Any], Any]


class FoldError(Exception):
    """A node of known operands cannot be computed; the message says why."""


def can_fold(node: NodeView) -> bool:
    """Tell whether there is a rule for a node's op."""
    return node.op in RULES


def fold(node: NodeView, operands: Operands) -> tuple[Array, ...]:
    """Return the results of a node whose operands are known; raises FoldError."""
    for operand in operands:
        if operand is not None and operand.size > MAX_ELEMENTS and node.op not in _VIEWS:
            raise FoldError(f"is computed from a constant of {operand.size:_} elements")
    try:
        with np.errstate(all="ignore"):
            results = RULES[node.op](node, operands)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError, MemoryError) as e:
        reason = (str(e).splitlines() or [type(e).__name__])[0]
        raise FoldError(f"cannot be computed from its constants ({reason})") from None
    arrays = results if isinstance(results, tuple) else (results,)
    return tuple(_settled(np.asarray(a)) for a in arrays)


def shape_vector(shape: Sequence[int | Dim]) -> Array:
    """Return a shape as an array, of dtype int64 if no symbol is in it."""
    vector = np.empty(len(shape), object)
    vector[:] = shape
    return _settled(vector)


def _settled(array: Array) -> Array:
    """Return an array of formulas as one of whole numbers if none is left in it."""
    if array.dtype == object and not any(isinstance(e, Dim) for e in array.flat):
        return array.astype(np.int64)
    return array


def _require_room(shape: Sequence[Any]) -> tuple[int, ...]:
    numbers = tuple(int(n) for n in shape)
    if any(n < 0 for n in numbers) or prod(numbers) > MAX_ELEMENTS:
        raise FoldError(f"makes a constant of shape {list(numbers)}")
    return numbers


def _integers(array: Array | None) -> list[int]:
    if array is None or array.dtype == object:
        raise FoldError("depends on the size of a symbol")
    return [int(n) for n in np.asarray(array).reshape(-1)]


def axes_of(node: NodeView, operands: Operands, place: int = 1) -> list[int] | None:
    """Return the axes a node is given, as an attribute or (from opset 13 on) as an operand."""
    given = node.attribute("axes")
    if given is not None:
        return list(given)
    if len(operands) > place and operands[place] is not None:
        return _integers(operands[place])
    return None


def _constant(node: NodeView, _: Operands) -> Array:
    for name, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if name in node.attributes:
            return np.asarray(node.attributes[name], dtype)
    if "value" not in node.attributes:
        raise FoldError("holds neither numbers nor a tensor of numbers")
    try:
        return read_array(node.attributes["value"], DataFiles(None))
    except TensorError as error:
        raise FoldError(f"holds a tensor that {error}") from None


def _constant_of_shape(node: NodeView, operands: Operands) -> Array:
    shape = _integers(operands[0])
    value: Array = np.zeros(1, np.float32)
    if "value" in node.attributes:
        value = read_array(node.attributes["value"], DataFiles(None))
    if any(n < 0 for n in shape) or prod(shape) > MAX_FILLED or value.size != 1:
        raise FoldError(f"makes a constant of shape {shape}")
    # A view of one element: weights made like this take no memory until they are used.
    return np.broadcast_to(value.reshape(()), shape)


def dtype_of(element: int) -> np.dtype[Any]:
    """Return the dtype that holds an element type here: float32 for all floats."""
    if element in FLOATS:
        return np.dtype(np.float32)
    try:
        dtype = helper.tensor_dtype_to_np_dtype(element)
    except (KeyError, ValueError):
        raise FoldError(f"is of element type number {element}") from None
    if dtype.kind not in "iub":
        raise FoldError(f"is of type {dtype}")
    return np.dtype(dtype)


def _cast(node: NodeView, operands: Operands) -> Array:
    (x,) = operands
    assert x is not None
    dtype = dtype_of(node.attribute("to"))
    # Formulas stay as they are: exact, whatever type a model does its arithmetic in.
    return x if x.dtype == object else x.astype(dtype)


def _gather(node: NodeView, operands: Operands) -> Array:
    data, indices = operands
    assert data is not None
    assert indices is not None
    axis = node.attribute("axis")
    places = np.asarray(_integers(indices)).reshape(indices.shape)
    extent = data.shape[axis]
    _require_room((data.size // max(extent, 1), places.size))
    return data.take(np.where(places < 0, places + extent, places), axis)


def _slice(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    for axis, start, stop, step in slices_of(node, operands, data.ndim):
        # Python clamps and counts from the end as ONNX does, but for a negative step's end.
        end: int | None = stop
        if step < 0 and stop < -data.shape[axis]:
            end = None
        data = data[(slice(None),) * axis + (slice(start, end, step),)]
    return data


def slices_of(node: NodeView, operands: Operands, rank: int) -> list[tuple[int, int, int, int]]:
    """Return (axis, start, stop, step) for each axis that a Slice cuts."""
    if node.version < 10:
        starts, stops = list(node.attributes["starts"]), list(node.attributes["ends"])
        axes = list(node.attributes.get("axes", range(len(starts))))
        steps = [1] * len(starts)
    else:
        starts, stops = _integers(operands[1]), _integers(operands[2])
        given = operands[3] if len(operands) > 3 else None
        axes = list(range(len(starts))) if given is None else _integers(given)
        last = operands[4] if len(operands) > 4 else None
        steps = [1] * len(starts) if last is None else _integers(last)
    if not len(starts) == len(stops) == len(axes) == len(steps) or 0 in steps:
        raise FoldError("has starts, ends, axes and steps that do not fit together")
    if any(not -rank <= a < rank for a in axes):
        raise FoldError(f"cuts axis {max(axes, key=abs)} of {rank}")
    return [(a % rank, *rest) for a, *rest in zip(axes, starts, stops, steps, strict=True)]


def _squeeze(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    axes = axes_of(node, operands)
    return np.squeeze(data, None if axes is None else tuple(axes))


def _unsqueeze(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    axes = axes_of(node, operands)
    assert data is not None
    return np.expand_dims(data, tuple(axes or ()))


def _reshape(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    shape = _integers(operands[1])
    if not node.attribute("allowzero"):
        shape = [data.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return data.reshape(shape)


def _flatten(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    axis = node.attribute("axis")
    axis += data.ndim if axis < 0 else 0
    return data.reshape(prod(data.shape[:axis]), -1)


def _transpose(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    return data.transpose(node.attribute("perm"))


def _concat(node: NodeView, operands: Operands) -> Array:
    arrays = [a for a in operands if a is not None]
    return np.concatenate(arrays, axis=node.attribute("axis"))


def _split(node: NodeView, operands: Operands) -> tuple[Array, ...]:
    data = operands[0]
    assert data is not None
    axis = node.attribute("axis") or 0
    sizes = split_sizes(node, operands, data.shape[axis])
    return tuple(np.split(data, np.cumsum(sizes)[:-1], axis=axis))


def split_sizes(node: NodeView, operands: Operands, extent: int) -> list[int]:
    """Return the extents of a Split's parts along its axis."""
    sizes = node.attribute("split")
    if sizes is None and len(operands) > 1 and operands[1] is not None:
        sizes = _integers(operands[1])
    if sizes is None:
        parts = node.attribute("num_outputs") or len(node.outputs)
        part = -(-extent // parts)
        sizes = [part] * (parts - 1)
        sizes.append(extent - sum(sizes))
    if sum(sizes) != extent or len(sizes) != len(node.outputs) or min(sizes) < 1:
        raise FoldError(f"splits {extent} elements into {list(sizes)}")
    return list(sizes)


def _expand(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    shape = np.broadcast_shapes(data.shape, tuple(_integers(operands[1])))
    return np.broadcast_to(data, _require_room(shape))


def _tile(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    repeats = _integers(operands[1])
    _require_room([n * r for n, r in zip(data.shape, repeats, strict=True)])
    return np.tile(data, repeats)


def _range(node: NodeView, operands: Operands) -> Array:
    start, limit, delta = (o.item() for o in operands if o is not None)
    if isinstance(start, Dim) or isinstance(limit, Dim) or isinstance(delta, Dim):
        raise FoldError("depends on the size of a symbol")
    _require_room([max(0, int((limit - start) / delta) + 1)])
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
        _require_room(np.broadcast_shapes(a.shape, b.shape))
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
            _require_room(np.broadcast_shapes(result.shape, operand.shape))
            result = function(result, operand)
        return result

    return rule


def _where(node: NodeView, operands: Operands) -> Array:
    condition, a, b = operands
    assert condition is not None
    assert a is not None
    assert b is not None
    _require_room(np.broadcast_shapes(condition.shape, a.shape, b.shape))
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


def _size(node: NodeView, operands: Operands) -> Array:
    assert operands[0] is not None
    return np.asarray(operands[0].size, np.int64)


def _shape(node: NodeView, operands: Operands) -> Array:
    assert operands[0] is not None
    return shape_part(node, operands[0].shape)


def shape_part(node: NodeView, shape: Sequence[int | Dim]) -> Array:
    """Return what a Shape node gives of a shape: all of it, or from opset 15 on a part."""
    return shape_vector(tuple(shape)[node.attribute("start") : node.attribute("end")])


_VIEWS = frozenset(
    {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Shape", "Size"}
    | {"ConstantOfShape", "Constant", "Slice", "Split", "Cast"}
)
"""Ops that take no more memory than their operands."""

RULES: dict[str, Rule] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda node, operands: operands[0],
    "Shape": _shape,
    "Size": _size,
    "Cast": _cast,
    "Gather": _gather,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
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
