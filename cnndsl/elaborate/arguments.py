"""Turn the values written in a program into the arguments of an op."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cnndsl import limits
from cnndsl.diagnostics import Span
from cnndsl.elaborate.context import Context, did_you_mean, nearest
from cnndsl.elaborate.foreign import foreign_argument
from cnndsl.elaborate.values import (
    POISON,
    ListValue,
    Poison,
    SizeValue,
    TupleValue,
    Value,
    describe,
    show,
)
from cnndsl.ops.base import OpError
from cnndsl.ops.registry import ArgumentSpec
from cnndsl.ops.registry import Kind as ArgumentKind
from cnndsl.types.extents import Dim, symbols_of
from cnndsl.types.padding import Causal, Explicit, Same, Valid

PerAxis: TypeAlias = "int | tuple[int, ...]"
"""One number for all spatial axes, or one for each."""


@dataclass(frozen=True, slots=True)
class Pads:
    """Explicit padding as written: one number for all axes, or a number or pair for each."""

    written: int | tuple[int | tuple[int, int], ...]

    def on(self, rank: int) -> Explicit:
        """Return the padding for a number of spatial axes; raise OpError if it does not fit."""
        if isinstance(self.written, int):
            return Explicit(((self.written, self.written),) * rank)
        items = self.written
        if rank == 1 and len(items) == 2 and isinstance(items[0], int):
            low, high = items
            assert isinstance(low, int)
            if isinstance(high, int):
                return Explicit(((low, high),))
        if len(items) != rank:
            raise OpError(
                "CNN311",
                f"padding is given for {len(items)} spatial axes, but the input has {rank}",
                help="write one number for all axes, or a number or pair for each",
                argument="padding",
            )
        return Explicit(tuple((i, i) if isinstance(i, int) else i for i in items))


def on_axes(name: str, value: PerAxis, rank: int) -> tuple[int, ...]:
    """Return one number per spatial axis; raise OpError if there are more or fewer."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise OpError(
            "CNN311",
            f"{name} is given for {len(value)} spatial axes, but the input has {rank}",
            help=f"write {name}={value[0]} for all axes, or one number for each",
            argument=name,
        )
    return value


def convert(ctx: Context, op: str, spec: ArgumentSpec, value: Value, span: Span) -> object:
    """Return a value as an op takes it, or POISON after an error.

    Numbers per axis stay as written until the rank of the input is known.
    """
    if isinstance(value, Poison):
        return POISON
    match spec.kind:
        case ArgumentKind.INTEGER:
            return _integer(ctx, op, spec, value, span)
        case ArgumentKind.FLOAT:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return _at_least(ctx, op, spec, float(value), span)
        case ArgumentKind.BOOLEAN:
            if isinstance(value, bool):
                return value
        case ArgumentKind.WORD:
            return _word(ctx, op, spec, value, span)
        case ArgumentKind.EXTENTS:
            return _extents(ctx, op, spec, value, span)
        case ArgumentKind.PADDING:
            return _padding(ctx, op, spec, value, span)
    return _wrong(ctx, op, spec, value, span)


def _wrong(ctx: Context, op: str, spec: ArgumentSpec, value: Value, span: Span) -> Poison:
    if isinstance(value, Dim):
        return ctx.error(
            "CNN207",
            f"{op} needs a known {spec.name}, got {describe(value)}",
            span,
            help=give_sizes(value),
        )
    help = None
    if isinstance(value, float) and spec.kind in (ArgumentKind.INTEGER, ArgumentKind.EXTENTS):
        help = "`//` divides to a whole number, and `round(x)` makes one"
    return ctx.error(
        "CNN306",
        f"{op} takes {wanted(spec)} for {spec.name}, got {describe(value)}",
        span,
        help=help,
    )


def wanted(spec: ArgumentSpec) -> str:
    """Say what an argument takes, for a sentence."""
    plain = spec.kind in (ArgumentKind.BOOLEAN, ArgumentKind.PADDING)
    return spec.kind.value if plain else f"a {spec.kind.value}"


def give_sizes(value: Dim) -> str:
    """Return the help for a size that must be known."""
    names = sorted(symbols_of(value))
    return "give the size: " + " ".join(f"--set {name}=..." for name in names)


def _at_least(ctx: Context, op: str, spec: ArgumentSpec, value: float, span: Span) -> object:
    if spec.minimum is not None and value < spec.minimum:
        return ctx.error(
            "CNN307", f"{op} needs {spec.name} of at least {spec.minimum}, got {show(value)}", span
        )
    return value


def _integer(ctx: Context, op: str, spec: ArgumentSpec, value: Value, span: Span) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        return _wrong(ctx, op, spec, value, span)
    if abs(value) > limits.MAX_EXTENT:
        return ctx.error(
            "CNN403", f"{op} takes {spec.name} up to {limits.MAX_EXTENT:_}, got {value:_}", span
        )
    return _at_least(ctx, op, spec, value, span)


def _word(ctx: Context, op: str, spec: ArgumentSpec, value: Value, span: Span) -> object:
    if not isinstance(value, str):
        return _wrong(ctx, op, spec, value, span)
    if value not in spec.choices:
        known = " or ".join(f'"{choice}"' for choice in spec.choices)
        near = nearest(value, spec.choices)
        return ctx.error(
            "CNN307",
            f"{op} takes {known} for {spec.name}, got {show(value)}",
            span,
            help=f'did you mean "{near}"?' if near else None,
        )
    return value


def _extents(ctx: Context, op: str, spec: ArgumentSpec, value: Value, span: Span) -> object:
    items = _items(value)
    if items is None:
        return _integer(ctx, op, spec, value, span)
    if not items:
        return _wrong(ctx, op, spec, value, span)
    numbers: list[int] = []
    for item in items:
        number = _integer(ctx, op, spec, item, span)
        if not isinstance(number, int):
            return POISON
        numbers.append(number)
    return tuple(numbers)


def _padding(ctx: Context, op: str, spec: ArgumentSpec, value: Value, span: Span) -> object:
    if isinstance(value, (Valid, Same, Causal)):
        return value
    if isinstance(value, str):
        near = nearest(value, ("valid", "same", "causal"))
        help = f"write {near} without quotes" if near else None
        return ctx.error(
            "CNN306",
            f"{op} takes {wanted(spec)} for {spec.name}, got {show(value)}",
            span,
            help=help,
        )
    items = _items(value)
    if items is None:
        number = _pad(ctx, op, spec, value, span)
        return Pads(number) if isinstance(number, int) else POISON
    written: list[int | tuple[int, int]] = []
    for item in items:
        pair = _items(item)
        if pair is None:
            number = _pad(ctx, op, spec, item, span)
            if not isinstance(number, int):
                return POISON
            written.append(number)
            continue
        numbers = [_pad(ctx, op, spec, one, span) for one in pair]
        if len(numbers) != 2:
            return _wrong(ctx, op, spec, value, span)
        low, high = numbers
        if not isinstance(low, int) or not isinstance(high, int):
            return POISON
        written.append((low, high))
    if not written:
        return _wrong(ctx, op, spec, value, span)
    return Pads(tuple(written))


def _pad(ctx: Context, op: str, spec: ArgumentSpec, value: Value, span: Span) -> object:
    number = _integer(ctx, op, spec, value, span)
    if isinstance(number, int) and number < 0:
        return ctx.error("CNN307", f"{op} needs {spec.name} of at least 0, got {number}", span)
    return number


def _items(value: Value) -> tuple[Value, ...] | None:
    """Return the items of a list, tuple or size; None for anything else."""
    if isinstance(value, (ListValue, TupleValue)):
        return value.items
    if isinstance(value, SizeValue):
        return value.extents
    return None


def unknown_argument(
    ctx: Context, what: str, name: str, known: tuple[str, ...], span: Span
) -> Poison:
    """Report an argument that the op or block does not have."""
    help = foreign_argument(name, known) or did_you_mean(name, known)
    if help is None:
        listed = ", ".join(known)
        help = f"{what} takes {listed}" if known else f"{what} takes no arguments"
    return ctx.error("CNN303", f"{what} has no argument `{name}`", span, help=help)
