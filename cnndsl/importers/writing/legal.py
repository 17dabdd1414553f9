"""What the language can say of a graph: names made legal, and refusals for what it cannot."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.elaborate.naming import Numbering
from cnndsl.importers.names import identifier
from cnndsl.ir.graph import Graph, Input, Node, Output, Value
from cnndsl.ops.elementwise import Affine
from cnndsl.types.extents import Dim, Extent, substitute

Problem = tuple[str, str]
"""What cannot be written (the same words for all layers that share the trouble), and where."""


def legal(graph: Graph) -> Graph:
    """Return the graph that a program can describe; raises CompileError (CNN807) with all reasons.

    Names of the network, its inputs, outputs and symbols that mean something else in a program
    change; so does `x * scale + shift` as one op, which becomes two. Nothing else does.
    """
    problems = [*_words(graph), *_numbers(graph), *_sharing(graph)]
    if problems:
        raise CompileError(_told(problems))
    return _with_two_affines(_with_legal_names(graph))


def _told(problems: list[Problem]) -> Iterator[Diagnostic]:
    counts = Counter(what for what, _ in problems)
    first = dict(reversed(problems))
    for what, count in counts.items():
        times = "" if count == 1 else f", and {count - 1} more"
        yield Diagnostic(code="CNN807", message=f"{what} (layer {first[what]}{times})")


def _words(graph: Graph) -> Iterator[Problem]:
    for node in graph.nodes:
        if not node.op.keyword and not isinstance(node.op, Affine):
            yield f"the language has no word for {type(node.op).__name__}", node.label


def _numbers(graph: Graph) -> Iterator[Problem]:
    for node in graph.nodes:
        for field in fields(node.op):
            value = getattr(node.op, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                name = type(node.op).__name__
                yield f"the language cannot write {value} for {field.name} of {name}", node.label


def _sharing(graph: Graph) -> Iterator[Problem]:
    """Layers share all of their weights or none, and are equal then."""
    owner: dict[str, Node] = {}
    for node in graph.nodes:
        before = {owner.setdefault(name, node) for name in node.params}
        if any(b.params != node.params or b.op != node.op for b in before):
            yield "layers that share weights must be equal in everything else", node.label
        elif len(set(node.params)) < len(node.params):
            yield "one tensor cannot be two weights of a layer", node.label


def _with_legal_names(graph: Graph) -> Graph:
    taken = Numbering(reserved=graph.types)
    inputs: dict[str, str] = {}
    for i in graph.inputs:
        name = identifier(i.value.name, "input")
        while name != i.value.name and name in graph.types:
            name += "_"
        inputs[i.value.name] = taken.take(name)
    symbols = {s: taken.take(identifier(s, "size")) for s in graph.symbols}
    outputs: list[Output] = []
    for o in graph.outputs:
        same = o.value in inputs and identifier(o.name, "output") == inputs[o.value]
        name = inputs[o.value] if same else taken.take(identifier(o.name, "output"))
        outputs.append(replace(o, name=name, value=inputs.get(o.value, o.value)))

    def value(old: Value) -> Value:
        shape = tuple(_renamed(e, symbols) for e in old.type.shape)
        return Value(inputs.get(old.name, old.name), replace(old.type, shape=shape))

    return replace(
        graph,
        name=identifier(graph.name, "network"),
        inputs=tuple(Input(value(i.value), i.span) for i in graph.inputs),
        nodes=tuple(
            replace(n, inputs=tuple(inputs.get(i, i) for i in n.inputs), output=value(n.output))
            for n in graph.nodes
        ),
        outputs=tuple(outputs),
        usual_sizes=tuple((symbols[s], size) for s, size in graph.usual_sizes),
    )


def _renamed(extent: Extent, symbols: dict[str, str]) -> Extent:
    if isinstance(extent, int) or all(old == new for old, new in symbols.items()):
        return extent
    return substitute(extent, {old: Dim.symbol(new) for old, new in symbols.items()})


def _with_two_affines(graph: Graph) -> Graph:
    nodes: list[Node] = []
    taken = set(graph.types)
    for node in graph.nodes:
        if not isinstance(node.op, Affine) or is_one_affine(node.op):
            nodes.append(node)
            continue
        name = f"{node.output.name}_scaled"
        while name in taken:
            name += "_"
        taken.add(name)
        scaled = Value(name, node.output.type)
        nodes.append(replace(node, op=Affine(scale=node.op.scale), output=scaled))
        nodes.append(replace(node, op=Affine(shift=node.op.shift), inputs=(name,)))
    return graph.with_nodes(nodes)


def is_one_affine(op: Affine) -> bool:
    """Tell whether a program writes x * scale + shift as one operation."""
    return op.shift == 0 or op.scale in (1, -1)
