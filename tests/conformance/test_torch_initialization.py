"""A torch module draws its first weights from the distributions of `cnndsl init`."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from pathlib import Path

import numpy as np
from backends import op_grid
from conformance.torch_modules import module_of, torch
from properties.networks import graph_of

from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.weights.initialize import initialize

PROGRAM = """network kinds
input x: float32[N, 16, 12, 12]
input words: int64[N, 20]
block kernels(width) = conv3x3(width) -> bn -> relu -> conv1x1(2 * width, bias=true) -> sigmoid
maps = x -> kernels(24) -> prelu -> kernels(32) -> dwconv3x3(multiplier=2) -> silu
more = maps -> conv3x3(32, groups=4) -> selu -> deconv2x2(16, stride=2, groups=2) -> leaky_relu
local = more -> local3x3(6, stride=4) -> groupnorm(2) -> relu
output y = local -> flatten -> dense(40) -> gelu -> dense(30, bias=true) -> selu -> dense(20)
    -> softmax
output z = words -> embedding(300, 16) -> layernorm -> conv3(24) -> srelu -> deconv3(12)
    -> global_maxpool
"""


def program(folder: Path) -> Graph:
    path = folder / "kinds.cnn"
    path.write_text(PROGRAM, encoding="utf-8")
    return load(path).graph


def test_first_weights_are_drawn_as_init_draws_them(tmp_path: Path) -> None:
    graph = program(tmp_path)
    torch.manual_seed(5)
    drawn = {n: t.numpy() for n, t in module_of(graph).Network().state_dict().items()}
    expected = initialize(graph, 0)
    assert {n: a.shape for n, a in drawn.items()} == {n: a.shape for n, a in expected.items()}
    scales: set[float] = set()
    for name, array in expected.items():
        if not array.std():  # biases, norms and the slopes of prelu
            np.testing.assert_array_equal(drawn[name], array, err_msg=name)
            continue
        # Of so many numbers, a deviation and a mean err by about one part in the square root.
        error = 4 / sqrt(array.size)
        np.testing.assert_allclose(drawn[name].std(), array.std(), rtol=error, err_msg=name)
        assert abs(drawn[name].mean()) <= error * array.std(), name
        within = np.mean(np.abs(drawn[name]) <= drawn[name].std())
        assert abs(within - 0.683) <= error, f"{name} is not normal"
        scales.add(round(float(array.std()), 3))
    assert len(scales) >= 10, "layers differ in scale"


def test_the_program_has_every_layer_that_draws(tmp_path: Path) -> None:
    found = _drawing(graph_of(op, types) for op, types, _ in op_grid.cases())
    assert found == _drawing([program(tmp_path)])


def _drawing(graphs: Iterable[Graph]) -> set[str]:
    """Return the kinds of layers that have random weights."""
    return {
        type(node.op).__name__
        for graph in graphs
        for node in graph.nodes
        if any(p.spec.fill is None and p.value.name in node.params for p in graph.parameters)
    }


def test_every_network_is_drawn_anew(tmp_path: Path) -> None:
    module = module_of(program(tmp_path))
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(module.Network().state_dict()["dense.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
