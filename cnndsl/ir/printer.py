"""The text form of a graph: one line for each input, parameter, node and output.

    graph lenet
    usual H = 28
    input image: float32[N, 1, H, 28]
    parameter conv5x5.weight: float32[6, 1, 5, 5] = ParameterSpec(role="weight", ...)
    node conv5x5: float32[N, 6, H, 28] = Conv(out_channels=6, ...)(image; conv5x5.weight) "conv5x5"
    output y = conv5x5

Every field of an op is written. Spans and block paths follow as comments (`# lenet.cnn:3:12 in
stage at lenet.cnn:7:3`), which `read_graph` drops: a graph and what is read back from its text are
equal up to `without_spans`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnndsl.diagnostics import Span
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Op, ParameterSpec
from cnndsl.types.padding import Causal, Explicit, Same, Valid

PADDING_WORDS: Mapping[str, Valid | Same | Causal] = {
    "valid": Valid(),
    "same": Same(),
    "causal": Causal(),
}


def print_graph(graph: Graph) -> str:
    """Return the text form of a graph."""
    lines = [f"graph {graph.name}"]
    lines += [f"usual {symbol} = {size}" for symbol, size in graph.usual_sizes]
    for i in graph.inputs:
        lines.append(f"input {i.value.name}: {i.value.type}{_comment(i.span)}")
    for p in graph.parameters:
        spec = print_field(p.spec)
        lines.append(f"parameter {p.value.name}: {p.value.type} = {spec}{_comment(p.span)}")
    for n in graph.nodes:
        operands = ", ".join(n.inputs) + ("; " + ", ".join(n.params) if n.params else "")
        lines.append(
            f"node {n.output.name}: {n.output.type} = {print_field(n.op)}({operands}) "
            f"{json.dumps(n.label)}{_comment(n.span, n.path)}"
        )
    lines += [f"output {o.name} = {o.value}{_comment(o.span)}" for o in graph.outputs]
    return "\n".join(lines) + "\n"


def print_field(value: Any) -> str:
    """Return the text of a field of an op: a number, word, tuple, padding, op or spec."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value)
        case Valid() | Same() | Causal():
            return str(value)
        case Explicit(pairs):
            return f"explicit{print_field(pairs)}"
        case tuple():
            inner = ", ".join(print_field(v) for v in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        case Op() | ParameterSpec():
            fields = ", ".join(
                f"{f.name}={print_field(getattr(value, f.name))}" for f in dataclasses.fields(value)
            )
            return f"{type(value).__name__}({fields})"
    raise TypeError(f"a graph cannot hold the field value {value!r}")


def without_spans(graph: Graph) -> Graph:
    """Return the graph without spans and block paths: what its text form carries."""
    return replace(
        graph,
        inputs=tuple(replace(i, span=None) for i in graph.inputs),
        parameters=tuple(replace(p, span=None) for p in graph.parameters),
        nodes=tuple(replace(n, span=None, path=()) for n in graph.nodes),
        outputs=tuple(replace(o, span=None) for o in graph.outputs),
    )


def _comment(span: Span | None, path: tuple[tuple[str, Span], ...] = ()) -> str:
    if span is None:
        return ""
    blocks = "".join(f" in {name} at {place}" for name, place in reversed(path))
    return "  # " + " ".join(f"{span}{blocks}".split())
