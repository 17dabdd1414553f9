"""Apply layers to tensors, and take values as layers."""

from __future__ import annotations

from cnndsl import limits
from cnndsl.diagnostics import Span
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.emission import apply_op, concatenate, elementwise
from cnndsl.elaborate.graph_builder import Recording
from cnndsl.elaborate.scope import Activation, Binding, Kind, Scope
from cnndsl.elaborate.values import (
    POISON,
    BlockLayer,
    ChainLayer,
    ElementwiseLayer,
    FanOutLayer,
    Layer,
    ListValue,
    NamedLayer,
    OpLayer,
    Poison,
    PowerLayer,
    SharedLayer,
    Tensor,
    TupleValue,
    Value,
    describe,
    is_tensor_list,
    tensors_of,
)
from cnndsl.ops.shape import Concat


def apply(ctx: Context, layer: Layer, operand: Value, span: Span) -> Value:
    """Return what a layer makes of a tensor, of several, or of a list (which is concatenated)."""
    if isinstance(operand, Poison):
        return POISON
    tensors = tensors_in_list(ctx, operand, span)
    if tensors is not None:
        operand = joined(ctx, tensors, layer, span)
        if isinstance(operand, Poison):
            return POISON
    inputs = tensors_of(operand)
    if inputs is None:
        return ctx.error("CNN309", f"a layer takes tensors, got {describe(operand)}", span)
    ctx.check_nodes(layer.weight, layer.span)
    with ctx.nested(span):
        ctx.step(span)
        return _apply(ctx, layer, operand, inputs, span)


def joined(ctx: Context, tensors: tuple[Tensor, ...], layer: Layer | None, span: Span) -> Value:
    """Return what a layer gets of tensors in a list: one tensor of all channels.

    `concat`, which joins on its own, along the axis that it says, gets them side by side.
    """
    while isinstance(layer, ChainLayer) and layer.links:
        layer = layer.links[0]
    if isinstance(layer, OpLayer) and layer.word.cls is Concat:
        return TupleValue(tensors)
    return concatenate(ctx, tensors, span)


def tensors_in_list(ctx: Context, value: Value, span: Span) -> tuple[Tensor, ...] | None:
    """Return the tensors of a list, those of lists within it too; None if it holds others."""
    if not is_tensor_list(value):
        return None
    found: list[Tensor] = []
    pending = [value]
    while pending:
        ctx.step(span)
        item = pending.pop()
        if isinstance(item, ListValue):
            pending.extend(reversed(item.items))
        elif isinstance(item, Tensor):
            found.append(item)
        else:
            return None
    return tuple(found)


def _apply(
    ctx: Context, layer: Layer, operand: Value, inputs: tuple[Tensor, ...], span: Span
) -> Value:
    match layer:
        case OpLayer():
            return apply_op(ctx, layer, inputs, span)
        case ChainLayer(links=links):
            value = operand
            for link in links:
                value = apply(ctx, link, value, link.span)
            return value
        case PowerLayer(base=base, times=times):
            value = operand
            for _ in range(times):
                ctx.step(span)
                value = apply(ctx, base, value, base.span)
                if isinstance(value, Poison):
                    break
            return value
        case FanOutLayer(branches=branches):
            return _fan_out(ctx, layer, branches, operand)
        case ElementwiseLayer(operator=operator, left=left, right=right):
            a = apply(ctx, left, operand, left.span)
            b = apply(ctx, right, operand, right.span)
            if isinstance(a, Poison) or isinstance(b, Poison):
                return POISON
            if isinstance(a, Tensor) and isinstance(b, Tensor):
                return elementwise(ctx, operator, a, b, layer.span)
            wrong = b if isinstance(a, Tensor) else a
            return ctx.error(
                "CNN309",
                f"`{operator}` between layers needs one tensor from each, got {describe(wrong)}",
                layer.span,
            )
        case NamedLayer(block=block, body=body):
            with ctx.inside(ctx.frame.enter(block, layer.span), layer.span):
                return apply(ctx, body, operand, span)
        case BlockLayer():
            return run_block(ctx, layer, operand)
        case SharedLayer(base=base):
            return _share(ctx, layer, base, operand, span)
        case _:
            raise AssertionError(f"a layer of an unknown kind: {layer}")


def _fan_out(ctx: Context, layer: Layer, branches: tuple[Layer, ...], operand: Value) -> Value:
    results = [apply(ctx, branch, operand, branch.span) for branch in branches]
    tensors: list[Tensor] = []
    for branch, result in zip(branches, results, strict=True):
        if isinstance(result, Poison):
            return POISON
        if not isinstance(result, Tensor):
            return ctx.error(
                "CNN309",
                f"a branch must give one tensor to concatenate, got {describe(result)}",
                branch.span,
            )
        tensors.append(result)
    return concatenate(ctx, tuple(tensors), layer.span)


def _share(ctx: Context, layer: SharedLayer, base: Layer, operand: Value, span: Span) -> Value:
    recording = Recording(replayed=layer.owners)
    ctx.sharing.append(recording)
    try:
        result = apply(ctx, base, operand, span)
    finally:
        ctx.sharing.pop()
    if layer.owners is None and not isinstance(result, Poison):
        layer.owners = recording.owners
    return result


def run_block(ctx: Context, layer: BlockLayer, operand: Value) -> Value:
    """Expand a block with a braced body for an input."""
    declaration = layer.block.declaration
    assert isinstance(declaration.body, tuple)
    scope = Scope(layer.block.scope, Activation(declaration, layer.activation))
    first = declaration.parameters[0].name
    scope.names[first.name] = Binding(operand, Kind.PARAMETER, first.span)
    for parameter in declaration.parameters[1:]:
        given = layer.arguments[parameter.name.name]
        scope.names[parameter.name.name] = Binding(given.value, Kind.PARAMETER, parameter.name.span)
    with ctx.inside(ctx.frame.enter(layer.block.name, layer.span), layer.span, scope):
        return ctx.interpreter.run_body(declaration, declaration.body)


# ---------------------------------------------------------------- composition


def compose(ctx: Context, links: list[Layer], span: Span) -> Layer:
    """Return layers one after another as one layer."""
    flat: list[Layer] = []
    for link in links:
        flat.extend(link.links if isinstance(link, ChainLayer) else (link,))
    ctx.step(span, len(flat))
    return ChainLayer(span, tuple(flat))


def power(ctx: Context, base: Layer, times: Value, span: Span) -> Value:
    """Return `times` copies of a layer, one after another."""
    if isinstance(times, Poison):
        return POISON
    if not isinstance(times, int) or isinstance(times, bool):
        return ctx.error(
            "CNN309", f"a layer is repeated a whole number of times, got {describe(times)}", span
        )
    if times < 0:
        return ctx.error("CNN307", f"a layer cannot be repeated {times} times", span)
    if times > limits.MAX_NODES or base.weight * times > limits.MAX_NODES:
        ctx.stop(
            "CNN401",
            f"`** {times:_}` expands to more than {limits.MAX_NODES:_} layers",
            span,
            help="repeat less",
        )
    return PowerLayer(span, base, times)


def share(ctx: Context, layer: Layer, span: Span) -> Layer:
    """Return a layer whose every use has the same weights."""
    return SharedLayer(span, layer)
