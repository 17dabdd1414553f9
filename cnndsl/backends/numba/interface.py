"""The module's tables of inputs, outputs and parameters, and how symbols are found."""

from __future__ import annotations

import re

from cnndsl.backends.numba.identifiers import Identifiers, quote
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph
from cnndsl.ops.embedding import Embedding
from cnndsl.types.extents import Dim, Extent, linear_form, substitute, symbols_of
from cnndsl.types.tensor import TensorType

WIDTH = 100


def _shape_entry(type_: TensorType) -> str:
    parts = [quote(str(e)) if isinstance(e, Dim) else str(e) for e in type_.shape]
    return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"


def _entry(name: str, type_: TensorType, *extra: str) -> tuple[str, str]:
    key = quote(name)
    parts = [f'"dtype": "{type_.dtype}"', f'"shape": {_shape_entry(type_)}', *extra]
    line = "{" + ", ".join(parts) + "}"
    if len(f"    {key}: {line},") <= WIDTH:
        return key, line
    return key, "\n".join(["{", *(f"        {part}," for part in parts), "    }"])


def input_entries(graph: Graph) -> list[tuple[str, str]]:
    """Return name and description of every input; indices come with their limit."""
    entries = []
    for i in graph.inputs:
        limits = [n.op.entries for n in graph.readers[i.value.name] if isinstance(n.op, Embedding)]
        extra = [f'"below": {min(limits)}'] if limits else []
        entries.append(_entry(i.value.name, i.value.type, *extra))
    return entries


def output_entries(graph: Graph) -> list[tuple[str, str]]:
    """Return name and description of every output."""
    return [_entry(o.name, graph.types[o.value]) for o in graph.outputs]


def parameter_entries(graph: Graph) -> list[tuple[str, str]]:
    """Return name and description of every tensor that the weights hold."""
    return [_entry(p.value.name, p.value.type) for p in graph.parameters]


def interface_lines(graph: Graph) -> tuple[str, ...]:
    """Return the lines of the module's documentation that say what goes in and out."""
    lines = ["Inputs:"]
    lines += [f"    {i.value.name}: {i.value.type}" for i in graph.inputs]
    lines.append("Outputs:")
    lines += [f"    {o.name}: {graph.types[o.value]}" for o in graph.outputs]
    return tuple(lines)


def extent_text(extent: Extent, identifiers: Identifiers) -> str:
    """Return an extent as a Python expression."""
    names = {s: Dim.symbol(identifiers.give("symbol", s)) for s in symbols_of(extent)}
    return re.sub(r" *(//|\*) *", r" \1 ", str(substitute(extent, names)))


def shape_text(shape: tuple[Extent, ...], identifiers: Identifiers) -> str:
    """Return a shape as a Python tuple."""
    parts = [extent_text(e, identifiers) for e in shape]
    return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"


def bind_lines(
    graph: Graph, identifiers: Identifiers, target: str = "numba-cpu"
) -> tuple[str, ...]:
    """Return the body of `bind`: solve for every symbol, then compare all shapes."""
    lines = []
    known: dict[str, str] = {}
    for i in graph.inputs:
        for axis, extent in enumerate(i.value.type.shape):
            solved = _solve(extent, f"shapes[{quote(i.value.name)}][{axis}]")
            if solved and solved[0] not in known:
                symbol, text = solved
                known[symbol] = identifiers.give("symbol", symbol)
                lines.append(f"{known[symbol]} = {text}")
    for i in graph.inputs:
        for extent in i.value.type.shape:
            for symbol in sorted(symbols_of(extent) - known.keys()):
                raise CompileError(
                    Diagnostic(
                        code="CNN702",
                        message=f"{target} cannot find {symbol} from the shape of "
                        f"{i.value.name}: {i.value.type}",
                        span=i.span,
                        help=f"give {symbol} an axis of its own, or set it with --set {symbol}=...",
                    )
                )
    lines.append("expected = {")
    for i in graph.inputs:
        shape = shape_text(i.value.type.shape, identifiers)
        lines.append(f"    {quote(i.value.name)}: {shape},")
    lines.append("}")
    lines += [
        "for name, shape in expected.items():",
        "    if tuple(shapes[name]) != shape:",
        "        raise ValueError(",
        "            f\"input {name!r} must be {_shape_text(INPUTS[name]['shape'])}, \"",
        '            f"got {list(shapes[name])}"',
        "        )",
    ]
    pairs = ", ".join(f'"{name}": {name}' for name in known.values())
    lines.append(f"return {{{pairs}}}")
    return tuple(lines)


def _solve(extent: Extent, actual: str) -> tuple[str, str] | None:
    """Return (symbol, expression for it) of an extent linear in one symbol, else None."""
    form = linear_form(extent)
    if form is None:
        return None
    symbol, slope, constant = form
    text = actual if constant == 0 else f"({actual} - {constant})"
    return symbol, text if slope == 1 else f"{text} // {slope}"
