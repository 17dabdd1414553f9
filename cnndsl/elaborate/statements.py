"""Run statements: bindings, loops, branches, bodies of blocks, outputs."""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.diagnostics import Related, Span
from cnndsl.elaborate.calls import is_layer_like
from cnndsl.elaborate.claims import check_claim, waits
from cnndsl.elaborate.context import Context, WaitingClaim
from cnndsl.elaborate.declarations import declare, declare_block
from cnndsl.elaborate.expressions import evaluate, iterate, truth, unpack
from cnndsl.elaborate.scope import Binding, Kind, Scope
from cnndsl.elaborate.values import (
    POISON,
    Poison,
    Tensor,
    TupleValue,
    Value,
    describe,
    is_tensor_list,
)
from cnndsl.syntax import ast

_WORDS: dict[type, str] = {
    ast.Network: "network",
    ast.Import: "import",
    ast.Input: "input",
    ast.Output: "output",
    ast.Block: "block",
    ast.Bind: "a binding",
    ast.For: "for",
    ast.If: "if",
    ast.Return: "return",
    ast.Assert: "assert",
}


class Interpreter:
    """Evaluates expressions and runs bodies for the parts of elaboration that come before them."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def evaluate(self, expression: ast.Expr) -> Value:
        return evaluate(self._ctx, expression)

    def run_body(self, block: ast.Block, body: tuple[ast.Statement, ...]) -> Value:
        return run_body(self._ctx, block, body)


def misplaced(ctx: Context, statement: ast.Statement, where: str, help: str | None = None) -> None:
    """Report a statement that may not stand where it does."""
    word = _WORDS[type(statement)]
    ctx.error("CNN315", f"`{word}` cannot stand {where}", head_span(statement), help=help)


def head_span(statement: ast.Statement) -> Span:
    """Return the first line of a statement's span: where its keyword stands."""
    span = statement.span
    end = span.source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.source, span.start, end)


def run_body(ctx: Context, block: ast.Block, body: tuple[ast.Statement, ...]) -> Value:
    """Run the statements of a block and return what it returns."""
    for statement in body:
        if isinstance(statement, ast.Block):
            declare_block(ctx, statement)
    result: Value = POISON
    for place, statement in enumerate(body):
        match statement:
            case ast.Return():
                result = evaluate(ctx, statement.value)
                for after in body[place + 1 :]:
                    misplaced(ctx, after, "after `return`")
                return result
            case ast.Block():
                pass
            case ast.Network() | ast.Import() | ast.Input() | ast.Output():
                misplaced(ctx, statement, "in a block", "move it out of the block")
            case _:
                run_statement(ctx, statement)
    return ctx.error(
        "CNN311",
        f"block `{block.name.name}` has a braced body but returns nothing",
        block.name.span,
        help="end the body with `return value`",
    )


def run_statement(
    ctx: Context, statement: ast.Statement, *, top: bool = False, in_loop: bool = False
) -> None:
    """Run a binding, loop, branch or assert; `top` at the level of the network.

    There a branch may declare outputs too, but not one in a loop.
    """
    ctx.step(statement.span)
    match statement:
        case ast.Bind():
            _bind(ctx, statement)
        case ast.For():
            _for(ctx, statement, top)
        case ast.If():
            _if(ctx, statement, top, in_loop)
        case ast.Output() if top and not in_loop:
            run_output(ctx, statement)
        case ast.Assert():
            if waits(statement.condition):
                # The values of today, for the day when the network is complete.
                seen = Scope(names=ctx.scope.visible(), skipped=dict(ctx.scope.skipped))
                ctx.claims.append(WaitingClaim(statement, seen, ctx.frame))
            else:
                check_claim(ctx, statement)
        case _:
            raise AssertionError(f"not a statement of a body: {statement}")


def _bind(ctx: Context, statement: ast.Bind) -> None:
    value = evaluate(ctx, statement.value)
    kind = Kind.CONSTANT if statement.constant else Kind.VARIABLE
    _bind_names(ctx, statement.names, value, kind, statement.value.span)


def _bind_names(
    ctx: Context, names: tuple[ast.Name, ...], value: Value, kind: Kind, span: Span
) -> list[Value]:
    values = unpack(ctx, len(names), value, span)
    if values is None:
        values = [POISON] * len(names)
    for name, one in zip(names, values, strict=True):
        declare(ctx, name, one, kind)
    return values


def _for(ctx: Context, statement: ast.For, top: bool) -> None:
    items = iterate(ctx, evaluate(ctx, statement.iterable), statement.iterable.span)
    if items is None:
        _poison(ctx, statement)
        return
    body = _runnable(ctx, statement.body, "in a loop", "move it out of the loop")
    for item in items:
        ctx.step(statement.span)
        values = unpack(ctx, len(statement.targets), item, statement.iterable.span)
        if values is None:
            _poison(ctx, statement)
            return
        for target, value in zip(statement.targets, values, strict=True):
            declare(ctx, target, value, Kind.VARIABLE)
        for inner in body:
            run_statement(ctx, inner, top=top, in_loop=True)


def _if(ctx: Context, statement: ast.If, top: bool, in_loop: bool) -> None:
    """Run the first branch whose condition holds; what may not stand in any is reported."""
    allowed = (ast.Output,) if top and not in_loop else ()
    bodies = [_in_branch(ctx, body, allowed) for body in statement.bodies]
    taken = len(statement.branches)
    for place, branch in enumerate(statement.branches):
        holds = truth(ctx, evaluate(ctx, branch.condition), branch.condition.span, "`if`")
        if holds is None:
            _poison(ctx, statement)
            ctx.declares_output = True  # whether it does is not known
            return
        if holds:
            taken = place
            break
    for place, body in enumerate(statement.bodies):
        if place != taken:
            ctx.scope.skipped.update((name.name, name.span) for name in _bound_names(body))
    for inner in bodies[taken] if taken < len(bodies) else ():
        run_statement(ctx, inner, top=top, in_loop=in_loop)


def _in_branch(
    ctx: Context, body: tuple[ast.Statement, ...], allowed: tuple[type, ...]
) -> list[ast.Statement]:
    help = "move it out of the branch"
    if any(isinstance(inner, ast.Return) for inner in body):
        help = "bind a name in every branch, and return it behind them"
    return _runnable(ctx, body, "in a branch", help, allowed)


def _runnable(
    ctx: Context,
    body: tuple[ast.Statement, ...],
    where: str,
    help: str,
    allowed: tuple[type, ...] = (),
) -> list[ast.Statement]:
    """Return the statements that may stand in a loop or branch; report the others."""
    found = []
    for inner in body:
        if isinstance(inner, (ast.Bind, ast.For, ast.If, ast.Assert, *allowed)):
            found.append(inner)
        else:
            misplaced(ctx, inner, where, help)
    return found


def _poison(ctx: Context, statement: ast.For | ast.If) -> None:
    """Bind what a statement that cannot run would have bound, so that its users stay silent."""
    for name in _bound_names((statement,)):
        before = ctx.scope.names.get(name.name)
        if before is None or not (before.kind.is_fixed or before.imported):
            ctx.scope.names[name.name] = Binding(POISON, Kind.VARIABLE, name.span)


def _bound_names(body: tuple[ast.Statement, ...]) -> Iterator[ast.Name]:
    for statement in body:
        match statement:
            case ast.Bind():
                yield from statement.names
            case ast.Output():
                yield from () if statement.value is None else statement.names
            case ast.For():
                yield from statement.targets
                yield from _bound_names(statement.body)
            case ast.If():
                for inner in statement.bodies:
                    yield from _bound_names(inner)


def run_output(ctx: Context, statement: ast.Output) -> None:
    """Declare outputs of the network."""
    if statement.value is None:
        values = [evaluate(ctx, name) for name in statement.names]
    else:
        value = evaluate(ctx, statement.value)
        if len(statement.names) == 1 and is_tensor_list(value):
            ctx.error(
                "CNN306",
                f"output `{statement.names[0].name}` must be a tensor, got {describe(value)}",
                statement.value.span,
                help="`[a, b] -> identity` concatenates, and "
                "`output a, b = ...` declares several outputs",
            )
            value = POISON
        values = _bind_names(ctx, statement.names, value, Kind.VARIABLE, statement.value.span)
    for name, value in zip(statement.names, values, strict=True):
        _output(ctx, name, value, name.span if statement.value is None else statement.value.span)


def _output(ctx: Context, name: ast.Name, value: Value, span: Span) -> None:
    ctx.declares_output = True
    if isinstance(value, Poison):
        return
    if not isinstance(value, Tensor):
        help = None
        if is_layer_like(value):
            help = "start the chain with an input: `image -> ...`"
        elif isinstance(value, TupleValue):
            help = "`->` passes a value on, and `output a, b = ...` declares several outputs"
        ctx.error(
            "CNN306",
            f"output `{name.name}` must be a tensor, got {describe(value)}",
            span,
            help=help,
        )
        return
    if any(known == name.name for known, _, _ in ctx.builder.outputs):
        ctx.error("CNN308", f"output `{name.name}` is declared twice", name.span)
        return
    for known, _, span, index in ctx.builder.inputs:
        if known == name.name and index != value.index:
            ctx.error(
                "CNN308",
                f"output `{name.name}` has the name of an input",
                name.span,
                related=(Related("the input", span),),
                help="give it another name",
            )
            return
    ctx.builder.outputs.append((name.name, value.index, name.span))
