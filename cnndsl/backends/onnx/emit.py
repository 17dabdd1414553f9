"""Emit a graph as an ONNX model with its weights inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper

from cnndsl import __version__
from cnndsl.backends.onnx import layout, pointwise, windows
from cnndsl.backends.onnx.builder import Builder, Cases, Site, Unsupported
from cnndsl.backends.onnx.wire import serialize
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.usual_sizes import as_properties
from cnndsl.ops.base import Array, Op
from cnndsl.ops.fused import Fused
from cnndsl.passes.fold_constants import fold_constants
from cnndsl.types.tensor import TensorType
from cnndsl.weights.match import match

DEFAULT_OPSET = 13
"""The oldest in which Softmax and Split mean what they mean today; all ops can be said in it."""
OPSETS = range(13, 24)
"""The opsets in which every case below is known to hold."""
DEFAULT_IR_VERSION = 7
"""The IR version that came with opset 13 (ONNX 1.8, 2020)."""
IR_VERSIONS = range(7, 12)

MAX_BYTES = 2**31 - 1
"""A protobuf message cannot be larger."""


def emit(
    graph: Graph,
    weights: Mapping[str, Array],
    *,
    opset: int = DEFAULT_OPSET,
    ir_version: int = DEFAULT_IR_VERSION,
) -> bytes:
    """Return the serialized ModelProto of a graph, the same bytes for the same arguments.

    Raises CompileError for versions out of range, for what ONNX cannot express (with its place),
    for weights that do not fit, and for models over 2 GB.
    """
    _check_range("opset", opset, OPSETS)
    _check_range("ONNX IR version", ir_version, IR_VERSIONS)
    graph, folded = fold_constants(graph, match(graph, weights))
    _check_size(graph, folded)
    graph, copies = _with_output_names(graph)
    builder = Builder(graph, folded, opset)
    refusals: list[Diagnostic] = []
    for node in graph.nodes:
        site = Site(
            node.inputs,
            node.params,
            graph.operand_types(node),
            node.output.name,
            node.output.type,
        )
        try:
            _add(builder, node.op, site)
        except Unsupported as reason:
            refusals.append(_refusal(node, str(reason)))
    if refusals:
        raise CompileError(refusals)
    for value, output in copies:
        builder.add("Identity", (value,), output)
    return serialize(_model(graph, builder, opset, ir_version), _initializers(graph, builder))


CASES: Cases = {**windows.CASES, **pointwise.CASES, **layout.CASES}


def _add(b: Builder, op: Op, site: Site) -> None:
    if isinstance(op, Fused):
        _add_fused(b, op, site)
        return
    case = CASES.get(type(op))
    if case is None:
        raise Unsupported(f"the onnx target has no way to say {type(op).__name__}")
    case(b, op, site)


def _add_fused(b: Builder, op: Fused, site: Site) -> None:
    """Undo fusion: ONNX runtimes fuse for themselves."""
    own = len(site.inputs) - op.residual
    done = site.output if not (op.residual or op.activation) else b.name(f"{site.output}.base")
    base = Site(site.inputs[:own], site.params, site.types[:own], done, site.type)
    _add(b, op.base, base)
    if op.residual:
        total = site.output if op.activation is None else b.name(f"{site.output}.sum")
        done = b.add("Add", (done, site.inputs[-1]), total)
    if op.activation is not None:
        _add(b, op.activation, Site((done,), (), (site.type,), site.output, site.type))


def _refusal(node: Node, reason: str) -> Diagnostic:
    return Diagnostic(
        code="CNN702",
        message=f"{node.label}: {reason}",
        span=node.span,
        trail=tuple(reversed(node.path)),
    )


def _check_range(what: str, number: int, allowed: range) -> None:
    if number not in allowed:
        raise CompileError(
            Diagnostic(
                code="CNN702",
                message=f"{what} {number} is not supported: "
                f"it must be between {allowed.start} and {allowed[-1]}",
            )
        )


def _check_size(graph: Graph, weights: Mapping[str, Array]) -> None:
    # Beside the weights stand the nodes; a hundred bytes for each name in them is plenty.
    names = sum(len(n.operands) + 20 for n in graph.nodes)
    total = sum(array.nbytes for array in weights.values()) + 100 * names
    if total > MAX_BYTES:
        raise CompileError(
            Diagnostic(
                code="CNN702",
                message=f"the model takes {total:_} bytes, and an ONNX file "
                f"with its weights inside at most {MAX_BYTES:_}",
            )
        )


def _with_output_names(graph: Graph) -> tuple[Graph, list[tuple[str, str]]]:
    """Give the values that are outputs the outputs' names.

    Returns with it the (value, output) pairs that need a copy: a value that is an input, a
    parameter, or an output already.
    """
    names: dict[str, str] = {}
    copies: list[tuple[str, str]] = []
    # An output that is called like its value comes first, so that it keeps the name.
    for output in sorted(graph.outputs, key=lambda o: o.name != o.value):
        if output.value in graph.producers and output.value not in names:
            names[output.value] = output.name
        elif output.name != output.value:
            copies.append((output.value, output.name))
        else:
            raise CompileError(
                Diagnostic(
                    code="CNN702",
                    message=f"output {output.name} is an input of the same name, "
                    "and an ONNX model cannot have both",
                    span=output.span,
                )
            )
    outer = {o.name for o in graph.outputs}
    fixed = graph.types.keys() - graph.producers.keys()
    for name in sorted(outer & fixed):
        raise CompileError(
            Diagnostic(
                code="CNN702",
                message=f"{name} is an output and another tensor of the network, "
                "and an ONNX model cannot have both",
            )
        )
    taken = {*graph.types, *outer}
    for name in graph.producers:
        if name in outer and name not in names:
            number = 2
            while f"{name}_{number}" in taken:
                number += 1
            names[name] = f"{name}_{number}"
            taken.add(names[name])

    def renamed(node: Node) -> Node:
        return replace(
            node,
            inputs=tuple(names.get(i, i) for i in node.inputs),
            output=Value(names.get(node.output.name, node.output.name), node.output.type),
        )

    outputs = tuple(replace(o, value=names.get(o.value, o.value)) for o in graph.outputs)
    result = replace(graph, nodes=tuple(map(renamed, graph.nodes)), outputs=outputs)
    return result, [(names.get(value, value), output) for value, output in copies]


def _model(graph: Graph, b: Builder, opset: int, ir_version: int) -> ModelProto:
    """Return the model without its tensors."""
    outputs = {o.name: graph.types[o.value] for o in graph.outputs}
    body = helper.make_graph(
        b.nodes,
        graph.name,
        [_info(i.value.name, i.value.type) for i in graph.inputs],
        [_info(name, type_) for name, type_ in outputs.items()],
        value_info=[
            _info(n.output.name, n.output.type) for n in graph.nodes if n.output.name not in outputs
        ],
    )
    model: ModelProto = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir_version,
        producer_name="cnndsl",
        producer_version=__version__,
    )
    helper.set_model_props(model, as_properties(graph))
    return model


def _initializers(graph: Graph, b: Builder) -> dict[str, Array]:
    """Return the parameters that a node reads (some are rearranged first), and the constants."""
    read = {name for node in b.nodes for name in node.input}
    parameters = {
        p.value.name: b.weights[p.value.name].astype(np.float32, copy=False)
        for p in graph.parameters
        if p.value.name in read
    }
    return {**parameters, **b.constants}


def _info(name: str, type_: TensorType) -> ValueInfoProto:
    """Declare a tensor; an extent that is not a number is named by its formula."""
    kind = helper.np_dtype_to_tensor_dtype(type_.dtype.numpy)
    shape = [e if isinstance(e, int) else str(e) for e in type_.shape]
    info: ValueInfoProto = helper.make_tensor_value_info(name, kind, shape)
    return info
