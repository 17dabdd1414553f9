"""Arithmetic on numbers and symbolic sizes, bounded before it is computed."""

from __future__ import annotations

from math import isfinite

from cnndsl import limits
from cnndsl.diagnostics import Span
from cnndsl.elaborate.arguments import give_sizes
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.values import Number, Value, describe
from cnndsl.types.extents import Dim, Extent, FloorDiv

TOO_LARGE = f"a whole number is above the limit of {limits.MAX_INTEGER:_}"


def calculate(ctx: Context, operator: str, left: Number, right: Number, span: Span) -> Value:
    """Return `left operator right` for numbers."""
    if isinstance(left, Dim) or isinstance(right, Dim):
        return _with_symbols(ctx, operator, left, right, span)
    if operator in ("/", "//", "%") and right == 0:
        return ctx.error("CNN319", f"{describe(left)} is divided by zero", span)
    try:
        result = _calculate(operator, left, right)
    except OverflowError:
        result = None
    if isinstance(result, complex):
        return ctx.error(
            "CNN309", f"`**` of {describe(left)} and {describe(right)} is not a real number", span
        )
    if result is None or not isfinite(result):
        return ctx.error("CNN403", "a number is too large", span)
    return checked(ctx, result, span)


def checked(ctx: Context, number: Number, span: Span) -> Value:
    """Return a number, or report that it is above the limit."""
    if isinstance(number, int) and abs(number) > limits.MAX_INTEGER:
        return ctx.error("CNN403", TOO_LARGE, span)
    return number


def _calculate(operator: str, left: float, right: float) -> int | float | complex | None:
    """Return the result; None if it would be too large to compute."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "//":
            return left // right
        case "%":
            return left % right
        case _:
            if isinstance(left, int) and isinstance(right, int):
                if right < 0:
                    return None if left == 0 else float(left) ** right
                if abs(left) > 1 and left.bit_length() * right > 128:
                    return None
            elif left == 0 and right < 0:
                return None
            power: int | float | complex = left**right
            return power


def _with_symbols(ctx: Context, operator: str, left: Number, right: Number, span: Span) -> Value:
    """Calculate with sums, products and floor divisions of symbols, which stay formulas."""
    symbolic = left if isinstance(left, Dim) else right
    assert isinstance(symbolic, Dim)
    if isinstance(left, float) or isinstance(right, float):
        return ctx.error(
            "CNN207",
            f"`{operator}` needs known numbers, got {describe(left)} and {describe(right)}",
            span,
            help=give_sizes(symbolic),
        )
    result: Extent
    match operator:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            if _terms(left) * _terms(right) > limits.MAX_FORMULA_TERMS:
                return ctx.error("CNN403", "a formula in symbols is too large", span)
            result = left * right
        case "//" | "%" if isinstance(right, int):
            assert isinstance(left, Dim)
            if right == 0:
                return ctx.error("CNN319", f"{describe(left)} is divided by zero", span)
            result = left // right if operator == "//" else left % right
        case "**" if isinstance(right, int) and 0 <= right <= limits.MAX_FORMULA_DEGREE:
            result = 1
            for _ in range(right):
                if _terms(left) * _terms(result) > limits.MAX_FORMULA_TERMS:
                    return ctx.error("CNN403", "a formula in symbols is too large", span)
                result = result * left
        case _:
            return ctx.error(
                "CNN207",
                f"`{operator}` needs known numbers here, got {describe(left)} "
                f"and {describe(right)}",
                span,
                help=give_sizes(symbolic),
            )
    if isinstance(result, Dim) and is_formula_too_large(result):
        return ctx.error("CNN403", "a formula in symbols is too large", span)
    return checked(ctx, result, span)


def is_formula_too_large(formula: Dim) -> bool:
    """Tell whether a formula has too many terms, too long ones, or too large factors."""
    count = 0
    pending = [formula]
    while pending:
        terms = pending.pop().terms
        count += len(terms)
        if count > limits.MAX_FORMULA_TERMS:
            return True
        for monomial, coefficient in terms:
            if len(monomial) > limits.MAX_FORMULA_DEGREE or abs(coefficient) > limits.MAX_INTEGER:
                return True
            pending.extend(a.numerator for a in monomial if isinstance(a, FloorDiv))
    return False


def _terms(number: Extent) -> int:
    return len(number.terms) if isinstance(number, Dim) else 1
