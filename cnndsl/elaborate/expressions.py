"""Evaluate expressions: one function for each construct."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cnndsl.diagnostics import Related, Span
from cnndsl.elaborate.arguments import give_sizes
from cnndsl.elaborate.attributes import attribute, index
from cnndsl.elaborate.builtins import FUNCTIONS, WORDS, items_of
from cnndsl.elaborate.calls import Passed, as_layer, call, is_layer_like
from cnndsl.elaborate.comparison import IncomparableError, UndecidedError, compare
from cnndsl.elaborate.context import Context, did_you_mean
from cnndsl.elaborate.foreign import foreign_layer, foreign_value
from cnndsl.elaborate.layers import apply, compose, joined, tensors_in_list
from cnndsl.elaborate.network_facts import NETWORK_FACTS
from cnndsl.elaborate.operators import binary, negate
from cnndsl.elaborate.questions import VALUE_QUESTIONS, network_number
from cnndsl.elaborate.scope import Binding, Kind, Scope
from cnndsl.elaborate.values import (
    POISON,
    Builtin,
    Layer,
    ListValue,
    OpWord,
    Poison,
    SizeValue,
    TupleValue,
    Value,
    describe,
    show,
    tensors_of,
)
from cnndsl.ops.registry import arguments, keywords, op_by_keyword
from cnndsl.syntax import ast
from cnndsl.types.extents import Dim, symbols_of

AT_USUAL_SIZE = "at_usual_size"
"""True unless --set gives a symbol another size than its usual one."""

_SUFFIXED = re.compile(r"([a-z_]+?)(\d+(?:x\d+)*)")


def evaluate(ctx: Context, expression: ast.Expr) -> Value:
    """Return the value of an expression, POISON after an error."""
    ctx.step(expression.span)
    ctx.deepen(expression.span)
    try:
        return _EVALUATE[type(expression)](ctx, expression)
    finally:
        ctx.surface()


def op_word(name: str, span: Span) -> OpWord | None:
    """Return the op that a word names, with the kernel it carries; None if it names none."""
    cls = op_by_keyword(name)
    if cls is not None:
        return OpWord(cls, name, None, span)
    match = _SUFFIXED.fullmatch(name)
    if match is None:
        return None
    cls = op_by_keyword(match[1])
    if cls is None or not cls.kernel_suffix:
        return None
    # Digits beyond any limit are cut: the number is refused either way.
    return OpWord(cls, name, tuple(int(digits[:20]) for digits in match[2].split("x")), span)


# ------------------------------------------------------------------------ atoms


def _number(ctx: Context, e: ast.Number) -> Value:
    return e.value


def _constant(ctx: Context, e: ast.Boolean | ast.String) -> Value:
    return e.value


def _size(ctx: Context, e: ast.SizeLiteral) -> Value:
    return SizeValue(e.extents)


def _name(ctx: Context, e: ast.Name) -> Value:
    return resolve(ctx, e, "CNN301")


def resolve(ctx: Context, e: ast.Name, code: str) -> Value:
    """Return what a name stands for; `code` tells an unknown value from an unknown layer."""
    name = e.name
    binding = ctx.scope.lookup(name)
    if binding is not None:
        return binding.value
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if name in WORDS:
        return WORDS[name]
    if name == AT_USUAL_SIZE:
        if ctx.declares_input:
            return ctx.at_usual_size
        return ctx.error("CNN315", f"`{name}` is known after the inputs", e.span)
    if name in NETWORK_FACTS:
        return network_number(ctx, name, e.span)
    if name in VALUE_QUESTIONS:
        return VALUE_QUESTIONS[name]
    word = op_word(name, e.span)
    if word is not None:
        return word
    if ctx.scope.is_incomplete:
        return POISON
    skipped = ctx.scope.skipped_in(name)
    if skipped is not None:
        return ctx.error(
            "CNN301",
            f"`{name}` has no value here: it is bound in a branch of `if` that is not taken",
            e.span,
            related=(Related(f"`{name}` is bound here", skipped),),
            help="bind it in every branch, or use it in the same one",
        )
    visible = ctx.scope.visible()
    help = (
        foreign_value(name) or foreign_layer(name) or did_you_mean(name, _names_like(name, visible))
    )
    if code == "CNN302":
        return ctx.error("CNN302", f"unknown layer or block `{name}`", e.span, help=help)
    return ctx.error("CNN301", f"unknown name `{name}`", e.span, help=help)


def _names_like(name: str, visible: dict[str, Binding]) -> list[str]:
    """Return the known words to compare a misspelt one with; ops with its own kernel suffix."""
    suffix = re.search(r"\d+(x\d+)*$", name)
    words = []
    for word in keywords():
        cls = op_by_keyword(word)
        assert cls is not None
        words.append(word + suffix[0] if suffix and cls.kernel_suffix else word)
    return [*visible, *words, *FUNCTIONS, *VALUE_QUESTIONS, *NETWORK_FACTS, *WORDS, AT_USUAL_SIZE]


def _list(ctx: Context, e: ast.ListExpr) -> Value:
    items = tuple([evaluate(ctx, item) for item in e.items])
    return POISON if any(isinstance(i, Poison) for i in items) else ListValue(items)


def _tuple(ctx: Context, e: ast.TupleExpr) -> Value:
    items = tuple([evaluate(ctx, item) for item in e.items])
    return POISON if any(isinstance(i, Poison) for i in items) else TupleValue(items)


def _comprehension(ctx: Context, e: ast.Comprehension) -> Value:
    iterable = evaluate(ctx, e.iterable)
    items = iterate(ctx, iterable, e.iterable.span)
    if items is None:
        return POISON
    found: list[Value] = []
    for item in items:
        scope = Scope(ctx.scope, ctx.scope.activation)
        with ctx.scoped(scope):
            if not bind_targets(ctx, e.targets, item, e.iterable.span):
                return POISON
            found.append(evaluate(ctx, e.item))
        if isinstance(found[-1], Poison):
            return POISON
    return ListValue(tuple(found))


def iterate(ctx: Context, value: Value, span: Span) -> tuple[Value, ...] | None:
    """Return the items that a loop goes through; None after an error."""
    if isinstance(value, Poison):
        return None
    items = items_of(value)
    if items is None:
        help = "`range(n)` counts" if isinstance(value, int) else None
        ctx.error("CNN309", f"`for` goes through a list, got {describe(value)}", span, help=help)
    return items


def bind_targets(ctx: Context, targets: tuple[ast.Name, ...], item: Value, span: Span) -> bool:
    """Bind the names of a loop to an item in the context's scope; tell whether it fits."""
    values = unpack(ctx, len(targets), item, span)
    for target, value in zip(targets, values or [POISON] * len(targets), strict=True):
        ctx.scope.names[target.name] = Binding(value, Kind.VARIABLE, target.span)
    return values is not None


def unpack(ctx: Context, count: int, value: Value, span: Span) -> list[Value] | None:
    """Return a value as that many values; None after an error."""
    if isinstance(value, Poison):
        return None
    if count == 1:
        return [value]
    items = items_of(value)
    if items is None or len(items) != count:
        got = "one value" if items is None else f"{len(items)}"
        ctx.error("CNN311", f"{count} names take {count} values, got {got}", span)
        return None
    return list(items)


# -------------------------------------------------------------------- operators


def _unary(ctx: Context, e: ast.Unary) -> Value:
    operand = evaluate(ctx, e.operand)
    if e.operator == "not":
        value = truth(ctx, operand, e.operand.span, "`not`")
        return POISON if value is None else not value
    return negate(ctx, e.operator, operand, e.span)


def _binary(ctx: Context, e: ast.Binary) -> Value:
    left = evaluate(ctx, e.left)
    if e.operator in ("and", "or"):
        a = truth(ctx, left, e.left.span, f"`{e.operator}`")
        if a is None:
            return POISON
        if a is (e.operator == "or"):
            return a
        b = truth(ctx, evaluate(ctx, e.right), e.right.span, f"`{e.operator}`")
        return POISON if b is None else b
    right = evaluate(ctx, e.right)
    return binary(ctx, e.operator, left, right, (e.left.span, e.right.span), e.span)


def truth(ctx: Context, value: Value, span: Span, who: str) -> bool | None:
    """Return a value that must be true or false; None after an error."""
    if isinstance(value, Poison):
        return None
    if isinstance(value, bool):
        return value
    ctx.error("CNN309", f"{who} takes true or false, got {describe(value)}", span)
    return None


def _comparison(ctx: Context, e: ast.Comparison) -> Value:
    left, right = evaluate(ctx, e.left), evaluate(ctx, e.right)
    return compare_values(ctx, e, left, right)


def compare_values(ctx: Context, e: ast.Comparison, left: Value, right: Value) -> Value:
    """Return whether a comparison of known values holds, POISON after an error."""
    if isinstance(left, Poison) or isinstance(right, Poison):
        return POISON
    try:
        return compare(ctx, e.operator, left, right, e.span)
    except IncomparableError:
        return ctx.error(
            "CNN309",
            f"`{e.operator}` does not take {describe(left)} and {describe(right)}",
            e.span,
            help=_mend_comparison(left, right),
        )
    except UndecidedError as error:
        symbolic = error.left if isinstance(error.left, Dim) else error.right
        assert isinstance(symbolic, Dim)
        question = f"{show(error.left)} {_inner(e.operator)} {show(error.right)}"
        symbols = " and ".join(sorted(symbols_of(symbolic)))
        return ctx.error(
            "CNN503" if ctx.in_claim else "CNN207",
            f"whether {question} depends on the size of {symbols}",
            e.span,
            help=give_sizes(symbolic),
        )


def _mend_comparison(left: Value, right: Value) -> str | None:
    for side in (left, right):
        if isinstance(side, Builtin):
            return f"ask it of a value: `{side.name}(x)`"
    return "layers compose with an arrow: `x -> layer`" if is_layer_like(right) else None


def _inner(operator: str) -> str:
    return "==" if operator in ("!=", "in") else operator


def _conditional(ctx: Context, e: ast.Conditional) -> Value:
    condition = truth(ctx, evaluate(ctx, e.condition), e.condition.span, "`if`")
    if condition is None:
        return POISON
    return evaluate(ctx, e.then if condition else e.otherwise)


# ------------------------------------------------------------------------ calls


def _call(ctx: Context, e: ast.Call) -> Value:
    function: Value
    if not isinstance(e.function, ast.Name):
        function = evaluate(ctx, e.function)
    elif e.function.name in VALUE_QUESTIONS:
        # `macs` alone is a number, `macs(x)` a question.
        function = VALUE_QUESTIONS[e.function.name]
    elif e.function.name in NETWORK_FACTS:
        return ctx.error(
            "CNN309",
            f"`{e.function.name}` is a number of the whole network and cannot be called",
            e.span,
            help=f"leave out the arguments: `{e.function.name}`",
        )
    else:
        function = resolve(ctx, e.function, "CNN302")
    passed = []
    for a in e.arguments:
        value = _unquoted_word(ctx, function, a)
        if value is None:
            value = evaluate(ctx, a.value)
        passed.append(Passed(a.name.name if a.name else None, value, a.span))
    return call(ctx, function, passed, e.function.span, e.span)


def _unquoted_word(ctx: Context, function: Value, argument: ast.Argument) -> Value | None:
    """Report a word given to an op without its quotes; None if the argument is something else."""
    value = argument.value
    if not (isinstance(function, OpWord) and argument.name and isinstance(value, ast.Name)):
        return None
    for spec in arguments(function.cls):
        if spec.name == argument.name.name and value.name in spec.choices:
            if ctx.scope.lookup(value.name) is not None:
                return None
            return ctx.error(
                "CNN301",
                f"unknown name `{value.name}`",
                value.span,
                help=f'words stand in quotes: {spec.name}="{value.name}"',
            )
    return None


def _attribute(ctx: Context, e: ast.Attribute) -> Value:
    return attribute(ctx, evaluate(ctx, e.value), e.name.name, e.name.span)


def _index(ctx: Context, e: ast.Index) -> Value:
    return index(ctx, evaluate(ctx, e.value), evaluate(ctx, e.index), e.span, e.index.span)


def _chain(ctx: Context, e: ast.Chain) -> Value:
    head = evaluate(ctx, e.links[0])
    tensors = tensors_in_list(ctx, head, e.links[0].span)
    if tensors is not None or isinstance(head, Poison) or tensors_of(head) is not None:
        value = head
        for place, link in enumerate(e.links[1:]):
            layer = _link(ctx, link)
            if tensors is not None and place == 0:
                value = joined(ctx, tensors, layer, e.links[0].span)
            value = POISON if layer is None else apply(ctx, layer, value, link.span)
        return value
    if not is_layer_like(head):
        ctx.error(
            "CNN309",
            f"a chain starts with a tensor or a layer, got {describe(head)}",
            e.links[0].span,
        )
        head = POISON
    layers = [as_layer(ctx, head, e.links[0].span)] + [_link(ctx, link) for link in e.links[1:]]
    found = [layer for layer in layers if layer is not None]
    return compose(ctx, found, e.span) if len(found) == len(layers) else POISON


def _link(ctx: Context, e: ast.Expr) -> Layer | None:
    value = resolve(ctx, e, "CNN302") if isinstance(e, ast.Name) else evaluate(ctx, e)
    return as_layer(ctx, value, e.span)


_EVALUATE: dict[type, Callable[[Context, Any], Value]] = {
    ast.Number: _number,
    ast.Boolean: _constant,
    ast.String: _constant,
    ast.SizeLiteral: _size,
    ast.Name: _name,
    ast.ListExpr: _list,
    ast.Comprehension: _comprehension,
    ast.TupleExpr: _tuple,
    ast.Call: _call,
    ast.Attribute: _attribute,
    ast.Index: _index,
    ast.Unary: _unary,
    ast.Binary: _binary,
    ast.Comparison: _comparison,
    ast.Conditional: _conditional,
    ast.Chain: _chain,
}
