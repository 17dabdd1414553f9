"""Every network of the gallery to ONNX and back to source: the same network, as short as before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from importers.normal import alive, in_numbers
from onnx import ModelProto, helper, numpy_helper

from cnndsl.backends.onnx import emit as emitting
from cnndsl.backends.onnx.wire import serialize
from cnndsl.driver.load import load
from cnndsl.importers.onnx.importing import import_model
from cnndsl.importers.onnx.read import parse
from cnndsl.importers.writing.compare import same_network
from cnndsl.importers.writing.write import write_source
from cnndsl.weights.files import read

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LINES = dict(
    line.split() for line in (ROOT / "tests/golden/importers/lines.txt").read_text().splitlines()
)
"""Of the programs that are written of the gallery's graphs."""


def lean(model: ModelProto, tensors: Mapping[str, np.ndarray]) -> bytes:
    """Serialize a model, tensors of one number as nodes that fill them: VGG-19 in kilobytes."""
    stored = dict(tensors)
    for name, array in tensors.items():
        if array.ndim and not any(array.strides):
            stored[f"{name}.shape"] = np.array(array.shape)
            one = numpy_helper.from_array(stored.pop(name).reshape(-1)[:1])
            fill = helper.make_node("ConstantOfShape", [f"{name}.shape"], [name], value=one)
            model.graph.node.append(fill)
    return serialize(model, stored)


def compact(array: np.ndarray) -> np.ndarray:
    """Return one of the elements of an array that repeats one, which takes no memory."""
    return array if any(array.strides) else array[(0,) * array.ndim]


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.cnn")), ids=lambda path: path.stem)
def test_the_same_network_comes_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graph, usual sizes and weights: the trained ones, or a number for each parameter."""
    monkeypatch.setattr(emitting, "serialize", lean)
    graph = alive(load(path).graph)
    trained = path.with_suffix(".safetensors")
    weights = {
        p.value.name: np.broadcast_to(np.float32(number), p.spec.shape)
        for number, p in enumerate(graph.parameters, 1)
    }
    weights = read(trained) if trained.exists() else weights
    imported = import_model(parse(emitting.emit(graph, weights), path.name)).imported
    names = same_network(in_numbers(graph), in_numbers(imported.graph))
    for name, array in weights.items():
        np.testing.assert_array_equal(compact(imported.weights[names[name]]), compact(array))
    # Proven to mean the imported graph, or it raises.
    text = write_source(imported.graph, imported.comments).text
    assert text.startswith("# Imported from ONNX (opset 13), written by cnndsl ")
    # A line for the comment, and two for words where ONNX has numbers: paddings of equal blocks.
    assert len(text.splitlines()) <= int(LINES.get(path.stem, 20)) + 3
