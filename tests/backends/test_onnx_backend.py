"""ONNX's own conformance suite, run on what is imported, and the page that says how it went.

Each case of the suite is a test here: it passes, or is skipped with the reason for which its model
is refused. The suite's tolerance is 1e-3 relative and 1e-7 absolute, unless a case has its own.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import pytest
from conformance.modules import module_of
from onnx import TensorProto, helper

from cnndsl import docs_onnx
from cnndsl.backends import onnx_backend
from cnndsl.backends.onnx_backend import CnndslBackend
from cnndsl.diagnostics import CompileError
from cnndsl.docs_onnx import PASSED, REFUSED, WRONG, page, results, suite
from cnndsl.importers.imported import Imported
from cnndsl.importers.onnx.importing import ImportedModel
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.passes.pipeline import optimize

Arrays: TypeAlias = Mapping[str, np.ndarray]

PAGE = Path(__file__).parents[2] / "docs" / "onnx-support.md"


def _cases() -> dict[str, type[unittest.TestCase]]:
    """Return the suite's test cases without those for other devices and of whole networks."""
    found = {}
    for name, case in suite().test_cases.items():
        if "Real" in name:
            continue
        for method in [m for m in vars(case) if m.endswith("_cuda")]:
            delattr(case, method)
        case.__module__ = __name__
        found[name] = case
    return found


globals().update(_cases())


@pytest.fixture(scope="module")
def cases() -> list[tuple[Imported, Arrays, Arrays]]:
    """Run the suite, and return the networks that it ran, with what they were fed and gave."""
    found: list[tuple[Imported, Arrays, Arrays]] = []
    make = onnx_backend._runner

    def recording(imported: ImportedModel, engine: str) -> onnx_backend.Runner:
        runner = make(imported, engine)

        def call(inputs: Arrays) -> Arrays:
            outputs = runner(inputs)
            found.append((imported.imported, inputs, outputs))
            return outputs

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_backend, "_runner", recording)
        results()
    return found


def test_no_case_is_wrong_and_as_many_pass_as_ever(
    cases: list[tuple[Imported, Arrays, Arrays]],
) -> None:
    wrong = [case for case in results() if case.result == WRONG]
    assert wrong == []
    passed = sum(case.result == PASSED for case in results())
    assert 298 <= passed <= len(cases)
    assert all(case.reason for case in results() if case.result == REFUSED)


def test_the_page_of_onnx_support_is_up_to_date(
    cases: list[tuple[Imported, Arrays, Arrays]],
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    if f"Made with onnx {onnx.__version__};" not in text:
        pytest.skip(f"the page is of another version than onnx {onnx.__version__}")
    assert text == page(results())


@pytest.mark.slow
def test_what_passes_is_the_same_on_numba_cpu(
    cases: list[tuple[Imported, Arrays, Arrays]],
) -> None:
    """All networks in one, so that its kernels are compiled once for some three hundred cases.

    They hold sums of at most a few hundred products, which float32 rounds to about 1e-5.
    """
    graph, weights = together([imported for imported, _, _ in cases])
    net = module_of(optimize(graph).graph).load(weights, threads=2)
    fed = {f"c{i}_{n}": x for i, (_, inputs, _) in enumerate(cases) for n, x in inputs.items()}
    outputs = net(**fed)
    for i, (_, _, expected) in enumerate(cases):
        for name, y in expected.items():
            np.testing.assert_allclose(outputs[f"c{i}_{name}"], y, rtol=1e-4, atol=1e-5)


def together(networks: list[Imported]) -> tuple[Graph, Arrays]:
    """Return networks side by side as one, names and labels with a prefix for each."""
    inputs, parameters, nodes, outputs, weights = [], [], [], [], {}
    for number, network in enumerate(networks):

        def name(text: str, prefix: str = f"c{number}_") -> str:
            return prefix + text

        def value(old: Value, rename: Callable[[str], str] = name) -> Value:
            return Value(rename(old.name), old.type)

        graph = network.graph
        inputs += [Input(value(i.value)) for i in graph.inputs]
        parameters += [Parameter(value(p.value), p.spec) for p in graph.parameters]
        nodes += [
            Node(
                n.op,
                (*map(name, n.inputs),),
                (*map(name, n.params),),
                value(n.output),
                name(n.label),
            )
            for n in graph.nodes
        ]
        outputs += [Output(name(o.name), name(o.value)) for o in graph.outputs]
        weights |= {name(n): array for n, array in network.weights.items()}
    parts = (tuple(inputs), tuple(parameters), tuple(nodes), tuple(outputs))
    return Graph("together", *parts), weights


def model(*nodes: onnx.NodeProto, opset: int = 20) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, [2, 3, 4]), info("w", TensorProto.FLOAT, [5, 3, 1])]
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        list(nodes),
        "net",
        [i for i in inputs if i.name in read],
        [info("y", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def test_weights_given_as_an_input_are_taken_from_each_run() -> None:
    net = CnndslBackend.prepare(
        model(helper.make_node("Conv", ["x", "w"], ["y"])), engine="reference"
    )
    x = np.ones((2, 3, 4), np.float32)
    for factor in (1, 2):
        (y,) = net.run([x, np.full((5, 3, 1), factor, np.float32)])
        np.testing.assert_allclose(y, np.full((2, 5, 4), 3 * factor))
    (y,) = net.run({"w": np.zeros((5, 3, 1), np.float32), "x": x})
    assert not y.any()


def test_a_model_runs_on_numba_cpu_by_default() -> None:
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    (y,) = onnx_backend.run_model(model(helper.make_node("Relu", ["x"], ["y"])), [x])
    np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_compatibility_is_told_beforehand() -> None:
    assert onnx_backend.is_compatible(model(helper.make_node("Relu", ["x"], ["y"])))
    assert not onnx_backend.is_compatible(model(helper.make_node("Abs", ["x"], ["y"])))
    assert not onnx_backend.supports_device("CUDA")


def test_wrong_inputs_are_errors() -> None:
    net = CnndslBackend.prepare(model(helper.make_node("Relu", ["x"], ["y"])), engine="reference")
    for inputs in ([], {"z": np.ones(3)}, [np.ones((2, 3), np.float32)]):
        with pytest.raises(CompileError, match="CNN803"):
            net.run(inputs)
    with pytest.raises(CompileError, match="CNN701"):
        CnndslBackend.prepare(model(helper.make_node("Relu", ["x"], ["y"])), "CUDA")
    with pytest.raises(ValueError, match="engine is numba-cpu or reference"):
        CnndslBackend.prepare(model(helper.make_node("Relu", ["x"], ["y"])), engine="torch")


def test_reasons_lose_what_is_of_one_case_alone() -> None:
    general = docs_onnx._general
    first = general('the input "x" is int8; the language takes float32; the input "y" is int8')
    assert first == "the input … is of another type; the language takes float32"
    assert general("it makes 3 of 4 elements") == "it makes … of … elements"
