"""What the rules that compute constants share: their kind, their bounds, shapes as arrays.

Arrays of whole numbers may hold formulas in symbols (`N`, `16*h`): then their dtype is object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from cnndsl.importers.onnx.model import NodeView
from cnndsl.ops.base import Array
from cnndsl.types.extents import Dim

MAX_ELEMENTS = 1 << 26
"""Elements of a computed constant; weights are read, not computed."""

Operands: TypeAlias = Sequence[Array | None]
Rule: TypeAlias = Callable[[NodeView, Any], Any]


class FoldError(Exception):
    """A node of known operands cannot be computed; the message says why."""


def shape_vector(shape: Sequence[int | Dim]) -> Array:
    """Return a shape as an array, of dtype int64 if no symbol is in it."""
    vector = np.empty(len(shape), object)
    vector[:] = shape
    return settled(vector)


def settled(array: Array) -> Array:
    """Return an array of formulas as one of whole numbers if none is left in it."""
    if array.dtype == object and not any(isinstance(e, Dim) for e in array.flat):
        return array.astype(np.int64)
    return array


def require_room(shape: Sequence[Any]) -> tuple[int, ...]:
    numbers = tuple(int(n) for n in shape)
    if any(n < 0 for n in numbers) or prod(numbers) > MAX_ELEMENTS:
        raise FoldError(f"makes a constant of shape {list(numbers)}")
    return numbers


def integers(array: Array | None) -> list[int]:
    if array is None or array.dtype == object:
        raise FoldError("depends on the size of a symbol")
    return [int(n) for n in np.asarray(array).reshape(-1)]


def axes_of(node: NodeView, operands: Operands, place: int = 1) -> list[int] | None:
    """Return the axes a node is given, as an attribute or (from opset 13 on) as an operand."""
    given = node.attribute("axes")
    if given is not None:
        return list(given)
    if len(operands) > place and operands[place] is not None:
        return integers(operands[place])
    return None
