"""Calls of ops, blocks and functions: arguments are matched with what is declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.diagnostics import Related, Span
from cnndsl.elaborate.arguments import convert, unknown_argument, wanted
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.layers import run_block
from cnndsl.elaborate.scope import Activation, Binding, Kind, Scope
from cnndsl.elaborate.values import (
    POISON,
    BlockLayer,
    BlockValue,
    Builtin,
    FanOutLayer,
    Given,
    Layer,
    ListValue,
    NamedLayer,
    OpLayer,
    OpWord,
    Poison,
    SizeValue,
    Value,
    describe,
    is_tensor_list,
    tensors_of,
)
from cnndsl.ops.registry import ArgumentSpec, arguments

_STEPS_PER_BLOCK = 4


@dataclass(frozen=True, slots=True)
class Passed:
    """An argument of a call, evaluated; `name` is None for a positional one."""

    name: str | None
    value: Value
    span: Span


def call(
    ctx: Context, function: Value, passed: Sequence[Passed], function_span: Span, span: Span
) -> Value:
    """Return what a function, block or op makes of arguments."""
    match function:
        case Poison():
            return POISON
        case OpWord():
            layer = call_op(ctx, function, passed, span)
            return POISON if layer is None else layer
        case BlockValue():
            return call_block(ctx, function, passed, span)
        case Builtin():
            return _call_builtin(ctx, function, passed, span)
    help = "leave out the `()`" if not passed else None
    if is_layer_like(function):
        help = "a layer takes its input from an arrow: `x -> layer`"
    return ctx.error("CNN309", f"{describe(function)} cannot be called", function_span, help=help)


# ------------------------------------------------------------- values as layers


def is_layer_like(value: Value) -> bool:
    """Tell whether a value can stand as a layer."""
    if isinstance(value, ListValue):
        return bool(value.items) and all(is_layer_like(item) for item in value.items[:8])
    return isinstance(value, (Layer, OpWord, BlockValue))


def as_layer(ctx: Context, value: Value, span: Span) -> Layer | None:
    """Return a value as a layer; None after an error.

    A word alone is called without arguments, and a list fans out.
    """
    match value:
        case Poison():
            return None
        case Layer():
            return value
        case OpWord():
            return call_op(ctx, value, (), span)
        case BlockValue():
            called = call_block(ctx, value, (), span)
            if isinstance(called, BlockValue):
                return None
            return as_layer(ctx, called, span)
        case ListValue(items) if items:
            with ctx.nested(span):
                ctx.step(span, len(items))
                branches = [as_layer(ctx, item, span) for item in items]
            found = tuple(b for b in branches if b is not None)
            return FanOutLayer(span, found) if len(found) == len(branches) else None
    ctx.error("CNN309", f"{describe(value)} is not a layer", span)
    return None


# -------------------------------------------------------------------------- ops


def call_op(ctx: Context, word: OpWord, passed: Sequence[Passed], span: Span) -> OpLayer | None:
    """Return the layer of an op with its arguments; None after an error."""
    ctx.step(span)
    name = word.word
    specs = arguments(word.cls)
    by_name: dict[str, ArgumentSpec] = {}
    for spec in specs:
        by_name.update(dict.fromkeys((spec.name, *spec.aliases), spec))
    positional = [s for s in specs if not (word.cls.kernel_suffix and s.name == "kernel")]
    fields: dict[str, object] = {}
    spans: dict[str, Span] = {}
    good = True
    unknown = False
    if word.kernel is not None:
        kernel = by_name["kernel"]
        converted = convert(ctx, name, kernel, SizeValue(word.kernel), word.span)
        good = not isinstance(converted, Poison)
        fields["kernel"] = converted
        spans["kernel"] = word.span
    values = [p for p in passed if p.name is None]
    if positional and positional[0].variadic and len(values) > 1:
        together = ListValue(tuple(p.value for p in values))
        values = [Passed(None, together, values[0].span.to(values[-1].span))]
    if len(values) > len(positional):
        ctx.error(
            "CNN305",
            f"{name} takes {_counted(len(positional))}, got {len(values)}",
            values[len(positional)].span,
            help=_tensor_help(name, values[0].value) or _listing(name, positional),
        )
        good = False
    matched = [(spec, p) for spec, p in zip(positional, values)]
    for p in passed:
        if p.name is not None:
            if p.name not in by_name:
                known = tuple(by_name)
                unknown_argument(ctx, name, p.name, known, p.span)
                good = False
                unknown = True
                continue
            matched.append((by_name[p.name], p))
    for spec, p in matched:
        if spec.name in fields:
            in_name = spec.name == "kernel" and word.kernel is not None
            ctx.error(
                "CNN308",
                f"{name} is given {spec.name} twice",
                p.span,
                help=f"leave it out: the word `{name}` carries the kernel" if in_name else None,
            )
            good = False
            continue
        tensors = _tensor_help(name, p.value)
        if tensors:
            ctx.error(
                "CNN306",
                f"{name} takes {wanted(spec)} for {spec.name}, got {describe(p.value)}",
                p.span,
                help=tensors,
            )
            good = False
            fields[spec.name] = POISON
            continue
        fields[spec.name] = convert(ctx, name, spec, p.value, p.span)
        spans[spec.name] = p.span
        good = good and not isinstance(fields[spec.name], Poison)
    missing = [s for s in specs if s.required and s.name not in fields]
    if missing and not unknown:  # an unknown argument was likely meant for what is missing
        good = False
        names = " and ".join(s.name for s in missing)
        help = f"{missing[0].name} is the {missing[0].doc}"
        if missing[0].name == "kernel" and len(missing) == 1:
            usual = "2x2" if "pool" in name else "3x3"
            help = f"write the kernel into the name: `{name}{usual}`"
        ctx.error("CNN304", f"{name} needs {names}", span, help=help)
    return OpLayer(span, word, fields, spans) if good else None


def _tensor_help(name: str, value: Value) -> str | None:
    if tensors_of(value) is None and not is_tensor_list(value):
        return None
    return f"a layer takes its input from an arrow: `x -> {name}`"


def _counted(number: int) -> str:
    if number == 0:
        return "no arguments"
    return f"{number} positional argument" + ("" if number == 1 else "s")


def _listing(name: str, specs: Sequence[ArgumentSpec]) -> str | None:
    return f"{name} takes {', '.join(s.name for s in specs)}" if specs else None


# ----------------------------------------------------------------------- blocks


def call_block(ctx: Context, block: BlockValue, passed: Sequence[Passed], span: Span) -> Value:
    """Expand a block.

    With `= expression` the value of the expression is the result. With a braced body the first
    parameter is the input: given a tensor for it the body runs, else a layer awaits it.
    """
    ctx.step(span, _STEPS_PER_BLOCK)
    declaration = block.declaration
    if ctx.scope.activation.holds(declaration):
        return ctx.error(
            "CNN314",
            f"block `{block.name}` uses itself",
            span,
            related=(Related("the block", declaration.name.span),),
            help="`layer ** n` repeats a layer, and `for` repeats statements",
        )
    braced = isinstance(declaration.body, tuple)
    if braced and not declaration.parameters:
        return ctx.error(
            "CNN304",
            f"block `{block.name}` has a braced body, so it needs a first parameter: its input",
            declaration.name.span,
            help=f"block {block.name}(x) {{ ... }}",
        )
    operand: Value | None = None
    if braced:
        first = declaration.parameters[0].name.name
        named = [p for p in passed if p.name == first]
        if passed and passed[0].name is None and _is_operand(passed[0].value):
            operand, passed = passed[0].value, passed[1:]
        elif named:
            operand = named[0].value
            passed = [p for p in passed if p is not named[0]]
        if operand is not None and not _is_operand(operand):
            return ctx.error(
                "CNN306",
                f"{first} is the input of block `{block.name}` and must be a tensor, "
                f"got {describe(operand)}",
                named[0].span,
            )
    given = _match(ctx, block, passed, span, 1 if braced else 0)
    if given is None or isinstance(operand, Poison):
        return POISON
    if not braced:
        return _expand_expression(ctx, block, given, span)
    layer = BlockLayer(span, block, given, ctx.scope.activation)
    if operand is None:
        return layer
    with ctx.nested(span):
        return run_block(ctx, layer, operand)


def _is_operand(value: Value) -> bool:
    return tensors_of(value) is not None or isinstance(value, Poison)


def _match(
    ctx: Context, block: BlockValue, passed: Sequence[Passed], span: Span, skip: int
) -> dict[str, Given] | None:
    """Return a value for each parameter from `skip` on; None after an error.

    Defaults see the scope of the block and the parameters before them.
    """
    declaration = block.declaration
    parameters = declaration.parameters[skip:]
    known = [p.name.name for p in parameters]
    given: dict[str, Given] = {}
    good = True
    values = [p for p in passed if p.name is None]
    related = (Related(f"block `{block.name}` is declared here", declaration.name.span),)
    if len(values) > len(parameters):
        ctx.error(
            "CNN305",
            f"block `{block.name}` takes {_counted(len(parameters))}"
            f"{' besides its input' if skip else ''}, got {len(values)}",
            values[len(parameters)].span,
            related=related,
        )
        good = False
    for parameter, p in zip(parameters, values):
        given[parameter.name.name] = Given(p.value, p.span)
    for p in passed:
        if p.name is None:
            continue
        if p.name not in known:
            unknown_argument(ctx, f"block `{block.name}`", p.name, tuple(known), p.span)
            good = False
        elif p.name in given:
            ctx.error("CNN308", f"block `{block.name}` is given {p.name} twice", p.span)
            good = False
        else:
            given[p.name] = Given(p.value, p.span)
    missing = [p.name.name for p in parameters if p.name.name not in given and p.default is None]
    if missing and good:
        names = " and ".join(missing)
        ctx.error("CNN304", f"block `{block.name}` needs {names}", span, related=related)
    if missing or not good:
        return None
    scope = Scope(block.scope, Activation(declaration, ctx.scope.activation))
    if any(p.name.name not in given for p in parameters):
        with ctx.inside(ctx.frame.enter(block.name, span), span, scope):
            for parameter in parameters:
                name = parameter.name
                if name.name not in given:
                    assert parameter.default is not None
                    value = ctx.interpreter.evaluate(parameter.default)
                    given[name.name] = Given(value, parameter.span)
                scope.names[name.name] = Binding(given[name.name].value, Kind.PARAMETER, name.span)
    return given


def _expand_expression(
    ctx: Context, block: BlockValue, given: dict[str, Given], span: Span
) -> Value:
    declaration = block.declaration
    assert not isinstance(declaration.body, tuple)
    scope = Scope(block.scope, Activation(declaration, ctx.scope.activation))
    for parameter in declaration.parameters:
        name = parameter.name
        scope.names[name.name] = Binding(given[name.name].value, Kind.PARAMETER, name.span)
    with ctx.inside(ctx.frame.enter(block.name, span), span, scope), ctx.nested(span):
        value = ctx.interpreter.evaluate(declaration.body)
        if not is_layer_like(value):
            return value
        layer = as_layer(ctx, value, declaration.body.span)
    return POISON if layer is None else NamedLayer(span, block.name, layer)


# -------------------------------------------------------------------- functions


def _call_builtin(ctx: Context, function: Builtin, passed: Sequence[Passed], span: Span) -> Value:
    for p in passed:
        if p.name is not None:
            return unknown_argument(ctx, function.name, p.name, (), p.span)
    if any(isinstance(p.value, Poison) for p in passed):
        return POISON
    count = len(passed)
    if count < function.least:
        return ctx.error(
            "CNN304", f"{function.name} needs {_counted(function.least)}, got {count}", span
        )
    if function.most is not None and count > function.most:
        return ctx.error(
            "CNN305",
            f"{function.name} takes {_counted(function.most)}, got {count}",
            passed[function.most].span,
        )
    ctx.step(span)
    return function.run(ctx, tuple(p.value for p in passed), span)
