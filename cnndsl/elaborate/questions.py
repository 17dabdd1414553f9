"""The questions that claims ask of a value: receptive_field(x), macs(x), aligned(x)..."""

from __future__ import annotations

from cnndsl.analysis.coverage import TooLargeError
from cnndsl.analysis.receptive_field import (
    Irregular,
    ReceptiveFields,
    ValueField,
    map_extents,
)
from cnndsl.analysis.sizes import NoSizeError
from cnndsl.diagnostics import Span
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.network_facts import COSTS, QUESTIONS, VIEWS
from cnndsl.elaborate.values import (
    POISON,
    Builtin,
    FieldSize,
    ListValue,
    Poison,
    SizeValue,
    Tensor,
    Value,
    describe,
)


def not_yet(ctx: Context, name: str, span: Span) -> Poison:
    """Report a question outside an assert of a complete network."""
    return ctx.error(
        "CNN315",
        f"`{name}` is known when the network is complete: an assert may speak of it"
        + ("" if name in VIEWS else ", at the level of the network"),
        span,
        help=f"a block may ask about a tensor: `{name}(x)`" if name in COSTS else None,
    )


def network_number(ctx: Context, name: str, span: Span) -> Value:
    """Return a number of the whole network; a block must not speak of it."""
    if ctx.facts is None or ctx.frame.depth:
        return not_yet(ctx, name, span)
    if name != "peak_memory":
        return ctx.facts.cost(name, None)
    if ctx.facts.unsized:
        return _unsized(ctx, name, span)
    planned = ctx.facts.planned
    return cannot(ctx, name, "no target plans it", span) if planned is None else planned.peak_bytes


def _unsized(ctx: Context, name: str, span: Span) -> Poison:
    assert ctx.facts is not None
    symbols = ctx.facts.unsized
    return ctx.error(
        "CNN503",
        f"{name} depends on the size of {' and '.join(symbols)} here",
        span,
        help=f"give it a usual size in the input, `{symbols[0]} = 224`, or --set {symbols[0]}=224",
    )


def _question(name: str) -> Builtin:
    def run(ctx: Context, arguments: tuple[Value, ...], span: Span) -> Value:
        if ctx.facts is None:
            return not_yet(ctx, name, span)
        tensor = arguments[0]
        if not isinstance(tensor, Tensor):
            return ctx.error("CNN306", f"{name} takes a tensor, got {describe(tensor)}", span)
        value = ctx.facts.value(tensor)
        if name in COSTS:
            if len(arguments) > 1:
                return ctx.error("CNN305", f"{name} takes one tensor", span)
            return ctx.facts.cost(name, value)
        found = field_of(ctx, name, value, arguments[1:], span)
        if found is None:
            return POISON
        fields, field = found
        match name:
            case "receptive_field":
                least = tuple(min(axis.phase_sizes) for axis in field.hull)
                return FieldSize(field.receptive_field_px, least)
            case "jump":
                return _jump(field)
            case "aligned":
                return ctx.facts.aligned(value, fields.input)
            case _:
                try:
                    return ctx.facts.coverage(fields.input).covered(value)
                except TooLargeError as error:
                    return cannot(ctx, name, str(error), span)

    return Builtin(name, 1, 2, run)


def _jump(field: ValueField) -> Value:
    jumps = field.jump_px
    if all(j.denominator == 1 for j in jumps):
        return SizeValue(tuple(int(j) for j in jumps))
    # After up-sampling beyond the input, units lie closer than its positions.
    shown = tuple(float(j) for j in jumps)
    return shown[0] if len(set(shown)) == 1 else ListValue(shown)


def cannot(ctx: Context, name: str, reason: str, span: Span) -> Poison:
    return ctx.error(
        "CNN502",
        f"this version of cnndsl cannot check a claim about {name} here: {reason}",
        span,
        help="leave the assert out, or comment it with `#`",
    )


def field_of(
    ctx: Context, name: str, value: str, given: tuple[Value, ...], span: Span
) -> tuple[ReceptiveFields, ValueField] | None:
    """Return the field of a value and those it was found among, or report why there is none."""
    facts = ctx.facts
    assert facts is not None
    inputs = facts.inputs_of(value)
    if given:
        (source,) = given
        if not isinstance(source, Tensor) or facts.value(source) not in inputs:
            ctx.error("CNN306", f"{name} takes a tensor and an input that it depends on", span)
            return None
        inputs = (facts.value(source),)
    flat = next((i for i in inputs if not map_extents(facts.graph.types[i])), None)
    if flat is not None:
        cannot(ctx, name, f"the input {flat} is a vector, without a map", span)
        return None
    try:
        several = [facts.fields(i) for i in inputs]
    except NoSizeError as error:
        cannot(ctx, name, str(error), span)
        return None
    found = [(fields, fields.values[value]) for fields in several]
    if len({str(field) for _, field in found}) > 1:
        ctx.error(
            "CNN306",
            f"the tensor sees the inputs {' and '.join(f'`{i}`' for i in inputs)} differently",
            span,
            help=f"name the input as the second argument: {name}(..., {inputs[0]})",
        )
        return None
    fields, field = found[0]
    if isinstance(field, Irregular):
        cannot(ctx, name, field.reason, span)
        return None
    if facts.unsized and name != "jump" and (field.whole or facts.depends_on_size(value)):
        _unsized(ctx, name, span)
        return None
    return fields, field


VALUE_QUESTIONS: dict[str, Builtin] = {name: _question(name) for name in QUESTIONS}
