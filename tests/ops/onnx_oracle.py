"""Run one ONNX node in ONNX Runtime, or in ONNX's reference evaluator: the oracle of the ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

OPSET = 20

_OPTIONS = onnxruntime.SessionOptions()
_OPTIONS.intra_op_num_threads = 1
_OPTIONS.inter_op_num_threads = 1
_OPTIONS.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
_OPTIONS.log_severity_level = 4


def run_node(
    op_type: str,
    inputs: Sequence[np.ndarray | None],
    *,
    opset: int = OPSET,
    reference: bool = False,
    **attributes: Any,
) -> np.ndarray:
    """Return the only output of a node; None stands for an operand that is left out."""
    feeds = {f"x{i}": np.asarray(x) for i, x in enumerate(inputs) if x is not None}
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    node = helper.make_node(op_type, names, ["y"], **attributes)
    declared = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in feeds.items()
    ]
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "oracle", declared, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if reference:
        return np.asarray(ReferenceEvaluator(model).run(None, feeds)[0])
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _OPTIONS, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, feeds)[0])
