"""Matching weights to a network: everything that is wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnndsl.diagnostics import CompileError
from cnndsl.driver.load import load
from cnndsl.weights.initialize import initialize
from cnndsl.weights.match import match

PROGRAM = """network net
input x: float32[N, 3, 8, 8]
output y = x -> conv3x3(4) -> bn -> relu -> conv1x1(2)
"""


@pytest.fixture
def network(tmp_path: Path) -> tuple:
    path = tmp_path / "net.cnn"
    path.write_text(PROGRAM)
    graph = load(path).graph
    return graph, initialize(graph, 0)


def test_matching_weights_come_in_the_graphs_order(network: tuple) -> None:
    graph, weights = network
    shuffled = dict(sorted(weights.items(), reverse=True))
    assert list(match(graph, shuffled)) == [p.value.name for p in graph.parameters]


def test_everything_wrong_is_reported_in_one_error(network: tuple) -> None:
    graph, weights = network
    weights["conv3x3.wieght"] = weights.pop("conv3x3.weight")
    weights["bn.bias"] = np.zeros(5, np.float32)
    weights["conv1x1.weight"] = weights["conv1x1.weight"].astype(np.int64)
    with pytest.raises(CompileError) as error:
        match(graph, weights)
    found = {(d.code, d.message, d.help) for d in error.value.diagnostics}
    assert found == {
        (
            "CNN602",
            "the weights have no tensor conv3x3.weight of shape [4, 3, 3, 3]",
            "rename conv3x3.wieght to conv3x3.weight",
        ),
        (
            "CNN603",
            "the network has no parameter conv3x3.wieght; the weights hold one of shape "
            "[4, 3, 3, 3]",
            "the network has conv3x3.weight",
        ),
        ("CNN604", "bn.bias must be [4], the weights have [5]", None),
        (
            "CNN604",
            "conv1x1.weight must be float32, the weights have int64",
            "give a file that holds floating-point numbers",
        ),
    }
