"""What can be asked of a value: x.channels, x.height, widths[2]."""

from __future__ import annotations

from cnndsl.diagnostics import Span
from cnndsl.elaborate.context import Context, did_you_mean
from cnndsl.elaborate.values import (
    POISON,
    ListValue,
    Poison,
    SizeValue,
    Tensor,
    TupleValue,
    Value,
    describe,
    show_shape,
)
from cnndsl.types.tensor import TensorType

_AXES = {"length": (1, -1), "width": (2, -1), "height": (2, -2), "depth": (3, -3)}
"""Names of spatial axes: the least number of axes that have it, and the place from the end."""

ATTRIBUTES = ("batch", "channels", "length", "height", "width", "depth", "rank", "shape", "size")


def attribute(ctx: Context, value: Value, name: str, span: Span) -> Value:
    """Return an attribute of a value."""
    if isinstance(value, Poison):
        return POISON
    if not isinstance(value, Tensor):
        help = "only tensors have attributes"
        return ctx.error("CNN310", f"{describe(value)} has no attribute `{name}`", span, help=help)
    kind = value.type
    match name:
        case "batch":
            return kind.batch
        case "channels":
            return kind.channels
        case "rank":
            return kind.rank
        case "shape":
            return ListValue(kind.shape)
        case "size" if kind.spatial:
            return SizeValue(kind.spatial)
    if name in _AXES:
        return _axis(ctx, kind, name, span)
    help = did_you_mean(name, ATTRIBUTES) or f"a tensor has {', '.join(ATTRIBUTES)}"
    return ctx.error("CNN310", f"{describe(value)} has no attribute `{name}`", span, help=help)


def _axis(ctx: Context, kind: TensorType, name: str, span: Span) -> Value:
    least, place = _AXES[name]
    axes = len(kind.spatial)
    if axes < least or (name == "length" and axes > 1):
        known = [n for n, (few, _) in _AXES.items() if few <= axes and (n != "length" or axes == 1)]
        help = f"its spatial axes are {' and '.join(reversed(known))}" if known else None
        return ctx.error(
            "CNN310",
            f"a tensor {show_shape(kind)} with {axes} spatial axes has no `{name}`",
            span,
            help=help,
        )
    return kind.spatial[place]


def index(ctx: Context, value: Value, at: Value, span: Span, at_span: Span) -> Value:
    """Return an item of a list, tuple or size; negative indices count from the end."""
    if isinstance(value, Poison) or isinstance(at, Poison):
        return POISON
    items: tuple[Value, ...]
    match value:
        case ListValue() | TupleValue():
            items = value.items
        case SizeValue():
            items = value.extents
        case _:
            return ctx.error("CNN309", f"{describe(value)} has no items", span)
    if not isinstance(at, int) or isinstance(at, bool):
        return ctx.error("CNN306", f"an index is a whole number, got {describe(at)}", at_span)
    if not -len(items) <= at < len(items):
        return ctx.error(
            "CNN318", f"index {at} is out of range: there are {len(items)} items", at_span
        )
    return items[at]
