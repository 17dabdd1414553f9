"""Check asserts: at once, or for the numbers of the whole network when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass

from cnndsl.analysis.cost import summarize
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.declarations import NOT_YET
from cnndsl.elaborate.expressions import NETWORK_FACTS, compare_values, evaluate, truth
from cnndsl.elaborate.scope import Scope
from cnndsl.elaborate.values import Value, show
from cnndsl.ir.graph import Graph
from cnndsl.syntax import ast

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


def mentions_network(condition: ast.Expr, scope: Scope) -> bool:
    """Tell whether a condition speaks of numbers of the whole network."""
    return any(n.name in NETWORK_FACTS for n in names_in(condition))


def check_claim(ctx: Context, statement: ast.Assert) -> None:
    """Check an assert; report it if it fails, or cannot be checked or decided."""
    for name in names_in(statement.condition):
        if name.name in NOT_YET:
            ctx.error(
                "CNN502",
                f"this version of cnndsl cannot check claims about {name.name}",
                name.span,
                help="leave the assert out, or comment it with `#`",
            )
            return
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
            if compare_values(ctx, condition, left, right) is False:
                _fails(ctx, condition, left, right)
        case _:
            value = truth(ctx, evaluate(ctx, condition), condition.span, "`assert`")
            if value is False:
                ctx.error("CNN501", "the claim does not hold", condition.span)


def _fails(ctx: Context, claim: ast.Comparison, left: Value, right: Value) -> None:
    actual = [
        f"{' '.join(side.span.text.split())} is {show(value, 3)}"
        for side, value in ((claim.left, left), (claim.right, right))
        if not isinstance(side, (*_LITERALS, ast.ListExpr))
    ]
    help = None
    if claim.operator == "==" and isinstance(claim.right, (ast.Number, ast.ListExpr)):
        help = f"what holds is `{claim.left.span.text} == {show(left, 3)}`"
    ctx.error(
        "CNN501",
        "the claim does not hold: " + (", ".join(actual) or "it compares constants"),
        claim.span,
        help=help,
    )


def check_network_claims(ctx: Context, graph: Graph) -> None:
    """Check the asserts that speak of the whole network."""
    ctx.facts = network_facts(graph)
    for statement, scope in ctx.claims:
        with ctx.scoped(scope):
            check_claim(ctx, statement)
    ctx.facts = None


def network_facts(graph: Graph) -> Callable[[str], Value]:
    """Return what answers for params, macs (of one sample) and weight_bytes of a network."""
    summary = summarize(graph)
    facts: Mapping[str, Value] = {
        "params": summary.params,
        "macs": summary.macs,
        "weight_bytes": summary.weight_bytes,
    }
    return lambda name: facts[name]
