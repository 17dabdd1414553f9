"""What the operators mean for each kind of operand."""

from __future__ import annotations

from cnndsl import limits
from cnndsl.diagnostics import Span
from cnndsl.elaborate.arguments import give_sizes
from cnndsl.elaborate.arithmetic import calculate
from cnndsl.elaborate.calls import as_layer, is_layer_like
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.emission import affine, elementwise
from cnndsl.elaborate.layers import power
from cnndsl.elaborate.values import (
    POISON,
    ElementwiseLayer,
    ListValue,
    Number,
    Poison,
    Tensor,
    Value,
    describe,
    is_number,
)
from cnndsl.types.extents import Dim


def binary(
    ctx: Context,
    operator: str,
    left: Value,
    right: Value,
    spans: tuple[Span, Span],
    span: Span,
) -> Value:
    """Return `left operator right`; `spans` are those of the operands."""
    if operator == "**" and not is_number(left) and is_layer_like(left):
        base = as_layer(ctx, left, spans[0])
        return POISON if base is None else power(ctx, base, right, span)
    if isinstance(left, Poison) or isinstance(right, Poison):
        return POISON
    if is_number(left) and is_number(right):
        assert isinstance(left, (int, float, Dim))
        assert isinstance(right, (int, float, Dim))
        return calculate(ctx, operator, left, right, span)
    if operator in ("+", "-", "*"):
        if isinstance(left, Tensor) and isinstance(right, Tensor):
            return elementwise(ctx, operator, left, right, span)
        if isinstance(left, Tensor) and is_number(right):
            return _tensor_and_number(ctx, operator, left, right, span, reversed=False)
        if isinstance(right, Tensor) and is_number(left):
            return _tensor_and_number(ctx, operator, right, left, span, reversed=True)
    if isinstance(left, ListValue) and isinstance(right, ListValue) and operator == "+":
        return _list(ctx, left.items + right.items, span)
    if operator == "*" and isinstance(left, ListValue) and is_number(right):
        return _repeat(ctx, left, right, span)
    if operator in ("+", "-", "*") and is_layer_like(left) and is_layer_like(right):
        a, b = as_layer(ctx, left, spans[0]), as_layer(ctx, right, spans[1])
        if a is None or b is None:
            return POISON
        return ElementwiseLayer(span, operator, a, b)
    return _refused(ctx, operator, left, right, span)


def _refused(ctx: Context, operator: str, left: Value, right: Value, span: Span) -> Value:
    help = None
    if isinstance(left, Tensor) != isinstance(right, Tensor) and (
        is_layer_like(left) or is_layer_like(right)
    ):
        help = f"`{operator}` binds before `->`: write `(x -> layer)` in parentheses"
    elif operator in ("+", "-", "*") and is_number(left) != is_number(right):
        if is_layer_like(left) or is_layer_like(right):
            help = f"apply the layer first: `(x -> layer) {operator} number`"
    elif operator == "/" and isinstance(left, Tensor) and is_number(right):
        help = f"multiply instead: `* (1 / {right})`"
    return ctx.error(
        "CNN309",
        f"`{operator}` does not take {describe(left)} and {describe(right)}",
        span,
        help=help,
    )


def _list(ctx: Context, items: tuple[Value, ...], span: Span) -> Value:
    ctx.step(span, len(items))
    if len(items) > limits.MAX_LIST_LENGTH:
        ctx.stop("CNN401", f"a list holds more than {limits.MAX_LIST_LENGTH:_} items", span)
    return ListValue(items)


def _repeat(ctx: Context, left: ListValue, times: Value, span: Span) -> Value:
    if not isinstance(times, int) or times < 0:
        return ctx.error(
            "CNN309", f"a list is repeated a whole number of times, got {describe(times)}", span
        )
    if len(left.items) * times > limits.MAX_LIST_LENGTH:
        ctx.stop("CNN401", f"a list holds more than {limits.MAX_LIST_LENGTH:_} items", span)
    return _list(ctx, left.items * times, span)


def _tensor_and_number(
    ctx: Context, operator: str, x: Tensor, number: Value, span: Span, *, reversed: bool
) -> Value:
    """Scale or shift a tensor by a number; `reversed` when the number stands on the left."""
    if not isinstance(number, (int, float)):
        assert isinstance(number, Dim)
        return ctx.error(
            "CNN207",
            f"a tensor is scaled or shifted by a known number, got {describe(number)}",
            span,
            help=give_sizes(number),
        )
    value = float(number)
    match operator, reversed:
        case "*", _:
            scale, shift, word = value, 0.0, "mul"
        case "+", _:
            scale, shift, word = 1.0, value, "add"
        case "-", False:
            scale, shift, word = 1.0, -value, "sub"
        case _:
            scale, shift, word = -1.0, value, "sub"
    return affine(ctx, x, scale, shift, word, span)


def negate(ctx: Context, operator: str, operand: Value, span: Span) -> Value:
    """Return `-operand` or `+operand`."""
    if isinstance(operand, Poison):
        return POISON
    if is_number(operand):
        assert isinstance(operand, (int, float, Dim))
        zero: Number = 0
        return calculate(ctx, operator, zero, operand, span) if operator == "-" else operand
    if isinstance(operand, Tensor):
        return operand if operator == "+" else affine(ctx, operand, -1.0, 0.0, "neg", span)
    return ctx.error("CNN309", f"`{operator}` does not take {describe(operand)}", span)
