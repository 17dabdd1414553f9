"""The body of `network` (one call per layer, each with its comment), and the folded tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from math import inf

from cnndsl.analysis.receptive_field import ReceptiveFields, receptive_fields
from cnndsl.analysis.sizes import NoSizeError
from cnndsl.backends.numba.call import Arg, Call, Ref, Word
from cnndsl.backends.numba.identifiers import Identifiers, quote
from cnndsl.backends.numba.interface import extent_text, shape_text
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv
from cnndsl.ops.folding import FoldedBias, FoldedWeight
from cnndsl.ops.fused import Fused
from cnndsl.types.extents import Dim, Extent, evaluate_extent, substitute, symbols_of
from cnndsl.types.padding import Explicit

WIDTH = 100
INDENT = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """How a layer is computed: by which algorithm, and the multiply-accumulates it does."""

    algorithm: str
    macs: int


def network_lines(
    graph: Graph,
    calls: tuple[Call, ...],
    identifiers: Identifiers,
    work: Mapping[str, Work] | None = None,
    *,
    blocks: bool = True,
) -> tuple[str, ...]:
    """Return the lines of `network`, without their indent.

    `work` has what is known of layers, by label, at the usual sizes. With `blocks` of channels, an
    input that is read by convolutions alone comes with its number of channels.
    """
    lines: list[str] = []
    fields = _fields(graph)
    for i in graph.inputs:
        if i.value.type.dtype.is_float:
            name = identifiers.give("value", i.value.name)
            shape = shape_text(i.value.type.shape, identifiers)
            narrow = blocks and _narrow(graph, i.value.name)
            lanes = f", lanes={i.value.type.channels}" if narrow else ""
            lines.append(f"{name} = plan.input({quote(i.value.name)}, {shape}{lanes})")
    section: tuple[str, ...] = ()
    previous: Node | None = None
    for call in calls:
        if call.node is not previous:
            outer = tuple(name for name, _ in call.node.path[:1])
            place = call.node.label.split(".")[0] if outer else ""
            if (place,) != section and place:
                lines += ["", f"# {'-' * 8} {place}"]
            section = (place,)
            known = (work or {}).get(call.node.label)
            lines += ["", *_comment(graph, call.node, fields, known)]
            lines.append(f"plan.layer({quote(call.node.label)})")
            previous = call.node
        lines += _call_lines(call, identifiers)
    lines += ["", 'plan.layer("output")']
    for o in graph.outputs:
        value = identifiers.give("value", o.value)
        shape = shape_text(graph.types[o.value].shape, identifiers)
        lines.append(f"plan.output({quote(o.name)}, {value}, {shape})")
    return tuple(lines)


def _narrow(graph: Graph, name: str) -> bool:
    """Say whether an input's few channels need no padding: plain convolutions alone read it."""
    channels = graph.types[name].channels
    return (
        isinstance(channels, int)
        and channels < 16
        and name not in graph.output_values
        and all(
            isinstance(base := n.op.base if isinstance(n.op, Fused) else n.op, Conv)
            and base.groups == 1
            and n.inputs == (name,)
            for n in graph.readers[name]
        )
    )


def _fields(graph: Graph) -> ReceptiveFields | None:
    """Return the receptive fields in the first input; None if no size makes every map non-empty."""
    try:
        return receptive_fields(graph)
    except NoSizeError:
        return None


def _comment(
    graph: Graph, node: Node, fields: ReceptiveFields | None, work: Work | None
) -> list[str]:
    """Return the comment of a layer: label, op, operands' and result's shapes, cost and field."""
    shapes = ", ".join(dict.fromkeys(_shape(t.shape) for t in graph.operand_types(node)))
    lines = _wrap(f"# {node.label}: {describe(node.op)}")
    said = f"#   {shapes} -> {_shape(node.output.type.shape)}{_cost(graph, node, work)}"
    return lines + _wrap(said + _sees(node, fields))


def _sees(node: Node, fields: ReceptiveFields | None) -> str:
    """Return the receptive field of a layer's result and, above 1, its jump."""
    field = None if fields is None else fields.of(node.output.name)
    if field is None or not field.hull:
        return ""
    if field.whole:
        return "; sees the whole input"
    text = f"; sees {'x'.join(map(str, field.receptive_field_px))}"
    jumps = [str(j) for j in field.jump_px]
    if set(jumps) == {"1"}:
        return text
    return f"{text}, jump {jumps[0] if len(set(jumps)) == 1 else 'x'.join(jumps)}"


def _cost(graph: Graph, node: Node, work: Work | None) -> str:
    """Return the multiply-accumulates per sample, at the usual sizes where there are some.

    With them the algorithm and, unless they are as many, those that it does.
    """
    macs = substitute(graph.macs(node), dict.fromkeys(graph.batch_symbols, 1))
    if macs == 0:
        return ""
    usual = dict(graph.usual_sizes)
    symbols = symbols_of(macs)
    if symbols - usual.keys():
        return f"; {macs} MACs"
    count = evaluate_extent(macs, usual)
    sizes = ", ".join(f"{s} = {usual[s]}" for s in sorted(symbols))
    text = f"; {_spaced(count)} MACs" + (f" at {sizes}" if sizes else "")
    if work is None or not work.algorithm:
        return text
    done = f": {_spaced(work.macs)} done" if work.macs != count else ""
    return f"{text}; {work.algorithm}{done}"


def _spaced(number: int) -> str:
    return f"{number:_}".replace("_", " ")


def _wrap(line: str) -> list[str]:
    lines = [line]
    while len(lines[-1]) > WIDTH - INDENT:
        cut = lines[-1].rfind(" ", 0, WIDTH - INDENT)
        if cut <= 4:
            break
        lines[-1:] = [lines[-1][:cut], "#     " + lines[-1][cut + 1 :]]
    return lines


def _shape(shape: tuple[Extent, ...]) -> str:
    return "[" + ", ".join(str(e) for e in shape) + "]"


def describe(op: Op) -> str:
    """Return an op in words: its keyword, and each field that is not the default."""
    if isinstance(op, Fused):
        text = describe(op.base)
        if op.residual:
            text += " + residual"
        return text if op.activation is None else f"{text} + {describe(op.activation)}"
    word = op.keyword or type(op).__name__.lower()
    words = []
    for f in dataclasses.fields(op):
        value = getattr(op, f.name)
        if f.name == "kernel":
            word += "x".join(map(str, value))
        elif _differs(value, f.default):
            words.append(f"{f.name.replace('_', ' ')} {_brief(value)}")
    return word + (f" ({', '.join(words)})" if words else "")


def _brief(value: object) -> str:
    """Return a value in as few words as say it: one number where all axes have the same."""
    if isinstance(value, Explicit):
        value = tuple(low if low == high else (low, high) for low, high in value.pairs)
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return str(value)


def _differs(value: object, default: object) -> bool:
    if isinstance(value, tuple) and isinstance(default, tuple) and len(default) == 1:
        return any(v != default[0] for v in value)
    return value != default and not isinstance(value, bool)


def _call_lines(call: Call, identifiers: Identifiers) -> list[str]:
    result = identifiers.give("value", call.result)
    arguments = ["plan", *(_text(a, identifiers) for a in call.positional)]
    arguments += [f"{name}={_text(a, identifiers)}" for name, a in call.named]
    line = f"{result} = {call.function}({', '.join(arguments)})"
    if len(line) <= WIDTH - INDENT:
        return [line]
    lines = [f"{result} = {call.function}("]
    row = "   "
    for argument in _pieces(arguments):
        if len(row) + len(argument) + 2 > WIDTH - INDENT:
            lines.append(row)
            row = "   "
        row += f" {argument},"
    return [*lines, row, ")  # fmt: skip"]


def _pieces(arguments: list[str]) -> Iterator[str]:
    """Yield what may stand on a line of its own: arguments, but of a long list its items."""
    for argument in arguments:
        yield from [argument] if len(argument) < WIDTH - 2 * INDENT else argument.split(", ")


def _text(argument: Arg, identifiers: Identifiers) -> str:
    match argument:
        case Ref(name):
            return identifiers.give("value", name)
        case Word(text):
            return text
        case Dim():
            return extent_text(argument, identifiers)
        case tuple():
            parts = [_text(a, identifiers) for a in argument]
            return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"
        case list():
            return "[" + ", ".join(_text(a, identifiers) for a in argument) + "]"
        case float() if argument == inf:
            return "INFINITY"
        case float() if argument == -inf:
            return "MINUS_INFINITY"
        case str():
            return quote(argument)
        case _:
            return repr(argument)


def folded_entries(graph: Graph) -> list[tuple[str, str]]:
    """Return name and rule of every load-time node: (function, operands, options)."""
    entries = []
    for node in graph.nodes:
        if node.output.name not in graph.load_time:
            continue
        names = node.inputs
        match node.op:
            case FoldedWeight(axis=axis, groups=groups, epsilon=epsilon):
                function = "_folded_weight"
                options = {"epsilon": epsilon} | ({"axis": axis, "groups": groups} if axis else {})
            case FoldedBias(epsilon=epsilon, has_bias=has_bias):
                function = "_folded_bias"
                options = {"epsilon": epsilon}
                names = (*names[1:], names[0]) if has_bias else names
            case _:
                raise AssertionError(f"{node.op} cannot run at load time")
        key = quote(node.output.name)
        operands = [quote(name) for name in names]
        entries.append((key, _rule(key, function, operands, repr(options).replace("'", '"'))))
    return entries


def _rule(key: str, function: str, operands: list[str], options: str) -> str:
    """Return a rule in as few lines as its width allows."""
    listed = f"({', '.join(operands)})"
    line = f"({function}, {listed}, {options})"
    if len(f"    {key}: {line},") <= WIDTH:
        return line
    if len(f"        {listed},") > WIDTH:
        listed = "\n".join(["(", *(f"            {name}," for name in operands), "        )"])
    return "\n".join(["(", *(f"        {part}," for part in (function, listed, options)), "    )"])
