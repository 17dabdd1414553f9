"""Read an ONNX model: parse it with bounds, check it, and put what is needed in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, ModelProto, defs

from cnndsl.diagnostics import CompileError, Diagnostic, Diagnostics
from cnndsl.files import require_plain, unreadable
from cnndsl.importers.onnx.model import Declared, Extent, Model, NodeView
from cnndsl.importers.onnx.wire import WireError, check_fields
from cnndsl.weights.shown import shown

OLDEST_OPSET = 6
NEWEST_OPSET: int = defs.onnx_opset_version()
MAX_BYTES = 2**31 - 1
"""A protobuf message cannot be larger."""

MAX_PARTS = 200_000
"""Nodes, and tensors that are declared; the networks themselves have at most 20 thousand layers."""

DEFAULT_DOMAINS = ("", "ai.onnx")

UNKNOWN_VERSION = 0
"""The version of a node whose op is not part of the standard."""


def read_file(path: Path) -> ModelProto:
    """Return the message in a file; raises CompileError (CNN801, CNN806)."""
    require_plain(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise unsound(
                path.name,
                f"it has {size:_} bytes, and a protobuf message at most {MAX_BYTES:_}",
                "keep large tensors in a data file beside the model (onnx.save_model with "
                "save_as_external_data=True)",
            )
        data = path.read_bytes()
    except OSError as error:
        raise CompileError(unreadable(path, error)) from error
    return parse(data, path.name)


def parse(data: bytes, name: str) -> ModelProto:
    """Return the message in bytes; raises CompileError (CNN806)."""
    try:
        check_fields(data, ModelProto.DESCRIPTOR)
        proto: ModelProto = ModelProto.FromString(data)
    except (WireError, DecodeError, MemoryError, ValueError) as error:
        reason = str(error) if isinstance(error, WireError) else "it is not a protobuf message"
        raise unsound(
            name, reason, "the file may be truncated: copy or download it again"
        ) from None
    if not proto.HasField("graph"):
        raise unsound(name, "it holds no graph", None)
    return proto


def unsound(name: str, reason: str, help: str | None) -> CompileError:
    """Return the error (CNN806) of a file that is no ONNX model."""
    message = f"{shown(name)} is not an ONNX model that can be read: {reason}"
    return CompileError(Diagnostic(code="CNN806", message=message, help=help))


def check_model(proto: ModelProto, file_bytes: int) -> Model:
    """Return the model of a message, its nodes in an order that runs; raises CompileError."""
    found = Diagnostics()
    opset = _opset(proto, found)
    if proto.functions:
        found.add(
            Diagnostic(
                code="CNN807",
                message=f"the model defines {len(proto.functions)} functions of its own",
                help="inline them first: onnx.inliner.inline_local_functions(model)",
            )
        )
    graph = proto.graph
    if graph.sparse_initializer:
        found.add(
            Diagnostic(
                code="CNN807",
                message=f"{len(graph.sparse_initializer)} initializers are sparse tensors",
                help="store them as ordinary tensors",
            )
        )
    parts = (graph.node, graph.initializer, graph.input, graph.output, graph.value_info)
    if sum(map(len, parts)) > MAX_PARTS:
        message = f"the model has more than {MAX_PARTS:_} nodes and tensors"
        found.add(Diagnostic(code="CNN401", message=message))
    found.raise_if_errors()
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [_node(number, node, opset, found) for number, node in enumerate(graph.node)]
    _check_names(graph, nodes, found)
    found.raise_if_errors()
    ordered = _ordered(graph, nodes, constants.keys() | {i.name for i in graph.input}, found)
    found.raise_if_errors()
    declared = {
        i.name: declared_type(i.type, i.name, found)
        for i in (*graph.value_info, *graph.output, *graph.input)
    }
    found.raise_if_errors()
    return Model(
        name=graph.name,
        opset=opset,
        inputs={i.name: declared[i.name] for i in graph.input if i.name not in constants},
        outputs=tuple(o.name for o in graph.output),
        constants=constants,
        nodes=tuple(ordered),
        types=declared,
        dead=len(nodes) - len(ordered),
        file_bytes=file_bytes,
    )


def _opset(proto: ModelProto, found: Diagnostics) -> int:
    newest_format: int = onnx.IR_VERSION
    if not 3 <= proto.ir_version <= newest_format:
        found.add(
            Diagnostic(
                code="CNN806",
                message=f"the model has the ONNX format version {proto.ir_version}; "
                f"3 to {newest_format} are read",
                help="pip install --upgrade onnx" if proto.ir_version > newest_format else None,
            )
        )
    versions = {o.version for o in proto.opset_import if o.domain in DEFAULT_DOMAINS}
    if len(versions) != 1:
        found.add(
            Diagnostic(
                code="CNN806",
                message="the model must import one version of ONNX's ops, "
                f"and imports {sorted(versions) or 'none'}",
            )
        )
    for version in sorted(versions):
        if not OLDEST_OPSET <= version <= NEWEST_OPSET:
            found.add(
                Diagnostic(
                    code="CNN807",
                    message=f"the model uses opset {version}; "
                    f"{OLDEST_OPSET} to {NEWEST_OPSET} are read",
                    help="onnx.version_converter.convert_version(model, 13) makes it one of those"
                    if version < OLDEST_OPSET
                    else "pip install --upgrade onnx",
                )
            )
    return max(versions, default=0)


@cache
def _schema(op: str, opset: int) -> Any:
    """Return ONNX's definition of an op of its own in a version; None if there is none."""
    try:
        return defs.get_schema(op, opset, "")
    except defs.SchemaError:
        return None


def _node(number: int, node: Any, opset: int, found: Diagnostics) -> NodeView:
    """Check a node against its definition."""
    inputs, outputs = tuple(node.input), tuple(node.output)
    named = node.op_type if node.domain in DEFAULT_DOMAINS else f"{node.domain}.{node.op_type}"
    schema = _schema(node.op_type, opset) if node.domain in DEFAULT_DOMAINS else None
    view = NodeView(
        op=shown(named),
        version=UNKNOWN_VERSION if schema is None else schema.since_version,
        inputs=inputs,
        outputs=outputs,
        attributes={a.name: _value(a) for a in node.attribute},
        name=node.name,
        number=number,
        defaults={} if schema is None else _defaults(node.op_type, opset),
    )
    if schema is None:
        return view
    problems: list[str] = []
    for what, count, least, most in (
        ("inputs", len(inputs), schema.min_input, schema.max_input),
        ("outputs", len(outputs), schema.min_output, schema.max_output),
    ):
        if not least <= count <= most:
            problems.append(f"has {count} {what}, and takes {_span(least, most)}")
    problems += [f"leaves out its input {name}" for name in _left_out(schema, inputs)]
    types = {name: attribute.type.value for name, attribute in schema.attributes.items()}
    for attribute in node.attribute:
        wanted = types.get(attribute.name)
        if wanted is None:
            problems.append(f"has the attribute {shown(attribute.name)}, which the op has not")
        elif attribute.type != wanted:
            problems.append(f"has an attribute {attribute.name} of another type than the op's")
    given = view.attributes.keys()
    problems += [
        f"lacks the attribute {name}"
        for name, attribute in schema.attributes.items()
        if attribute.required and name not in given
    ]
    if len(given) != len(node.attribute):
        problems.append("has an attribute twice")
    for problem in problems:
        found.add(Diagnostic(code="CNN806", message=f"{view.where} {problem} (opset {opset})"))
    return view


def _left_out(schema: Any, inputs: tuple[str, ...]) -> Iterator[str]:
    """Yield the inputs that have no name and are not optional; the last may stand for several."""
    optional = defs.OpSchema.FormalParameterOption.Optional
    for place, name in enumerate(inputs if schema.inputs else ()):
        formal = schema.inputs[min(place, len(schema.inputs) - 1)]
        if not name and formal.option != optional:
            yield str(formal.name)


def _span(least: int, most: int) -> str:
    if least == most:
        return str(least)
    return f"{least} or more" if most > 1000 else f"{least} to {most}"


@cache
def _defaults(op: str, opset: int) -> Mapping[str, Any]:
    attributes = _schema(op, opset).attributes
    return {
        name: _value(attribute.default_value)
        for name, attribute in attributes.items()
        if attribute.default_value.name
    }


def _value(attribute: Any) -> Any:
    """Return an attribute as Python has it: numbers, text, tuples, or ONNX's own messages."""
    match attribute.type:
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.STRING:
            return attribute.s.decode("utf-8", "replace")
        case AttributeProto.TENSOR:
            return attribute.t
        case AttributeProto.FLOATS:
            return tuple(attribute.floats)
        case AttributeProto.INTS:
            return tuple(attribute.ints)
        case AttributeProto.STRINGS:
            return tuple(s.decode("utf-8", "replace") for s in attribute.strings)
    return attribute


def _check_names(graph: Any, nodes: list[NodeView], found: Diagnostics) -> None:
    """Check that every tensor has one origin, and that the graph has inputs and outputs."""

    def check(kind: str, names: Iterable[str]) -> None:
        for name, count in Counter(names).items():
            if count > 1:
                message = f'the model has {count} {kind} named "{shown(name)}"'
                found.add(Diagnostic(code="CNN806", message=message))

    initializers = [tensor.name for tensor in graph.initializer]
    inputs = [i.name for i in graph.input]
    check("initializers", initializers)
    check("inputs", inputs)
    check("outputs", [o.name for o in graph.output])
    given = set(initializers) | set(inputs)
    made = [name for node in nodes for name in node.outputs if name]
    check("tensors", [*made, *(given & set(made))])
    if not graph.output:
        found.add(Diagnostic(code="CNN806", message="the model has no output"))
    if any(not name for name in (*initializers, *inputs)):
        message = "an input or initializer has an empty name"
        found.add(Diagnostic(code="CNN806", message=message))


def _ordered(
    graph: Any, nodes: list[NodeView], given: Iterable[str], found: Diagnostics
) -> list[NodeView]:
    """Return the nodes that the outputs need, each after those it reads."""
    makers = {name: node for node in nodes for name in node.outputs if name}
    known = set(given)
    missing: dict[str, tuple[int, str]] = {}
    ordered: list[NodeView] = []
    state: dict[int, bool] = {}  # by number: False while a node waits for others
    for output in graph.output:
        if output.name not in makers and output.name not in known:
            missing[output.name] = -1, f'the output "{shown(output.name)}"'
    stack = [makers[o.name] for o in reversed(graph.output) if o.name in makers]
    while stack:
        node = stack[-1]
        done = state.get(node.number)
        if done:
            stack.pop()
            continue
        waiting = []
        for name in node.inputs:
            maker = makers.get(name)
            if maker is None:
                if name and name not in known:
                    missing.setdefault(name, (node.number, node.where))
            elif not state.get(maker.number):
                waiting.append(maker)
        if done is None:
            state[node.number] = False
            circular = [m for m in waiting if state.get(m.number) is False]
            if circular:
                message = f"the graph has a cycle: {node.where} reads what {circular[0].where} "
                found.add(
                    Diagnostic(code="CNN806", message=message + "makes, which needs it in turn")
                )
                return ordered
            stack += waiting
        else:
            state[node.number] = True
            ordered.append(node)
            stack.pop()
    for name, (_, reader) in sorted(missing.items(), key=lambda item: item[1]):
        message = f'{reader} needs a tensor "{shown(name)}", which nothing makes'
        help = "an input, an initializer or a node must have the name"
        found.add(Diagnostic(code="CNN806", message=message, help=help))
    return _as_written(ordered, known)


def _as_written(ordered: list[NodeView], known: set[str]) -> list[NodeView]:
    """Return the nodes in the order of the file if that runs, which ONNX asks for."""
    written = sorted(ordered, key=lambda node: node.number)
    made = set(known)
    for node in written:
        if any(name and name not in made for name in node.inputs):
            return ordered
        made.update(node.outputs)
    return written


def declared_type(type_: Any, name: str, found: Diagnostics) -> Declared:
    """Return the element type and shape of a TypeProto."""
    if not type_.HasField("tensor_type"):
        return Declared(0, None)
    tensor = type_.tensor_type
    if not tensor.HasField("shape"):
        return Declared(tensor.elem_type, None)
    shape: list[Extent] = []
    for axis, dim in enumerate(tensor.shape.dim):
        kind = dim.WhichOneof("value")
        if kind == "dim_value":
            if dim.dim_value < 0:
                message = f'axis {axis} of "{shown(name)}" has the extent {dim.dim_value}'
                help = "an extent that is open has a name (dim_param), or none"
                found.add(Diagnostic(code="CNN806", message=message, help=help))
            shape.append(dim.dim_value)
        else:
            shape.append(dim.dim_param or None if kind == "dim_param" else None)
    return Declared(tensor.elem_type, tuple(shape))
