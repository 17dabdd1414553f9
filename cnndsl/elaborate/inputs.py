"""Declare what comes from outside: the network's parameters, its inputs, sizes and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl import limits
from cnndsl.diagnostics import Diagnostic, Related, Span
from cnndsl.elaborate.claims import names_in
from cnndsl.elaborate.context import Context, did_you_mean
from cnndsl.elaborate.declarations import check_parameters, declare
from cnndsl.elaborate.expressions import evaluate
from cnndsl.elaborate.scope import Binding, Kind
from cnndsl.elaborate.values import POISON, Poison, Value, describe, is_number, show
from cnndsl.syntax import ast
from cnndsl.types.extents import Dim, Extent, symbols_of
from cnndsl.types.tensor import DType, TensorType

Setting: TypeAlias = int | float | bool

MAX_RANK = 5
"""Batch, channels and three spatial axes."""


@dataclass(slots=True)
class Outside:
    """What the caller sets, what of it the program took, and the symbols' usual sizes."""

    settings: Mapping[str, Setting]
    taken: set[str] = field(default_factory=set)
    usual: dict[str, tuple[int, Span]] = field(default_factory=dict)
    symbols: dict[str, Span] = field(default_factory=dict)

    def usual_sizes(self) -> tuple[tuple[str, int], ...]:
        return tuple((name, size) for name, (size, _) in self.usual.items())

    def check_all_taken(self, ctx: Context, network: ast.Network) -> None:
        """Report settings that no parameter or symbol took."""
        known = [*(p.name.name for p in network.parameters), *self.symbols]
        for name in self.settings:
            if name not in self.taken:
                listed = ", ".join(known) or "nothing"
                ctx.add(
                    Diagnostic(
                        code="CNN317",
                        message=f"network `{network.name.name}` has no parameter or symbol "
                        f"`{name}` to set",
                        help=did_you_mean(name, known) or f"it has {listed}",
                    )
                )


def declare_parameters(ctx: Context, network: ast.Network, outside: Outside) -> None:
    """Bind the network's parameters to their settings or defaults."""
    check_parameters(ctx, network.parameters)
    declared: set[str] = set()
    for parameter in network.parameters:
        name = parameter.name
        value: Value | None = None
        if parameter.default is not None:
            value = evaluate(ctx, parameter.default)
        if name.name in outside.settings:
            outside.taken.add(name.name)
            value = _set_parameter(ctx, name, value, outside.settings[name.name])
        if value is None:
            value = ctx.error(
                "CNN304",
                f"parameter `{name.name}` of network `{network.name.name}` has no value",
                parameter.span,
                help=f"give it a default, or --set {name.name}=...",
            )
        if name.name not in declared:
            declare(ctx, name, value, Kind.PARAMETER)
        declared.add(name.name)


def _set_parameter(ctx: Context, name: ast.Name, default: Value | None, setting: Setting) -> Value:
    if isinstance(default, Poison):
        return POISON
    fits = (
        default is None
        or type(default) is type(setting)
        or (isinstance(default, float) and type(setting) is int)
    )
    if not fits:
        return ctx.error(
            "CNN306",
            f"parameter `{name.name}` is {describe(default) if default is not None else ''} "
            f"by default and cannot be set to {show(setting)}",
            name.span,
        )
    return float(setting) if isinstance(default, float) else setting


def declare_input(ctx: Context, statement: ast.Input, outside: Outside) -> None:
    """Declare an input and the symbols of its type."""
    ctx.declares_input = True
    kind = _type(ctx, statement, outside)
    if kind is None:
        declare(ctx, statement.name, POISON, Kind.INPUT)
        return
    if statement.name.name in ctx.scope.names:
        declare(ctx, statement.name, POISON, Kind.INPUT)
        return
    tensor = ctx.builder.add_input(statement.name.name, kind, statement.name.span)
    declare(ctx, statement.name, tensor, Kind.INPUT)


def _type(ctx: Context, statement: ast.Input, outside: Outside) -> TensorType | None:
    shape: list[Extent] = []
    for declaration in statement.extents:
        extent = _extent(ctx, declaration, outside)
        if extent is not None:
            shape.append(extent)
    names = [d.value for d in DType]
    if statement.dtype.name not in names:
        ctx.error(
            "CNN320",
            f"unknown dtype `{statement.dtype.name}`",
            statement.dtype.span,
            help=did_you_mean(statement.dtype.name, names) or f"there are {', '.join(names)}",
        )
        return None
    if len(shape) < len(statement.extents):
        return None
    if not 2 <= len(shape) <= MAX_RANK:
        ctx.error(
            "CNN202",
            f"input `{statement.name.name}` has {len(shape)} axes; a tensor has batch, channels "
            "and up to three spatial axes",
            statement.span,
            help="float32[N, 3, H, W] is a batch of images",
        )
        return None
    elements = 1
    for extent in shape:
        elements *= extent if isinstance(extent, int) else 1
    if elements > limits.MAX_ELEMENTS:
        ctx.error(
            "CNN403",
            f"input `{statement.name.name}` has more than {limits.MAX_ELEMENTS:_} elements",
            statement.span,
        )
        return None
    return TensorType(DType(statement.dtype.name), tuple(shape))


def _extent(ctx: Context, declaration: ast.ExtentDecl, outside: Outside) -> Extent | None:
    """Return an extent of an input's type; None after an error."""
    for name in names_in(declaration.extent):
        _declare_symbol(ctx, name, outside)
    value = evaluate(ctx, declaration.extent)
    if declaration.usual is not None:
        _declare_usual(ctx, declaration, value, outside)
    if isinstance(value, Poison):
        return None
    span = declaration.extent.span
    if not isinstance(value, (int, Dim)) or isinstance(value, bool):
        code = (
            "CNN306"
            if is_number(value) or not isinstance(declaration.extent, ast.Name)
            else ("CNN212")
        )
        ctx.error(code, f"an extent is a whole number or a symbol, got {describe(value)}", span)
        return None
    if isinstance(value, int) and value < 1:
        ctx.error("CNN307", f"an extent is at least 1, got {value}", span)
        return None
    if isinstance(value, int) and value > limits.MAX_EXTENT:
        ctx.error("CNN403", f"an extent is at most {limits.MAX_EXTENT:_}, got {value:_}", span)
        return None
    return value


def _declare_symbol(ctx: Context, name: ast.Name, outside: Outside) -> None:
    """Make a name that is unknown so far a symbol, or the number it is set to from outside."""
    word = name.name
    if ctx.scope.lookup(word) is not None:
        return
    value: Value = Dim.symbol(word)
    outside.symbols[word] = name.span
    if word in outside.settings:
        outside.taken.add(word)
        setting = outside.settings[word]
        if not isinstance(setting, int) or isinstance(setting, bool):
            value = ctx.error(
                "CNN306",
                f"symbol `{word}` stands for a whole number, not {show(setting)}",
                name.span,
            )
        elif not 1 <= setting <= limits.MAX_EXTENT:
            value = ctx.error(
                "CNN307",
                f"symbol `{word}` stands for a size from 1 to {limits.MAX_EXTENT:_}, "
                f"not {show(setting)}",
                name.span,
            )
        else:
            value = setting
    ctx.scope.names[word] = Binding(value, Kind.SYMBOL, name.span)


def _declare_usual(
    ctx: Context, declaration: ast.ExtentDecl, extent: Value, outside: Outside
) -> None:
    """Note the usual size of the one symbol in an extent (`H = 224`, `16*h = 224`)."""
    assert declaration.usual is not None
    size = evaluate(ctx, declaration.usual)
    span = declaration.usual.span
    if isinstance(extent, Poison) or isinstance(size, Poison):
        return
    if not isinstance(size, int) or isinstance(size, bool):
        ctx.error("CNN306", f"a usual size is a whole number, got {describe(size)}", span)
        return
    if not 1 <= size <= limits.MAX_EXTENT:
        ctx.error("CNN307", f"a usual size is from 1 to {limits.MAX_EXTENT:_}, got {size:_}", span)
        return
    written = [n for n in names_in(declaration.extent) if n.name in outside.symbols]
    if not isinstance(extent, Dim):
        if written:  # the symbol was set from outside
            ctx.at_usual_size &= extent == size
        else:
            ctx.error(
                "CNN212",
                f"{declaration.extent.span.text} is {describe(extent)}, so it has no usual size",
                declaration.extent.span,
                help="leave out the usual size, or name a new symbol",
            )
        return
    solved = _solve(extent, size)
    if solved is None:
        ctx.error(
            "CNN212",
            f"no whole size of a single symbol makes {extent} equal to {size}",
            declaration.span,
            help="give the usual size to a symbol, or to a multiple of one",
        )
        return
    symbol, usual = solved
    before = outside.usual.get(symbol)
    if before is not None and before[0] != usual:
        ctx.error(
            "CNN212",
            f"symbol `{symbol}` is usually {usual} here, but {before[0]} elsewhere",
            declaration.span,
            related=(Related(f"`{symbol}` is {before[0]} here", before[1]),),
            help="name two symbols if the sizes differ",
        )
        return
    outside.usual.setdefault(symbol, (usual, declaration.span))


def _solve(extent: Dim, size: int) -> tuple[str, int] | None:
    """Return the symbol, and its size, for which a*symbol + b is the given size."""
    symbols = symbols_of(extent)
    if len(symbols) != 1:
        return None
    (symbol,) = symbols
    factor = offset = 0
    for monomial, coefficient in extent.terms:
        if monomial == (symbol,):
            factor = coefficient
        elif monomial == ():
            offset = coefficient
        else:
            return None
    if factor == 0 or (size - offset) % factor or (size - offset) // factor < 1:
        return None
    return symbol, (size - offset) // factor
