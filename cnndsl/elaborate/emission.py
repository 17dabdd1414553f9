"""Make a node: build the op for the rank of its input, check its type rule, add it to the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnndsl import limits
from cnndsl.diagnostics import Related, Span
from cnndsl.elaborate.arguments import Pads, on_axes
from cnndsl.elaborate.arithmetic import is_formula_too_large
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.values import (
    OpLayer,
    Poison,
    Tensor,
    Value,
    show_shape,
)
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.registry import Kind, arguments, op_by_keyword, op_by_name
from cnndsl.types.extents import Dim
from cnndsl.types.tensor import TensorType

_TELLS_ORIGINS = ("CNN205", "CNN206")
"""Codes about operands that do not fit each other: the message shows where each was made."""


_STEPS_PER_NODE = 8


def apply_op(ctx: Context, layer: OpLayer, inputs: tuple[Tensor, ...], span: Span) -> Value:
    """Apply an op of the language to tensors."""
    word = layer.word
    arity = word.cls.arity
    if arity is not None and len(inputs) != arity:
        return ctx.error(
            "CNN311",
            f"{word.word} takes {_count(arity, 'tensor')}, got {len(inputs)}",
            span,
            help=f"write `(a, b) -> {word.word}`" if arity > 1 else None,
        )
    rank = len(inputs[0].type.spatial)
    try:
        op = layer.built.get(rank)
        if op is None:
            op = layer.built[rank] = build_op(layer, rank)
    except OpError as error:
        return report(
            ctx, error, word.cls.keyword, word.word, inputs, layer.span, layer.argument_spans
        )
    return emit(ctx, op, inputs, word.word, layer.span, layer.argument_spans)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def build_op(layer: OpLayer, rank: int) -> Op:
    """Return the op for an input with that many spatial axes; raises OpError."""
    fields: dict[str, Any] = {}
    specs = arguments(layer.word.cls)
    for spec in specs:
        value = layer.fields.get(spec.name, spec.default)
        match value:
            case Pads():
                fields[spec.name] = value.on(rank)
            case int() | tuple() if spec.kind is Kind.EXTENTS:
                fields[spec.name] = _extents(spec.name, value, rank, spec.variadic, spec.default)
            case _:
                fields[spec.name] = value
    # A window that is told no stride does not overlap.
    if "stride" in fields and fields["stride"] is None:
        fields["stride"] = fields["kernel"]
    return layer.word.cls(**fields)


def _extents(
    name: str, value: int | tuple[int, ...], rank: int, variadic: bool, default: object
) -> tuple[int, ...]:
    if variadic:
        return value if isinstance(value, tuple) else (value,)
    if name == "kernel" and isinstance(value, tuple):
        return value  # its rank is the op's to judge
    if value is default and isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return on_axes(name, value, rank)


def emit(
    ctx: Context,
    op: Op,
    inputs: Sequence[Tensor],
    word: str,
    span: Span,
    argument_spans: dict[str, Span] | None = None,
) -> Value:
    """Add a node for an op; report what its type rule says against it."""
    ctx.check_nodes(1, span)
    ctx.step(span, _STEPS_PER_NODE)
    types = [t.type for t in inputs]
    try:
        kind = op.infer(types)
    except OpError as error:
        return report(ctx, error, op.keyword, word, inputs, span, argument_spans or {})
    problem = too_large(kind, word)
    if problem:
        return ctx.error("CNN403", problem, span)
    owner: int | None = None
    if ctx.sharing:
        found = _shared_owner(ctx, op, types, word, span)
        if isinstance(found, Poison):
            return found
        owner = found
    return ctx.builder.add_node(op, inputs, kind, word, span, ctx.frame, owner)


def too_large(kind: TensorType, word: str) -> str | None:
    """Return what is wrong with a result of extents beyond the limits, else None."""
    elements = 1
    for extent in kind.shape:
        if isinstance(extent, Dim):
            if is_formula_too_large(extent):
                return f"{word} makes an extent whose formula is too large"
            continue
        if extent > limits.MAX_EXTENT:
            return f"{word} makes an extent of {extent:_}, above the limit of {limits.MAX_EXTENT:_}"
        elements *= max(extent, 1)
    if elements > limits.MAX_ELEMENTS:
        shape = show_shape(kind)
        return f"{word} makes a tensor {shape} of more than {limits.MAX_ELEMENTS:_} elements"
    return None


def report(
    ctx: Context,
    error: OpError,
    keyword: str,
    word: str,
    inputs: Sequence[Tensor],
    span: Span,
    argument_spans: dict[str, Span],
) -> Value:
    """Turn what an op says into a diagnostic at its place in the program."""
    place = argument_spans.get(error.argument, span) if error.argument else span
    message = error.message
    if word.startswith(keyword) and message.startswith(keyword + " "):
        message = word + message[len(keyword) :]  # as it is written, with its kernel
    related: list[Related] = []
    label = ""
    if error.code in _TELLS_ORIGINS:
        for tensor in dict.fromkeys(inputs):
            name = ctx.name_of(tensor)
            subject = f"`{name}`" if name else "an operand"
            related.append(
                Related(f"{subject} is {show_shape(tensor.type)}, made here", tensor.origin)
            )
    else:
        name = ctx.name_of(inputs[0]) or "the input"
        label = f"here {name} is {show_shape(inputs[0].type)}"
    return ctx.error(error.code, message, place, label=label, related=related, help=error.help)


def elementwise(ctx: Context, operator: str, left: Tensor, right: Tensor, span: Span) -> Value:
    """Add, subtract or multiply two tensors."""
    keyword = {"+": "add", "-": "sub", "*": "mul"}[operator]
    cls = op_by_keyword(keyword)
    assert cls is not None
    return emit(ctx, cls(), (left, right), keyword, span)


def concatenate(ctx: Context, tensors: tuple[Tensor, ...], span: Span) -> Value:
    """Concatenate along the channels; a single tensor stays as it is."""
    if len(tensors) == 1:
        return tensors[0]
    cls = op_by_keyword("concat")
    assert cls is not None
    return emit(ctx, cls(), tensors, "concat", span)


def affine(ctx: Context, x: Tensor, scale: float, shift: float, word: str, span: Span) -> Value:
    """Multiply by a number and add a number."""
    cls: Any = op_by_name("Affine")
    return emit(ctx, cls(scale=scale, shift=shift), (x,), word, span)


# ------------------------------------------------------------------- sharing


def _shared_owner(
    ctx: Context, op: Op, types: list[TensorType], word: str, span: Span
) -> int | Poison | None:
    """Return the node whose weights this one takes again; None to make its own."""
    specs = op.parameters(types)
    if not specs:
        return None
    place = len(ctx.builder.nodes)
    owner: int | None = None
    replayed = [r for r in ctx.sharing if r.replayed is not None]
    for recording in replayed:
        taken = recording.next()
        if taken is None:
            return ctx.error("CNN213", f"{word} has no weights in the first use to share", span)
        owner = taken
    for recording in ctx.sharing:
        if recording.replayed is None:
            recording.owners.append(place if owner is None else owner)
    if owner is None:
        return None
    first = ctx.builder.nodes[owner]
    before = first.op.parameters(ctx.builder.operand_types(first))
    if type(first.op) is not type(op) or [(s.role, s.shape) for s in before] != [
        (s.role, s.shape) for s in specs
    ]:
        shapes = " and ".join(str(list(s[0].shape)) for s in (before, specs))
        return ctx.error(
            "CNN213",
            f"{word} shares its weights with another use, but they differ in shape: {shapes}",
            span,
            related=(
                () if first.span == span else (Related("the weights were made here", first.span),)
            ),
            help="leave out `share`, or give both uses the same channels",
        )
    return owner
