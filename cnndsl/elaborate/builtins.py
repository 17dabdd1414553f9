"""The functions of the language that are no layers: range, len, min, round, share..."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, isfinite

from cnndsl import limits
from cnndsl.diagnostics import Span
from cnndsl.elaborate.arguments import give_sizes
from cnndsl.elaborate.arithmetic import calculate, checked
from cnndsl.elaborate.calls import as_layer
from cnndsl.elaborate.comparison import UndecidedError, compare
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.layers import share
from cnndsl.elaborate.values import (
    POISON,
    Builtin,
    ListValue,
    SizeValue,
    Tensor,
    TupleValue,
    Value,
    describe,
    is_number,
)
from cnndsl.types.extents import Dim
from cnndsl.types.padding import Causal, Same, Valid

Arguments = tuple[Value, ...]


def items_of(value: Value) -> tuple[Value, ...] | None:
    """Return what a `for` goes through; None if the value holds no items."""
    if isinstance(value, (ListValue, TupleValue)):
        return value.items
    if isinstance(value, SizeValue):
        return value.extents
    return None


def _items(ctx: Context, name: str, value: Value, span: Span) -> tuple[Value, ...] | None:
    items = items_of(value)
    if items is None:
        ctx.error("CNN306", f"{name} takes a list, got {describe(value)}", span)
    else:
        ctx.step(span, len(items))
    return items


def _wants(ctx: Context, name: str, kind: str, value: Value, span: Span) -> Value:
    if isinstance(value, Dim):
        return ctx.error(
            "CNN207",
            f"{name} needs a known number, got {describe(value)}",
            span,
            help=give_sizes(value),
        )
    return ctx.error("CNN306", f"{name} takes {kind}, got {describe(value)}", span)


def _range(ctx: Context, arguments: Arguments, span: Span) -> Value:
    numbers: list[int] = []
    for value in arguments:
        if not isinstance(value, int) or isinstance(value, bool):
            return _wants(ctx, "range", "whole numbers", value, span)
        numbers.append(value)
    if len(numbers) == 3 and numbers[2] == 0:
        return ctx.error("CNN307", "range needs a step other than 0", span)
    found = range(*numbers)
    if (found.stop - found.start) // found.step > limits.MAX_LIST_LENGTH:
        ctx.stop("CNN401", f"a list holds more than {limits.MAX_LIST_LENGTH:_} items", span)
    ctx.step(span, len(found))
    return ListValue(tuple(found))


def _len(ctx: Context, arguments: Arguments, span: Span) -> Value:
    items = _items(ctx, "len", arguments[0], span)
    return POISON if items is None else len(items)


def _several(ctx: Context, name: str, arguments: Arguments, span: Span) -> Arguments | None:
    """Return the numbers to choose from: the arguments, or the items of the only one."""
    if len(arguments) == 1:
        items = _items(ctx, name, arguments[0], span)
        if items is None:
            return None
        arguments = items
    if not arguments:
        ctx.error("CNN306", f"{name} of an empty list has no value", span)
        return None
    for value in arguments:
        if not is_number(value):
            _wants(ctx, name, "numbers", value, span)
            return None
    return arguments


def _extreme(name: str, operator: str) -> Callable[[Context, Arguments, Span], Value]:
    def run(ctx: Context, arguments: Arguments, span: Span) -> Value:
        values = _several(ctx, name, arguments, span)
        if values is None:
            return POISON
        best = values[0]
        for value in values[1:]:
            try:
                if compare(ctx, operator, value, best, span):
                    best = value
            except UndecidedError:
                symbolic = value if isinstance(value, Dim) else best
                return _wants(ctx, name, "numbers", symbolic, span)
        return best

    return run


def _sum(ctx: Context, arguments: Arguments, span: Span) -> Value:
    items = _items(ctx, "sum", arguments[0], span)
    if items is None:
        return POISON
    total: Value = 0
    for item in items:
        if not isinstance(item, (int, float, Dim)) or isinstance(item, bool):
            return _wants(ctx, "sum", "numbers", item, span)
        assert isinstance(total, (int, float, Dim))
        total = calculate(ctx, "+", total, item, span)
        if total is POISON:
            return POISON
    return total


def _abs(ctx: Context, arguments: Arguments, span: Span) -> Value:
    (value,) = arguments
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return _wants(ctx, "abs", "a number", value, span)
    return abs(value)


def _to_int(name: str, rule: Callable[[float], int]) -> Callable[[Context, Arguments, Span], Value]:
    def run(ctx: Context, arguments: Arguments, span: Span) -> Value:
        (value,) = arguments
        if isinstance(value, bool) or not isinstance(value, (int, float, Dim)):
            return _wants(ctx, name, "a number", value, span)
        # A whole number, known or symbolic, is its own rounding.
        return value if not isinstance(value, float) else checked(ctx, rule(value), span)

    return run


def _float(ctx: Context, arguments: Arguments, span: Span) -> Value:
    (value,) = arguments
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return _wants(ctx, "float", "a number", value, span)
    assert isfinite(value)
    return float(value)


def _reversed(ctx: Context, arguments: Arguments, span: Span) -> Value:
    items = _items(ctx, "reversed", arguments[0], span)
    return POISON if items is None else ListValue(items[::-1])


def _zip(ctx: Context, arguments: Arguments, span: Span) -> Value:
    columns = []
    for value in arguments:
        items = _items(ctx, "zip", value, span)
        if items is None:
            return POISON
        columns.append(items)
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        counts = " and ".join(str(len(column)) for column in columns)
        return ctx.error("CNN311", f"zip takes lists of equal length, got {counts} items", span)
    return ListValue(tuple(TupleValue(row) for row in zip(*columns, strict=True)))


def _enumerate(ctx: Context, arguments: Arguments, span: Span) -> Value:
    items = _items(ctx, "enumerate", arguments[0], span)
    if items is None:
        return POISON
    return ListValue(tuple(TupleValue((i, item)) for i, item in enumerate(items)))


def _shape(ctx: Context, arguments: Arguments, span: Span) -> Value:
    (value,) = arguments
    if not isinstance(value, Tensor):
        return ctx.error("CNN306", f"shape takes a tensor, got {describe(value)}", span)
    return ListValue(value.type.shape)


def _share(ctx: Context, arguments: Arguments, span: Span) -> Value:
    layer = as_layer(ctx, arguments[0], span)
    return POISON if layer is None else share(ctx, layer, span)


FUNCTIONS: dict[str, Builtin] = {
    f.name: f
    for f in (
        Builtin("range", 1, 3, _range),
        Builtin("len", 1, 1, _len),
        Builtin("min", 1, None, _extreme("min", "<")),
        Builtin("max", 1, None, _extreme("max", ">")),
        Builtin("sum", 1, 1, _sum),
        Builtin("abs", 1, 1, _abs),
        Builtin("round", 1, 1, _to_int("round", lambda x: floor(x + 0.5))),
        Builtin("floor", 1, 1, _to_int("floor", floor)),
        Builtin("ceil", 1, 1, _to_int("ceil", ceil)),
        Builtin("int", 1, 1, _to_int("int", int)),
        Builtin("float", 1, 1, _float),
        Builtin("reversed", 1, 1, _reversed),
        Builtin("zip", 1, None, _zip),
        Builtin("enumerate", 1, 1, _enumerate),
        Builtin("shape", 1, 1, _shape),
        Builtin("share", 1, 1, _share),
    )
}

WORDS: dict[str, Value] = {"valid": Valid(), "same": Same(), "causal": Causal()}
"""Names that stand for a way to pad."""
