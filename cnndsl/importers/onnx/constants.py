"""Which inputs of a model are constants of the network: weights, shapes, axes, bounds.

Models that feed a layer's weights as inputs, as ONNX's own tests do, are networks only once those
inputs have values.
"""

from __future__ import annotations

from onnx import TensorProto

from cnndsl.importers.onnx.fold import can_fold
from cnndsl.importers.onnx.model import Model, NodeView

_OPERANDS: dict[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1,),
    "MatMul": (1,),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    "Div": (1,),
    "Pow": (1,),
    "Clip": (1, 2),
    "Dropout": (1, 2),
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1, 2),
    "Pad": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "ReduceMean": (1,),
    "ReduceMax": (1,),
}
"""Operands that a layer takes as constants only, by place."""


def constant_inputs(model: Model) -> frozenset[str]:
    """Return the inputs that must have values before a model is a network."""
    needed: set[str] = set()
    for node in reversed(model.nodes):
        needed.update(name for name in _wanted(model, node) if name)
        if can_fold(node) and needed.intersection(node.outputs):
            needed.update(name for name in node.inputs if name)
    return frozenset(needed & model.inputs.keys())


def _wanted(model: Model, node: NodeView) -> list[str]:
    found = [node.inputs[p] for p in _OPERANDS.get(node.op, ()) if p < len(node.inputs)]
    if node.op == "Gemm" and len(node.inputs) > 2 and _is_row(model, node.inputs[2]):
        found.append(node.inputs[2])
    if node.op == "Gather" and _is_float(model, node.inputs[0]):
        found.append(node.inputs[0])
    return found


def _is_row(model: Model, name: str) -> bool:
    declared = model.types.get(name)
    shape = None if declared is None else declared.shape
    return shape is not None and (len(shape) < 2 or shape[0] == 1)


def _is_float(model: Model, name: str) -> bool:
    declared = model.types.get(name)
    return declared is not None and declared.element == TensorProto.FLOAT
