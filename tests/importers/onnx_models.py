"""ONNX models for tests, made from nodes, and what ONNX Runtime computes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from cnndsl.backends.onnx_backend import to_model, to_network
from cnndsl.backends.reference.run import run
from cnndsl.importers.onnx.importing import ImportedModel, import_model

node = helper.make_node

Shape = Sequence[int | str | None]


def made(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape],
    tensors: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = ("y",),
    *,
    opset: int = 17,
    element: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Return a model of nodes; `tensors` are its initializers, inputs are float32."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(n, element, shape) for n, shape in inputs.items()],
        [helper.make_tensor_value_info(n, element, None) for n in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (tensors or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def random(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(
    model: onnx.ModelProto,
    inputs: Mapping[str, np.ndarray],
    *,
    ops: Sequence[str] | None = None,
    tolerance: float = 2e-5,
) -> ImportedModel:
    """Import a model, compare its results with ONNX Runtime's, and its ops with those expected."""
    found = import_model(model)
    if ops is not None:
        assert [type(n.op).__name__ for n in found.imported.graph.nodes] == list(ops)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [port.outer for port in found.outputs]
    expected = session.run(names, dict(inputs))
    fed = {port.inner: to_network(port, inputs[port.outer]) for port in found.inputs}
    results = run(found.imported.graph, fed, found.imported.weights)
    for port, value in zip(found.outputs, expected, strict=True):
        actual = to_model(port, results[port.inner])
        assert actual.shape == value.shape
        np.testing.assert_allclose(actual, value, rtol=tolerance, atol=tolerance)
    return found
