"""Give names to values, and refuse a name that already means something else."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.diagnostics import Related
from cnndsl.elaborate.builtins import FUNCTIONS, WORDS
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.expressions import AT_USUAL_SIZE, op_word
from cnndsl.elaborate.network_facts import NETWORK_FACTS, QUESTIONS
from cnndsl.elaborate.scope import Binding, Kind
from cnndsl.elaborate.values import POISON, BlockValue, Tensor, Value
from cnndsl.syntax import ast

_RESERVED = {*NETWORK_FACTS, *QUESTIONS, *WORDS, AT_USUAL_SIZE}


def declare(ctx: Context, name: ast.Name, value: Value, kind: Kind) -> None:
    """Bind a name in the context's scope, or report why it cannot be."""
    if not _is_free(ctx, name, kind):
        return
    ctx.scope.names[name.name] = Binding(value, kind, name.span)
    if isinstance(value, Tensor):
        ctx.builder.name(value, name.name, ctx.frame)


def _is_free(ctx: Context, name: ast.Name, kind: Kind) -> bool:
    word = name.name
    if word in _RESERVED:
        ctx.error(
            "CNN308",
            f"`{word}` has a meaning of its own in the language",
            name.span,
            help=f"call it `my_{word}`",
        )
        return False
    if kind is Kind.BLOCK and (word in FUNCTIONS or op_word(word, name.span)):
        what = "a function" if word in FUNCTIONS else "a layer"
        ctx.error(
            "CNN308",
            f"`{word}` is {what} of the language and cannot be declared as a block",
            name.span,
            help=f"call it `my_{word}`",
        )
        return False
    before = ctx.scope.names.get(word)
    # The same declaration again is the next turn of a loop.
    if before is None or before.span == name.span:
        return True
    rebinds = kind is Kind.VARIABLE and not before.kind.is_fixed and not before.imported
    if rebinds:
        return True
    # What the name should mean from here on is not known.
    ctx.scope.names[word] = replace(before, value=POISON)
    origin = "imported" if before.imported else "declared"
    related = (Related(f"`{word}` is {origin} here", before.span),)
    if Kind.SYMBOL in (kind, before.kind):
        ctx.error(
            "CNN212",
            f"`{word}` is {before.kind.value} and cannot be {kind.value} too",
            name.span,
            related=related,
            help="give one of them another name",
        )
        return False
    if before.kind is Kind.CONSTANT and kind is Kind.VARIABLE:
        message = f"`{word}` is bound with `let` and cannot be bound again"
        help = "leave out `let` where it is bound first, or take another name"
    else:
        message = f"`{word}` is already {before.kind.value}"
        help = "take another name"
    ctx.error("CNN308", message, name.span, related=related, help=help)
    return False


def declare_block(ctx: Context, block: ast.Block) -> None:
    """Bind a block's name, and check its parameters' names."""
    check_parameters(ctx, block.parameters)
    declare(ctx, block.name, BlockValue(block, ctx.scope), Kind.BLOCK)


def check_parameters(ctx: Context, parameters: tuple[ast.Parameter, ...]) -> None:
    """Report parameters of the same name, or of a name that is taken by the language."""
    seen: dict[str, ast.Name] = {}
    for parameter in parameters:
        name = parameter.name
        if name.name in _RESERVED:
            _is_free(ctx, name, Kind.PARAMETER)
        if name.name in seen:
            ctx.error(
                "CNN308",
                f"parameter `{name.name}` is declared twice",
                name.span,
                related=(Related("first declared here", seen[name.name].span),),
            )
        seen.setdefault(name.name, name)
