"""Networks of the gallery to ONNX and back to source: the same network, as short as before."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends.onnx.emit import emit
from cnndsl.driver.load import load
from cnndsl.importers.onnx.importing import import_model
from cnndsl.importers.onnx.read import parse
from cnndsl.importers.writing.compare import same_network
from cnndsl.importers.writing.write import write_source
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.activation import Dropout
from cnndsl.ops.base import Op
from cnndsl.types.padding import Explicit, window_padding

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = """bytenet densenet121 googlenet inception_v3 lenet mobilenet_v2 resnet18 squeezenet
unet_padded wavenet"""


def in_numbers(op: Op, graph: Graph, node: Node) -> Op:
    """Return an op with its padding in numbers, where it does not depend on open sizes."""
    if "padding" not in {f.name for f in fields(op)}:
        return op
    spatial = graph.types[node.inputs[0]].spatial
    ones = (1,) * len(spatial)
    windows = zip(spatial, op.kernel, op.stride, getattr(op, "dilation", ones), strict=True)
    pads = [window_padding(op.padding, i, *window) for i, window in enumerate(windows)]
    return op if None in pads else replace(op, padding=Explicit(tuple(pads)))


def normal(graph: Graph) -> Graph:
    """Return a graph without what ONNX does not keep: dropout, dead layers, words for padding."""
    kept: list[Node] = []
    instead: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(instead.get(name, name) for name in node.inputs)
        if isinstance(node.op, Dropout):
            instead[node.output.name] = inputs[0]
        else:
            op = in_numbers(node.op, graph, node)
            kept.append(replace(node, op=op, inputs=inputs))
    outputs = tuple(replace(o, value=instead.get(o.value, o.value)) for o in graph.outputs)
    needed = {o.value for o in outputs}
    alive: list[Node] = []
    for node in reversed(kept):
        if node.output.name in needed:
            needed |= set(node.operands)
            alive.append(node)
    parameters = tuple(p for p in graph.parameters if p.value.name in needed)
    return replace(
        graph,
        name="net",
        nodes=tuple(reversed(alive)),
        outputs=outputs,
        parameters=parameters,
        usual_sizes=(),
    )


@pytest.mark.parametrize("name", NAMES.split())
def test_the_same_network_comes_back(name: str) -> None:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    weights = {
        p.value.name: np.full(p.spec.shape, p.spec.fill or 0.0, np.float32)
        for p in graph.parameters
    }
    imported = import_model(parse(emit(graph, weights), name)).imported
    same_network(normal(graph), normal(imported.graph))
    # Proven to mean the imported graph, or it raises.
    written = write_source(imported.graph, imported.comments)
    assert len(written.text.splitlines()) <= len(write_source(graph).text.splitlines()) + 8
