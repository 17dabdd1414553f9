"""ONNX models: checked in full, run by ONNX Runtime, equal to the reference, named as the source.

Tolerance: both sides hold float32, the reference sums in float64. ONNX Runtime sums in float32, so
a sum of k products of numbers near one is off by about k * 2**-24 of the sum of their magnitudes;
k is below 200 here. Its vectorised erf, tanh and exp are good to a few units of 2**-23.
"""

from __future__ import annotations

from collections.abc import Mapping
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

from cnndsl.backends.onnx.emit import CASES, DEFAULT_IR_VERSION, DEFAULT_OPSET, OPSETS, emit
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.ir.graph import Graph
from cnndsl.ops import all_ops
from cnndsl.ops.activation import Relu
from cnndsl.passes.pipeline import optimize

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
