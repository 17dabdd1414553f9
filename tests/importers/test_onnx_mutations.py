"""Models of ONNX's own suite with something wrong in them: read or refused, never a crash."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from random import Random

import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto
from onnx.backend.test.loader import load_model_tests

from cnndsl.diagnostics import CompileError
from cnndsl.importers.onnx.fold import RULES
from cnndsl.importers.onnx.importing import CASES, import_model
from cnndsl.importers.onnx.read import parse
from cnndsl.importers.writing.write import write_source

OPS = sorted(CASES.keys() | RULES.keys())
NUMBERS = (-(2**62), -(2**31), -2, -1, 0, 1, 2, 3, 7, 4096, 2**31, 2**62)
FLOATS = (float("-inf"), -1e30, -1.0, 0.0, 1e-30, 0.5, 2.0, 1e30, float("inf"), float("nan"))
TEXTS = (b"", b"nearest", b"linear", b"SAME_LOWER", b"VALID", b"edge", b"CRD", b"\xff")
TENSORS = (
    TensorProto(),
    TensorProto(data_type=TensorProto.FLOAT, dims=[1]),
    TensorProto(data_type=TensorProto.FLOAT, dims=[-1]),
    TensorProto(data_type=TensorProto.INT64, dims=[2], int64_data=[1, -1]),
    TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"x"]),
)


def settle(model: ModelProto, at: Random) -> None:
    """Make some inputs initializers, as they are in the models of exporters."""
    for given in [i for i in model.graph.input if at.random() < 0.5]:
        type_ = given.type.tensor_type
        shape = [d.dim_value for d in type_.shape.dim]
        count = 1
        for extent in shape:
            count *= extent
        fields = {TensorProto.FLOAT: ("float_data", 0.5), TensorProto.INT64: ("int64_data", 1)}
        if type_.elem_type in fields and 0 < count < 10_000:
            field, number = fields[type_.elem_type]
            values = {field: [number] * count}
            model.graph.initializer.add(
                name=given.name, data_type=type_.elem_type, dims=shape, **values
            )
            model.graph.input.remove(given)


def operand(model: ModelProto, node: NodeProto, at: Random) -> None:
    names = ["", *(i.name for i in model.graph.input), *(t.name for t in model.graph.initializer)]
    if node.input:
        node.input[at.randrange(len(node.input))] = at.choice(names)


def arity(model: ModelProto, node: NodeProto, at: Random) -> None:
    names = node.output if at.random() < 0.3 else node.input
    if names and at.random() < 0.5:
        del names[-1]
    else:
        names.append(at.choice([*names, ""]))


def attribute(model: ModelProto, node: NodeProto, at: Random) -> None:
    if not node.attribute:
        return
    chosen = at.choice(node.attribute)
    if at.random() < 0.2:
        node.attribute.remove(chosen)
    elif chosen.type == AttributeProto.INT:
        chosen.i = at.choice(NUMBERS)
    elif chosen.type == AttributeProto.INTS:
        chosen.ints[at.randrange(len(chosen.ints) + 1) :] = [at.choice(NUMBERS)] * at.randrange(3)
    elif chosen.type == AttributeProto.FLOAT:
        chosen.f = at.choice(FLOATS)
    elif chosen.type == AttributeProto.STRING:
        chosen.s = at.choice(TEXTS)
    elif chosen.type == AttributeProto.TENSOR:
        chosen.t.CopyFrom(at.choice(TENSORS))


def tensor(model: ModelProto, node: NodeProto, at: Random) -> None:
    if not model.graph.initializer:
        return
    chosen = at.choice(model.graph.initializer)
    for values, numbers in ((chosen.int64_data, NUMBERS), (chosen.float_data, FLOATS)):
        if values:
            values[at.randrange(len(values))] = at.choice(numbers)
    if at.random() < 0.2:
        chosen.dims[:] = [at.choice(NUMBERS), *chosen.dims[1:]]
    if at.random() < 0.1:
        chosen.data_type = at.randrange(24)


def extent(model: ModelProto, node: NodeProto, at: Random) -> None:
    if model.graph.input:
        shape = at.choice(model.graph.input).type.tensor_type.shape
        name = at.choice(["N", "16*h", "2*H + 1", "H // 2", "a b", "-H", "H - 5", ""])
        changed = at.choice(shape.dim) if shape.dim and at.random() < 0.8 else shape.dim.add()
        if at.random() < 0.5:
            changed.dim_param = name
        else:
            changed.dim_value = at.choice(NUMBERS)


def op(model: ModelProto, node: NodeProto, at: Random) -> None:
    node.op_type = at.choice(OPS)


def version(model: ModelProto, node: NodeProto, at: Random) -> None:
    model.opset_import[0].version = at.randrange(6, onnx.defs.onnx_opset_version() + 1)


CHANGES: tuple[Callable[[ModelProto, NodeProto, Random], None], ...] = (
    operand, arity, attribute, attribute, tensor, tensor, extent, op, version,
)  # fmt: skip


def test_a_mutated_model_is_read_or_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes infinities on purpose
        models = [case.model for case in load_model_tests(kind="node") if case.model is not None]
    models = [m for m in models if {n.op_type for n in m.graph.node} <= set(OPS)]
    assert len(models) > 500
    at, read = Random(5), 0
    for _ in range(700):
        model = ModelProto()
        model.CopyFrom(at.choice(models))
        settle(model, at)
        for _ in range(at.randint(1, 2)):
            at.choice(CHANGES)(model, at.choice(model.graph.node), at)
        with suppress(CompileError):
            imported = import_model(parse(model.SerializeToString(), "m.onnx")).imported
            write_source(imported.graph)
            read += 1
    assert read > 30
