"""ONNX models: checked in full, run by ONNX Runtime, equal to the reference, named as the source.

Tolerance: both sides hold float32, the reference sums in float64. ONNX Runtime sums in float32, so
a sum of k products of numbers near one is off by about k * 2**-24 of the sum of their magnitudes;
k is below 200 here. Its vectorised erf, tanh and exp are good to a few units of 2**-23.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import onnx
import onnxruntime
import pytest
from backends.op_grid import Case, cases
from hypothesis import given, settings
from properties.networks import (
    GraphBuilder,
    Network,
    float32,
    graph_of,
    networks,
    random_inputs,
    random_weights,
)

from cnndsl.backends.onnx.emit import CASES, DEFAULT_OPSET, IR_VERSIONS, OPSETS, emit
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError, Source, Span
from cnndsl.ir.graph import Graph
from cnndsl.ops import all_ops
from cnndsl.ops.activation import Gelu, Glu, HardSwish, Relu, Tanh
from cnndsl.ops.base import DataMovement
from cnndsl.ops.dense import Dense
from cnndsl.ops.fused import Fused
from cnndsl.ops.norm import LRN, BatchNorm, GroupNorm, LayerNorm
from cnndsl.ops.pool import AveragePool
from cnndsl.ops.rearrange import ChannelShuffle
from cnndsl.ops.resample import Upsample
from cnndsl.passes.pipeline import optimize
from cnndsl.types.extents import Dim
from cnndsl.types.tensor import TensorType

TOLERANCE = {"rtol": 2e-5, "atol": 2e-5}


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_model(model: bytes, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    running = session(model)
    names = [o.name for o in running.get_outputs()]
    return dict(zip(names, running.run(names, dict(inputs))))


def check_agrees(graph: Graph, sizes: Mapping[str, int], seed: int = 0, **versions: int) -> None:
    weights, inputs = random_weights(graph, seed), random_inputs(graph, sizes, seed + 1)
    expected = run(graph, inputs, weights)
    actual = run_model(emit(graph, weights, **versions), inputs)
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype
        np.testing.assert_allclose(actual[name], value, **TOLERANCE)


GRID: dict[str, list[Case]] = {
    name: list(group)
    for name, group in groupby(
        sorted(cases(), key=lambda c: type(c[0]).__name__), key=lambda c: type(c[0]).__name__
    )
}


@pytest.mark.parametrize("name", GRID)
@pytest.mark.parametrize("opset", [DEFAULT_OPSET, OPSETS[-1]])
def test_an_op_equals_its_definition(name: str, opset: int) -> None:
    for op, types, sizes in GRID[name]:
        graph = graph_of(op, types)
        try:
            check_agrees(graph, sizes, opset=opset)
        except Exception as error:
            error.add_note(f"{op} on {[str(t) for t in types]} at {dict(sizes)}")
            raise


def test_the_grid_and_the_cases_hold_every_op_of_the_language() -> None:
    language = {op for op in all_ops() if op.keyword or op.__name__ == "Affine"}
    assert {type(op) for group in GRID.values() for op, _, _ in group} == language
    assert set(CASES) == language


@settings(max_examples=60, deadline=None)
@given(networks())
def test_a_random_network_equals_the_reference_before_and_after_passes(network: Network) -> None:
    weights, inputs = network.weights, network.inputs
    expected = run(network.graph, inputs, weights)
    for graph in (network.graph, optimize(network.graph).graph):
        actual = run_model(emit(graph, weights), inputs)
        for name, value in expected.items():
            # Errors of one layer are carried on by the next, magnified at most a few times.
            scale = max(1.0, float(np.abs(value).max()))
            np.testing.assert_allclose(actual[name], value, rtol=2e-4, atol=2e-4 * scale)


@settings(max_examples=30, deadline=None)
@given(networks())
def test_named_values_and_symbolic_axes_stay(network: Network) -> None:
    graph = network.graph
    model = onnx.load_from_string(emit(graph, network.weights))
    declared = {
        v.name: [d.dim_param if d.HasField("dim_param") else d.dim_value for d in _shape(v)]
        for v in (*model.graph.input, *model.graph.output, *model.graph.value_info)
    }
    outer = {o.value: o.name for o in reversed(graph.outputs)}
    for value in (*(i.value for i in graph.inputs), *(n.output for n in graph.nodes)):
        expected = [e if isinstance(e, int) else str(e) for e in value.type.shape]
        assert declared[outer.get(value.name, value.name)] == expected
    assert [o.name for o in model.graph.output] == [o.name for o in graph.outputs]
    initializers = {i.name for i in model.graph.initializer}
    assert {p.value.name for p in graph.parameters} - initializers <= unread(graph)
    tensors = [name for node in model.graph.node for name in node.output]
    assert len(tensors) == len(set(tensors)), "tensor names are unique"


@settings(max_examples=30, deadline=None)
@given(networks())
def test_the_bytes_are_those_that_protobuf_writes(network: Network) -> None:
    data = emit(network.graph, network.weights)
    model = onnx.load_from_string(data)
    assert model.SerializeToString(deterministic=True) == data
    for tensor in model.graph.initializer:
        if tensor.name in network.weights:
            value = onnx.numpy_helper.to_array(tensor)
            np.testing.assert_array_equal(value, network.weights[tensor.name])


def unread(graph: Graph) -> set[str]:
    return {p.value.name for p in graph.parameters if not graph.readers[p.value.name]}


def _shape(info: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(info.type.tensor_type.shape.dim)


def test_the_model_says_nothing_of_place_and_time() -> None:
    graph = graph_of(Relu(), [float32("N", 2)])
    data = emit(graph, {})
    assert data == emit(graph, {})
    model = onnx.load_from_string(data)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    assert model.producer_name == "cnndsl"
    assert not model.metadata_props
    assert not model.doc_string
    assert not model.graph.doc_string


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_is_said_in_its_own_form(opset: int) -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 4, "H"))
    b.add(LayerNorm(), x)
    for op in (
        AveragePool(kernel=(3,), stride=(2,)),
        Gelu(),
        HardSwish(),
        Glu(),
        GroupNorm(groups=2),
    ):
        b.add(op, b.nodes[-1].output.name)
    b.add(Upsample(scale=(2,)), b.add(BatchNorm(), b.nodes[-1].output.name))
    check_agrees(b.graph(b.nodes[-1].output.name), {"N": 2, "H": 7}, opset=opset)


@pytest.mark.parametrize("ir_version", IR_VERSIONS)
def test_every_ir_version_runs(ir_version: int) -> None:
    check_agrees(graph_of(Relu(), [float32("N", 2)]), {"N": 2}, ir_version=ir_version)


@pytest.mark.parametrize(
    "versions, message",
    [
        ({"opset": 12}, "opset 12 is not supported: it must be between 13 and 23"),
        ({"opset": 24}, "opset 24 is not supported: it must be between 13 and 23"),
        ({"ir_version": 6}, "ONNX IR version 6 is not supported: it must be between 7 and 11"),
        ({"ir_version": 12}, "ONNX IR version 12 is not supported: it must be between 7 and 11"),
    ],
)
def test_versions_out_of_range_are_refused(versions: dict[str, int], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        emit(graph_of(Relu(), [float32("N", 2)]), {}, **versions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard(DataMovement):
    """An op that ONNX has never heard of."""

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        return inputs[0]

    def evaluate(self, inputs: Sequence[np.ndarray], params: Sequence[np.ndarray]) -> np.ndarray:
        return inputs[0]

    def pullback(
        self, inputs: Sequence[np.ndarray], params: Sequence[np.ndarray], gradient: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        return (gradient,)


def test_all_that_cannot_be_said_is_refused_with_its_place() -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 2))
    fused = Fused(base=Unheard(), activation=Relu())
    graph = b.graph(b.add(fused, b.add(Relu(), b.add(Unheard(), x))))
    source = Source("net.cnn", "x -> unheard")
    span = Span(source, 5, 12)
    nodes = (replace(graph.nodes[0], span=span, path=(("f", span),)), *graph.nodes[1:])
    with pytest.raises(CompileError) as error:
        emit(graph.with_nodes(nodes), {})
    found = error.value.diagnostics
    assert [d.code for d in found] == ["CNN702", "CNN702"]
    assert found[0].message == "unheard_0: the onnx target has no way to say Unheard"
    assert (found[0].span, found[0].trail) == (span, (("f", span),))


def test_a_model_over_two_gigabytes_is_refused() -> None:
    graph = graph_of(Dense(out_features=1 << 15, bias=False), [float32("N", 1 << 14)])
    (name,) = (p.value.name for p in graph.parameters)
    # A view of one zero: the tensor is of 2 GB, the memory is not.
    weights = {name: np.broadcast_to(np.float32(0), (1 << 15, 1 << 14))}
    with pytest.raises(CompileError, match=r"CNN702: the model takes 2_147_48\d_\d+ bytes"):
        emit(graph, weights)


def test_outputs_of_one_value_or_of_an_input_are_copies() -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 2))
    h = b.add(Relu(), x)
    tail = b.add(Relu(), b.add(Tanh(), h))
    # The output called tanh_1 is not the value of that name, which must give way.
    graph = b.graph(first=h, second=h, same=x, relu_0=h, tanh_1=h, tail=tail)
    check_agrees(graph, {"N": 3})
    b2 = GraphBuilder()
    x = b2.input("x", float32("N", 2))
    b2.add(Relu(), x)
    for graph in (b2.graph(x=x), b2.graph(x="relu_0")):
        with pytest.raises(CompileError, match="CNN702"):
            emit(graph, {})


def test_weights_that_do_not_fit_are_refused() -> None:
    graph = graph_of(Dense(out_features=2, bias=True), [float32("N", 3)])
    with pytest.raises(CompileError) as error:
        emit(graph, {})
    assert [d.code for d in error.value.diagnostics] == ["CNN602", "CNN602"]


def test_formulas_of_an_input_are_solved_for_their_symbol() -> None:
    """x is [N, 4, 2*h + 3, 3*w]; group norm must shape its result by them when it runs."""
    h, w = Dim.symbol("h"), Dim.symbol("w")
    x = float32("N", 4, h * 2 + 3, w * 3)
    for op in (GroupNorm(groups=2), ChannelShuffle(groups=2), LRN(size=2)):
        check_agrees(graph_of(op, [x]), {"N": 2, "h": 3, "w": 2})
