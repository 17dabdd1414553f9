"""The graph that importers build: names, types, shared weights, and what is reported once."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.diagnostics import CompileError
from cnndsl.importers.building import NetworkBuilder
from cnndsl.importers.names import dotted, identifier
from cnndsl.ir.verifier import verify
from cnndsl.ops.activation import Relu
from cnndsl.ops.dense import Dense
from cnndsl.types.extents import Dim
from cnndsl.types.tensor import DType, TensorType

FEATURES = TensorType(DType.FLOAT32, (Dim.symbol("N"), 4))


def dense(builder: NetworkBuilder, x: str | None, label: str, rows: int = 4) -> str | None:
    weight = np.ones((rows, 4), np.float32)
    return builder.add(
        Dense(out_features=4, bias=False), [x], label=label, where=label, weights=[weight]
    )


def test_names_of_another_format_become_names_of_the_language() -> None:
    assert identifier("/layer1/conv1/Conv_output_0", "value") == "layer1_conv1_Conv_output_0"
    assert identifier("4", "value") == "_4"
    assert identifier("input", "value") == "input_"
    assert identifier("conv", "value") == "conv_"
    assert identifier("画像", "value") == "value"
    assert len(identifier("a" * 10_000, "value")) == 100
    assert dotted("/layer1/layer1.0/conv1/Conv", "x") == "layer1.layer1.0.conv1.Conv"
    assert dotted("...", "x") == "x"


def test_a_network_is_built_with_unique_names_and_weights_by_parameter() -> None:
    builder = NetworkBuilder("main graph")
    x = builder.add_input("x", FEATURES)
    first = dense(builder, x, "unit/fc")
    second = dense(builder, first, "unit/fc")
    third = builder.add(
        Dense(out_features=4, bias=False), [second], label="again", where="again", like=first
    )
    builder.add_output("y", third)
    imported = builder.finish()
    verify(imported.graph)
    assert imported.graph.name == "main_graph"
    assert [n.label for n in imported.graph.nodes] == ["unit.fc", "unit.fc_2", "again"]
    assert [n.params for n in imported.graph.nodes] == [
        ("unit.fc.weight",),
        ("unit.fc_2.weight",),
        ("unit.fc.weight",),
    ]
    assert list(imported.weights) == ["unit.fc.weight", "unit.fc_2.weight"]


def test_a_mistake_is_reported_once_with_its_place() -> None:
    builder = NetworkBuilder("net")
    x = builder.add_input("x", FEATURES)
    wrong = dense(builder, x, "Gemm node 3", rows=5)
    assert wrong is None
    assert builder.add(Relu(), [wrong], label="relu", where="Relu node 4") is None
    builder.add_output("y", wrong)
    with pytest.raises(CompileError) as caught:
        builder.finish()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CNN604"
    assert diagnostic.message == "Gemm node 3: its weight must be [4, 4], and is [5, 4]"


def test_what_an_importer_finds_wrong_is_reported_together() -> None:
    builder = NetworkBuilder("net")
    builder.error("CNN806", "the file ends early", None)
    builder.error("CNN807", "the language has no recurrent layer", None)
    with pytest.raises(CompileError) as caught:
        builder.finish()
    assert [d.code for d in caught.value.diagnostics] == ["CNN806", "CNN807"]
