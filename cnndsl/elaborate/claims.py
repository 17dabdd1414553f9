"""Check asserts: at once, or for the numbers of the whole network when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

from cnndsl.diagnostics import Severity, Span
from cnndsl.elaborate.advice import Advice, advise
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.expressions import compare_values, evaluate, truth
from cnndsl.elaborate.network_facts import NETWORK_FACTS, QUESTIONS, NetworkFacts
from cnndsl.elaborate.values import FieldSize, SizeValue, Value, show
from cnndsl.syntax import ast

MOST_RELATED = 3
"""Other places that a failed claim points at."""

_LITERALS = (ast.Number, ast.Boolean, ast.String, ast.SizeLiteral)


def names_in(expression: object) -> Iterator[ast.Name]:
    """Yield every name that an expression uses (not those of arguments and attributes)."""
    match expression:
        case ast.Name():
            yield expression
        case ast.Attribute():
            yield from names_in(expression.value)
        case ast.Argument():
            yield from names_in(expression.value)
        case tuple():
            for item in expression:
                yield from names_in(item)
        case _ if is_dataclass(expression) and type(expression).__module__ == ast.__name__:
            for f in fields(expression):
                yield from names_in(getattr(expression, f.name))


def waits(condition: ast.Expr) -> bool:
    """Tell whether a condition speaks of what only the complete network knows."""
    return any(n.name in NETWORK_FACTS or n.name in QUESTIONS for n in names_in(condition))


def check_claim(ctx: Context, statement: ast.Assert) -> None:
    """Check an assert; report it if it fails, or cannot be checked or decided."""
    ctx.in_claim = True
    try:
        _check(ctx, statement.condition)
    finally:
        ctx.in_claim = False


def _check(ctx: Context, condition: ast.Expr) -> None:
    match condition:
        case ast.Binary(operator="and"):
            _check(ctx, condition.left)
            _check(ctx, condition.right)
        case ast.Conditional():
            which = truth(ctx, evaluate(ctx, condition.condition), condition.condition.span, "`if`")
            if which is not None:
                _check(ctx, condition.then if which else condition.otherwise)
        case ast.Comparison():
            left, right = evaluate(ctx, condition.left), evaluate(ctx, condition.right)
            holds = compare_values(ctx, condition, left, right)
            if holds is False and not ctx.reported("CNN501", condition.span):
                _fails(ctx, condition, left, right)
            elif holds is True:
                _warn_of_phases(ctx, condition, left, right)
        case _:
            value = truth(ctx, evaluate(ctx, condition), condition.span, "`assert`")
            if value is False and not ctx.reported("CNN501", condition.span):
                _report(ctx, condition.span, "the claim does not hold", advise(ctx, condition))


def _warn_of_phases(ctx: Context, claim: ast.Comparison, left: Value, right: Value) -> None:
    """Warn of a reach that the units of all phases have together, but some do not have alone."""
    if claim.operator in ("==", "!="):
        return
    for field in (left, right):
        if not isinstance(field, FieldSize):
            continue
        alone = SizeValue(field.least)
        sides = (alone, right) if field is left else (left, alone)
        if compare_values(ctx, claim, *sides) is False:
            found = ctx.diagnostic(
                "CNN903",
                f"the claim holds for the units of all phases together, {field}, but some see "
                f"no more than {alone}",
                claim.span,
                help="claim what every unit sees, or the published figure with `==`",
            )
            ctx.add(replace(found, severity=Severity.WARNING))


def _report(ctx: Context, span: Span, message: str, advice: Advice) -> None:
    if advice.actual:
        message += ": " + advice.actual
    found = ctx.diagnostic(
        "CNN501", message, span, related=advice.related[:MOST_RELATED], help=advice.help
    )
    ctx.add(replace(found, notes=(*advice.notes, *found.notes)))


def _fails(ctx: Context, claim: ast.Comparison, left: Value, right: Value) -> None:
    actual = [
        f"{' '.join(side.span.text.split())} is {show(value, 3)}"
        for side, value in ((claim.left, left), (claim.right, right))
        if not isinstance(side, (*_LITERALS, ast.ListExpr))
    ]
    help = None
    if claim.operator == "==" and isinstance(
        claim.right, (ast.Number, ast.ListExpr, ast.SizeLiteral)
    ):
        help = f"what holds is `{claim.left.span.text} == {show(left, 3)}`"
    advice = advise(ctx, claim, left, right)
    advice = replace(advice, help=advice.help or help)
    _report(
        ctx,
        claim.span,
        "the claim does not hold: " + (", ".join(actual) or "it compares constants"),
        advice,
    )


def check_network_claims(ctx: Context, facts: NetworkFacts) -> None:
    """Check the asserts that waited for the complete network."""
    ctx.facts = facts
    for claim in ctx.claims:
        with ctx.inside(claim.frame, claim.statement.span, claim.scope):
            check_claim(ctx, claim.statement)
    ctx.facts = None
