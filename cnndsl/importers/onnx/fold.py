"""Compute nodes whose operands are known: constants, and arithmetic on shapes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import helper

from cnndsl.importers.onnx.fold_numbers import NUMBER_RULES
from cnndsl.importers.onnx.folding import (
    MAX_ELEMENTS,
    FoldError,
    Operands,
    Rule,
    axes_of,
    integers,
    require_room,
    settled,
    shape_vector,
)
from cnndsl.importers.onnx.model import NodeView
from cnndsl.importers.onnx.tensors import FLOATS, DataFiles, TensorError, read_array
from cnndsl.ops.base import Array
from cnndsl.types.extents import Dim

MAX_FILLED = 1 << 28
"""Elements of a constant of one number, which takes no memory until a layer needs it as weights."""


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
    return tuple(settled(np.asarray(a)) for a in arrays)


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
    return _held(node)


def _held(node: NodeView) -> Array:
    """Return the tensor that is a node's attribute `value`."""
    try:
        return read_array(node.attributes["value"], DataFiles(None))
    except TensorError as error:
        raise FoldError(f"holds a tensor that {error}") from None


def _constant_of_shape(node: NodeView, operands: Operands) -> Array:
    shape = integers(operands[0])
    value: Array = np.zeros(1, np.float32)
    if "value" in node.attributes:
        value = _held(node)
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
    places = np.asarray(integers(indices)).reshape(indices.shape)
    extent = data.shape[axis]
    require_room((data.size // max(extent, 1), places.size))
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
        starts, stops = integers(operands[1]), integers(operands[2])
        given = operands[3] if len(operands) > 3 else None
        axes = list(range(len(starts))) if given is None else integers(given)
        last = operands[4] if len(operands) > 4 else None
        steps = [1] * len(starts) if last is None else integers(last)
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
    shape = integers(operands[1])
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
        sizes = integers(operands[1])
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
    shape = np.broadcast_shapes(data.shape, tuple(integers(operands[1])))
    return np.broadcast_to(data, require_room(shape))


def _tile(node: NodeView, operands: Operands) -> Array:
    data = operands[0]
    assert data is not None
    repeats = integers(operands[1])
    require_room([n * r for n, r in zip(data.shape, repeats, strict=True)])
    return np.tile(data, repeats)


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
    **NUMBER_RULES,
}
