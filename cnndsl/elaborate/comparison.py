"""Compare values; for symbolic sizes, decide what holds for every size of the symbols."""

from __future__ import annotations

from cnndsl.diagnostics import Span
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.values import (
    ListValue,
    SizeValue,
    TupleValue,
    Value,
    is_number,
)
from cnndsl.types.extents import Dim, Extent, FloorDiv


class UndecidedError(Exception):
    """A comparison holds for some sizes of the symbols and fails for others, or might."""

    def __init__(self, left: Value, right: Value) -> None:
        super().__init__()
        self.left = left
        self.right = right


class IncomparableError(Exception):
    """Values of kinds that have no order, or no equality."""


def bounds(extent: Extent) -> tuple[int | None, int | None]:
    """Return bounds of an extent over all symbols of at least one; None where there is none."""
    if isinstance(extent, int):
        return extent, extent
    low: int | None = 0
    high: int | None = 0
    for monomial, coefficient in extent.terms:
        least: int | None = 1
        most: int | None = 1
        for atom in monomial:
            atom_low, atom_high = _atom_bounds(atom)
            # Only products of factors that are never negative keep their order.
            if atom_low is None or atom_low < 0:
                return None, None
            least = None if least is None else least * atom_low
            most = None if most is None or atom_high is None else most * atom_high
        if coefficient < 0:
            least, most = most, least
        low = None if low is None or least is None else low + coefficient * least
        high = None if high is None or most is None else high + coefficient * most
    return low, high


def _atom_bounds(atom: str | FloorDiv) -> tuple[int | None, int | None]:
    if isinstance(atom, str):
        return 1, None
    low, high = bounds(atom.numerator)
    return (
        None if low is None else low // atom.denominator,
        None if high is None else high // atom.denominator,
    )


def compare(ctx: Context, operator: str, left: Value, right: Value, span: Span) -> bool:
    """Return whether `left operator right` holds; raises UndecidedError or IncomparableError."""
    match operator:
        case "==":
            return equal(ctx, left, right, span)
        case "!=":
            return not equal(ctx, left, right, span)
        case "in":
            if not isinstance(right, (ListValue, TupleValue)):
                raise IncomparableError
            undecided: UndecidedError | None = None
            for item in right.items:
                try:
                    if equal(ctx, left, item, span):
                        return True
                except UndecidedError as error:
                    undecided = error
            if undecided is not None:
                raise undecided
            return False
        case _:
            return _ordered(operator, left, right)


def equal(ctx: Context, left: Value, right: Value, span: Span) -> bool:
    """Return whether two values are the same, item by item for lists, tuples and sizes."""
    ctx.step(span)
    if is_number(left) and is_number(right):
        return _numbers_equal(left, right)
    if isinstance(left, (bool, str)) or isinstance(right, (bool, str)):
        if type(left) is not type(right):
            raise IncomparableError
        return left == right
    a, b = _items(left), _items(right)
    # A number stands for every axis of a size.
    if isinstance(left, SizeValue) and is_number(right):
        b = (right,) * len(left.extents)
    elif isinstance(right, SizeValue) and is_number(left):
        a = (left,) * len(right.extents)
    if a is not None and b is not None:
        if len(a) != len(b):
            return False
        undecided: UndecidedError | None = None
        with ctx.nested(span):
            for x, y in zip(a, b, strict=True):
                try:
                    if not equal(ctx, x, y, span):
                        return False
                except UndecidedError as error:
                    undecided = undecided or error
        if undecided is not None:
            raise undecided
        return True
    raise IncomparableError


def _items(value: Value) -> tuple[Value, ...] | None:
    if isinstance(value, (ListValue, TupleValue)):
        return value.items
    if isinstance(value, SizeValue):
        return value.extents
    return None


def _numbers_equal(left: Value, right: Value) -> bool:
    if not isinstance(left, Dim) and not isinstance(right, Dim):
        return left == right
    if isinstance(left, float) or isinstance(right, float):
        raise UndecidedError(left, right)
    assert isinstance(left, (int, Dim))
    assert isinstance(right, (int, Dim))
    difference = left - right
    low, high = bounds(difference)
    if low == high == 0:
        return True
    if (low is not None and low > 0) or (high is not None and high < 0):
        return False
    raise UndecidedError(left, right)


def _ordered(operator: str, left: Value, right: Value) -> bool:
    if isinstance(left, SizeValue) and is_number(right):
        return all(_ordered(operator, extent, right) for extent in left.extents)
    if isinstance(right, SizeValue) and is_number(left):
        return all(_ordered(operator, left, extent) for extent in right.extents)
    if isinstance(left, SizeValue) and isinstance(right, SizeValue):
        # One size is above another when it is along every axis.
        if len(left.extents) != len(right.extents):
            raise IncomparableError
        pairs = zip(left.extents, right.extents, strict=True)
        return all(_ordered(operator, a, b) for a, b in pairs)
    if not is_number(left) or not is_number(right):
        raise IncomparableError
    if not isinstance(left, Dim) and not isinstance(right, Dim):
        assert isinstance(left, (int, float))
        assert isinstance(right, (int, float))
        return _holds(operator, left, right)
    if isinstance(left, float) or isinstance(right, float):
        raise UndecidedError(left, right)
    assert isinstance(left, (int, Dim))
    assert isinstance(right, (int, Dim))
    low, high = bounds(left - right)
    # The difference lies between its bounds: decided if both ends (or the one needed) agree.
    at_low = None if low is None else _holds(operator, low, 0)
    at_high = None if high is None else _holds(operator, high, 0)
    if operator in ("<", "<="):
        if at_high:
            return True
        if at_low is False:
            return False
    else:
        if at_low:
            return True
        if at_high is False:
            return False
    raise UndecidedError(left, right)


def _holds(operator: str, left: float, right: float) -> bool:
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right
