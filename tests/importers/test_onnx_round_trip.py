"""From the language to ONNX and back: every op over the grid of what it can be given.

What comes back is the same op of equal meaning, or one of the few refusals listed here; its
results differ by the float32 rounding of constants at most.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from backends.op_grid import Case, cases
from properties.networks import graph_of, random_inputs, random_weights

from cnndsl.backends.onnx.emit import OPSETS, emit
from cnndsl.backends.onnx_backend import to_model, to_network
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.importers.onnx.importing import import_model
from cnndsl.importers.onnx.read import parse
from cnndsl.types.extents import Dim
from cnndsl.types.padding import Same, window_padding

GRID: dict[str, list[Case]] = {
    name: list(group)
    for name, group in groupby(
        sorted(cases(), key=lambda c: type(c[0]).__name__), key=lambda c: type(c[0]).__name__
    )
}

INSTEAD = {
    "Affine": ["Identity"],  # one that does nothing
    "AveragePool": ["Pad", "AveragePool"],  # counted padding, but not what ceil mode reaches
    "Crop": ["Slice"],  # of one axis
    "Dropout": ["Identity"],
    "Embedding": ["Embedding", "Flatten"],  # of numbers without a sequence
    "Flatten": ["Identity"],  # of what is flat
    "Upsample": ["Identity"],  # by one
}
"""What comes back instead where an op has nothing to do, or ONNX no word for it."""


def has_no_counterpart(case: Case) -> bool:
    """Tell whether cnndsl's onnx target computes a case in a way that is not recognised again."""
    op, types, _ = case
    name, x = type(op).__name__, types[0]
    if name == "LRN":
        return op.size % 2 == 0
    if name == "SpaceToDepth":
        return isinstance(x.channels, Dim)
    if not isinstance(getattr(op, "padding", None), Same) or name == "ConvTranspose":
        return False
    stride = getattr(op, "step", op.stride)
    dilation = getattr(op, "dilation", (1,) * len(op.kernel))
    windows = list(zip(x.spatial, op.kernel, stride, dilation, strict=True))
    symbolic = any(
        window_padding(Same(), 0, e, k, s, d) is None and (k - 1) * d > 0 for e, k, s, d in windows
    )
    plain = all(d == 1 and s <= k for _, k, s, d in windows)
    return symbolic and not plain


@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
@pytest.mark.parametrize("name", GRID)
def test_an_op_comes_back(name: str, opset: int) -> None:
    for case in GRID[name]:
        op, types, sizes = case
        graph = graph_of(op, types)
        weights, inputs = random_weights(graph, 0), random_inputs(graph, sizes, 1)
        model = parse(emit(graph, weights, opset=opset), "model")
        if has_no_counterpart(case):
            with pytest.raises(CompileError, match="CNN807"):
                import_model(model)
            continue
        found = import_model(model)
        came = [type(node.op).__name__ for node in found.imported.graph.nodes]
        assert came == [name] or came == INSTEAD.get(name), (op, [str(t) for t in types])
        fed = {port.inner: to_network(port, inputs[port.outer]) for port in found.inputs}
        results = run(found.imported.graph, fed, found.imported.weights)
        for port, expected in zip(found.outputs, run(graph, inputs, weights).values(), strict=True):
            actual = to_model(port, results[port.inner])
            assert actual.shape == expected.shape
            np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)
        if came == [name] and types[0].dtype.is_float:
            (node,) = found.imported.graph.nodes
            assert node.output.type == op.infer(types)
